import { createPublicKey, type KeyObject, sign } from 'node:crypto';

// The few lines of DER (X.690) that one fixed certificate needs.
const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Uint8Array.of(tag, ...length), body]);
};
const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
const text = (tag: number, value: string) => der(tag, Buffer.from(value, 'ascii'));

const ED25519 = sequence(Uint8Array.of(0x06, 0x03, 0x2b, 0x65, 0x70));
const COMMON_NAME = Uint8Array.of(0x06, 0x03, 0x55, 0x04, 0x03);
/** RFC 5280 4.1.2.5: the time that says "no well-defined expiration date". */
const NEVER = '99991231235959Z';

/**
 * A self-signed X.509 version 3 certificate for an Ed25519 key, in DER. It carries nothing but the key: the
 * same name, serial number and times for every pod. Ed25519 is deterministic, so it need not be stored.
 */
export function selfSignedCertificate(privateKey: KeyObject): Buffer {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const name = sequence(der(0x31, sequence(COMMON_NAME, text(0x0c, 'wormhole'))));
  const signed = sequence(
    der(0xa0, Uint8Array.of(0x02, 0x01, 0x02)), // version 3
    Uint8Array.of(0x02, 0x01, 0x01), // serial number
    ED25519,
    name, // issuer
    sequence(text(0x17, '200101000000Z'), text(0x18, NEVER)),
    name, // subject
    publicKey,
  );
  return sequence(signed, ED25519, der(0x03, Uint8Array.of(0), sign(null, signed, privateKey)));
}
