// Decision 14, measured: what years of use add to the document, and what an epoch takes away again.
// `node dist/bench/decisions/epochs.js [days]`, `node dist/bench/decisions/epochs.js epoch [files]`
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TreeDocument } from '../../src/tree/engine/document.js';
import { snapshotPath } from '../../src/tree/engine/load.js';
import {
  encodeData,
  encodeLocation,
  encodeRegister,
  encodeTombstone,
} from '../../src/tree/engine/registers.js';
import { decodeSnapshot } from '../../src/tree/engine/snapshot.js';
import { type InodeId, REGISTER_NAMES, type RegisterName, ROOT, sameHeads } from '../../src/tree/index.js';
import { isUnseen } from '../../src/tree/resolver/registers.js';
import { BENCH_NETWORK, makeTree } from '../scale/make.js';

interface Office {
  name: string;
  savesADay: number;
  /** Files at the beginning. */
  files: number;
  /** Machines that are started once a day, each with a new actor. */
  pods: number;
  /** Saves that go into one change. */
  group: number;
}

const OFFICES: Office[] = [
  { name: 'family', savesADay: 1_000, files: 20_000, pods: 4, group: 1 },
  { name: 'office, a change a save', savesADay: 20_000, files: 100_000, pods: 20, group: 1 },
  { name: 'office, saves in groups of 5', savesADay: 20_000, files: 100_000, pods: 20, group: 5 },
];
/** Of a hundred saves: new files, renames, deletions; the rest are new contents. */
const NEW = 8;
const RENAMES = 3;
const DELETIONS = 4;
/** Files that are being worked on in one day. */
const ACTIVE = 0.02;
const BUCKET = 256;
const YEAR = 365;
const SAVES_A_CHANGE = 5;
const EPOCH_ACTOR = 'ee'.repeat(20);

/** Replays. */
class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  below(limit: number): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }
}

const content = (n: number): string =>
  `c${(n * 2_654_435_761).toString(16).padStart(16, '0').repeat(4).slice(0, 64)}`;
const data = (n: number, at: number): Uint8Array =>
  encodeData({
    kind: 'file',
    size: 1 + (n % 1_000_000),
    mtime: 1_790_000_000_000_000_000n + BigInt(at) * 86_437n,
    content: content(n),
    mode: 0o644,
  });

/** A tree in use, day by day, on one document. */
class History {
  document = TreeDocument.empty('00'.repeat(10), BENCH_NETWORK);
  saves = 0;
  private readonly files: InodeId[] = [];
  private readonly dice = new Dice(7);
  private start = 0;
  private given = 0;

  constructor(files: number) {
    this.document.found();
    for (let at = 0; at < files; at += BUCKET) {
      const values: { [key: string]: Uint8Array } = {};
      for (let n = 0; n < BUCKET; n++) {
        const index = n.toString(16).padStart(2, '0');
        values[`${index}l`] = encodeLocation({ parent: ROOT, name: `document ${at + n}.odt` });
        values[`${index}d`] = data(at + n, at + n);
        this.files.push(`imported${at / BUCKET}/${index}`);
      }
      this.document.makeBucket(`imported${at / BUCKET}`, values);
      this.document.commit();
    }
  }

  /** Each pod has its part of the day's saves under the actor of its start. */
  day({ savesADay, pods, group }: Office): void {
    for (let pod = 0; pod < pods; pod++) {
      const bytes = this.document.save();
      this.document.free();
      this.start++;
      this.document = TreeDocument.load(bytes, this.start.toString(16).padStart(20, '0'), BENCH_NETWORK);
      this.given = 0;
      const active = Array.from(
        { length: Math.max(20, Math.floor((this.files.length * ACTIVE) / pods)) },
        () => this.dice.below(this.files.length),
      );
      const saves = Math.floor(savesADay / pods);
      for (let i = 0; i < saves; i++) {
        this.save(active);
        const isWhole = i % group === group - 1 || i === saves - 1;
        // Who deletes what is deleted writes nothing.
        if (isWhole && this.document.pendingWrites() > 0) this.document.commit();
      }
    }
  }

