import { conflictNames } from '../resolver/conflict-names.js';
import { type InodeId, type OpId, type Registers, ROOT } from '../schema.js';

/**
 * Where a value goes that is made real although it was never shown as a losing one (it came in between the
 * user's look and the user's act): beside its file, under the name that the resolver would have given it.
 */
export function conflictPlace(version: OpId, registers: Registers): { parent: InodeId; name: string } {
  const { parent, name } = registers.l.at(-1)?.value ?? { parent: ROOT, name: 'file' };
  return { parent, name: conflictNames(name, version).next().value };
}
