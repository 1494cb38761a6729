/** Contract D15 and D16 against a real listening pod: garbage at every stage of a connection ends that connection
 *  and nothing else. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect as connectPlain, type Socket } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { LIMITS, type PodId } from '../../src/base/index.js';
import { encodeFrame } from '../../src/net/frames.js';
import { type Identity, type Link, temporaryIdentity } from '../../src/net/index.js';
import { clientTls } from '../../src/net/tls.js';
import { linkTo, type TestPod, testPod, until } from './support.js';

let pod: TestPod;
let friend: TestPod;
let toPod: Link;
/** A member that misbehaves. Its id is higher than the pod's, so that the pod uses what it dials. */
let hostile: Identity;
const members = new Set<PodId>();
let dripped: Promise<number>;
const escaped: unknown[] = [];
const handled: unknown[] = [];
const notice = (error: unknown) => escaped.push(error);

before(async () => {
  process.on('uncaughtException', notice);
  process.on('unhandledRejection', notice);
  pod = testPod(members);
  friend = testPod(members);
  do hostile = temporaryIdentity();
  while (hostile.pod < pod.identity.pod);
  members.add(pod.identity.pod).add(friend.identity.pod).add(hostile.pod);
  pod.links.handle('note', (_link, body) => {
    handled.push(body);
  });
  pod.links.handle('echo', (_link, body) => body);
  await pod.links.start();
  await friend.links.start();
  friend.links.dial(pod.address);
  toPod = await linkTo(friend, pod);
  // Takes as long as a handshake may: the other tests go on meanwhile.
  dripped = dripHandshakes();
});

beforeEach(() => {
  handled.length = 0;
});

after(async () => {
  await Promise.all([pod.links.stop(), friend.links.stop()]);
  process.off('uncaughtException', notice);
  process.off('unhandledRejection', notice);
});

/** The honest link must be the one it was, and answer at once; nothing may have escaped. */
async function othersAreWell(): Promise<void> {
  assert.deepEqual(await toPod.request('echo', 'well', { timeoutMs: 20_000 }), 'well');
  assert.equal(friend.links.get(pod.identity.pod), toPod);
  assert.deepEqual(escaped, []);
}

function plain(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectPlain(pod.links.port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => {});
  });
}

function secure(identity: Identity): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...clientTls(identity), host: '127.0.0.1', port: pod.links.port }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
    socket.on('error', () => {});
  });
}

/** A WebSocket of the hostile member, after the upgrade. */
async function upgraded(): Promise<WebSocket> {
  const transport = await secure(hostile);
  const socket = new WebSocket('ws://pod/link', {
    createConnection: () => transport,
    perMessageDeflate: false,
  });
  socket.on('error', () => {});
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('close', () => reject(new Error('the hostile member was not even let in')));
  });
  return socket;
}

function closed(
  socket: { once(event: 'close', listener: () => void): unknown },
  withinMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`still open after ${withinMs} ms`)), withinMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

test('random bytes instead of a handshake', async () => {
  const ends = Array.from({ length: 10 }, async (_, index) => {
    const socket = await plain();
    const end = closed(socket, 3_000);
    socket.resume();
    socket.write(
      index % 2 === 0
        ? randomBytes(600)
        : Buffer.concat([Buffer.from('160301ffff', 'hex'), randomBytes(70_000)]),
    );
    await end;
  });
  await Promise.all(ends);
  await othersAreWell();
});

test('random bytes instead of an HTTP request, from a member', async () => {
  for (const text of [
    randomBytes(500),
    'GET /\r\n\r\n',
    `GET /link HTTP/1.1\r\n${'a: b\r\n'.repeat(5_000)}\r\n`,
  ]) {
    const socket = await secure(hostile);
    const end = closed(socket, 3_000);
    socket.resume();
    socket.write(text);
    await end;
  }
  await othersAreWell();
});

test('a stranger is answered before it has said anything, and what it says is not read', async () => {
  const socket = await secure(temporaryIdentity());
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  const end = closed(socket, 3_000);
  await end;
  assert.match(answer, /^HTTP\/1.1 403 /);
  await othersAreWell();
});

