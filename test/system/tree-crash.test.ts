/** kill -9 at any time: the tree is what a prefix of the operations made of it, and no operation that returned
 *  is missing or happened twice (contract D2, D6). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { withFolder } from '../tree/index/fixture.js';

const ROUNDS = 20;
const child = join(import.meta.dirname, '..', 'tree', 'crash-child.js');

/** What `n` operations of the child make: see `act` there. */
function model(n: number): string[] {
  const files = new Map<string, string>();
  const move = (from: string, to: string) => {
    files.set(to, files.get(from) ?? assert.fail(from));
    files.delete(from);
  };
  for (let i = 0; i < n; i++) {
    const step = i % 6;
    if (step === 0) files.set(`f${i}`, `c${i}`);
    else if (step === 1) files.set('counter', `c${i}`);
    else if (step === 2) move(`f${i - 2}`, `g${i}`);
    else if (step === 3) files.set('temporary', `c${i}`);
    else if (step === 4) move('temporary', 'saved');
    else if (i > 40) assert.ok(files.delete(`g${i - 39}`), `g${i - 39}`);
    else files.set(`keep${i}`, `c${i}`);
  }
  const lines = [...files].map(([name, content]) => `/${name} file ${content}`);
  return lines.sort();
}

/**
 * One life of the child, on top of `done` operations of lives before it: until it ends, or is killed `killAfterMs`
 * after its first operation. @returns how many operations have been done by then, as far as it said
 */
async function live(folder: string, mode: string, done: number, killAfterMs: number): Promise<number> {
  const started = spawn(process.execPath, [child, folder, mode], { stdio: ['pipe', 'pipe', 'inherit'] });
  let states = mode === 'early' ? 1 : 2;
  let count = done;
  let timer: NodeJS.Timeout | undefined;
  for await (const line of createInterface({ input: started.stdout })) {
    const said = JSON.parse(line);
    if (typeof said === 'number') {
      assert.equal(said, count++);
      timer ??= setTimeout(() => started.kill('SIGKILL'), killAfterMs);
      continue;
    }
    count = operationsIn(said.state, count);
    if (--states === 0 && mode !== 'check') started.stdin.write(`${count}\n`);
  }
  if (started.exitCode === null && started.signalCode === null) await once(started, 'exit');
  clearTimeout(timer);
  assert.equal(states, 0, 'it ended before it had said what it found');
  if (mode === 'check') assert.equal(started.exitCode, 0);
  else assert.equal(started.signalCode, 'SIGKILL', 'the child ended by itself');
  return count;
}

/** How many operations a state shows: all that returned, and perhaps the one that was under way. */
function operationsIn(state: string[], returned: number): number {
  const shown = JSON.stringify([...state].sort());
  for (const count of [returned, returned + 1]) {
    if (JSON.stringify(model(count)) === shown) return count;
  }
  assert.deepEqual([...state].sort(), model(returned), `after ${returned} operations`);
  return returned;
}

test(`killed ${ROUNDS} times, nothing that returned is missing`, () =>
  withFolder(async (folder) => {
    let done = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const before = done;
      done = await live(folder, round % 3 === 2 ? 'early' : 'work', done, (round * 37) % 250);
      assert.ok(done > before, 'nothing was done before the kill');
    }
    await live(folder, 'check', done, 0);
  }));
