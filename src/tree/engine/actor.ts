import { base32, type PodId, type Random } from '../../base/index.js';

const POD_BYTES = 5;
const RANDOM_BYTES = 5;
const NAME_BYTES_MAX = 12;

/**
 * An actor id: 5 bytes of the pod's id, 5 random bytes, up to 12 bytes of the pod's name. A fresh one at every
 * start, so that a store put back from a backup never writes under a number that others already know.
 * @returns hexadecimal
 */
export function makeActor(pod: PodId, podName: string, random: Random): string {
  return Buffer.concat([
    Buffer.from(pod, 'hex').subarray(0, POD_BYTES),
    random.bytes(RANDOM_BYTES),
    cutUtf8(podName, NAME_BYTES_MAX),
  ]).toString('hex');
}

/**
 * Who wrote an operation, for conflict names: the same on every pod, for any actor id that a member may invent.
 * `short` is the same text as `shortId(pod)`.
 */
export function podOfActor(actor: string): { name: string; short: string } {
  const bytes = Buffer.from(actor, 'hex');
  const name = bytes
    .subarray(POD_BYTES + RANDOM_BYTES, POD_BYTES + RANDOM_BYTES + NAME_BYTES_MAX)
    .toString('utf8')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a file name
    .replace(/[\u0000-\u001f\u007f/\\~@()\ufffd]/g, '')
    .trim();
  return { name: name === '' ? 'pod' : name, short: base32(bytes.subarray(0, POD_BYTES)) };
}

function cutUtf8(text: string, bytesMax: number): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  let end = Math.min(bytes.length, bytesMax);
  // A byte 10xxxxxx continues a character: go back to where the character at the cut begins.
  while (end < bytes.length && end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}
