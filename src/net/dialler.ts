import type { IncomingHttpHeaders } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import { LIMITS, type PodId, WormholeError } from '../base/index.js';
import type { Identity } from './identity.js';
import { clientTls, peerOf } from './tls.js';
import { noMask, REASON_HEADER, WEBSOCKET_OPTIONS, ws } from './websocket.js';

export interface DialOptions {
  identity: Identity;
  host: string;
  port: number;
  path: string;
  /** Called with who answers before anything is sent to it; what it throws ends the attempt. Returns the
   *  request's headers. */
  greet(peer: PodId, socket: TLSSocket): Record<string, string>;
  signal?: AbortSignal;
}

export interface Dialled {
  peer: PodId;
  publicKey: Uint8Array;
  socket: WebSocket;
  transport: TLSSocket;
  /** Of the answer to the upgrade. */
  headers: IncomingHttpHeaders;
}

/** The other end answered, and does not want us: its reason, for programs. */
export class Refused extends WormholeError {
  readonly reason: string;
  readonly peer: PodId;

  constructor(peer: PodId, reason: string) {
    super(
      'not-member',
      'the other pod refused the connection: this pod is not (or no longer) a member there',
    );
    this.reason = reason;
    this.peer = peer;
  }
}

/**
 * One attempt to reach a pod: TCP, TLS, the check of its key, and the upgrade, each with its time limit.
 * @throws WormholeError `unreachable`, {@link Refused}, or what `greet` throws
 */
export async function dial(options: DialOptions): Promise<Dialled> {
  const transport = await connectSecurely(options);
  try {
    const answerer = peerOf(transport);
    if (answerer === undefined) throw new WormholeError('protocol', 'what answers there is not a pod');
    const headers = options.greet(answerer.pod, transport);
    const upgraded = await upgrade(transport, options, headers, answerer.pod);
    return { peer: answerer.pod, publicKey: answerer.publicKey, transport, ...upgraded };
  } catch (error) {
    transport.destroy();
    throw error;
  }
}

function connectSecurely({ identity, host, port, signal }: DialOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...clientTls(identity),
      host,
      port,
      timeout: LIMITS.connectTimeoutMs,
    });
    const fail = (cause?: unknown) => {
      socket.destroy();
      finish();
      reject(new WormholeError('unreachable', `nothing answers at ${host}:${port}`, { cause }));
    };
    const abort = () => fail(signal?.reason);
    // Between TCP and the end of TLS lies one round trip and a signature: the rest of the handshake's time.
    const deadline = setTimeout(fail, LIMITS.handshakeTimeoutMs);
    const finish = () => {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', abort);
      socket.setTimeout(0);
    };
    socket.on('error', fail);
    socket.once('timeout', fail);
    socket.once('close', fail);
    socket.once('secureConnect', () => {
      finish();
      socket.removeListener('timeout', fail);
      socket.setNoDelay(true);
      resolve(socket);
    });
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

function upgrade(
  transport: TLSSocket,
  options: DialOptions,
  headers: Record<string, string>,
  peer: PodId,
): Promise<{ socket: WebSocket; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const socket = new ws.WebSocket(`ws://pod${options.path}`, {
      ...WEBSOCKET_OPTIONS,
      createConnection: () => transport,
      handshakeTimeout: LIMITS.handshakeTimeoutMs,
      generateMask: noMask,
      headers,
    });
    const fail = (error: unknown) => {
      options.signal?.removeEventListener('abort', abort);
      transport.destroy();
      reject(error);
    };
    const abort = () => fail(new WormholeError('unreachable', 'the attempt was given up'));
    let answered: IncomingHttpHeaders = {};
    socket.on('upgrade', (response) => {
      answered = response.headers;
    });
    socket.on('error', (cause) => fail(new WormholeError('unreachable', 'the other pod hung up', { cause })));
    socket.on('unexpected-response', (_request, response) => {
      const reason = response.headers[REASON_HEADER];
      fail(new Refused(peer, typeof reason === 'string' ? reason : 'unknown'));
    });
    socket.on('open', () => {
      options.signal?.removeEventListener('abort', abort);
      socket.pause();
      resolve({ socket, headers: answered });
    });
    if (options.signal?.aborted) abort();
    else options.signal?.addEventListener('abort', abort, { once: true });
  });
}
