// Decision 1, measured: the low-level handle beside the ordinary API and automerge-repo, on one schema and in one
// run; then the engine on top of it. `node dist/bench/decisions/automerge.js [files …]`
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as A from '@automerge/automerge';
import { Repo } from '@automerge/automerge-repo';
import { Emitter, silentLog, systemClock, systemRandom } from '../../src/base/index.js';
import { openDatabase } from '../../src/store/index.js';
import { makeActor } from '../../src/tree/engine/actor.js';
import { InodeAllocator } from '../../src/tree/engine/allocator.js';
import { checkChange } from '../../src/tree/engine/change-check.js';
import type { EngineEvents } from '../../src/tree/engine/client.js';
import { TreeDocument } from '../../src/tree/engine/document.js';
import { Engine } from '../../src/tree/engine/engine.js';
import type { Indexer, RegisterReader } from '../../src/tree/engine/indexer.js';
import { LocalGroup } from '../../src/tree/engine/local-group.js';
import { encodeData, encodeLocation } from '../../src/tree/engine/registers.js';
import { encodeSnapshot } from '../../src/tree/engine/snapshot.js';
import { makeIndexer } from '../../src/tree/index/indexer.js';
import { type Data, type InodeId, type Operation, ROOT } from '../../src/tree/schema.js';

/** Rounds that count, and those before them, in which the compilers warm up. */
const ROUNDS = 50;
const WARM_ROUNDS = 100;
const FLAT_ROUNDS = 5;
const NETWORK = new Uint8Array(16);
const POD = 'ab'.repeat(32);
const PEER = 'cd'.repeat(32);

interface Buckets {
  b: { [bucket: string]: { [key: string]: Uint8Array } };
}

/** Milliseconds of the thread's processor time a piece (the machine may be shared), but for the last two. */
interface Result {
  add: number;
  update: number;
  remote: number;
  load: number;
  megabytes: number;
  memory: number;
}

const data = (n: number): Data => ({
  kind: 'file',
  size: 1000 + n,
  mtime: 1_700_000_000_000_000_000n + BigInt(n),
  content: `c${n.toString(16).padStart(64, 'b')}`,
  mode: 0o644,
});
const name = (n: number): string => `document-${n}.txt`;

function operation(seq: number, inode: InodeId, d: Data, at?: string): Operation {
  const write = at === undefined ? { inode, d } : { inode, l: { parent: ROOT, name: at }, d };
  return { seq, seen: seq - 1, time: 0n, writes: [write] };
}

/** A tree of so many files in one folder: each thousand is one change. */
function build(files: number): { bytes: Uint8Array; inodes: InodeId[] } {
  const document = TreeDocument.empty(makeActor(POD, 'bench', systemRandom), NETWORK);
  document.found();
  const allocator = new InodeAllocator('bench');
  const inodes = Array.from({ length: files }, () => allocator.next());
  for (let at = 0; at < files; at += 1000) {
    const group = newGroup(document);
    for (const [i, inode] of inodes.slice(at, at + 1000).entries()) {
      group.add(operation(at + i, inode, data(at + i), name(at + i)));
    }
    group.write();
    document.commit();
  }
  const bytes = document.save();
  document.free();
  return { bytes, inodes };
}

function newGroup(document: TreeDocument): LocalGroup {
  return new LocalGroup(document, {
    registers: (inode) => document.read(inode),
    ownSeq: () => 0,
    placeOf: () => ({ parent: ROOT, name: 'x' }),
  });
}

/** The mean of the last rounds, in milliseconds of processor time. */
function typicalMs(work: (round: number) => void, rounds = ROUNDS + WARM_ROUNDS): number {
  const counted = Math.min(ROUNDS, rounds - 1);
  let start = cpuMs();
  for (let round = 0; round < rounds; round++) {
    if (round === rounds - counted) start = cpuMs();
    work(round);
  }
  return (cpuMs() - start) / counted;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of this thread: neither the disk's time nor that of compilers and collectors beside it. The kernel counts it up
 *  now and then only: single short pieces of work cannot be measured, a row of them can. */
function cpuMs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
}

/** Anonymous memory: what is mapped from files can be given back at any time. */
function memoryMegabytes(): number {
  globalThis.gc?.();
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? Number.NaN) / 1000;
}