  private save(active: readonly number[]): void {
    const n = ++this.saves;
    const inode = this.files[active[this.dice.below(active.length)] ?? 0] ?? '';
    const kind = this.dice.below(100);
    if (kind < NEW) this.create(n);
    else if (kind < NEW + RENAMES) {
      const previous = { parent: ROOT, name: 'before' };
      this.document.put(inode, 'l', encodeLocation({ parent: ROOT, name: `renamed ${n}.odt`, previous }));
    } else if (kind < NEW + RENAMES + DELETIONS) {
      const saw = [...this.document.values(inode, 'l'), ...this.document.values(inode, 'd')].map(
        ({ id }) => id,
      );
      this.document.put(inode, 'x', encodeTombstone({ saw }));
    } else this.document.put(inode, 'd', data(n * 31, n));
  }

  private create(n: number): void {
    const bucket = `start${this.start}x${Math.floor(this.given / BUCKET)}`;
    const inode = `${bucket}/${(this.given % BUCKET).toString(16).padStart(2, '0')}`;
    this.given++;
    if (!this.document.hasBucket(bucket)) this.document.makeBucket(bucket);
    this.document.put(inode, 'l', encodeLocation({ parent: ROOT, name: `new ${n}.odt` }));
    this.document.put(inode, 'd', data(n * 31, n));
    this.files.push(inode);
  }
}

interface Point {
  saves: number;
  megabytes: number;
  loadMs: number;
}

function pointOf(history: History): Point {
  const bytes = history.document.save();
  const loads = [0, 1, 2].map(() => {
    const started = performance.now();
    TreeDocument.load(bytes, 'ff'.repeat(10), BENCH_NETWORK).free();
    return performance.now() - started;
  });
  return { saves: history.saves, megabytes: bytes.length / 1e6, loadMs: Math.min(...loads) };
}

function measureOffice(office: Office, days: number): void {
  const history = new History(office.files);
  const first = pointOf(history);
  const started = performance.now();
  for (let day = 0; day < days; day++) history.day(office);
  const last = pointOf(history);
  const thousands = last.saves / 1_000;
  const bytes = ((last.megabytes - first.megabytes) * 1e6) / thousands;
  const ms = (last.loadMs - first.loadMs) / thousands;
  const year = (office.savesADay * YEAR) / 1_000;
  console.log(
    `${office.name}: ${days} days, ${last.saves} saves in ${((performance.now() - started) / 1000).toFixed(0)} s; ` +
      `document ${first.megabytes.toFixed(1)} → ${last.megabytes.toFixed(1)} MB, load ${first.loadMs.toFixed(0)} → ${last.loadMs.toFixed(0)} ms; ` +
      `a thousand saves ${(bytes / 1000).toFixed(1)} KB and ${ms.toFixed(2)} ms; ` +
      `a year, extrapolated, ${(first.megabytes + (bytes * year) / 1e6).toFixed(0)} MB and ${((first.loadMs + ms * year) / 1000).toFixed(1)} s`,
  );
  history.document.free();
}

/** Of a thousand files, before the cut: written once more, and deleted. */
const REWRITTEN = 100;
const DELETED = 20;

