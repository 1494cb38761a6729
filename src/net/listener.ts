import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import { LIMITS, type Log, type PodId, WormholeError } from '../base/index.js';
import { HalfOpen } from './half-open.js';
import type { Identity } from './identity.js';
import { peerOf, serverTls } from './tls.js';
import { formatAddress, PORT_HEADER, REASON_HEADER, WEBSOCKET_OPTIONS, ws } from './websocket.js';

/** What is known of a peer after the TLS handshake and its HTTP request, before any frame. */
export interface Caller {
  readonly pod: PodId;
  readonly publicKey: Uint8Array;
  readonly socket: TLSSocket;
  readonly path: string;
  header(name: string): string | undefined;
  /** Where it calls from; with the port on which it listens itself, if it says so. */
  readonly address: string;
  readonly listens: boolean;
}

/** What becomes of a caller: refused with a reason for programs, or upgraded. */
export type Reception =
  | { refused: string }
  | { headers?: Record<string, string>; upgraded: (socket: WebSocket) => void };

export interface ListenerOptions {
  identity: Identity;
  host: string | undefined;
  port: number;
  log: Log;
  /** Asked right after the TLS handshake: who is not welcome is answered without being read. */
  mayCall(pod: PodId): boolean;
  receive(caller: Caller): Reception;
}

const FAREWELL_MS = 1_000;

type Known = { pod: PodId; publicKey: Uint8Array; finish: () => void };

/** The listening side: TCP, TLS with the peer's key, one HTTP request, and the upgrade to a WebSocket. */
export class Listener {
  private readonly options: ListenerOptions;
  private readonly server: Server;
  private readonly http = createHttpServer({ maxHeaderSize: 8 * 1024 });
  private readonly upgrades = new ws.WebSocketServer({
    ...WEBSOCKET_OPTIONS,
    noServer: true,
    clientTracking: false,
  });
  private readonly halfOpen = new HalfOpen();
  /** All that are open, also after their upgrade. */
  private readonly sockets = new Set<TLSSocket>();
  private readonly known = new WeakMap<object, Known>();
  private readonly extraHeaders = new WeakMap<IncomingMessage, Record<string, string>>();

  constructor(options: ListenerOptions) {
    this.options = options;
    this.server = createServer(serverTls(options.identity, LIMITS.handshakeTimeoutMs));
    this.server.on('connection', (raw) => this.halfOpen.add(raw));
    this.server.on('secureConnection', (socket) => this.guard(socket, () => this.greet(socket)));
    this.server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.http.on('upgrade', (request: IncomingMessage, socket: TLSSocket, head) =>
      this.guard(socket, () => this.receive(request, socket, head)),
    );
    this.http.on('request', (_request, response) => response.writeHead(404, { Connection: 'close' }).end());
    this.http.on('clientError', (_error, socket) => socket.destroy());
    this.upgrades.on('headers', (headers, request) => {
      for (const [name, value] of Object.entries(this.extraHeaders.get(request) ?? {}))
        headers.push(`${name}: ${value}`);
    });
  }

  get port(): number {
    const address = this.server.address() as AddressInfo | null;
    return address?.port ?? 0;
  }

  /** Connections that are in their handshake now. */
  get pending(): number {
    return this.halfOpen.size;
  }

  /** @throws WormholeError `port-busy` */
  listen(): Promise<void> {
    const { host, port } = this.options;
    return new Promise((resolve, reject) => {
      this.server.once('error', (cause) => reject(listenError(cause, host, port)));
      this.server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        this.server.removeAllListeners('error');
        this.server.on('error', (error) => this.options.log.warn('the listening socket failed', { error }));
        resolve();
      });
    });
  }

  /** Ends what has not ended by itself a moment later. */
  close(): Promise<void> {
    this.halfOpen.close();
    const late = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, FAREWELL_MS);
    return new Promise((resolve) => {
      this.server.close(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  /** A mistake of ours on one connection must not end the others. */
  private guard(socket: TLSSocket, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.options.log.error('a connection failed', { error });
      socket.destroy();
    }
  }

  /** TLS is done. Nothing that the peer sends is looked at before its key is. */
  private greet(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    const peer = peerOf(socket);
    const finish = this.halfOpen.secured(socket);
    if (peer === undefined || finish === undefined) {
      socket.destroy();
    } else if (!this.options.mayCall(peer.pod)) {
      this.options.log.debug('refused a stranger', { pod: peer.pod, address: socket.remoteAddress });
      refuse(socket, 'not-member');
    } else {
      this.known.set(socket, { ...peer, finish });
      this.http.emit('connection', socket);
    }
  }

  private receive(request: IncomingMessage, socket: TLSSocket, head: Buffer): void {
    const known = this.known.get(socket);
    if (known === undefined) {
      socket.destroy();
      return;
    }
    const header = (name: string) => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    };
    const port = Number(header(PORT_HEADER));
    const listens = Number.isInteger(port) && port >= 1 && port <= 65_535;
    const address = formatAddress(socket.remoteAddress, listens ? port : (socket.remotePort ?? 0));
    const { pod, publicKey } = known;
    const path = request.url ?? '';
    const reception = this.options.receive({ pod, publicKey, socket, path, header, address, listens });
    if ('refused' in reception) {
      refuse(socket, reception.refused);
      return;
    }
    this.extraHeaders.set(request, reception.headers ?? {});
    this.upgrades.handleUpgrade(request, socket, head, (upgraded) => {
      known.finish();
      this.guard(socket, () => reception.upgraded(upgraded));
    });
  }
}

/** Answers without reading; the handshake's deadline ends a peer that does not hang up. */
function refuse(socket: TLSSocket, reason: string): void {
  socket.resume();
  socket.end(
    `HTTP/1.1 403 Forbidden\r\n${REASON_HEADER}: ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}

function listenError(cause: NodeJS.ErrnoException, host: string | undefined, port: number): WormholeError {
  if (cause.code === 'EADDRINUSE') {
    const sentence = `port ${port} is used by another program: choose another with --port, or 0 for a free one`;
    return new WormholeError('port-busy', sentence, { cause });
  }
  const sentence = `cannot listen on ${formatAddress(host ?? 'any address', port)} (${cause.code}): check --listen and --port`;
  return new WormholeError('invalid', sentence, { cause });
}
