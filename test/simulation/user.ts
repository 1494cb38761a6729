import { WormholeError } from '../../src/base/index.js';
import type { Caller, OpenFlags, WormholeFileSystem } from '../../src/fs/index.js';
import { type InodeId, LOST_FOUND, ROOT } from '../../src/tree/index.js';
import type { Numbers } from '../tree/simulation/numbers.js';
import type { Account } from './account.js';
import { type SimulatedPod, tokenOf } from './pod.js';
import type { Stage } from './stage.js';

const VERBS = {
  create: 14,
  folder: 4,
  overwrite: 8,
  append: 8,
  patch: 4,
  save: 8,
  rename: 6,
  move: 7,
  link: 3,
  unlink: 5,
  remove: 2,
  read: 4,
} as const;
type Verb = keyof typeof VERBS;

const NAMES = ['a', 'b.txt', 'c', 'A', '.rc', 'café', 'd', 'e'];
const PAGE = 1_000;
const CALLER: Caller = { uid: 0, gid: 0, pid: 1, umask: 0o022 };
const READ: OpenFlags = { read: true, write: false, append: false, truncate: false, sync: false };
const WRITE: OpenFlags = { ...READ, write: true };
const SMALL_BYTES = 400;
const LARGE_BYTES = 200_000;
const READ_BYTES = 1024 * 1024;

/** What is at a path. */
interface Place {
  path: string[];
  parent: InodeId;
  name: string;
  inode: InodeId;
  kind: string;
}

/** Somebody at a pod's mount, who does one thing after another, and remembers what was answered. */
export class User {
  readonly pod: SimulatedPod;
  private readonly stage: Stage;
  private readonly numbers: Numbers;
  private readonly account: Account;
  private serial = 0;
  /** What is being done, until it is answered. */
  busy: string | undefined;

  constructor(pod: SimulatedPod, stage: Stage, numbers: Numbers, account: Account) {
    this.pod = pod;
    this.stage = stage;
    this.numbers = numbers;
    this.account = account;
  }

  /** Begins something; what comes of it is noted when it is answered. To be called in a turn of the pod's actor. */
  act(said: (what: string) => void): void {
    const verb = this.numbers.weighted(VERBS);
    this.busy = verb;
    const { running } = this.pod;
    this.do(verb)
      .catch((error) => {
        if (!(error instanceof WormholeError) || error.code === 'internal') throw error;
        return `refused: ${error.code}`;
      })
      .then(
        (what) => said(`${this.pod.name}: ${verb} ${what}`),
        (error) => said(`${this.pod.name}: ${verb} FAILED ${(error as Error).stack}`),
      )
      .finally(() => {
        if (this.pod.running === running) this.busy = undefined;
      });
  }

  private get files(): WormholeFileSystem {
    const { running } = this.pod;
    if (running === undefined) throw new WormholeError('closed', 'the pod is down');
    return running.files;
  }

  private async do(verb: Verb): Promise<string> {
    const places = await this.places();
    const folder = this.folderOf(places);
    const name = this.numbers.pick(NAMES);
    if (verb === 'create') return this.create(folder, name);
    if (verb === 'folder') {
      await this.files.mkdir(folder, name, 0o755, CALLER);
      return name;
    }
    const file = verb === 'rename' || verb === 'move' || verb === 'remove' ? undefined : 'file';
    const candidates = places.filter(({ kind }) => file === undefined || kind === file);
    if (candidates.length === 0) return this.create(folder, name);
    const at = this.numbers.pick(candidates);
    const target = {
      folder: verb === 'rename' ? at.parent : folder,
      name: verb === 'move' && !this.numbers.once(3) ? at.name : name,
    };
    return `${at.path.join('/')} ${await this.doTo(verb, at, target)}`;
  }