/** A document of so many files in use, saved. */
async function usedTree(files: number): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-epoch-'));
  try {
    await makeTree(folder, files);
    const { document: made } = decodeSnapshot(readFileSync(snapshotPath(join(folder, 'document'))));
    const document = TreeDocument.load(made, 'dd'.repeat(10), BENCH_NETWORK);
    const inodes = [...document.all()].flatMap(({ inode, registers }) =>
      registers?.d.at(-1)?.value.kind === 'file' ? [inode] : [],
    );
    for (const [at, inode] of inodes.entries()) {
      const share = (at * 7919) % 1_000;
      if (share < REWRITTEN) document.put(inode, 'd', data(at, at));
      else if (share < REWRITTEN + DELETED) {
        const saw = [...document.values(inode, 'l'), ...document.values(inode, 'd')].map(({ id }) => id);
        document.put(inode, 'x', encodeTombstone({ saw }));
      }
      if (document.pendingWrites() >= SAVES_A_CHANGE) document.commit();
    }
    if (document.pendingWrites() > 0) document.commit();
    const bytes = document.save();
    document.free();
    return bytes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The cut as decision 14 has it: a change a bucket, in the order in which the old document has them, with the winners of
 * what lives. No register of the generated tree has a further value, which would become a change of its own.
 */
function cut(old: TreeDocument): { document: TreeDocument; inodes: number; left: number } {
  const document = TreeDocument.empty(EPOCH_ACTOR, BENCH_NETWORK);
  document.found();
  let [bucket, inodes, left] = ['', 0, 0];
  let values: { [key: string]: Uint8Array } = {};
  const flush = () => {
    if (Object.keys(values).length === 0) return;
    if (document.hasBucket(bucket)) {
      for (const [key, value] of Object.entries(values)) {
        document.put(`${bucket}/${key.slice(0, -1)}`, key.slice(-1) as RegisterName, value);
      }
    } else document.makeBucket(bucket, values);
    document.commit();
    values = {};
  };
  for (const { inode, registers } of old.all()) {
    const [of = '', index = ''] = inode.split('/');
    if (of !== bucket) flush();
    bucket = of;
    if (registers === undefined || (registers.x.length > 0 && !isUnseen(registers, true))) {
      left++;
      continue;
    }
    inodes++;
    for (const name of REGISTER_NAMES) {
      const winner = registers[name].at(-1);
      if (winner !== undefined) values[index + name] = encodeRegister(name, winner.value);
    }
  }
  flush();
  return { document, inodes, left };
}

/** The cut, and that two pods which make it get the same document. In this process alone: memory is its own. */
async function measureEpoch(files: number): Promise<void> {
  const bytes = await usedTree(files);
  // From here on the highest memory is counted anew.
  writeFileSync('/proc/self/clear_refs', '5');
  let [started, spent] = [performance.now(), process.cpuUsage()];
  const lap = (name: string) => {
    const { rss } = process.memoryUsage();
    const { user, system } = process.cpuUsage(spent);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const ofProcessor = ((user + system) / 1e6).toFixed(1);
    console.log(
      `  ${name}: ${seconds} s (${ofProcessor} s of processor time), ${(rss / 1e6).toFixed(0)} MB of memory`,
    );
    [started, spent] = [performance.now(), process.cpuUsage()];
  };
  console.log(`epoch of ${files} files, a document of ${megabytes(bytes)} MB:`);
  const old = TreeDocument.load(bytes, 'ee'.repeat(10), BENCH_NETWORK);
  lap('the old document loaded');
  const made = cut(old);
  lap(`cut: ${made.inodes} inodes written anew, ${made.left} left out`);
  const saved = made.document.save();
  lap(`saved, ${megabytes(saved)} MB`);
  const heads = made.document.heads();
  made.document.free();
  TreeDocument.load(saved, 'ee'.repeat(10), BENCH_NETWORK).free();
  lap('the new document loaded');
  const again = cut(old).document;
  if (!sameHeads(again.heads(), heads)) throw new Error('two cuts differ');
  lap('cut once more, with the same heads');
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  console.log(`  at most ${(Number(peak) / 1000).toFixed(0)} MB of memory`);
}

function megabytes(bytes: Uint8Array): string {
  return (bytes.length / 1e6).toFixed(0);
}

const [first, second] = process.argv.slice(2);
if (first === 'epoch') await measureEpoch(Number(second ?? 1_000_000));
else
  for (const office of OFFICES)
    measureOffice(
      office,
      Math.max(1, Math.round(Number(first ?? 20) / (office.savesADay > 10_000 ? 10 : 1))),
    );
