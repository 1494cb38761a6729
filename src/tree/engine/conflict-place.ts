import { extname } from 'node:path';
import { LIMITS } from '../../base/index.js';
import { type InodeId, type OpId, type Registers, ROOT } from '../schema.js';
import { podOfActor } from './actor.js';
import { actorOf, counterOf } from './document.js';

/**
 * Where a value goes that is made real although it was never shown as a losing one (it came in between the
 * user's look and the user's act): beside its file, under a name of the form that conflicts have.
 */
export function conflictPlace(version: OpId, registers: Registers): { parent: InodeId; name: string } {
  const place = registers.l.at(-1)?.value ?? { parent: ROOT, name: 'file' };
  const { name: pod, short } = podOfActor(actorOf(version));
  const mark = ` (conflict, ${pod} ${short.slice(0, 4)}${counterOf(version).toString(36)})`;
  const extension = Buffer.byteLength(extname(place.name)) <= 16 ? extname(place.name) : '';
  const stem = place.name.slice(0, place.name.length - extension.length);
  return {
    parent: place.parent,
    name: cut(stem, LIMITS.nameBytesMax - Buffer.byteLength(mark + extension)) + mark + extension,
  };
}

/** The longest start of a text that takes at most so many bytes. */
function cut(text: string, bytesMax: number): string {
  let kept = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept;
}
