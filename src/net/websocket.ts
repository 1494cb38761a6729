import { createRequire } from 'node:module';
import { LIMITS } from '../base/index.js';

/** Asked for in the way that its files are written in, `ws` takes a third of the time to load. */
export const ws: typeof import('ws') = createRequire(import.meta.url)('ws');

/** What both ends of a link ask of `ws`. */
export const WEBSOCKET_OPTIONS = {
  perMessageDeflate: false,
  maxPayload: LIMITS.frameBytesMax,
  // A frame is one fragment; it comes in TLS records of up to 16 KiB, never in many thousands.
  maxFragments: 1,
  maxBufferedChunks: 16 * 1024,
  // We have heartbeats of our own, and answer no others.
  autoPong: false,
  skipUTF8Validation: true,
  closeTimeout: 500,
} as const;

/** Paths of the two things that a connection can be for. */
export const LINK_PATH = '/link';
export const JOIN_PATH = '/join';

/** Why a connection was refused, in a header for programs. */
export const REASON_HEADER = 'wormhole-reason';
/** The port on which the dialling pod listens itself. */
export const PORT_HEADER = 'wormhole-port';

/** RFC 6455 masks to protect proxies that read plain text; inside TLS it would only cost a copy. A key of
 *  zeros is a valid mask that changes nothing. */
export function noMask(mask: Buffer): void {
  mask.fill(0);
}

/** `host:port`, with brackets for IPv6 and without the disguise of IPv4 on a dual-stack socket. */
export function formatAddress(host: string | undefined, port: number): string {
  const plain = (host ?? '').replace(/^::ffff:(?=\d+\.)/, '');
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
}

/** The parts of `host:port` or `[host]:port`, or undefined. */
export function parseAddress(address: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:/[\]@]+)):(\d{1,5})$/.exec(address.trim());
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
