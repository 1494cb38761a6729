/** Somebody reads and writes without a pause while pods come, go and die and the declaration changes: he notices nothing. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeNetwork, namespacesMissing } from './namespaces.js';
import { endAll, eventually, TestPod } from './pods.js';

const skip = namespacesMissing() ?? false;
if (skip) console.log(`skipped: ${skip}`);

const FILES = 24;
const FILE_BYTES = 30_000;
const PAUSE_MS = 10;
const OPERATIONS_MIN = 20;
const DECLARED = `network: busy
copies: 2
pods: { one: , two: , three: , desk: { role: portal, cache: 1MB } }
crisis: { grace: 2s }
`;

/** Reads files that were there before, and writes new ones. */
class Work {
  readonly errors: string[] = [];
  readonly written = new Map<string, Buffer>();
  reads = 0;
  private readonly files: ReadonlyMap<string, Buffer>;
  private readonly pod: TestPod;
  private running = true;
  private readonly loops: Promise<void>[];

  constructor(pod: TestPod, files: ReadonlyMap<string, Buffer>) {
    this.pod = pod;
    this.files = files;
    this.loops = [this.loop((i) => this.read(i)), this.loop((i) => this.write(i))];
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.loops);
  }

  private async loop(act: (i: number) => Promise<void>): Promise<void> {
    for (let i = 0; this.running; i++) {
      await act(i).catch((error: Error) => this.errors.push(error.message));
      await sleep(PAUSE_MS);
    }
  }

  private async read(i: number): Promise<void> {
    const [name, bytes] = [...this.files][(i * 7) % this.files.size] as [string, Buffer];
    if (!(await readFile(this.pod.path(name))).equals(bytes)) this.errors.push(`${name} has wrong bytes`);
    this.reads++;
  }

  private async write(i: number): Promise<void> {
    const name = join('new', `${i}`);
    const bytes = randomBytes(500);
    await writeFile(this.pod.path(name), bytes);
    this.written.set(name, bytes);
  }
}

test('a reader and a writer go on through a join, a change of the declaration, a leave and a kill', {
  skip,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-foreground-'));
  const lan = makeNetwork(5);
  const [one, two, three, desk, four] = ['one', 'two', 'three', 'desk', 'four'].map(
    (name, i) => new TestPod(lan.hosts[i], name, folder),
  ) as [TestPod, TestPod, TestPod, TestPod, TestPod];
  const pods = new Set([one, two, three, desk]);
  t.after(async () => {
    await endAll(pods);
    await lan.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const file = join(folder, 'wormhole.yaml');
  writeFileSync(file, DECLARED);
  const codes = await one.declare(file);
  await Promise.all([two, three, desk].map((pod) => pod.joinBy(codes.get(pod.name))));
  const files = new Map<string, Buffer>();
  for (const name of ['old', 'new']) await mkdir(desk.path(name));
  for (let i = 0; i < FILES; i++) {
    const bytes = randomBytes(FILE_BYTES);
    await writeFile(desk.path('old', `${i}`), bytes);
    files.set(join('old', `${i}`), bytes);
  }
  assert.ok((await one.ask('sync', { copies: 2, timeoutMs: 60_000 })).done);

  const work = new Work(desk, files);
  const during = async (what: string, act: () => Promise<void>) => {
    const [reads, writes] = [work.reads, work.written.size];
    await act();
    await eventually(() => {
      assert.ok(work.reads - reads >= OPERATIONS_MIN, `${what}: too few reads`);
      assert.ok(work.written.size - writes >= OPERATIONS_MIN, `${what}: too few writes`);
    });
    assert.deepEqual(work.errors, [], what);
  };
  /** What was there at first has so many copies, each by the word of its holder. */
  const held = (copies: number) =>
    eventually(async () => {
      for (const name of files.keys())
        assert.deepEqual((await one.inspect(`/${name}`)).copies, { wanted: copies, held: copies });
    }, 60_000);

  await during('join', async () => {
    await four.join(one);
    pods.add(four);
    await eventually(async () => {
      const entries = await four.ask('list', { path: '/old' });
      assert.ok(
        entries.some(({ state }) => state === 'here'),
        'nothing falls to it',
      );
    }, 30_000);
  });
  await during('declaration', async () => {
    await one.ask('apply', { text: DECLARED.replace('copies: 2', 'copies: 3') });
    await held(3);
  });
  await during('leave', async () => {
    await four.ok('leave', '--timeout', '60s');
    pods.delete(four);
  });
  await during('kill', async () => {
    process.kill(two.pid, 'SIGKILL');
    pods.delete(two);
    await sleep(500);
    rmSync(two.home, { recursive: true, force: true });
    await held(2);
  });
  // He has not paused: what he wrote until a moment ago is known to be held all the same.
  const writtenBefore = work.written.size;
  await eventually(async () => {
    const { underReplicated } = await one.status();
    assert.ok(
      underReplicated < writtenBefore,
      `${underReplicated} of ${work.written.size} files are in doubt`,
    );
  }, 30_000);
  await work.stop();
  assert.deepEqual(work.errors, []);
  assert.ok((await desk.ask('sync', { copies: 2, timeoutMs: 60_000 })).done);
  for (const [name, bytes] of [...files, ...work.written])
    assert.ok((await readFile(three.path(name))).equals(bytes), name);
});