/** Changes of one file each that another pod makes to the same tree. */
function foreignChanges(bytes: Uint8Array, inodes: readonly InodeId[], rounds: number): Uint8Array[] {
  const peer = TreeDocument.load(bytes, makeActor(PEER, 'peer', systemRandom), NETWORK);
  const changes = Array.from({ length: rounds }, (_, round) => {
    peer.put(pick(inodes, round), 'd', encodeData(data(round)));
    return peer.commit().change;
  });
  peer.free();
  return changes;
}

function pick(inodes: readonly InodeId[], round: number): InodeId {
  return inodes[(round * 7919 + 13) % inodes.length] ?? ROOT;
}

function split(inode: InodeId): [bucket: string, index: string] {
  return inode.split('/') as [string, string];
}

// The candidates: each in a process of its own, for the memory.

function raw(bytes: Uint8Array, inodes: InodeId[], changes: Uint8Array[]): Result {
  const start = cpuMs();
  const document = TreeDocument.load(bytes, makeActor(POD, 'bench', systemRandom), NETWORK);
  const load = cpuMs() - start;
  const memory = memoryMegabytes();
  const allocator = new InodeAllocator('fresh');
  const commit = (op: Operation) => {
    const group = newGroup(document);
    group.add(op);
    group.write();
    document.commit();
  };
  const add = typicalMs((n) => commit(operation(n, allocator.next(), data(n), `new-${n}`)));
  const update = typicalMs((n) => commit(operation(n, pick(inodes, n), data(n + 7))));
  const remote = typicalMs((n) => {
    const change = changes[n] as Uint8Array;
    const { decoded } = checkChange(change);
    document.applyChanges([change]);
    for (const inode of document.touched([decoded]).inodes) document.read(inode);
  });
  return { add, update, remote, load, megabytes: bytes.length / 1e6, memory };
}

function ordinary(bytes: Uint8Array, inodes: InodeId[], changes: Uint8Array[]): Result {
  const start = cpuMs();
  let document = A.load<Buckets>(bytes);
  const load = cpuMs() - start;
  const memory = memoryMegabytes();
  const change = (work: (draft: Buckets) => void) => {
    document = A.change(document, { time: 0 }, work);
  };
  const add = typicalMs((n) => change((draft) => addTo(draft, n)));
  const update = typicalMs((n) => change((draft) => updateIn(draft, pick(inodes, n), n)));
  const remote = typicalMs((n) => {
    [document] = A.applyChanges(document, [changes[n] as Uint8Array]);
  });
  return { add, update, remote, load, megabytes: bytes.length / 1e6, memory };
}

function repository(bytes: Uint8Array, inodes: InodeId[], changes: Uint8Array[]): Result {
  const start = cpuMs();
  const handle = new Repo({}).import<Buckets>(bytes);
  const load = cpuMs() - start;
  const memory = memoryMegabytes();
  const add = typicalMs((n) => handle.change((draft) => addTo(draft, n)));
  const update = typicalMs((n) => handle.change((draft) => updateIn(draft, pick(inodes, n), n)));
  const remote = typicalMs((n) => {
    handle.update((document) => A.applyChanges(document, [changes[n] as Uint8Array])[0]);
  });
  return { add, update, remote, load, megabytes: bytes.length / 1e6, memory };
}

/** What one writes first: a map of paths to objects. Measured with fewer rounds, for it takes long. */
function flat(files: number): Result {
  type Flat = { files: { [path: string]: { size: number; mtime: number; content: string; mode: number } } };
  const entry = (n: number) => ({ size: n, mtime: n, content: data(n).content, mode: 0o644 });
  const all = Object.fromEntries(Array.from({ length: files }, (_, n) => [name(n), entry(n)]));
  const bytes = A.save(A.from<Flat>({ files: all }));
  const start = cpuMs();
  let document = A.load<Flat>(bytes);
  const load = cpuMs() - start;
  const memory = memoryMegabytes();
  let peer = A.clone(document);
  const add = typicalMs((n) => {
    document = A.change(document, (draft) => {
      draft.files[`new-${n}`] = entry(n);
    });
  }, FLAT_ROUNDS);
  const update = typicalMs((n) => {
    document = A.change(document, (draft) => {
      const found = draft.files[name(n * 7)];
      if (found !== undefined) found.size = -n;
    });
  }, FLAT_ROUNDS);
  const remotes: number[] = [];
  for (let n = 0; n < FLAT_ROUNDS; n++) {
    const before = A.getHeads(peer);
    peer = A.change(peer, (draft) => {
      draft.files[`peer-${n}`] = entry(n);
    });
    const changes = A.getChangesSince(peer, before);
    const applied = cpuMs();
    [document] = A.applyChanges(document, changes);
    remotes.push(cpuMs() - applied);
  }
  return {
    add,
    update,
    remote: mean(remotes),
    load,
    megabytes: bytes.length / 1e6,
    memory,
  };
}

