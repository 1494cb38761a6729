import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS, WormholeError } from '../../src/base/index.js';
import type { Link } from '../../src/net/index.js';
import { linkedPair, until } from './support.js';

test('answers, errors with their code, and unknown types', async () => {
  const { toB, stop } = await linkedPair((_a, b) => {
    b.handle('double', (_link, body) => Number(body) * 2);
    b.handle('later', async () => {
      await sleep(5);
      return undefined;
    });
    b.handle('full', () => {
      throw new WormholeError('full', 'no room here');
    });
    b.handle('broken', () => {
      throw new TypeError('a bug');
    });
    b.handle('huge', () => Buffer.alloc(LIMITS.frameBytesMax));
    b.handle('odd', () => new Date());
  });
  assert.equal(await toB.request('double', 21), 42);
  assert.equal(await toB.request('later', null), undefined);
  await assert.rejects(toB.request('full', null), { code: 'full', message: 'no room here' });
  await assert.rejects(toB.request('broken', null), { code: 'internal' });
  await assert.rejects(toB.request('huge', null), { code: 'too-large' });
  await assert.rejects(toB.request('odd', null), { code: 'invalid' });
  await assert.rejects(toB.request('nobody knows', null), { code: 'not-supported' });
  await assert.rejects(toB.request('double', new Map()), { code: 'invalid' });
  assert.throws(() => toB.send('double', Buffer.alloc(LIMITS.frameBytesMax)), { code: 'too-large' });
  assert.ok(toB.open, 'a failed request costs no link');
  await stop();
});

test('frames of any length arrive whole and in order, whoever dialled', async () => {
  const echo = (_link: Link, body: unknown) => body;
  const { toA, toB, stop } = await linkedPair((a, b) => {
    a.handle('echo', echo);
    b.handle('echo', echo);
  });
  const lengths = [1, 4_000, 65_400, 65_490, 65_510, 65_530, 65_536, 70_000, 1_000_000, 4_000_000, 5];
  for (const link of [toA, toB]) {
    for (const priority of ['control', 'bulk'] as const) {
      const bodies = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      const answers = await Promise.all(bodies.map((body) => link.request('echo', body, { priority })));
      for (const [i, body] of bodies.entries())
        assert.ok(body.equals(answers[i] as Uint8Array), `${body.length} bytes`);
    }
  }
  await stop();
});

test('a request that is given up or late is cancelled at the other side', async () => {
  const cancelled: string[] = [];
  const { toB, stop } = await linkedPair((_a, b) => {
    b.handle('wait', async (_link, body, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      cancelled.push(String(body));
      return 'too late';
    });
  });
  const controller = new AbortController();
  const given = toB.request('wait', 'given up', { signal: controller.signal, priority: 'bulk' });
  const late = toB.request('wait', 'late', { timeoutMs: 50 });
  await sleep(10);
  controller.abort();
  await assert.rejects(given, { code: 'interrupted' });
  await assert.rejects(late, { code: 'timeout' });
  await until(() => cancelled.length === 2, 20_000, 'the other side was not told');
  await assert.rejects(toB.request('wait', 'x', { signal: AbortSignal.abort() }), { code: 'interrupted' });
  const closing = toB.request('wait', 'closed');
  const closed = assert.rejects(closing, { code: 'closed' });
  await sleep(20);
  toB.close('enough');
  await closed;
  await until(() => cancelled.includes('closed'), 20_000, 'the handler outlived its link');
  await assert.rejects(toB.request('wait', 'x'), { code: 'closed' });
  toB.send('wait', 'nothing happens');
  await toB.drained();
  await stop();
});

test('messages keep their order, and hundreds of requests at once are all answered', async () => {
  const seen: number[] = [];
  const { toB, stop } = await linkedPair((_a, b) => {
    b.handle('count', (_link, body) => {
      seen.push(Number(body));
    });
    b.handle('echo', async (_link, body) => {
      await sleep(Number(body) % 7);
      return body;
    });
  });
  for (let number = 0; number < 2_000; number++) toB.send('count', number);
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, number) => toB.request('echo', number)),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: 1_000 }, (_, number) => number),
  );
  assert.deepEqual(
    seen,
    Array.from({ length: 2_000 }, (_, number) => number),
  );
  await stop();
});

test('control overtakes bulk, and bulk waits at the sender', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 1);
  const arrived: string[] = [];
  const { toB, stop } = await linkedPair((_a, b) => {
    b.handle('bulk', () => {
      arrived.push('bulk');
    });
    b.handle('control', () => {
      arrived.push('control');
    });
  });
  for (let index = 0; index < 60; index++) toB.send('bulk', chunk, 'bulk');
  toB.send('control', null);
  let drained = false;
  toB.drained().then(() => {
    drained = true;
  });
  await sleep(0);
  assert.equal(drained, false, 'sixty MiB waited and a sender was told that there is room');
  await until(() => arrived.length === 61, 10_000, 'not all arrived');
  const overtaken = 60 - arrived.indexOf('control');
  assert.ok(overtaken >= 50, `control overtook only ${overtaken} of 60`);
  await toB.drained();
  await stop();
});

test('whoever asks for more than it reads makes the other side hold little', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 1);
  let produced = 0;
  const { toB, stop } = await linkedPair((_a, b) => {
    b.handle('chunk', () => {
      produced++;
      return chunk;
    });
    b.handle('ping', () => 'pong');
  });
  const asked = Array.from({ length: 200 }, () => toB.request('chunk', null, { priority: 'bulk' }));
  // This thread reads nothing meanwhile: both ends live on it, and the socket is full.
  let worst = 0;
  let answered = 0;
  for (const answer of asked) {
    answer.then(() => {
      answered++;
      worst = Math.max(worst, produced - answered);
    });
  }
  const started = performance.now();
  assert.equal(await toB.request('ping', null), 'pong');
  const waited = performance.now() - started;
  await Promise.all(asked);
  assert.ok(worst <= 16, `${worst} chunks were held at once`);
  console.log(
    `a control answer among 200 MiB of bulk took ${waited.toFixed(1)} ms; at most ${worst} chunks were held`,
  );
  await stop();
});
