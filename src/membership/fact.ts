import { decodeCbor, encodeCbor } from '../base/cbor.js';
import { isSha256, type PodId, type Sha256, sha256 } from '../base/index.js';
import { isPodName, ROLES, type Role } from '../config/index.js';
import { type Identity, verifySignature } from '../net/identity.js';

/** What a pod says about its network, signed: never changed, only joined by others. */
export type Statement =
  /** Lets a pod in. */
  | { kind: 'add'; pod: PodId; name: string; role: Role }
  /** Takes a pod out for good. `saw`: the facts of that pod that the signer knew; later ones are void. */
  | { kind: 'remove'; pod: PodId; saw: Sha256[] }
  /** Declares the network's configuration; the highest number counts, then the highest hash. */
  | { kind: 'config'; text: string; number: number };

export interface Fact {
  /** SHA-256 of its bytes: its name in the notebook. */
  hash: Sha256;
  /** From the key that signed it. */
  by: PodId;
  /** The signer's wall clock in milliseconds, to be shown; decides nothing. */
  at: number;
  statement: Statement;
}

/** Who signs: as much of a pod's identity as that takes. */
export type Signer = Pick<Identity, 'pod' | 'publicKey' | 'sign'>;

/** A declared configuration fits, with room. */
export const FACT_BYTES_MAX = 1024 * 1024 + 4096;

export function signFact(statement: Statement, network: Sha256, signer: Signer, at: number): Uint8Array {
  const body = encodeCbor({ v: 1, at, ...statement });
  return encodeCbor({ body, key: signer.publicKey, signature: signer.sign(signedText(body, network)) });
}

/** Reads and verifies a fact; undefined when it is not one of this network, whatever the bytes. */
export function parseFact(bytes: unknown, network: Sha256): Fact | undefined {
  if (!(bytes instanceof Uint8Array)) return undefined;
  const parts = partsOf(bytes);
  if (parts === undefined) return undefined;
  const { body, key, signature } = parts;
  try {
    const plain = decodeCbor(body) as { [name: string]: unknown };
    const statement = plain['v'] === 1 ? parseStatement(plain) : undefined;
    if (statement === undefined || !Number.isSafeInteger(plain['at'])) return undefined;
    if (!verifySignature(key, signedText(body, network), signature)) return undefined;
    return { hash: sha256(bytes), by: sha256(key), at: plain['at'] as number, statement };
  } catch {
    return undefined;
  }
}

/** True for what has the shape of a fact, of whatever network. */
export function looksLikeFact(bytes: Uint8Array): boolean {
  return partsOf(bytes) !== undefined;
}

function partsOf(
  bytes: Uint8Array,
): { body: Uint8Array; key: Uint8Array; signature: Uint8Array } | undefined {
  if (bytes.length > FACT_BYTES_MAX) return undefined;
  try {
    const { body, key, signature } = decodeCbor(bytes) as { [name: string]: unknown };
    const isFact = body instanceof Uint8Array && key instanceof Uint8Array && signature instanceof Uint8Array;
    return isFact ? { body, key, signature } : undefined;
  } catch {
    return undefined;
  }
}

function parseStatement(plain: { [name: string]: unknown }): Statement | undefined {
  const { kind, pod, name, role, saw, text, number } = plain;
  if (kind === 'config') {
    if (typeof text !== 'string' || !Number.isSafeInteger(number)) return undefined;
    return { kind, text, number: number as number };
  }
  if (!isSha256(pod)) return undefined;
  if (kind === 'remove') {
    return Array.isArray(saw) && saw.every(isSha256) ? { kind, pod, saw } : undefined;
  }
  const known = ROLES.find((candidate) => candidate === role);
  if (kind !== 'add' || typeof name !== 'string' || !isPodName(name) || known === undefined) return undefined;
  return { kind, pod, name, role: known };
}

/** A signature counts for one network and one purpose only. */
function signedText(body: Uint8Array, network: Sha256): Uint8Array {
  return Buffer.concat([Buffer.from('wormhole/membership/1\0'), Buffer.from(network, 'hex'), body]);
}
