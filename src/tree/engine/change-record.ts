import { encodeCbor } from '../../base/cbor.js';
import { WormholeError } from '../../base/index.js';
import type { Heads } from '../schema.js';
import { decodeFlat } from './flat-cbor.js';
import type { OwnGroup } from './own-writes.js';

/**
 * A record of the change log: changes that went into the document together, and what was so afterwards. Local
 * operations and their journal number are one record, so a crash keeps both or neither.
 */
export interface ChangeRecord {
  changes: Uint8Array[];
  /** The last journaled operation that is in the document. */
  seq: number;
  /** The document's heads after this record; empty for all but the last record of a large batch. */
  heads: Heads;
  /** Set when the change is this pod's own. */
  own?: OwnGroup;
}

const VERSION = 1;
const HASH_BYTES = 32;

export function encodeChangeRecord({ changes, seq, heads, own }: ChangeRecord): Uint8Array {
  return encodeCbor([
    VERSION,
    wide(seq),
    Buffer.from(heads.join(''), 'hex'),
    own === undefined ? null : Buffer.from(own.actor, 'hex'),
    wide(own?.firstCounter ?? 0),
    wide(own?.lastCounter ?? 0),
    ...changes,
  ]);
}

/** @throws WormholeError `corrupt`, or `newer-format` */
export function decodeChangeRecord(bytes: Uint8Array): ChangeRecord {
  const [version, seq, heads, actor, firstCounter, lastCounter, ...changes] = decodeFlat(bytes) ?? [];
  if (typeof version === 'number' && version > VERSION) {
    throw new WormholeError('newer-format', 'this store was written by a newer wormhole; update this one');
  }
  if (
    typeof seq !== 'number' ||
    !(heads instanceof Uint8Array) ||
    typeof firstCounter !== 'number' ||
    typeof lastCounter !== 'number' ||
    !changes.every((change) => change instanceof Uint8Array)
  ) {
    throw new WormholeError('corrupt', 'a record of the change log is not one of ours');
  }
  const record: ChangeRecord = { changes, seq, heads: splitHashes(heads) };
  if (actor instanceof Uint8Array) {
    record.own = { actor: Buffer.from(actor).toString('hex'), firstCounter, lastCounter, seq };
  }
  return record;
}

function splitHashes(bytes: Uint8Array): string[] {
  const hashes: string[] = [];
  for (let at = 0; at < bytes.length; at += HASH_BYTES) {
    hashes.push(Buffer.from(bytes.subarray(at, at + HASH_BYTES)).toString('hex'));
  }
  return hashes;
}

/** The encoder writes numbers above 32 bits as floats, but integers of any width as integers. */
function wide(value: number): number | bigint {
  return value > 0xffff_ffff ? BigInt(value) : value;
}
