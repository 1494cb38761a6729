import { type Clock, Estimate } from '../base/index.js';
import type { ChunkId, ContentStore, Naming } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import type { Peers } from './peers.js';

/** A file of which something is not where it should be, or is damaged. */
export interface Ailing {
  inode: InodeId;
  /** Chunks of it that should be here and are not, and how many of them no linked pod has either. */
  missing: number;
  nowhere: number;
  /** Its list of chunks cannot be had. */
  unknown: boolean;
}

export interface Checked {
  files: number;
  chunks: number;
  /** Chunks that nothing names: kept for the declared history, or until all pods know. */
  unnamed: number;
  unnamedBytes: number;
  ailing: Ailing[];
  /** Chunks that were read and did not hash to their names; `mended`: fetched anew from another pod. */
  damaged: { id: ChunkId; mended: boolean }[];
  /** Bytes that were read, with `readData`. */
  bytesRead: number;
}

export interface CheckOptions {
  tree: Pick<Tree, 'contents' | 'counts'>;
  content: Pick<
    ContentStore,
    'chunksOf' | 'has' | 'collect' | 'chunkIds' | 'verify' | 'put' | 'flush' | 'isKept' | 'usage'
  >;
  peers: Pick<Peers, 'linked' | 'whoHas' | 'fetchNow'>;
  naming: Naming;
  /** True when a chunk should be here. */
  belongs: (id: ChunkId, inode: InodeId) => boolean;
  /** Reads every byte. */
  readData: boolean;
  progress: (line: string) => void;
  clock: Pick<Clock, 'monotonicMs'>;
  signal: AbortSignal;
}

const PAGE = 256;
/** A list longer than this helps nobody. */
const AILING_MAX = 10_000;

/** Compares what the tree names with what is here; changes nothing but that damaged chunks are set aside. */
export async function checkStore(options: CheckOptions): Promise<Checked> {
  const { content, naming, progress, clock, signal } = options;
  const damaged = options.readData ? await readAll(options) : { found: [], bytes: 0 };
  const ailing: Ailing[] = [];
  const files = await checkFiles(options, ailing);
  const counted = { chunks: 0, unnamed: 0, unnamedBytes: 0 };
  const survey = { naming, historyMs: undefined, seenByAllMs: 0, signal };
  // Where the chunks of some file are unknown it cannot be told which have no name.
  if (!ailing.some(({ unknown }) => unknown)) {
    const { chunks } = content.usage();
    const estimate = new Estimate(clock);
    const tell = (n: number) => progress(`${n} of ${chunks} chunks looked at${estimate.left(n, chunks)}`);
    const found = await content.collect({ ...survey, progress: tell });
    if (found !== undefined) Object.assign(counted, pick(found));
  }
  return { files, ...counted, ailing, damaged: damaged.found, bytesRead: damaged.bytes };
}

function pick({ chunks, unnamed, unnamedBytes }: { chunks: number; unnamed: number; unnamedBytes: number }) {
  return { chunks, unnamed, unnamedBytes };
}

async function checkFiles(options: CheckOptions, ailing: Ailing[]): Promise<number> {
  const { tree, content, belongs, progress, clock, signal } = options;
  const estimate = new Estimate(clock);
  let files = 0;
  for (let after: InodeId | undefined; ; ) {
    const page = tree.contents(after, PAGE);
    for (const file of page) {
      signal.throwIfAborted();
      files++;
      const known = await content.chunksOf(file.content, file.size).catch(() => undefined);
      const missing = (known ?? []).filter(({ id }) => belongs(id, file.inode) && !content.has(id));
      if ((known !== undefined && missing.length === 0) || ailing.length >= AILING_MAX) continue;
      const nowhere = await heldNowhere(
        missing.map(({ id }) => id),
        options,
      );
      ailing.push({ inode: file.inode, missing: missing.length, nowhere, unknown: known === undefined });
    }
    after = page.at(-1)?.inode;
    if (after === undefined) return files;
    const total = Math.max(files, tree.counts().files);
    progress(`${files} of ${total} files looked at${estimate.left(files, total)}`);
  }
}

async function heldNowhere(ids: readonly ChunkId[], { peers, signal }: CheckOptions): Promise<number> {
  if (ids.length === 0) return 0;
  const answers = await peers.whoHas(ids, peers.linked(), signal);
  return ids.filter((_, i) => ![...answers.values()].some((has) => has[i] === true)).length;
}

async function readAll(options: CheckOptions): Promise<{ found: Checked['damaged']; bytes: number }> {
  const { content, progress, clock, signal } = options;
  const estimate = new Estimate(clock);
  const found: Checked['damaged'] = [];
  let bytes = 0;
  let shownBytes = 0;
  for await (const id of content.chunkIds()) {
    signal.throwIfAborted();
    const kept = content.isKept(id);
    const length = await content.verify(id);
    if (length === 'damaged') found.push({ id, mended: kept && (await mended(id, options)) });
    else bytes += length ?? 0;
    if (bytes - shownBytes < PROGRESS_BYTES) continue;
    shownBytes = bytes;
    const total = Math.max(bytes, content.usage().bytes);
    progress(`${megabytes(bytes)} of ${megabytes(total)} MB read${estimate.left(bytes, total)}`);
  }
  // What is said to be mended stays so after a power cut.
  if (found.some(({ mended: isMended }) => isMended)) await content.flush();
  return { found, bytes };
}

function megabytes(bytes: number): number {
  return Math.floor(bytes / 1_000_000);
}

const PROGRESS_BYTES = 64 * 1024 * 1024;

async function mended(id: ChunkId, { content, peers, signal }: CheckOptions): Promise<boolean> {
  try {
    await content.put(id, await peers.fetchNow(id, signal), { keep: true });
    return true;
  } catch {
    // Whoever has it may come later; the file is named among those that lack something.
    return false;
  }
}
