// One pod's tree in a process of its own, as the daemon has it: document and index in their thread, readers here.
import { readFileSync } from 'node:fs';
import { open as openFile, writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog, systemClock, systemRandom } from '../../src/base/index.js';
import { type InodeId, openTree, ROOT, type Tree } from '../../src/tree/index.js';
import { BENCH_NETWORK, FILES_PER_FOLDER, TOP } from './make.js';
import type { Answer, Ask, RequestName, Requests } from './messages.js';
import { planOver } from './plan.js';

function threadMs(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

type Handlers = { [Name in RequestName]: (ask: Requests[Name]['ask']) => Promise<Requests[Name]['answer']> };

const FILE = { kind: 'file', size: 0, content: '', mode: 0o644 } as const;
const PEER = 'peer';
const LOOK_MS = 5;
const PART_BYTES = 1024 * 1024;
const loop = monitorEventLoopDelay({ resolution: 5 });
/** The most that this thread computed between two turns of a timer: what others on the machine do does not count. */
const slices = {
  longestMs: 0,
  begin() {
    this.longestMs = 0;
    let before = threadMs();
    this.timer ??= setInterval(() => {
      const now = threadMs();
      this.longestMs = Math.max(this.longestMs, now - before);
      before = now;
    }, LOOK_MS).unref();
  },
  timer: undefined as NodeJS.Timeout | undefined,
};
let tree: Tree;
const opened = () => tree;

const handlers: Handlers = {
  async open({ founder, name, folder }) {
    tree = await openTree({
      folder,
      podId: (name.charCodeAt(0) % 256).toString(16).padStart(2, '0').repeat(32),
      podName: name,
      network: BENCH_NETWORK,
      founder,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    return { entries: tree.list(ROOT, undefined, 10).length };
  },
  async loaded() {
    const heads = await opened().commit();
    return { heads: heads.length, files: tree.counts().files };
  },
  async create({ count, apart }) {
    const folder = tree.create(ROOT, `created ${count} ${apart}`, { ...FILE, kind: 'directory' }, {}).id;
    await tree.commit();
    const before = process.cpuUsage();
    let mainMs = 0;
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      tree.create(folder, `f${i}`, FILE, {});
      mainMs += performance.now() - started;
      if (apart) await sleep(20);
    }
    await tree.commit();
    const { user, system } = process.cpuUsage(before);
    return { processorMs: (user + system) / 1000 / count, mainMs: mainMs / count };
  },
  async rename() {
    const started = performance.now();
    tree.rename(ROOT, TOP, ROOT, 'renamed');
    const shownMs = performance.now() - started;
    await tree.commit();
    const durableMs = performance.now() - started;
    tree.rename(ROOT, 'renamed', ROOT, TOP);
    await tree.commit();
    return { shownMs, durableMs };
  },
  async diverge({ count, side }) {
    const started = performance.now();
    const folder = tree.create(ROOT, `side ${side}`, { ...FILE, kind: 'directory' }, {}).id;
    const files = someFiles(count / 2, side);
    for (const [i, { parent, name }] of files.entries()) {
      tree.rename(parent, name, parent, `${name} of ${side}`);
      tree.create(folder, `f${i}`, FILE, {});
      const wait = tree.congested();
      if (wait !== undefined) await wait;
    }
    await tree.commit();
    return { seconds: (performance.now() - started) / 1000 };
  },
  async snapshot({ path }) {
    const bytes = await tree.sync.snapshot();
    if (bytes !== undefined) await writeFile(path, bytes);
    return { written: bytes !== undefined };
  },
  async adopt({ path }) {
    const handle = await openFile(path);
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(size);
    for (let at = 0; at < size; at += PART_BYTES)
      await handle.read(bytes, at, Math.min(PART_BYTES, size - at), at);
    await handle.close();
    await tree.sync.adopt(bytes);
    return { files: tree.counts().files };
  },
  generate: () => tree.sync.generate(PEER),
  async receive(message) {
    return { heads: await tree.sync.receive(PEER, message) };
  },
  async push(changes) {
    const started = performance.now();
    const seen = new Promise<void>((resolve) => {
      const stop = tree.events.on('changed', () => {
        stop();
        resolve();
      });
    });
    await Promise.all([tree.sync.apply(changes), seen]);
    return { ms: performance.now() - started };
  },
  async change({ name }) {
    const pushed = new Promise<Uint8Array[]>((resolve) => {
      const stop = tree.events.on('changes', ({ changes }) => {
        stop();
        resolve(changes);
      });
    });
    tree.create(ROOT, name, FILE, {});
    return pushed;
  },
  async loop() {
    const longestMs = loop.max / 1e6;
    const processorMs = slices.longestMs;
    loop.enable();
    loop.reset();
    slices.begin();
    return { longestMs, processorMs };
  },
  async fingerprint() {
    return { heads: tree.heads(), files: tree.counts().files, conflicts: tree.counts().conflicts };
  },
  plan: (ask) => planOver(tree, ask),
  async close() {
    await tree.close();
    return {};
  },
};

/** Files far apart from each other; other ones for each side but for every hundredth, which meet. */
function someFiles(count: number, side: number): { parent: InodeId; name: string }[] {
  const top = tree.lookup(ROOT, TOP)?.id ?? '';
  const found: { parent: InodeId; name: string }[] = [];
  for (const group of tree.list(top, undefined, 1_000_000)) {
    for (const folder of tree.list(group.inode, undefined, 1_000_000)) {
      const names = tree.list(folder.inode, undefined, FILES_PER_FOLDER);
      const entry = names[found.length % 100 === 0 ? 0 : 1 + side];
      if (entry !== undefined) found.push({ parent: folder.inode, name: entry.name });
      if (found.length >= count) return found;
    }
  }
  return found;
}

process.on('message', ({ id, name, ask }: Ask) => {
  const handler = handlers[name] as (ask: unknown) => Promise<unknown>;
  const say = (answer: Answer) => process.send?.(answer);
  handler(ask).then(
    (answer) => say({ id, answer }),
    (error) => say({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
