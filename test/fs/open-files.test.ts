import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { silentLog, WormholeError } from '../../src/base/index.js';
import type { ContentStore, OpenContent } from '../../src/content/index.js';
import { OpenFiles } from '../../src/fs/open-files.js';
import type { Node, Tree } from '../../src/tree/index.js';

/** Promises that settle one after the other between the end of a publication and its being noted, and then some. */
const STEPS_MAX = 12;
const TURNS_MAX = 50;

const NODE = { id: 'a/01', kind: 'file', size: 0, content: '', versions: [] } as unknown as Node;

/** A large file that somebody goes on writing during its first publication. */
class Written {
  readonly size = 1;
  readonly publishesAtOnce: boolean = false;
  dirty = true;
  publications = 0;
  private readonly published: () => void;

  constructor(published: () => void) {
    this.published = published;
  }

  async publish(): Promise<{ content: string; size: number; newChunks: number; newBytes: number }> {
    await setImmediate();
    this.dirty = ++this.publications === 1;
    if (this.dirty) this.published();
    return { content: `c${this.publications}`, size: 1, newChunks: 0, newBytes: 0 };
  }

  save(): void {}
  close(): void {}
  recordedAs(_: number): void {}
  rekey(): void {}
}

/** A small file over bytes that were staged before, and whose log of what is staged takes nothing for a while. */
class Noted extends Written {
  override readonly publishesAtOnce = true;
  readonly noted: number[] = [];
  takes = false;

  override publish(): never {
    this.dirty = false;
    return { content: 'c1', size: 1, newChunks: 0, newBytes: 0 } as never;
  }

  override recordedAs(operation: number): void {
    if (!this.takes) throw new WormholeError('io', 'the log takes nothing');
    this.noted.push(operation);
  }
}

function openFiles(content: Written, reached: () => number): OpenFiles {
  return new OpenFiles({
    tree: { setData: () => NODE, reached } as unknown as Tree,
    content: { open: () => content as unknown as OpenContent } as unknown as ContentStore,
    clock: { monotonicMs: () => 0, wallNs: () => 0n, sleep: () => setImmediate() },
    log: silentLog,
    publishIntervalMs: 1_000_000,
    retryMs: 0,
    moved: () => {},
  });
}

test('close() fails while a crash would put bytes that were staged before over what is closed', async () => {
  let operation = 7;
  const content = new Noted(() => {});
  const files = openFiles(content, () => operation);
  const file = files.acquire(NODE);
  assert.throws(() => files.save(file), { code: 'io' });
  operation = 8;
  assert.throws(() => files.save(file), { code: 'io' }, 'nothing was written since, and nothing is better');
  content.takes = true;
  await files.save(file);
  await files.save(file);
  assert.deepEqual(content.noted, [7], 'the operation that named it');
  await files.close();
});

test('a file that is closed right when its publication ends is published once more', async () => {
  for (let steps = 0; steps <= STEPS_MAX; steps++) {
    const closeAfter = async (left: number) => {
      for (let step = 0; step < left; step++) await undefined;
      files.release(file);
    };
    const content = new Written(() => void closeAfter(steps));
    const files = openFiles(content, () => 1);
    const file = files.acquire(NODE);
    // As after some seconds of writing.
    const published = files.published(file);
    for (let turn = 0; turn < TURNS_MAX && content.publications < 2; turn++) await setImmediate();
    assert.equal(content.publications, 2, `closed ${steps} steps after its publication`);
    await published;
    await files.close();
  }
});
