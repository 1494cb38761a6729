import type { OpenFlags, WormholeFileSystem } from '../../src/fs/index.js';
import { type InodeId, ROOT } from '../../src/tree/index.js';
import { type SimulatedPod, tokenOf } from './pod.js';

const PAGE = 1_000;
const READ_BYTES = 1024 * 1024;
export const READ: OpenFlags = { read: true, write: false, append: false, truncate: false, sync: false };

/** What is at a path. */
export interface Place {
  path: string[];
  parent: InodeId;
  name: string;
  inode: InodeId;
  kind: string;
}

/** All that is seen at a pod's mount: for files the hash of their bytes. */
export interface Seen {
  lines: string[];
  tokens: Set<string>;
}

/** Looks at a pod's mount, as somebody who lists and reads. To be used in a turn of the pod's actor. */
export class Places {
  private readonly pod: SimulatedPod;
  private readonly files: WormholeFileSystem;

  constructor(pod: SimulatedPod, files: WormholeFileSystem) {
    this.pod = pod;
    this.files = files;
  }

  /** All places, folders before what is in them. */
  async all(): Promise<Place[]> {
    const places = await this.in(ROOT, []);
    for (const { kind, inode, path } of places) {
      if (places.length > PAGE) throw new Error('folders lie in each other');
      if (kind === 'directory') places.push(...(await this.in(inode, path)));
    }
    return places;
  }

  async in(parent: InodeId, path: string[]): Promise<Place[]> {
    const entries = await this.files.list(parent, undefined, PAGE);
    return entries.map(({ name, inode, kind }) => ({ path: [...path, name], parent, name, inode, kind }));
  }

  async kindAt(parent: InodeId, name: string): Promise<string | undefined> {
    return (await this.files.list(parent, undefined, PAGE)).find((entry) => entry.name === name)?.kind;
  }

  /** What the file holds, as its user sees it. */
  async token(at: Pick<Place, 'inode'>): Promise<string> {
    const handle = await this.files.open(at.inode, READ);
    try {
      return tokenOf(await this.readAll(handle));
    } finally {
      await this.files.release(handle);
    }
  }

  async readAll(handle: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; ; ) {
      const part = await this.files.read(handle, at, READ_BYTES);
      if (part.length === 0) return Buffer.concat(parts);
      parts.push(Buffer.from(part));
      at += part.length;
    }
  }

  /** Reads what is at a place again while another pod's edit of it came in between. */
  steady<T>(at: Place, read: () => Promise<T>): Promise<T> {
    return this.unmoved(() => {
      const node = this.pod.running?.tree.lookup(at.parent, at.name);
      return `${node?.id} ${node?.content}`;
    }, read);
  }

  /** The same of a file that is open, wherever it is. */
  steadyFile<T>(inode: InodeId, read: () => Promise<T>): Promise<T> {
    return this.unmoved(() => this.pod.running?.tree.node(inode)?.content, read);
  }

  private async unmoved<T>(now: () => string | undefined, read: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = now();
      const value = await read();
      if (now() === before) return value;
    }
  }

  /** Every path with what is there.
   *  @param reads which files are read */
  async everything(reads: (at: Place) => boolean = () => true): Promise<Seen> {
    const tokens = new Set<string>();
    const lines: string[] = [];
    for (const place of await this.all()) {
      const isFile = place.kind === 'file';
      if (isFile && !reads(place)) continue;
      const token = isFile ? await this.token(place) : place.kind;
      if (isFile) tokens.add(token);
      lines.push(`${place.path.join('/')} ${token}`);
    }
    return { lines: lines.sort(), tokens };
  }
}
