/**
 * A pod's id: SHA-256 of its public key's SPKI, as 64 lower-case hexadecimal digits. It always comes from a
 * key that was seen in a handshake or from the members' list, never from a message's own claim.
 */
export type PodId = string;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** RFC 4648 base32, lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(buffer >> bits) & 31];
    }
  }
  if (bits > 0) text += ALPHABET[(buffer << (5 - bits)) & 31];
  return text;
}

/** The bytes of a base32 text in any case, or undefined when a character does not belong. */
export function parseBase32(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  let buffer = 0;
  let bits = 0;
  for (const character of text.toLowerCase()) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    buffer = ((buffer << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((buffer >> bits) & 255);
    }
  }
  return Uint8Array.from(bytes);
}

/** The first characters of a pod's id, enough to tell pods of one network apart in text for people. */
export function shortId(pod: PodId): string {
  return base32(Buffer.from(pod, 'hex')).slice(0, 8);
}