test('a session cannot be resumed, and no other protocol is spoken', async () => {
  const socket = await secure(hostile);
  const session = await new Promise<Buffer | undefined>((resolve) => {
    socket.once('session', resolve);
    setTimeout(() => resolve(undefined), 300);
  });
  socket.destroy();
  if (session !== undefined) {
    const again = connectTls({ ...clientTls(hostile), host: '127.0.0.1', port: pod.links.port, session });
    again.on('error', () => {});
    again.resume();
    await closed(again, 3_000);
  }
  const other = connectTls({
    ...clientTls(hostile),
    ALPNProtocols: ['http/1.1'],
    host: '127.0.0.1',
    port: pod.links.port,
  });
  other.on('error', () => {});
  await closed(other, 3_000);
  const none = connectTls({
    ...clientTls(hostile),
    ALPNProtocols: [],
    host: '127.0.0.1',
    port: pod.links.port,
  });
  none.on('error', () => {});
  none.resume();
  await closed(none, 3_000);
  const old = connectTls({
    ...clientTls(hostile),
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    host: '127.0.0.1',
    port: pod.links.port,
  });
  old.on('error', () => {});
  await closed(old, 3_000);
  await othersAreWell();
});

test('frames of random bytes, of text, and mutated ones', async () => {
  const good = encodeFrame({
    kind: 'request',
    id: 7,
    bulk: false,
    type: 'echo',
    body: { list: [1, 'two', null] },
  });
  for (let round = 0; round < 30; round++) {
    const socket = await upgraded();
    const end = closed(socket, 3_000);
    if (round % 3 === 0) socket.send(randomBytes(1 + (round % 50)));
    else if (round % 3 === 1) socket.send('a text');
    else {
      const bad = Buffer.from(good);
      bad[round % bad.length] = (bad[round % bad.length] ?? 0) ^ (1 << (round % 8));
      socket.send(bad);
      // A mutation may well be a valid frame still: end it in any case.
      socket.send(Buffer.from([0xff]));
    }
    await end;
  }
  await othersAreWell();
});

test('lengths that promise the world', async () => {
  const lengths = [
    '82ff7fffffffffffffff00000000',
    '82ff0000000100000000',
    `82ff${(LIMITS.frameBytesMax + 1).toString(16).padStart(16, '0')}00000000`,
    'f2ff',
  ];
  for (const hex of lengths) {
    const socket = await upgraded();
    const end = closed(socket, 3_000);
    const { _socket: transport } = socket as unknown as { _socket: TLSSocket };
    transport.write(Buffer.from(hex, 'hex'));
    transport.write(randomBytes(2_000));
    await end;
  }
  for (const cbor of [
    '9bffffffffffffffff',
    'bbffffffffffffffff',
    '5bffffffffffffffff',
    '9a00ffffff',
    '81'.repeat(3_000),
  ]) {
    const socket = await upgraded();
    const end = closed(socket, 3_000);
    socket.send(Buffer.from(cbor, 'hex'));
    await end;
  }
  await othersAreWell();
});

test('a message in fragments is refused, a frame in single bytes is understood', async () => {
  const fragmented = await upgraded();
  const end = closed(fragmented, 3_000);
  const frame = encodeFrame({ kind: 'send', type: 'note', body: 'in pieces' });
  fragmented.send(frame.subarray(0, 5), { fin: false });
  fragmented.send(frame.subarray(5), { fin: true });
  await end;
  assert.deepEqual(handled, []);

  const dripping = await upgraded();
  const { _socket: transport } = dripping as unknown as { _socket: TLSSocket };
  const masked = Buffer.concat([Buffer.from([0x82, 0x80 | frame.length, 0, 0, 0, 0]), frame]);
  for (const byte of masked) transport.write(Buffer.from([byte]));
  await until(() => handled.length === 1, 20_000, 'the dripping frame did not arrive');
  assert.deepEqual(handled, ['in pieces']);
  // A large frame in tiny records would cost a hundred times its size in small buffers.
  const large = Buffer.alloc(10);
  large.set([0x82, 0xff]);
  large.writeUInt32BE(1024 * 1024, 6);
  const finished = closed(dripping, 20_000);
  transport.write(Buffer.concat([large, Buffer.alloc(4)]));
  // Each in a TLS record of its own: written together they would be one.
  for (let count = 0; count < 40_000 && !transport.destroyed; count++) {
    await new Promise((resolve) => transport.write(Buffer.of(0), resolve));
  }
  await finished;
  await othersAreWell();
});

