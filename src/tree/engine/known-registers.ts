import { compareOpIds, type InodeId, type Registers } from '../schema.js';
import type { RegisterOperation } from './document.js';

/** Registers that need not be read from the document; undefined: it has no such inode. */
export type KnownRegisters = Map<InodeId, Registers | undefined>;

/**
 * What writes that are now in the document made of the registers before them, without reading any back: a write
 * takes the place of the values that its author saw, and every other value stays.
 * @param before as they were before the first of these writes
 */
export function registersAfter(
  writes: readonly RegisterOperation[],
  before: (inode: InodeId) => Registers | undefined,
): KnownRegisters {
  const after = new Map<InodeId, Registers>();
  // Rising ids: a write comes after all that its author saw, in whatever order they came here.
  for (const write of [...writes].sort((a, b) => compareOpIds(a.id, b.id))) {
    const registers = after.get(write.inode) ?? {
      ...(before(write.inode) ?? { l: [], d: [], a: [], x: [] }),
    };
    after.set(write.inode, registers);
    take(registers, write);
  }
  const known: KnownRegisters = new Map();
  for (const [inode, registers] of after) known.set(inode, isEmpty(registers) ? undefined : registers);
  return known;
}

function take(registers: Registers, { register, id, value, overwrites }: RegisterOperation): void {
  const values: { id: string; value: unknown }[] = registers[register].filter(
    (other) => other.id !== id && !overwrites.includes(other.id),
  );
  if (value !== undefined) values.push({ id, value });
  if (values.length > 1) values.sort((a, b) => compareOpIds(a.id, b.id));
  Object.assign(registers, { [register]: values });
}

function isEmpty({ l, d, a, x }: Registers): boolean {
  return l.length + d.length + a.length + x.length === 0;
}
