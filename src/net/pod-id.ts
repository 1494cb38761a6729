import { base32, type PodId, parseBase32, sha256, WormholeError } from '../base/index.js';

/** SPKI (RFC 8410) of an Ed25519 key is this, and the 32 bytes of the key. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** Length of {@link Identity.publicKey} and of every key that members keep, in bytes. */
export const PUBLIC_KEY_BYTES = SPKI_PREFIX.length + 32;

/** True for the SPKI of an Ed25519 key, the only kind of key a pod has. */
export function isPublicKey(spki: unknown): spki is Uint8Array {
  return (
    spki instanceof Uint8Array &&
    spki.length === PUBLIC_KEY_BYTES &&
    SPKI_PREFIX.equals(spki.subarray(0, SPKI_PREFIX.length))
  );
}

/** The id of the pod that has this public key (SPKI, DER). */
export function podIdOf(spki: Uint8Array): PodId {
  return sha256(spki);
}

const BLOCK = 13;
const GROUP = 7;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * A pod's id as people read it aloud: 52 base32 characters and four check characters, in eight groups of
 * seven (the form that Syncthing's device ids have).
 */
export function formatPodId(pod: PodId): string {
  const digits = base32(Buffer.from(pod, 'hex'));
  let checked = '';
  for (let at = 0; at < digits.length; at += BLOCK) {
    const block = digits.slice(at, at + BLOCK);
    checked += block + checkCharacter(block);
  }
  return (checked.toUpperCase().match(/.{7}/g) ?? []).join('-');
}

/** Reads what {@link formatPodId} wrote, in any case, with or without the hyphens.
 *  @throws WormholeError `invalid` naming the group with the typing error */
export function parsePodId(written: string): PodId {
  const checked = written.toLowerCase().replace(/[\s-]/g, '');
  if (checked.length !== 8 * GROUP) {
    throw new WormholeError('invalid', 'this is not a pod id: it has eight groups of seven characters');
  }
  let digits = '';
  for (let at = 0; at < checked.length; at += BLOCK + 1) {
    const block = checked.slice(at, at + BLOCK);
    if (parseBase32(block) === undefined || checkCharacter(block) !== checked[at + BLOCK]) {
      const group = at / GROUP + 1;
      throw new WormholeError('invalid', `the pod id has a typing error in group ${group} or ${group + 1}`);
    }
    digits += block;
  }
  return Buffer.from(parseBase32(digits) ?? []).toString('hex');
}

/** Luhn's algorithm over 32 characters: it finds every single wrong character and nearly every swap. */
function checkCharacter(block: string): string {
  let sum = 0;
  let factor = 1;
  for (const character of block) {
    const product = factor * ALPHABET.indexOf(character);
    sum += Math.floor(product / 32) + (product % 32);
    factor = 3 - factor;
  }
  return ALPHABET[(32 - (sum % 32)) % 32] ?? '';
}