  private async doTo(verb: Verb, at: Place, to: { folder: InodeId; name: string }): Promise<string> {
    switch (verb) {
      case 'overwrite':
        return this.overwrite(at);
      case 'append':
      case 'patch':
        return this.write(at, verb === 'append');
      case 'save':
        return this.save(at);
      case 'rename':
      case 'move':
        return this.rename(at, to.folder, to.name);
      case 'link':
        await this.files.link(at.inode, to.folder, to.name);
        return to.name;
      case 'unlink':
        return this.unlink(at);
      case 'remove':
        return this.removeAll(at);
      default:
        return (await this.token(at)).slice(0, 8);
    }
  }

  /** Bytes that nobody else has. */
  private bytes(): Buffer {
    const head = `${this.pod.name} ${this.stage.nowMs} ${this.serial++} `;
    const large = this.numbers.once(12);
    const length = 1 + this.numbers.below(large ? LARGE_BYTES : SMALL_BYTES);
    const body = this.numbers.once(2) ? Buffer.alloc(length, 'x') : noise(this.numbers, length);
    return Buffer.concat([Buffer.from(head), body]);
  }

  private async create(folder: InodeId, name: string): Promise<string> {
    const { handle, stat } = await this.files.create(folder, name, 0o644, WRITE, CALLER);
    return `${name} ${await this.fill(handle, stat.inode, this.bytes())}`;
  }

  /** Writes, closes, and sees to the promise that was made. */
  private async fill(handle: number, inode: InodeId, bytes: Buffer): Promise<string> {
    const token = tokenOf(bytes);
    this.account.begun(token);
    await this.files.write(handle, 0, bytes);
    return this.close(handle, inode, token, bytes.length);
  }

  private async close(handle: number, inode: InodeId, token: string, size: number): Promise<string> {
    const before = this.numbers.once(6);
    if (before) await this.files.fsync(handle, false);
    await this.files.flush(handle);
    // What was deleted elsewhere before it was written to is no file any more, as for every program that has one open.
    const { nlink } = await this.files.stat(inode);
    if (nlink > 0) this.account.wrote(token, size, this.pod.name, this.stage.nowMs);
    if (before) this.account.synced(token);
    else if (this.numbers.once(6)) {
      await this.files.fsync(handle, false);
      this.account.synced(token);
    }
    await this.files.release(handle);
    return `${token.slice(0, 8)} (${size})`;
  }

  private async overwrite(at: Place): Promise<string> {
    const bytes = this.bytes();
    await this.removing(at);
    const handle = await this.files.open(at.inode, { ...WRITE, truncate: true });
    return this.fill(handle, at.inode, bytes);
  }

  /** Some bytes, at the end or over others. */
  private async write(at: Place, append: boolean): Promise<string> {
    const handle = await this.files.open(at.inode, { ...WRITE, read: true, append });
    const before = await this.steady(at, () => this.readAll(handle));
    const found = await this.files.lookup(at.parent, at.name);
    if (found?.inode !== at.inode) {
      await this.files.release(handle);
      return 'gone';
    }
    const piece = this.bytes();
    const offset = append ? before.length : this.numbers.below(before.length + 1);
    const expected = Buffer.concat([
      before.subarray(0, offset),
      piece,
      before.subarray(offset + piece.length),
    ]);
    this.account.begun(tokenOf(expected));
    this.account.removing(tokenOf(before), this.stage.nowMs);
    await this.files.write(handle, offset, piece);
    const now = await this.readAll(handle);
    if (!now.equals(expected)) throw new Error('what was written is not what is read');
    return this.close(handle, at.inode, tokenOf(now), now.length);
  }

  /** Writes a temporary file and renames it over. */
  private async save(at: Place): Promise<string> {
    const name = `.${at.name}.${this.serial}.tmp`;
    const { handle, stat } = await this.files.create(at.parent, name, 0o644, WRITE, CALLER);
    const bytes = this.bytes();
    const token = tokenOf(bytes);
    this.account.begun(token);
    await this.files.write(handle, 0, bytes);
    const said = await this.close(handle, stat.inode, token, bytes.length);
    await this.removing(at, token);
    await this.files.rename(at.parent, name, at.parent, at.name, { noreplace: false, exchange: false });
    return said;
  }

