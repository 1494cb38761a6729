import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace, type PodId, sha256, silentLog, systemClock } from '../../src/base/index.js';
import { RequestBudget } from '../../src/sync/chunk-lane.js';
import { ChunkFetcher, serveChunks } from '../../src/sync/index.js';
import { packBits, packHashes, parseBits, parseChunkIds } from '../../src/sync/wire.js';
import fc from '../property.js';
import { connect, MemoryLinks, until } from './memory-links.js';

const podOf = (name: string): PodId => sha256(Buffer.from(name));

/** A pod whose store is a map: what is tested here is what goes over the link. */
function holder(name: string, chunks: Map<string, Uint8Array>) {
  const links = new MemoryLinks(podOf(name));
  let gets = 0;
  const content = {
    has: (id: string) => chunks.has(id),
    stored: async (id: string) => {
      gets++;
      return chunks.get(id);
    },
    verify: async (id: string) => {
      const bytes = chunks.get(id);
      if (bytes === undefined || sha256(bytes) === id) return bytes?.length;
      chunks.delete(id);
      return 'damaged' as const;
    },
    flush: async () => {},
  };
  serveChunks({ links, content, isMember: () => true, keeps: () => [], log: silentLog });
  const asked = { requests: 0 };
  const handler = links.handlers.get('chunk.get');
  assert.ok(handler);
  links.handlers.set('chunk.get', (...args) => {
    asked.requests++;
    return handler(...args);
  });
  return { links, chunks, asked, gets: () => gets };
}

function fetcher(name = 'reader') {
  const links = new MemoryLinks(podOf(name));
  const source = new ChunkFetcher({ links, isMember: () => true, clock: systemClock, log: silentLog });
  return { links, source };
}

function chunksOf(count: number, bytes: number): Map<string, Uint8Array> {
  const chunks = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const chunk = Buffer.alloc(bytes, i);
    chunk.writeUInt32BE(i);
    chunks.set(sha256(chunk), chunk);
  }
  return chunks;
}

test('many small chunks come in few requests, each whole', async () => {
  const from = holder('a', chunksOf(2000, 4096));
  const to = fetcher();
  connect(from.links, to.links);
  const got = await Promise.all(
    [...from.chunks.keys()].map(async (id) => [id, await to.source.fetch(id, { urgent: false })] as const),
  );
  for (const [id, bytes] of got) assert.equal(sha256(bytes), id);
  assert.ok(from.asked.requests < 60, `${from.asked.requests} requests`);
  to.source.close();
});

test('large chunks do not share an answer, and none is sent twice', async () => {
  const from = holder('a', chunksOf(24, 900_000));
  const to = fetcher();
  connect(from.links, to.links);
  await Promise.all([...from.chunks.keys()].map((id) => to.source.fetch(id, { urgent: true })));
  const link = to.links.get(from.links.self);
  assert.ok(link && link.receivedBytes < 24 * 900_000 * 1.01, `${link?.receivedBytes} bytes`);
  to.source.close();
});

test('urgent chunks overtake those in the background', async () => {
  const from = holder('a', chunksOf(100, 500_000));
  const to = fetcher();
  connect(from.links, to.links, 1);
  const ids = [...from.chunks.keys()];
  const order: string[] = [];
  const fetches = ids.map((id, i) =>
    to.source.fetch(id, { urgent: i === 99 }).then(() => void order.push(id)),
  );
  await Promise.all(fetches);
  assert.ok(order.indexOf(ids[99] as string) < 20, `it came as number ${order.indexOf(ids[99] as string)}`);
  to.source.close();
});

test('who does not have it or goes away is followed by the next', async () => {
  const chunks = chunksOf(40, 10_000);
  const [empty, full, hung] = [holder('a', new Map()), holder('b', chunks), holder('c', chunks)];
  hung.links.handlers.set('chunk.get', () => new Promise(() => {}));
  const to = fetcher();
  const cutHung = connect(hung.links, to.links);
  to.source.prefer = () => [hung.links.self];
  connect(empty.links, to.links);
  const fetches = [...chunks.keys()].map((id) => to.source.fetch(id, { urgent: true }));
  connect(full.links, to.links);
  setTimeout(() => cutHung(), 50);
  for (const bytes of await Promise.all(fetches)) assert.ok(chunks.has(sha256(bytes)));
  to.source.close();
});