function addTo(draft: Buckets, n: number): void {
  draft.b['fresh'] ??= {};
  const bucket = draft.b['fresh'] as { [key: string]: Uint8Array };
  const index = n.toString(16).padStart(2, '0');
  bucket[`${index}l`] = Uint8Array.from(encodeLocation({ parent: ROOT, name: `new-${n}` }));
  bucket[`${index}d`] = Uint8Array.from(encodeData(data(n)));
}

function updateIn(draft: Buckets, inode: InodeId, n: number): void {
  const [bucket, index] = split(inode);
  const map = draft.b[bucket] as { [key: string]: Uint8Array };
  map[`${index}d`] = Uint8Array.from(encodeData(data(n + 7)));
}

// The engine: document, log with fdatasync, index in the database.

/** Milliseconds of processor time: a group, and each operation in it, until all of it is durable. */
interface EngineResult {
  group: string;
  cpu: number;
  each: number;
  /** Until it is durable, by the clock. */
  wall: number;
}

async function engine(
  bytes: Uint8Array,
  inodes: InodeId[],
  changes: Uint8Array[],
  withIndex: boolean,
): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-bench-'));
  const database = openDatabase(join(folder, 'index'));
  const opened = await Engine.open({
    folder: join(folder, 'document'),
    actor: makeActor(PEER, 'bench', systemRandom),
    network: NETWORK,
    founder: false,
    database,
    makeIndexer: withIndex ? makeIndexer : noIndex,
    events: new Emitter<EngineEvents>(),
    clock: systemClock,
    log: silentLog,
  });
  const header = { heads: headsOf(bytes), seq: 0, log: '', logNext: 0, own: { actors: [], groups: [] } };
  const snapshot = encodeSnapshot({ header, document: bytes });
  const adopt = await measure('adopt', inodes.length, () => opened.adoptSnapshot(snapshot));
  const allocator = new InodeAllocator('fresh');
  let seq = 0;
  const create = () => operation(++seq, allocator.next(), data(seq), `new-${seq}`);
  const edit = () => operation(++seq, pick(inodes, seq), data(seq));
  const results = [adopt];
  for (const size of [1, 10, 100]) {
    for (const make of [create, edit]) {
      const rounds: EngineResult[] = [];
      for (let round = 0; round < ROUNDS + WARM_ROUNDS / size; round++) {
        const operations = Array.from({ length: size }, make);
        rounds.push(
          await measure(`${make.name} ${size}`, size, () => {
            opened.apply(operations);
            return opened.settle();
          }),
        );
      }
      results.push(typical(rounds));
    }
  }
  const remotes: EngineResult[] = [];
  for (const change of changes) remotes.push(await measure('remote', 1, () => opened.applyChanges([change])));
  results.push(typical(remotes));
  await opened.close();
  await database.close();
  rmSync(folder, { recursive: true });
  return { results, memory: memoryMegabytes() };
}

/** To tell the engine's share from the index's. */
const noIndex = (_: unknown, reader: RegisterReader): Indexer => ({
  stamp: () => ({ heads: [], seq: 0 }),
  registers: (inode) => reader.read(inode),
  update: () => ({ inodes: [], names: [] }),
  rebuild: () => {},
  shownConflict: () => undefined,
});

async function measure(group: string, pieces: number, work: () => Promise<unknown>): Promise<EngineResult> {
  const [start, cpu] = [performance.now(), cpuMs()];
  await work();
  const used = cpuMs() - cpu;
  return { group, cpu: used, each: used / pieces, wall: performance.now() - start };
}

