import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { LIMITS } from '../base/index.js';

interface Entry {
  raw: Socket;
  secure: TLSSocket | undefined;
  address: string;
  deadline: NodeJS.Timeout;
}

/**
 * Connections that have not yet proved who they are. Each has one deadline for all of the handshake, however
 * slowly its bytes drip; one address holds few; and when there are many the oldest goes, since an honest
 * handshake takes milliseconds.
 */
export class HalfOpen {
  private readonly entries = new Map<string, Entry>();

  /** Counts a fresh connection in, or ends it. */
  add(raw: Socket): void {
    raw.on('error', () => raw.destroy());
    raw.setNoDelay(true);
    const address = raw.remoteAddress ?? '';
    const same = [...this.entries.values()].filter((entry) => entry.address === address);
    if (raw.remotePort === undefined || same.length >= LIMITS.halfOpenPerAddressMax) {
      raw.destroy();
      return;
    }
    if (this.entries.size >= LIMITS.halfOpenMax) this.end(this.entries.keys().next().value ?? '');
    const key = keyOf(raw);
    const deadline = setTimeout(() => this.end(key), LIMITS.handshakeTimeoutMs);
    this.entries.set(key, { raw, secure: undefined, address, deadline });
    raw.once('close', () => this.forget(key));
  }

  /** TLS is finished; the rest of the handshake goes on under the same deadline, until the returned function
   *  is called. Undefined when the deadline has passed. */
  secured(socket: TLSSocket): (() => void) | undefined {
    const key = keyOf(socket);
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    entry.secure = socket;
    const finish = () => this.forget(key);
    socket.once('close', finish);
    return finish;
  }

  close(): void {
    for (const key of [...this.entries.keys()]) this.end(key);
  }

  get size(): number {
    return this.entries.size;
  }

  private end(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.forget(key);
    entry.secure?.destroy();
    entry.raw.destroy();
  }

  private forget(key: string): void {
    clearTimeout(this.entries.get(key)?.deadline);
    this.entries.delete(key);
  }
}

/** A TLS socket and the plain socket below it have the same remote end. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}`;
}
