import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import { WormholeError } from '../../base/index.js';
import {
  type LogCondition,
  type LogPosition,
  openRecordLog,
  type RecordLog,
  type RecordLogOptions,
} from '../../store/index.js';
import type { Attributes, Data, Operation, RegisterWrite } from '../schema.js';
import { Reserve } from './reserve.js';

const VERSION = 1;
const segmentBytes = 4 * 1024 * 1024;
/** Below this the journal is not worth a new segment. */
const dropBytes = 1024 * 1024;
/** Some ten thousand deletions. */
const reserveBytes = 1024 * 1024;

type StoredOperation = [
  version: number,
  seen: number,
  time: bigint | number,
  writes: RegisterWrite[],
  needs?: LogPosition,
];

/**
 * Operations from the moment they return until they are durable in the document. An operation's number is its
 * record's number plus one, so that 0 is before the first.
 */
export class Journal {
  private readonly log: RecordLog;
  private readonly reserve: Reserve;
  private dropping: Promise<void> | undefined;

  constructor(log: RecordLog, reserve: Reserve) {
    this.log = log;
    this.reserve = reserve;
  }

  /** @see RecordLog.refusal */
  get refusal(): WormholeError | undefined {
    return this.log.refusal;
  }

  /** The number that the next operation will have. */
  get next(): number {
    return this.log.next + 1;
  }

  /** The oldest operation that is kept. */
  get first(): number {
    return this.log.first + 1;
  }

  /**
   * It survives the death of the process when this returns.
   * @param removes it takes something away: there is space for it when there is none for anything else
   * @param needs how far the contents' log must have survived for the contents that it names to be there
   * @throws WormholeError `full` (nothing happened) | `io` | `corrupt`
   */
  append(operation: Operation, removes = false, needs?: LogPosition): void {
    const stored: StoredOperation = [VERSION, operation.seen, operation.time, operation.writes];
    if (needs !== undefined) stored.push(needs);
    const number = this.write(encodeCbor(stored), removes);
    if (number + 1 !== operation.seq) {
      throw new WormholeError('internal', `operation ${operation.seq} was journaled as ${number + 1}`);
    }
  }

  private write(record: Uint8Array, removes: boolean): number {
    try {
      return this.log.append(record);
    } catch (error) {
      const isFull = error instanceof WormholeError && error.code === 'full';
      if (!isFull || !removes || !this.reserve.release()) throw error;
      return this.log.append(record);
    }
  }

  /** @throws WormholeError `newer-format` | `protocol` | `corrupt` */
  *from(seq: number): Generator<Operation> {
    for (const { number, record } of this.log.read(Math.max(0, seq - 1))) {
      yield decodeOperation(record, number + 1);
    }
  }

  /** Resolves when everything appended so far survives a power cut. */
  sync(): Promise<void> {
    return this.log.sync();
  }

  /** Operations up to `seq` are needed no more. Large journals get smaller, now or a little later. */
  drop(seq: number): Promise<void> {
    this.dropping ??= this.dropNow(seq).finally(() => {
      this.dropping = undefined;
    });
    return this.dropping;
  }

  private async dropNow(seq: number): Promise<void> {
    if (this.log.bytes >= dropBytes) await this.log.dropBefore(Math.min(seq, this.log.next));
    await this.reserve.take();
  }

  async close(): Promise<void> {
    await this.dropping?.catch(() => {});
    await this.log.close();
  }
}

/**
 * What was cut off or damaged is the caller's to tell: a damaged journal takes no further operation. An operation
 * that names contents which a power cut took is cut off with what follows: whoever was promised something after
 * it was promised those contents too (see {@link Tree.flush}).
 * @param survived how far the contents' log did
 */
export async function openJournal(
  folder: string,
  survived?: LogPosition,
  options: RecordLogOptions = {},
): Promise<{ journal: Journal; condition: LogCondition }> {
  const accept = (record: Uint8Array) => isCovered(record, survived);
  const { log, condition } = await openRecordLog(folder, { segmentBytes, accept, ...options });
  const reserve = reserveOf(folder);
  // A disk that is full already must not keep the tree from opening.
  await reserve.take().catch(() => {});
  return { journal: new Journal(log, reserve), condition };
}

/** @param folder of the journal */
export const reserveOf = (folder: string) => new Reserve(`${folder}.reserve`, reserveBytes);

function isCovered(record: Uint8Array, survived: LogPosition | undefined): boolean {
  const [version, , , , needs] = decodeCbor(record) as StoredOperation;
  // In another log's place nothing can be told.
  if (version !== VERSION || needs === undefined || needs.log !== survived?.log) return true;
  return needs.next <= survived.next;
}

function decodeOperation(record: Uint8Array, seq: number): Operation {
  const [version, seen, time, writes] = decodeCbor(record) as StoredOperation;
  if (version !== VERSION) {
    throw new WormholeError(
      'newer-format',
      'the journal was written by a newer version: update this machine',
    );
  }
  return { seq, seen, time: BigInt(time), writes: writes.map(ownWrite) };
}

/** Small integers come back as numbers where times are bigint, and byte strings as views into the record. */
function ownWrite(stored: RegisterWrite): RegisterWrite {
  const write: RegisterWrite = { ...stored };
  if (stored.d !== undefined) write.d = ownData(stored.d);
  if (stored.a !== undefined) write.a = ownAttributes(stored.a);
  return write;
}

function ownData(data: Data): Data {
  return { ...data, mtime: BigInt(data.mtime) };
}

function ownAttributes(attributes: Attributes): Attributes {
  const own = { ...attributes };
  if (own.mtime !== undefined) own.mtime = BigInt(own.mtime);
  if (own.xattrs !== undefined) {
    own.xattrs = Object.fromEntries(
      Object.entries(own.xattrs).map(([name, value]) => [name, Uint8Array.from(value)]),
    );
  }
  return own;
}
