import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Deadline, systemClock, unlessAborted } from '../../src/base/index.js';

const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)));

test('it aborts when the time is up, with the other signal, or at once', async () => {
  const timed = new Deadline(systemClock, 10);
  assert.equal(((await aborted(timed.signal)) as { code: string }).code, 'timeout');
  const outer = new AbortController();
  const linked = new Deadline(systemClock, 60_000, outer.signal);
  outer.abort('given up');
  assert.equal(linked.signal.reason, 'given up');
  assert.ok(new Deadline(systemClock, 60_000, outer.signal).signal.aborted);
  const ended = new Deadline(systemClock, 60_000);
  ended.end();
  assert.ok(ended.signal.aborted);
});

test('a collection of garbage does not stop it', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { signal } = new Deadline(systemClock, 100);
  const waited = aborted(signal);
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await waited;
});

test('a wait ends with its signal, the work goes on', async () => {
  const given = new AbortController();
  let done = false;
  const work = systemClock.sleep(30).then(() => {
    done = true;
    return 7;
  });
  assert.equal(await unlessAborted(Promise.resolve(1), given.signal), 1);
  const waited = unlessAborted(work, given.signal);
  given.abort('enough');
  await assert.rejects(waited, (reason) => reason === 'enough');
  assert.equal(await work, 7);
  assert.ok(done);
  await assert.rejects(unlessAborted(work, given.signal), (reason) => reason === 'enough');
});
