import { createHash, hash, webcrypto } from 'node:crypto';

/** A SHA-256 as 64 lower-case hexadecimal digits. */
export type Sha256 = string;

/** SHA-256 on this thread: for up to some 64 KiB (40 µs); above, use {@link sha256InBackground}. */
export function sha256(data: Uint8Array): Sha256 {
  return hash('sha256', data, 'hex');
}

/** SHA-256 as 32 bytes. */
export function sha256Bytes(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest();
}

/** SHA-256 on libuv's thread pool, off the event loop. */
export async function sha256InBackground(data: Uint8Array): Promise<Sha256> {
  const digest = await webcrypto.subtle.digest('SHA-256', data);
  return Buffer.from(digest).toString('hex');
}

export function isSha256(text: unknown): text is Sha256 {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
}
