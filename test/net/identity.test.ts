import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import {
  formatPodId,
  isPublicKey,
  loadOrCreateIdentity,
  parsePodId,
  podIdOf,
  temporaryIdentity,
  verifySignature,
} from '../../src/net/index.js';
import fc from '../property.js';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'wormhole-identity-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('the first start makes a key, the next one finds it', async () => {
  const file = join(folder, 'deep', 'pod.pem');
  const first = await loadOrCreateIdentity(file);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.match(readFileSync(file, 'utf8'), /^-----BEGIN PRIVATE KEY-----/);
  const second = await loadOrCreateIdentity(file, () => assert.fail('nothing to repair'));
  assert.equal(second.pod, first.pod);
  assert.equal(second.certificate, first.certificate, 'the certificate follows from the key');
  assert.equal(first.pod, sha256(first.publicKey));
  assert.equal(podIdOf(first.publicKey), first.pod);
});

test('a key that others may read is closed to them, and said so', async () => {
  const file = join(folder, 'open.pem');
  const { pod } = await loadOrCreateIdentity(file);
  chmodSync(file, 0o644);
  const sentences: string[] = [];
  assert.equal((await loadOrCreateIdentity(file, (sentence) => sentences.push(sentence))).pod, pod);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.match(sentences.join(), /0600/);
});

test('a damaged key is refused with the cure, and left as it is', async () => {
  const file = join(folder, 'bad.pem');
  await loadOrCreateIdentity(file);
  const whole = readFileSync(file, 'utf8');
  for (const damaged of ['', 'garbage', whole.slice(0, 60), whole.replace('MC4', 'MC5'), RSA_LIKE]) {
    writeFileSync(file, damaged);
    await assert.rejects(loadOrCreateIdentity(file), { code: 'corrupt', message: /backup/ });
    assert.equal(readFileSync(file, 'utf8'), damaged);
  }
});

/** A valid key of another kind (X25519). */
const RSA_LIKE = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
`;

test('the certificate is sound, never expires, and names nobody', () => {
  const identity = temporaryIdentity();
  const certificate = new X509Certificate(identity.certificate);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.equal(certificate.validTo, 'Dec 31 23:59:59 9999 GMT');
  assert.equal(certificate.subject, 'CN=wormhole');
  assert.deepEqual(
    new Uint8Array(certificate.publicKey.export({ type: 'spki', format: 'der' })),
    identity.publicKey,
  );
});

test('signatures hold for their data and key alone, and garbage is no error', () => {
  const [mine, other] = [temporaryIdentity(), temporaryIdentity()];
  const data = Buffer.from('what I say');
  const signature = mine.sign(data);
  assert.ok(verifySignature(mine.publicKey, data, signature));
  assert.equal(verifySignature(other.publicKey, data, signature), false);
  assert.equal(verifySignature(mine.publicKey, Buffer.from('what I said'), signature), false);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ maxLength: 70 }), (key, bytes) => {
      assert.equal(verifySignature(key, data, bytes), false);
      assert.equal(verifySignature(mine.publicKey, data, bytes), false);
    }),
  );
  assert.equal(isPublicKey(mine.publicKey.subarray(1)), false);
});

test('a pod id in its written form finds every single wrong character', () => {
  const { pod } = temporaryIdentity();
  const written = formatPodId(pod);
  assert.match(written, /^([A-Z2-7]{7}-){7}[A-Z2-7]{7}$/);
  assert.equal(parsePodId(written), pod);
  assert.equal(parsePodId(` ${written.toLowerCase().replaceAll('-', '')}\n`), pod);
  for (let at = 0; at < written.length; at++) {
    if (written[at] === '-') continue;
    const wrong = written.slice(0, at) + (written[at] === 'A' ? 'B' : 'A') + written.slice(at + 1);
    assert.throws(() => parsePodId(wrong), { code: 'invalid' }, wrong);
  }
  assert.throws(() => parsePodId(written.slice(1)), { code: 'invalid' });
});
