import { decodeCbor } from '../base/cbor.js';
import { type ErrorCode, errorFrom, LIMITS, plainError, WormholeError } from '../base/index.js';
import { checkCbor } from './cbor-gate.js';
import { encodeOnce } from './cbor-parts.js';

/** Version 1 of what goes over a link: one frame is one CBOR array `[version, kind, ...fields]`. */
const VERSION = 1;

/** What one binary WebSocket message says. Ids count up per direction; `bulk` is the answer's priority. */
export type Frame =
  | { kind: 'send'; type: string; body: unknown }
  | { kind: 'request'; id: number; bulk: boolean; type: string; body: unknown }
  | { kind: 'answer'; id: number; body: unknown }
  | { kind: 'error'; id: number; code: ErrorCode; message: string }
  /** The asker no longer wants the answer. */
  | { kind: 'cancel'; id: number }
  | { kind: 'ping'; id: number }
  | { kind: 'pong'; id: number }
  /** The pod with the lower id says that this connection is the link. */
  | { kind: 'use' }
  /** A piece of a longer frame, which is whole with its last one; control frames may come between. */
  | { kind: 'part'; last: boolean; bytes: Uint8Array };

/** Numbers on the wire; append only. */
const KINDS = ['send', 'request', 'answer', 'error', 'cancel', 'ping', 'pong', 'use', 'part'] as const;

/** @throws WormholeError `too-large` beyond the limit of a frame, `invalid` for a body that is not plain data */
export function encodeFrame(frame: Frame): Buffer {
  const bytes = encodeOnce([VERSION, KINDS.indexOf(frame.kind), ...fieldsOf(frame)]);
  if (bytes.length > LIMITS.frameBytesMax) {
    const sentence = `a message of ${bytes.length} bytes is over the limit of ${LIMITS.frameBytesMax}`;
    throw new WormholeError('too-large', sentence);
  }
  try {
    checkCbor(bytes);
  } catch (cause) {
    // The peer would cut the link for it: fail where the mistake is.
    throw new WormholeError('invalid', `this body cannot be sent: ${(cause as Error).message}`, { cause });
  }
  return bytes;
}

/** Total on any input. Byte strings in the body are views into `bytes`.
 *  @throws WormholeError `protocol` */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > LIMITS.frameBytesMax) throw malformed('it is too large');
  checkCbor(bytes);
  const value = decodeCbor(bytes);
  if (!Array.isArray(value)) throw malformed('it is no array');
  const [version, kind, ...fields] = value as unknown[];
  if (version !== VERSION) throw malformed('its version is unknown; update the older pod');
  return frameFrom(typeof kind === 'number' ? KINDS[kind] : undefined, fields);
}

function fieldsOf(frame: Frame): unknown[] {
  switch (frame.kind) {
    case 'send':
      return [frame.type, frame.body];
    case 'request':
      return [frame.id, frame.bulk, frame.type, frame.body];
    case 'answer':
      return [frame.id, frame.body];
    case 'error':
      return [frame.id, frame.code, frame.message];
    case 'use':
      return [];
    case 'part':
      return [frame.last, frame.bytes];
    default:
      return [frame.id];
  }
}

function frameFrom(kind: Frame['kind'] | undefined, fields: unknown[]): Frame {
  const [first, second, third, fourth] = fields;
  switch (kind) {
    case 'send':
      return { kind, type: typeName(first), body: second };
    case 'request':
      return { kind, id: identifier(first), bulk: second === true, type: typeName(third), body: fourth };
    case 'answer':
      return { kind, id: identifier(first), body: second };
    case 'error':
      return { kind, id: identifier(first), ...plainError(errorFrom({ code: second, message: third })) };
    case 'cancel':
    case 'ping':
    case 'pong':
      return { kind, id: identifier(first) };
    case 'use':
      return { kind };
    case 'part':
      if (!(second instanceof Uint8Array)) throw malformed('a part of it is no bytes');
      return { kind, last: first === true, bytes: second };
    default:
      throw malformed('its kind is unknown');
  }
}

function identifier(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw malformed('its id is no number');
}

function typeName(value: unknown): string {
  if (typeof value === 'string' && value.length <= LIMITS.messageTypeCharactersMax) return value;
  throw malformed('its type is no short text');
}

function malformed(what: string): WormholeError {
  return new WormholeError('protocol', `a frame is malformed: ${what}`);
}