  private async rename(at: Place, folder: InodeId, name: string): Promise<string> {
    const over = await this.files.lookup(folder, name);
    const kind = over === undefined || over.inode === at.inode ? undefined : await this.kindAt(folder, name);
    if (kind === 'file') {
      const place = { ...at, parent: folder, name, inode: (over as { inode: InodeId }).inode };
      await this.removing(place);
    }
    await this.files.rename(at.parent, at.name, folder, name, { noreplace: false, exchange: false });
    return `to ${name}`;
  }

  private async unlink(at: Place): Promise<string> {
    const token = await this.removing(at);
    await this.files.unlink(at.parent, at.name);
    return token.slice(0, 8);
  }

  /** `rm -rf`, entry by entry. */
  private async removeAll(at: Place): Promise<string> {
    if (at.kind !== 'directory') return this.unlink(at);
    for (const child of await this.children(at.inode, at.path)) await this.removeAll(child);
    await this.files.rmdir(at.parent, at.name);
    return '';
  }

  /** What is seen is about to be replaced or deleted, in this very turn. @returns what that is */
  private async removing(at: Place, by?: string): Promise<string> {
    const token = await this.steady(at, async () => {
      const found = await this.files.lookup(at.parent, at.name);
      if (found === undefined) throw new WormholeError('not-found', 'it is gone');
      at.inode = found.inode;
      return this.token(at);
    });
    this.account.removing(token, this.stage.nowMs, by);
    return token;
  }

  /** Reads something again while another pod's edit of the file came in between. */
  private async steady<T>(at: Place, read: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = this.pod.running?.tree.lookup(at.parent, at.name);
      const value = await read();
      const after = this.pod.running?.tree.lookup(at.parent, at.name);
      if (before?.id === after?.id && before?.content === after?.content) return value;
    }
  }

  /** What the file holds, as its user sees it. */
  private async token(at: Place): Promise<string> {
    const handle = await this.files.open(at.inode, READ);
    try {
      return tokenOf(await this.readAll(handle));
    } finally {
      await this.files.release(handle);
    }
  }

  private async readAll(handle: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; ; ) {
      const part = await this.files.read(handle, at, READ_BYTES);
      if (part.length === 0) return Buffer.concat(parts);
      parts.push(Buffer.from(part));
      at += part.length;
    }
  }

  private folderOf(places: readonly Place[]): InodeId {
    const folders = places.filter(({ kind, inode }) => kind === 'directory' && inode !== LOST_FOUND);
    return this.numbers.pick([ROOT, ROOT, ...folders.map(({ inode }) => inode)]);
  }

  private async kindAt(parent: InodeId, name: string): Promise<string | undefined> {
    return (await this.files.list(parent, undefined, PAGE)).find((entry) => entry.name === name)?.kind;
  }

  private async places(): Promise<Place[]> {
    const places = await this.children(ROOT, []);
    for (const { kind, inode, path } of places) {
      if (places.length > PAGE) throw new Error('folders lie in each other');
      if (kind === 'directory') places.push(...(await this.children(inode, path)));
    }
    return places;
  }

  private async children(parent: InodeId, path: string[]): Promise<Place[]> {
    const entries = await this.files.list(parent, undefined, PAGE);
    return entries.map(({ name, inode, kind }) => ({ path: [...path, name], parent, name, inode, kind }));
  }

  /** Every path with what is there: for files the hash of their bytes, as they are read here. */
  async everything(): Promise<{ lines: string[]; tokens: Set<string> }> {
    const tokens = new Set<string>();
    const lines: string[] = [];
    for (const place of await this.places()) {
      const token = place.kind === 'file' ? await this.token(place) : place.kind;
      if (place.kind === 'file') tokens.add(token);
      lines.push(`${place.path.join('/')} ${token}`);
    }
    return { lines: lines.sort(), tokens };
  }
}

const EMPTY = tokenOf(new Uint8Array());

/** An empty file is no content that anybody could lose. */
export function isContent(token: string): boolean {
  return token !== EMPTY;
}

function noise(numbers: Numbers, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = numbers.below(2 ** 31) | 1;
  for (let at = 0; at < length; at++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
