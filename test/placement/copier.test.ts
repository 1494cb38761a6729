/** At which rate contents are copied here, by a clock that is moved by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Clock, silentLog, systemClock } from '../../src/base/index.js';
import { defaultNetworkConfig, Policies } from '../../src/config/index.js';
import { Copier, type CopierOptions } from '../../src/placement/copier.js';
import type { Layout } from '../../src/placement/rendezvous.js';

const BYTES = 1_000_000;

/** Time passes by `pass` only, and wakes whoever slept so long. */
function handClock(): { clock: Clock; pass(ms: number): Promise<void> } {
  let now = 0;
  let sleeping: { untilMs: number; wake: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => now,
    sleep: (ms) => new Promise((wake) => sleeping.push({ untilMs: now + ms, wake })),
  };
  const settle = async () => {
    for (let i = 0; i < 20; i++) await setImmediate();
  };
  const pass = async (ms: number) => {
    await settle();
    now += ms;
    const due = sleeping.filter(({ untilMs }) => untilMs <= now);
    sleeping = sleeping.filter(({ untilMs }) => untilMs > now);
    for (const { wake } of due) wake();
    await settle();
  };
  return { clock, pass };
}

test('throttled copies keep their rate, and once it is lifted those that wait go on at once', async () => {
  const { clock, pass } = handClock();
  const self = 'a';
  const policy = new Policies(defaultNetworkConfig()).common;
  const candidates = [{ id: self, name: 'a', role: 'storage' as const, weight: 1 }];
  const layout = { self, candidates, policy, copies: 1 } as unknown as Layout;
  const stored = new Set<string>();
  let rate = 4e6;
  const options = {
    tree: {
      node: (inode: string) => ({ kind: 'file', content: `c${inode}` }),
      contentsAt: (inode: string) => [`c${inode}`],
    },
    content: {
      presence: () => 'remote',
      has: (id: string) => stored.has(id),
      chunksOf: (content: string) => Promise.resolve([{ id: content.slice(1), length: BYTES }]),
      keep: () => Promise.resolve(true),
      put: (id: string) => Promise.resolve(void stored.add(id)),
    },
    peers: {
      fetchNow: () => Promise.resolve(new Uint8Array(BYTES)),
      whoHas: () => Promise.resolve(new Map()),
    },
  } as unknown as Pick<CopierOptions, 'tree' | 'content' | 'peers'>;
  const copier = new Copier({
    ...options,
    layout: () => layout,
    rate: () => rate,
    putDown: () => assert.fail('nothing is put down'),
    clock,
    log: silentLog,
  });
  for (let i = 0; i < 200; i++) copier.add({ inode: `${i}`, content: `c${i}`, size: BYTES });
  for (let second = 1; second <= 5; second++) {
    for (let i = 0; i < 10; i++) await pass(100);
    // What a quarter of a second allows may go at once, and one more on credit.
    const most = second * 4 + 3;
    assert.ok(stored.size <= most && stored.size >= second * 4 - 1, `${stored.size} after ${second} s`);
  }
  assert.equal(copier.fetched.heldBytes, stored.size * BYTES);
  const held = stored.size;
  rate = Number.POSITIVE_INFINITY;
  await pass(1_000);
  assert.equal(stored.size, 200, 'nobody waits for a rate that holds no more');
  assert.deepEqual(copier.fetched, { bytes: 200 * BYTES, heldBytes: held * BYTES });
  copier.close();
});