function typical(all: readonly EngineResult[]): EngineResult {
  const rounds = all.slice(-ROUNDS);
  return {
    group: rounds[0]?.group ?? '',
    cpu: mean(rounds.map(({ cpu }) => cpu)),
    each: mean(rounds.map(({ each }) => each)),
    wall: mean(rounds.map(({ wall }) => wall)),
  };
}

function headsOf(bytes: Uint8Array): string[] {
  const document = TreeDocument.load(bytes, 'aa', NETWORK);
  const heads = [...document.heads()];
  document.free();
  return heads;
}

// Running them

const CANDIDATES = ['raw', 'change', 'repo', 'flat', 'engine', 'indexed'] as const;

async function child(candidate: string, files: number, folder: string): Promise<void> {
  const bytes = Uint8Array.from(readFileSync(join(folder, 'document')));
  const { inodes, changes } = JSON.parse(readFileSync(join(folder, 'changes.json'), 'utf8')) as {
    inodes: InodeId[];
    changes: string[];
  };
  const remote = changes.map((change) => Uint8Array.from(Buffer.from(change, 'base64')));
  const result =
    candidate === 'raw'
      ? raw(bytes, inodes, remote)
      : candidate === 'change'
        ? ordinary(bytes, inodes, remote)
        : candidate === 'repo'
          ? repository(bytes, inodes, remote)
          : candidate === 'flat'
            ? flat(files)
            : await engine(bytes, inodes, remote, candidate === 'indexed');
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function parent(sizes: readonly number[]): void {
  const results: { [files: number]: { [candidate: string]: unknown } } = {};
  for (const files of sizes) {
    const folder = mkdtempSync(join(tmpdir(), 'wormhole-bench-'));
    const { bytes, inodes } = build(files);
    const changes = foreignChanges(bytes, inodes, ROUNDS + WARM_ROUNDS).map((change) =>
      Buffer.from(change).toString('base64'),
    );
    writeFileSync(join(folder, 'document'), bytes);
    writeFileSync(join(folder, 'changes.json'), JSON.stringify({ inodes, changes }));
    const found: { [candidate: string]: unknown } = {};
    for (const candidate of CANDIDATES) {
      const run = spawnSync(
        process.execPath,
        [
          '--expose-gc',
          '--enable-source-maps',
          fileURLToPath(import.meta.url),
          candidate,
          String(files),
          folder,
        ],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
      );
      found[candidate] = JSON.parse(run.stdout.trim().split('\n').at(-1) ?? 'null');
    }
    results[files] = found;
    rmSync(folder, { recursive: true });
    print(files, found);
  }
  process.stdout.write(`${JSON.stringify(results)}\n`);
}

function print(files: number, found: { [candidate: string]: unknown }): void {
  const base = found['raw'] as Result;
  process.stdout.write(
    `\n${files} files (ms of processor time, MB; in brackets: times the low-level handle)\n`,
  );
  for (const candidate of ['raw', 'change', 'repo', 'flat']) {
    const result = found[candidate] as Result;
    const cells = (Object.keys(base) as (keyof Result)[]).map(
      (key) => `${key} ${result[key].toFixed(2)} (${(result[key] / base[key]).toFixed(1)})`,
    );
    process.stdout.write(`${candidate.padEnd(8)}${cells.join('  ')}\n`);
  }
  for (const candidate of ['engine', 'indexed']) {
    const { results, memory } = found[candidate] as { results: EngineResult[]; memory: number };
    process.stdout.write(`${candidate}: memory ${memory.toFixed(0)} MB\n`);
    for (const { group, cpu, each, wall } of results) {
      const figures = `${cpu.toFixed(2)} ms, each ${each.toFixed(3)}; ${wall.toFixed(1)} ms by the clock`;
      process.stdout.write(`  ${group.padEnd(12)}${figures}\n`);
    }
  }
}

const [first, second, third] = process.argv.slice(2);
if (first !== undefined && (CANDIDATES as readonly string[]).includes(first)) {
  await child(first, Number(second), third ?? '');
  process.exit(0);
} else {
  const sizes = process.argv.slice(2).map(Number);
  parent(sizes.length > 0 ? sizes : [10_000, 100_000]);
}