test('a peer that is alive but silent is hedged against', { timeout: 60_000 }, async () => {
  const chunks = chunksOf(2, 100);
  const [full, hung] = [holder('b', chunks), holder('c', chunks)];
  hung.links.handlers.set('chunk.get', () => new Promise(() => {}));
  const to = fetcher();
  connect(hung.links, to.links);
  to.source.prefer = () => [hung.links.self];
  connect(full.links, to.links);
  const [first, second] = [...chunks.keys()] as [string, string];
  const hurry = new AbortController();
  const started = performance.now();
  const ahead = to.source.fetch(second, { urgent: false, hurry: hurry.signal });
  setTimeout(() => hurry.abort(), 20);
  await Promise.all([to.source.fetch(first, { urgent: true }), ahead]);
  // What nobody waits for would be asked of another pod after 30 s only.
  assert.ok(performance.now() - started < 20_000);
  to.source.close();
});

test('holders serve side by side, each as much as it is fast', async () => {
  const chunks = chunksOf(160, 50_000);
  const [fast, slow] = [holder('fast', chunks), holder('slow', chunks)];
  const answer = slow.links.handlers.get('chunk.get');
  assert.ok(answer);
  let turn: Promise<unknown> = Promise.resolve();
  slow.links.handlers.set('chunk.get', (...args) => {
    turn = turn.then(() => new Promise((resolve) => setTimeout(resolve, 40)));
    return turn.then(() => answer(...args));
  });
  const to = fetcher();
  connect(fast.links, to.links);
  connect(slow.links, to.links);
  to.source.prefer = () => [fast.links.self, slow.links.self];
  const left = [...chunks.keys()];
  const read = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) await to.source.fetch(id, { urgent: true });
  };
  await Promise.all(Array.from({ length: 12 }, read));
  assert.ok(slow.gets() > 0, 'the slow one had nothing to do');
  assert.ok(fast.gets() > 3 * slow.gets(), `${fast.gets()} from the fast one, ${slow.gets()} from the slow`);
  to.source.close();
});

test('whoever delivered a chunk that is asked for again is asked last', async () => {
  const chunks = chunksOf(1, 100);
  const id = [...chunks.keys()][0] as string;
  const liar = holder('liar', new Map([[id, Buffer.from('something else')]]));
  const honest = holder('honest', chunks);
  const to = fetcher();
  connect(liar.links, to.links);
  connect(honest.links, to.links);
  to.source.prefer = () => [liar.links.self];
  assert.equal(Buffer.from(await to.source.fetch(id, { urgent: true })).toString(), 'something else');
  assert.equal(sha256(await to.source.fetch(id, { urgent: true })), id);
  to.source.close();
});

test('a pod that sent a rotten chunk is told so, looks, and sets it aside', async () => {
  const [id = ''] = chunksOf(1, 100).keys();
  const rotten = holder('rotten', new Map([[id, Buffer.from('bits that turned')]]));
  const to = fetcher();
  connect(rotten.links, to.links);
  // What is sent is not compared with its name; who gets it does that, and asks again.
  assert.notEqual(sha256(await to.source.fetch(id, { urgent: true })), id);
  await assert.rejects(to.source.fetch(id, { urgent: true, patienceMs: 0 }), { code: 'unreachable' });
  assert.equal(rotten.chunks.size, 0);
  to.source.close();
});

test('a chunk that nobody has is waited for, and found when somebody comes', async () => {
  const chunks = chunksOf(1, 100);
  const id = [...chunks.keys()][0] as string;
  const to = fetcher();
  const fetched = to.source.fetch(id, { urgent: true });
  const late = holder('late', chunks);
  setTimeout(() => connect(late.links, to.links), 30);
  assert.equal(sha256(await fetched), id);
  const other = holder('other', new Map());
  connect(other.links, to.links);
  const appears = chunksOf(2, 50);
  const wanted = [...appears.keys()][1] as string;
  setTimeout(() => other.chunks.set(wanted, appears.get(wanted) as Uint8Array), 60);
  assert.equal(sha256(await to.source.fetch(wanted, { urgent: false })), wanted);
  to.source.close();
});

test('it can be given up, before, while waiting and while under way', async () => {
  const from = holder('a', new Map());
  from.links.handlers.set('chunk.get', () => new Promise(() => {}));
  const to = fetcher();
  const id = sha256(Buffer.from('x'));
  const given = new AbortController();
  given.abort();
  await assert.rejects(to.source.fetch(id, { urgent: true, signal: given.signal }), { code: 'interrupted' });
  const waiting = new AbortController();
  const first = to.source.fetch(id, { urgent: true, signal: waiting.signal });
  waiting.abort();
  await assert.rejects(first, { code: 'interrupted' });
  connect(from.links, to.links);
  const underWay = new AbortController();
  const second = to.source.fetch(id, { urgent: true, signal: underWay.signal });
  setTimeout(() => underWay.abort(), 20);
  await assert.rejects(second, { code: 'interrupted' });
  const third = to.source.fetch(id, { urgent: true });
  to.source.close();
  await assert.rejects(third, { code: 'interrupted' });
});

