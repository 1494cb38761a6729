/** Whole pods without a mount: real trees, contents and membership-like lists, linked in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Emitter, type PodId, sha256, sha256Bytes, silentLog, systemRandom } from '../../src/base/index.js';
import { type ContentStore, openContentStore } from '../../src/content/index.js';
import { makeNotes } from '../../src/daemon/notes.js';
import type { Member, MembershipEvents } from '../../src/membership/index.js';
import { Placement } from '../../src/placement/index.js';
import { type Database, openDatabase } from '../../src/store/index.js';
import { ChunkFetcher, Sync } from '../../src/sync/index.js';
import { openTree, ROOT, type Tree } from '../../src/tree/index.js';
import { type MovableClock, movableClock } from '../content/helpers.js';
import { connect, MemoryLinks } from '../sync/memory-links.js';

export interface Pod {
  id: PodId;
  name: string;
  tree: Tree;
  content: ContentStore;
  database: Database;
  links: MemoryLinks;
  chunks: ChunkFetcher;
  sync: Sync;
  placement: Placement;
  clock: MovableClock;
}

/** A network of pods; `close` ends them and removes their folders. */
export class Village {
  readonly members: Member[] = [];
  declared: string | undefined;
  /** Names of pods that may fill nothing. */
  readonly full = new Set<string>();
  private readonly events = new Emitter<MembershipEvents>();
  private readonly folder = mkdtemp(join(tmpdir(), 'wormhole-placement-'));
  private readonly network = sha256Bytes(systemRandom.bytes(16));
  private readonly pods: Pod[] = [];

  async pod(name: string, role: Member['role'] = 'storage'): Promise<Pod> {
    const id = sha256(Buffer.from(name));
    const founder = this.members.length === 0;
    this.members.push({ id, name, role, addedBy: id, addedAt: 0 });
    const [clock, random, log] = [movableClock(), systemRandom, silentLog];
    const folder = join(await this.folder, name);
    const links = new MemoryLinks(id);
    const isMember = (pod: PodId) => this.members.some((member) => member.id === pod);
    const chunks = new ChunkFetcher({ links, isMember, clock, log });
    const database = openDatabase(join(folder, 'database'), { mapBytes: 2 ** 30 });
    const content = await openContentStore({
      folder: join(folder, 'content'),
      database,
      source: chunks,
      clock,
      log,
    });
    const beforePublish = async (contents: string[]) => {
      pod.placement.published(contents);
      await content.flush();
    };
    const network = this.network;
    const where = { folder: join(folder, 'tree'), podId: id, podName: name, network, founder };
    const tree = await openTree({ ...where, clock, random, log, beforePublish });
    const members = () => this.members.map((member) => member.id);
    const sync = new Sync({ links, tree, content, chunks, self: id, isMember, members, clock, log });
    const membership = {
      self: id,
      events: this.events,
      members: () => this.members,
      declared: () =>
        this.declared === undefined ? undefined : { text: this.declared, number: 1, by: id, at: 0 },
      presenceOf: (other: PodId) => {
        const full = this.pods.find(({ id }) => id === other)?.placement.isFull === true;
        const hot = this.pods.find(({ id }) => id === other)?.placement.hotFiles() ?? [];
        return { status: { free: 1e12, state: 'ready', full, hot } };
      },
    };
    const placement = new Placement({
      tree,
      content,
      membership,
      peers: sync,
      notes: makeNotes(database, 'placement'),
      capacity: () => (this.full.has(name) ? -1 : undefined),
      clock,
      log,
    });
    const pod: Pod = { id, name, tree, content, database, links, chunks, sync, placement, clock };
    this.pods.push(pod);
    placement.start();
    this.changed();
    return pod;
  }

  changed(): void {
    this.events.emit('changed', undefined);
  }

  linkAll(): void {
    for (const [i, a] of this.pods.entries()) {
      for (const b of this.pods.slice(i + 1)) if (a.links.get(b.id) === undefined) connect(a.links, b.links);
    }
  }

  async close(): Promise<void> {
    for (const pod of this.pods) {
      await pod.links.stop();
      pod.placement.close();
      pod.sync.close();
      pod.chunks.close();
    }
    for (const pod of this.pods) {
      await pod.tree.close();
      await pod.content.close();
      await pod.database.close();
    }
    await rm(await this.folder, { recursive: true, force: true });
  }
}

/** Writes a file as the file system would: staged, published, named. */
export async function write(pod: Pod, name: string, bytes: Uint8Array): Promise<string> {
  const open = pod.content.open(name, '', 0);
  for (let at = 0; at < bytes.length; at += 1024 * 1024) {
    await open.write(at, bytes.subarray(at, at + 1024 * 1024));
  }
  const { content, size } = await open.publish();
  const found = pod.tree.lookup(ROOT, name);
  if (found === undefined) pod.tree.create(ROOT, name, { kind: 'file', size, content, mode: 0o644 }, {});
  else pod.tree.setData(found.id, { size, content, mtime: 1n }, found.versions);
  await open.close();
  return content;
}

export async function read(pod: Pod, name: string): Promise<Buffer> {
  const node = pod.tree.lookup(ROOT, name);
  if (node === undefined) throw new Error(`${name} is not there`);
  const open = pod.content.open(node.id, node.content, node.size);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < node.size; ) {
    const part = await open.read(at, 1024 * 1024);
    if (part.length === 0) break;
    parts.push(Uint8Array.from(part));
    at += part.length;
  }
  await open.close();
  return Buffer.concat(parts);
}

/** Bytes that look like nothing else, the same for the same seed. */
export function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed * 2654435761 + 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    bytes.writeInt32LE(state ^ (state >>> 13), at);
  }
  return bytes;
}
