import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type PodId, WormholeError, writeFileDurably } from '../base/index.js';
import { selfSignedCertificate } from './certificate.js';
import { isPublicKey, podIdOf } from './pod-id.js';

/** Who this pod is: an Ed25519 key, and what follows from it. */
export interface Identity {
  readonly pod: PodId;
  /** SPKI in DER: what members keep of each other. */
  readonly publicKey: Uint8Array;
  /** For the TLS handshake, PEM. */
  readonly certificate: string;
  readonly privateKey: KeyObject;
  /** 64 bytes, the same for the same data. */
  sign(data: Uint8Array): Uint8Array;
}

/**
 * Reads the key from `file`, or makes one at the first start. A file that others may read is closed to them
 * (mode 0600) and `repaired` is called.
 * @throws WormholeError `corrupt` when the file is no Ed25519 key, `not-permitted` when its mode cannot be mended
 */
export async function loadOrCreateIdentity(
  file: string,
  repaired: (sentence: string) => void = () => {},
): Promise<Identity> {
  const pem = (await readKey(file, repaired)) ?? (await createKey(file));
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw corrupt(file, cause);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw corrupt(file, undefined);
  return identityFrom(key);
}

/** A new identity that is kept nowhere. */
export function temporaryIdentity(): Identity {
  return identityFrom(generateKeyPairSync('ed25519').privateKey);
}

/** True when the owner of this public key (SPKI, DER) signed `data`; false for anything else. */
export function verifySignature(spki: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  if (!isPublicKey(spki) || signature.length !== 64) return false;
  const key = createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' });
  return verify(null, data, key, signature);
}

function identityFrom(privateKey: KeyObject): Identity {
  const publicKey = new Uint8Array(createPublicKey(privateKey).export({ type: 'spki', format: 'der' }));
  const body = selfSignedCertificate(privateKey).toString('base64');
  return {
    pod: podIdOf(publicKey),
    publicKey,
    certificate: `-----BEGIN CERTIFICATE-----\n${body.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    privateKey,
    sign: (data) => new Uint8Array(sign(null, data, privateKey)),
  };
}

async function readKey(file: string, repaired: (sentence: string) => void): Promise<string | undefined> {
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      await closeToOthers(file);
      repaired(`${file} could be read by other users; it is now mode 0600`);
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof WormholeError) throw error;
    throw new WormholeError('not-permitted', `${file} cannot be read: check who owns it`, { cause: error });
  }
}

async function closeToOthers(file: string): Promise<void> {
  try {
    await chmod(file, 0o600);
  } catch (cause) {
    const sentence = `${file} can be read by other users: let its owner run chmod 600 on it`;
    throw new WormholeError('not-permitted', sentence, { cause });
  }
}

async function createKey(file: string): Promise<string> {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileDurably(file, pem, 0o600);
  return pem;
}

function corrupt(file: string, cause: unknown): WormholeError {
  const cure = 'put it back from a backup, or move it away and join the network again as a new pod';
  return new WormholeError('corrupt', `${file} does not hold this pod's key: ${cure}`, { cause });
}
