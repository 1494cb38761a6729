/** Links through a line that does to connections what bad networks do. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodId } from '../../src/base/index.js';
import type { Links } from '../../src/net/index.js';
import { Line, Turnstile, type Weather } from './line.js';
import { orderedIdentities, type TestPod, testPod, until } from './support.js';

const LINES = 3;
const HEALS_WITHIN_MS = 20_000;

const lines: Line[] = [];
after(() => {
  for (const line of lines) line.close();
});

async function lineTo(pod: TestPod, turnstile?: Turnstile): Promise<Line> {
  const line = await Line.open({
    listen: { host: '127.0.0.1', port: 0 },
    target: { host: '127.0.0.1', port: pod.links.port },
    ...(turnstile === undefined ? {} : { turnstile }),
  });
  lines.push(line);
  return line;
}

/** Two pods that know each other by several lines, and nothing else: they listen where nobody else is let to. */
async function pairOverLines(weather: Weather) {
  const [first, second] = orderedIdentities();
  const members = new Set<PodId>([first.pod, second.pod]);
  const a = testPod(members, { identity: first, host: '127.0.0.1' });
  const b = testPod(members, { identity: second, host: '127.0.0.1' });
  for (const { links } of [a, b]) links.handle('echo', (_link, body) => body);
  await Promise.all([a.links.start(), b.links.start()]);
  const turnstile = new Turnstile();
  const made: Line[] = [];
  for (let index = 0; index < LINES; index++) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const line = await lineTo(to, turnstile);
      line.set(weather);
      made.push(line);
      from.links.dial(`127.0.0.1:${line.port}`);
    }
  }
  const stop = () => Promise.all([a.links.stop(), b.links.stop()]);
  return { a, b, lines: made, stop };
}

/** Both have one link to each other, the same connection, and it works both ways. */
async function works(a: TestPod, b: TestPod, withinMs = HEALS_WITHIN_MS): Promise<void> {
  const ask = (links: Links, peer: PodId) =>
    links.get(peer)?.request('echo', { to: peer }, { timeoutMs: 1_000 }) ?? Promise.reject(new Error('none'));
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      await ask(a.links, b.identity.pod);
      await ask(b.links, a.identity.pod);
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(20);
    }
  }
}

const sum = (made: readonly Line[], what: keyof Line['passed']) =>
  made.reduce((total, { passed }) => total + passed[what], 0);

test('connections that overtake each other: one link is left, the same for both, and it stays', async () => {
  const { a, b, lines: made, stop } = await pairOverLines({ reorder: LINES * 2 });
  await works(a, b);
  assert.ok(sum(made, 'overtook') > 0, 'none came through before an earlier one');
  await sleep(500);
  const [toB, toA] = [a.links.get(b.identity.pod), b.links.get(a.identity.pod)];
  await sleep(500);
  assert.equal(a.links.get(b.identity.pod), toB, 'the link was replaced for nothing');
  assert.equal(b.links.get(a.identity.pod), toA, 'the link was replaced for nothing');
  await works(a, b, 2_000);
  await stop();
});

test('half of a frame, then the end, again and again: linked once the line is whole', async () => {
  // Within the handshake, the upgrade, and the first frames.
  const { a, b, lines: made, stop } = await pairOverLines({});
  for (const [index, line] of made.entries()) line.set({ halveAfterBytes: 400 + index * 500 });
  await until(() => sum(made, 'halves') >= made.length, HEALS_WITHIN_MS, 'no frame was halved');
  for (const line of made) line.set({});
  await works(a, b);
  await stop();
});

test('a line that is held for a moment: the link stays, and what was sent meanwhile comes', async () => {
  const { a, b, lines: made, stop } = await pairOverLines({});
  await works(a, b);
  await sleep(300);
  const link = a.links.get(b.identity.pod);
  for (const line of made) line.set({ hold: 'both' });
  const answer = link?.request('echo', 'patience');
  await until(() => sum(made, 'held') > 0, 20_000, 'nothing was held');
  await sleep(500);
  for (const line of made) line.set({});
  assert.equal(await answer, 'patience');
  assert.equal(a.links.get(b.identity.pod), link, 'a link that came back was given up');
  await stop();
});
