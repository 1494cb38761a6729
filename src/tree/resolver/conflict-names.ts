import { LIMITS } from '../../base/index.js';
import { podOfActor } from '../engine/actor.js';
import type { OpId } from '../schema.js';
import { cutWithFingerprint, FINGERPRINT_BYTES } from './file-names.js';

const MARK = ' (conflict, ';
/** Where in an actor id the start of the pod is told from its others. */
const START_DIGITS = [10, 20] as const;

/** Whether some other name's conflict name could be this one. */
export function looksLikeConflict(name: string): boolean {
  return name.includes(MARK);
}

/**
 * Names for what lost its name to another, best first, without end: `report (conflict, laptop k3jq7zab).txt`,
 * then with the operation's counter, then with all of its id, then numbered. They are a function of the name and
 * the operation only. No two names have a conflict name in common: the last parenthesis and what a cut leaves
 * behind can be told from the rest.
 */
export function* conflictNames(name: string, version: OpId): Generator<string, never> {
  const [counter, actor = ''] = version.split('@');
  const pod = podOfActor(actor);
  const who = `${pod.name} ${pod.short}`;
  const start = actor.slice(...START_DIGITS);
  const parts = splitExtension(name);
  yield insert(name, parts, who);
  yield insert(name, parts, `${who} ${counter}`);
  yield insert(name, parts, `${who} ${counter} ${start}`);
  for (let n = 2; ; n++) yield insert(name, parts, `${who} ${counter} ${start} ${n}`);
}

function insert(name: string, [stem, extension]: [string, string], who: string): string {
  const middle = `${MARK}${who})`;
  const bytes = Buffer.byteLength(name) + Buffer.byteLength(middle);
  // Cut names are longer than all that are not cut.
  if (bytes <= LIMITS.nameBytesMax - FINGERPRINT_BYTES) return stem + middle + extension;
  const rest = LIMITS.nameBytesMax - Buffer.byteLength(middle) - Buffer.byteLength(extension);
  return cutWithFingerprint(stem, rest, name) + middle + extension;
}

/** `archive.tar.gz` → `archive`, `.tar.gz`; `.bashrc` and `README` have none. No parenthesis in an extension. */
function splitExtension(name: string): [stem: string, extension: string] {
  const match = /^(\.*[^.].*?)((?:\.tar)?\.[\p{L}\p{N}]{1,12})$/su.exec(name);
  return match === null ? [name, ''] : [match[1] ?? name, match[2] ?? ''];
}
