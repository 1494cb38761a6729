import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import type { PodId } from '../base/index.js';
import type { Identity } from './identity.js';
import { isPublicKey, podIdOf } from './pod-id.js';

/** Names the protocol and its version in the handshake. */
export const ALPN = 'wormhole/1';

// Certificates are self-signed: the handshake proves that the peer has the key, and the key is the identity.
const COMMON = {
  minVersion: 'TLSv1.3',
  ALPNProtocols: [ALPN],
  rejectUnauthorized: false,
} as const;

export function serverTls(identity: Identity, handshakeTimeoutMs: number): TlsOptions {
  return { ...COMMON, ...keyOf(identity), requestCert: true, handshakeTimeout: handshakeTimeoutMs };
}

export function clientTls(identity: Identity): ConnectionOptions {
  return { ...COMMON, ...keyOf(identity), checkServerIdentity: () => undefined };
}

/** The peer of a finished handshake, or undefined when it showed no Ed25519 key, speaks something else, or
 *  resumed a session (which proves no key). */
export function peerOf(socket: TLSSocket): { pod: PodId; publicKey: Uint8Array } | undefined {
  if (socket.alpnProtocol !== ALPN || socket.isSessionReused()) return undefined;
  try {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return undefined;
    const spki = new Uint8Array(certificate.publicKey.export({ type: 'spki', format: 'der' }));
    return isPublicKey(spki) ? { pod: podIdOf(spki), publicKey: spki } : undefined;
  } catch {
    return undefined;
  }
}

function keyOf(identity: Identity): { cert: string; key: string } {
  const key = identity.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { cert: identity.certificate, key };
}
