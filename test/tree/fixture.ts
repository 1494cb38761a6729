import { silentLog, systemClock, systemRandom } from '../../src/base/index.js';
import { type InodeId, openTree, ROOT, type Tree, type TreeOptions } from '../../src/tree/index.js';
import { withFolder } from './index/fixture.js';

export const NETWORK = new Uint8Array(32).fill(7);

type Open = (folder: string, name?: string, options?: Partial<TreeOptions>) => Promise<Tree>;

/** Trees that are closed at the end whatever happens, so that a failing test does not hang. */
export function withTrees(work: (folder: string, open: Open) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const opened: Tree[] = [];
    try {
      await work(folder, async (...how) => {
        const tree = await open(...how);
        opened.push(tree);
        return tree;
      });
    } finally {
      for (const tree of opened) await tree.close();
    }
  });
}

/** A real tree: document in its thread, database, journal. */
export function open(folder: string, name = 'a', options: Partial<TreeOptions> = {}): Promise<Tree> {
  return openTree({
    folder,
    podId: name.charCodeAt(0).toString(16).padStart(2, '0').repeat(32),
    podName: name,
    network: NETWORK,
    founder: name === 'a',
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    ...options,
  });
}

export function file(content = '', size = content.length) {
  return { kind: 'file' as const, size, content, mode: 0o644 };
}

export const DIRECTORY = { kind: 'directory' as const, size: 0, content: '', mode: 0o755 };

/** The whole visible tree as lines `path kind content`. */
export function lines(tree: Tree, folder = '', id: InodeId = ROOT): string[] {
  const found: string[] = [];
  for (let after: string | undefined; ; ) {
    const entries = tree.list(id, after, 100);
    for (const { name, inode, kind } of entries) {
      found.push(`${folder}/${name} ${kind} ${tree.node(inode)?.content ?? 'gone'}`.trimEnd());
      if (kind === 'directory') found.push(...lines(tree, `${folder}/${name}`, inode));
    }
    after = entries.at(-1)?.name;
    if (after === undefined) return found;
  }
}

/** Two trees talk until neither has anything to say. */
export async function exchange(a: Tree, b: Tree, names: [string, string] = ['a', 'b']): Promise<void> {
  const [nameA, nameB] = names;
  for (;;) {
    const toB = await a.sync.generate(nameB);
    if (toB !== undefined) await b.sync.receive(nameA, toB);
    const toA = await b.sync.generate(nameA);
    if (toA !== undefined) await a.sync.receive(nameB, toA);
    if (toA === undefined && toB === undefined) return;
  }
}