test('a flood of small frames and of requests neither stops the others nor fills the memory', async () => {
  const socket = await upgraded();
  const echo = Array.from({ length: 1_000 }, (_, id) =>
    encodeFrame({ kind: 'request', id, bulk: false, type: 'echo', body: null }),
  );
  const note = encodeFrame({ kind: 'send', type: 'note', body: 1 });
  const before = process.memoryUsage().rss;
  let worst = 0;
  for (let round = 0; round < 100; round++) {
    for (const frame of round % 10 === 0 ? echo : [note]) socket.send(frame);
    for (let index = 0; index < 900; index++) socket.send(note);
    const started = performance.now();
    await toPod.request('echo', 'still here', { timeoutMs: 20_000 });
    worst = Math.max(worst, performance.now() - started);
  }
  await until(() => handled.length >= 90_000, 20_000, 'the flood was not handled');
  const grown = (process.memoryUsage().rss - before) / 1024 / 1024;
  console.log(
    `100,000 hostile frames: the slowest answer to an honest peer ${worst.toFixed(0)} ms, memory grew by ${grown.toFixed(0)} MiB`,
  );
  assert.ok(grown < 150);
  socket.terminate();
  await othersAreWell();
});

test('a member that never reads its answers is cut off before it costs much', async () => {
  const socket = await upgraded();
  socket.pause();
  const end = until(() => pod.links.get(hostile.pod) === undefined, 30_000, 'a deaf member was kept');
  const body = Buffer.alloc(256 * 1024);
  for (let id = 0; id < 3_000 && pod.links.get(hostile.pod) !== undefined; id++) {
    socket.send(encodeFrame({ kind: 'request', id, bulk: false, type: 'echo', body }));
    if (id % 8 === 0) await sleep(1);
  }
  await end;
  socket.terminate();
  await othersAreWell();
});

test('a request id that comes twice, and answers that nobody asked for', async () => {
  const socket = await upgraded();
  for (const id of [1, 2, 99_999]) {
    socket.send(encodeFrame({ kind: 'answer', id, body: 'unasked' }));
    socket.send(encodeFrame({ kind: 'error', id, code: 'io', message: 'unasked' }));
    socket.send(encodeFrame({ kind: 'cancel', id }));
    socket.send(encodeFrame({ kind: 'pong', id }));
  }
  socket.send(encodeFrame({ kind: 'use' }));
  await sleep(50);
  assert.equal(socket.readyState, socket.OPEN, 'a late answer is no crime');
  const end = closed(socket, 3_000);
  for (let copy = 0; copy < 2; copy++)
    socket.send(encodeFrame({ kind: 'request', id: 5, bulk: true, type: 'echo', body: Buffer.alloc(10) }));
  socket.send(Buffer.from('00', 'hex'));
  await end;
  await othersAreWell();
});

test('many connections that say nothing are bounded, and honest ones still get in', async () => {
  const sockets: Socket[] = [];
  for (let index = 0; index < 60; index++) {
    const socket = connectPlain({
      port: pod.links.port,
      host: '127.0.0.1',
      localAddress: `127.0.0.${2 + (index % 5)}`,
    });
    socket.on('error', () => {});
    socket.resume();
    sockets.push(socket);
  }
  await sleep(300);
  const open = sockets.filter((socket) => !socket.closed).length;
  assert.ok(open <= 5 * LIMITS.halfOpenPerAddressMax && open > 0, `${open} are open`);
  const another = testPod(members);
  members.add(another.identity.pod);
  await another.links.start();
  another.links.dial(pod.address);
  await linkTo(another, pod);
  await another.links.stop();
  for (const socket of sockets) socket.destroy();
  await othersAreWell();
});

test('a handshake that drips has one deadline for all of it', async () => {
  const took = await dripped;
  assert.ok(
    took > LIMITS.handshakeTimeoutMs - 2_000 && took < LIMITS.handshakeTimeoutMs + 20_000,
    `${took} ms`,
  );
  await othersAreWell();
});

/** Sends two handshakes byte by byte, one in TLS and one in HTTP; resolves with the milliseconds it was let. */
async function dripHandshakes(): Promise<number> {
  const started = performance.now();
  const tlsDrip = await plain();
  const httpDrip = await secure(hostile);
  tlsDrip.resume();
  httpDrip.resume();
  const hello = Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), randomBytes(500)]);
  const request = Buffer.from(`GET /link HTTP/1.1\r\nHost: pod\r\n${'x: y\r\n'.repeat(100)}`);
  let at = 0;
  const drip = setInterval(() => {
    if (tlsDrip.writable) tlsDrip.write(hello.subarray(at, at + 1));
    if (httpDrip.writable) httpDrip.write(request.subarray(at, at + 1));
    at++;
  }, 200);
  await Promise.all([closed(tlsDrip, 60_000), closed(httpDrip, 60_000)]);
  clearInterval(drip);
  return performance.now() - started;
}