test('hostile answers are as good as none, and another pod is asked', async () => {
  const chunks = chunksOf(1, 100);
  const id = [...chunks.keys()][0] as string;
  const answers: unknown[] = [
    null,
    7,
    {},
    { chunks: 1 },
    { chunks: [] },
    { chunks: [1] },
    { chunks: [null, null] },
  ];
  for (const answer of answers) {
    const evil = new MemoryLinks(podOf('evil'));
    evil.handle('chunk.get', () => answer);
    const honest = holder('honest', chunks);
    const to = fetcher();
    connect(evil, to.links);
    to.source.prefer = () => [evil.self];
    connect(honest.links, to.links);
    assert.equal(sha256(await to.source.fetch(id, { urgent: true })), id);
    to.source.close();
  }
});

test('hostile questions are refused, and strangers are not answered', async () => {
  const from = holder('a', chunksOf(3, 10));
  const asker = new MemoryLinks(podOf('asker'));
  connect(from.links, asker);
  const link = asker.get(from.links.self);
  assert.ok(link);
  const bad = [null, 'x', [], {}, Buffer.alloc(31), Buffer.alloc(32 * 5000)];
  for (const body of bad) {
    await assert.rejects(link.request('chunk.get', body), { code: 'protocol' });
    await assert.rejects(link.request('chunk.have', body), { code: 'protocol' });
  }
  assert.deepEqual(await link.request('chunk.get', Buffer.alloc(0)), { chunks: [] });
  const closed = new MemoryLinks(podOf('closed'));
  const content = {
    has: () => true,
    stored: async () => Buffer.from('secret'),
    verify: async () => 6,
    flush: async () => {},
  };
  serveChunks({ links: closed, content, isMember: () => false, keeps: () => [], log: silentLog });
  const stranger = new MemoryLinks(podOf('stranger'));
  connect(closed, stranger);
  await assert.rejects(async () => stranger.get(closed.self)?.request('chunk.get', Buffer.alloc(32)), {
    code: 'not-member',
  });
});

test('requests wait until what came before is paid for at the declared rate', () => {
  let now = 0;
  const pace = new Pace({ ...systemClock, monotonicMs: () => now }, 1_000_000);
  const budget = new RequestBudget(4, pace, () => {});
  const paid = budget.take();
  assert.ok(paid !== undefined);
  assert.equal(budget.take(), undefined);
  now += 500;
  assert.equal(budget.take(), undefined);
  // Less came than an answer usually is: the rest was not used.
  budget.giveBack(paid, 10_000);
  assert.ok(budget.take() !== undefined);
  assert.equal(budget.take(), undefined);
  budget.close();
});

test('who has what is asked in pages', async () => {
  const chunks = chunksOf(3, 10);
  const from = holder('a', chunks);
  const to = fetcher();
  connect(from.links, to.links);
  const unknown = Array.from({ length: 9000 }, (_, i) => sha256(Buffer.from(String(i))));
  const ids = [...unknown, ...chunks.keys()];
  const gone = podOf('gone');
  const holders = await to.source.whoHas(ids, [from.links.self, gone]);
  assert.deepEqual([...holders.keys()], [from.links.self]);
  assert.deepEqual(
    holders
      .get(from.links.self)
      ?.map((has, i) => (has ? i : -1))
      .filter((i) => i >= 0),
    [9000, 9001, 9002],
  );
  to.source.close();
});

test('a chunk that a peer cannot read is one it does not have', async () => {
  const from = new MemoryLinks(podOf('rotten'));
  const content = {
    has: () => true,
    stored: async () => {
      throw new Error('the disk is bad');
    },
    verify: async () => undefined,
    flush: async () => {},
  };
  serveChunks({ links: from, content, isMember: () => true, keeps: () => [], log: silentLog });
  const asker = new MemoryLinks(podOf('asker'));
  connect(from, asker);
  const answer = await asker.get(from.self)?.request('chunk.get', packHashes([sha256(Buffer.from('x'))]));
  assert.deepEqual(answer, { chunks: [null] });
  await until(() => from.get(asker.self)?.open === true);
});

test('lists of hashes and bitmaps are read as they were written', () => {
  fc.assert(
    fc.property(fc.array(fc.string().map((text) => sha256(Buffer.from(text)))), (ids) => {
      assert.deepEqual(parseChunkIds(packHashes(ids)), ids);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.boolean()), (bits) => {
      assert.deepEqual(parseBits(packBits(bits), bits.length), bits);
    }),
  );
});
