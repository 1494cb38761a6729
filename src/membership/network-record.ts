import { decodeCbor, encodeCbor } from '../base/cbor.js';
import { isSha256, type PodId, type Random, type Sha256, sha256 } from '../base/index.js';

const NONCE_BYTES = 16;

/** What names a network: all else about it is said by its members. */
export interface NetworkRecord {
  version: 1;
  /** For people; not part of the id. */
  name: string;
  /** The pod whose signature every chain ends at. */
  founder: PodId;
  nonce: Uint8Array;
}

export function newNetworkRecord(name: string, founder: PodId, random: Random): NetworkRecord {
  return { version: 1, name, founder, nonce: Uint8Array.from(random.bytes(NONCE_BYTES)) };
}

/** The network's id binds its founder: whoever knows the id knows whose signature counts. */
export function networkIdOf(record: NetworkRecord): Sha256 {
  const parts = [`wormhole/network/${record.version}\0`, Buffer.from(record.founder, 'hex'), record.nonce];
  return sha256(Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array))));
}

export function encodeNetworkRecord(record: NetworkRecord): Uint8Array {
  return encodeCbor({ v: record.version, name: record.name, founder: record.founder, nonce: record.nonce });
}

/** The record, or undefined when the value is none. Never throws. */
export function parseNetworkRecord(bytes: unknown): NetworkRecord | undefined {
  if (!(bytes instanceof Uint8Array)) return undefined;
  let plain: { v?: unknown; name?: unknown; founder?: unknown; nonce?: unknown } | null;
  try {
    plain = decodeCbor(bytes) as typeof plain;
  } catch {
    return undefined;
  }
  if (plain?.v !== 1 || typeof plain.name !== 'string' || !isSha256(plain.founder)) return undefined;
  if (!(plain.nonce instanceof Uint8Array) || plain.nonce.length !== NONCE_BYTES) return undefined;
  return { version: 1, name: plain.name, founder: plain.founder, nonce: Uint8Array.from(plain.nonce) };
}
