import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { ROOM_BYTES } from './cbor-parts.js';
import type { FrameSink } from './outbox.js';

/** A message of one fragment with bytes in it, whose length follows in eight bytes; and the bit of who masks. */
const FINAL_BINARY = 0x82;
const LONG = 127;
const MASKED = 0x80;
const HEADER_BYTES = 10;
const MASK_BYTES = 4;

/**
 * The way of frames to a peer. What has two parts is copied once more before TLS takes it; so a long frame gets its
 * WebSocket header (RFC 6455) into the room that was left before it, and goes to the socket below in one piece.
 */
export function frameSink(socket: WebSocket, transport: Socket): FrameSink {
  // Who dialled masks, and has an address of the other; the mask is of zeros, see `noMask`.
  const masks = typeof socket.url === 'string';
  return {
    send(frame, written) {
      const message = socket.readyState === socket.OPEN ? inOnePiece(frame, masks) : undefined;
      if (message === undefined) socket.send(frame, { binary: true }, () => written());
      else transport.write(message, () => written());
    },
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
  };
}

/** @returns undefined for a frame without such room */
function inOnePiece(frame: Uint8Array, masks: boolean): Buffer | undefined {
  const { buffer, byteOffset, length } = frame;
  if (byteOffset !== ROOM_BYTES || buffer.byteLength !== ROOM_BYTES + length) return undefined;
  const from = ROOM_BYTES - HEADER_BYTES - (masks ? MASK_BYTES : 0);
  const message = Buffer.from(buffer, from);
  message[0] = FINAL_BINARY;
  message[1] = LONG | (masks ? MASKED : 0);
  message.writeBigUInt64BE(BigInt(length), 2);
  message.fill(0, HEADER_BYTES, ROOM_BYTES - from);
  return message;
}
