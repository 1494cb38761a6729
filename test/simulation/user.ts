import { WormholeError } from '../../src/base/index.js';
import type { Caller, OpenFlags, WormholeFileSystem } from '../../src/fs/index.js';
import { type InodeId, LOST_FOUND, type Node, ROOT } from '../../src/tree/index.js';
import type { Numbers } from '../tree/simulation/numbers.js';
import type { Account } from './account.js';
import { type Place, Places, READ } from './places.js';
import { type Running, type SimulatedPod, tokenOf } from './pod.js';
import type { Stage } from './stage.js';

const VERBS = {
  create: 14,
  again: 5,
  folder: 4,
  overwrite: 8,
  append: 8,
  patch: 4,
  cut: 3,
  save: 8,
  rename: 6,
  move: 7,
  exchange: 2,
  link: 3,
  unlink: 6,
  remove: 2,
  read: 4,
  hold: 5,
  sync: 3,
} as const;
type Verb = keyof typeof VERBS;

/** Those that act on a folder too. */
const OF_ANYTHING: readonly Verb[] = ['rename', 'move', 'exchange', 'remove'];

const NAMES = ['a', 'b.txt', 'c', 'A', '.rc', 'café', 'd', 'e'];
const CALLER: Caller = { uid: 0, gid: 0, pid: 1, umask: 0o022 };
const WRITE: OpenFlags = { ...READ, write: true };
const SMALL_BYTES = 400;
const LARGE_BYTES = 200_000;
/** Every content begins with what no other has, which is shorter. */
const HEAD_BYTES = 40;
const REMEMBERED_MAX = 4;
/** The first is held open, and is one too many to be remembered. */
const FORGOTTEN = ['v', 'w', 'x', 'y', 'z'];

export interface ActOptions {
  /** Whoever writes asks for an fsync. */
  careful?: boolean;
  /** What is to be done, else anything. */
  deed?: 'note' | 'forget' | 'remember' | 'letGo';
}

/** Somebody at a pod's mount, who does one thing after another, and remembers what was answered. */
export class User {
  readonly pod: SimulatedPod;
  private readonly stage: Stage;
  private readonly numbers: Numbers;
  private readonly account: Account;
  private serial = 0;
  /** What was written lately and may be written again. */
  private readonly remembered: Buffer[] = [];
  /** A file that is held open, and whether its bytes were here to stay when it was opened. */
  private held: { handle: number; inode: InodeId; token: string; kept: boolean } | undefined;
  /** Whoever writes now asks for an fsync. */
  private careful = false;
  /** What is being done, until it is answered. */
  busy: string | undefined;

  constructor(pod: SimulatedPod, stage: Stage, numbers: Numbers, account: Account) {
    this.pod = pod;
    this.stage = stage;
    this.numbers = numbers;
    this.account = account;
  }

  /** Begins something; what comes of it is noted when it is answered. To be called in a turn of the pod's actor. */
  act(said: (what: string) => void, options: ActOptions = {}): void {
    const { careful = false, deed } = options;
    const verb = careful ? this.numbers.pick(CAREFUL) : this.numbers.weighted(VERBS);
    this.busy = deed ?? verb;
    this.careful = careful;
    const { running } = this.pod;
    (deed === undefined ? this.do(verb) : this[deed]())
      .catch((error) => {
        if (!(error instanceof WormholeError) || error.code === 'internal') throw error;
        return `refused: ${error.code}`;
      })
      .then(
        (what) => said(`${this.pod.name}: ${deed ?? verb} ${what}`),
        (error) => said(`${this.pod.name}: ${deed ?? verb} FAILED ${(error as Error).stack}`),
      )
      .finally(() => {
        if (this.pod.running === running) this.busy = undefined;
      });
  }

  /** Writes something new. */
  async note(): Promise<string> {
    return this.create(ROOT, `note ${this.serial}`, this.bytes());
  }

  /** Writes some files and deletes them again, one of them held open. */
  async forget(): Promise<string> {
    for (const name of FORGOTTEN) await this.create(ROOT, name, this.bytes());
    await this.files.publishAll();
    const files = (await this.places.in(ROOT, [])).filter(({ name }) => FORGOTTEN.includes(name));
    const [first] = files;
    if (first !== undefined && this.held === undefined) await this.hold(first);
    for (const file of files) await this.unlink(file);
    return `${files.length} files`;
  }

  /** Writes again what was deleted. */
  async remember(): Promise<string> {
    for (const [at, bytes] of [...this.remembered].entries()) await this.create(ROOT, `again ${at}`, bytes);
    return '';
  }

  /** Reads what is held open, and closes it. */
  async letGo(): Promise<string> {
    if (this.held === undefined) return 'nothing';
    const { handle, inode, token, kept } = this.held;
    this.held = undefined;
    try {
      const read = () => this.places.readAll(handle);
      return this.known(tokenOf(await this.places.steadyFile(inode, read)));
    } catch (error) {
      // An edit made elsewhere is seen by who has the file open, and its bytes may be elsewhere too.
      const now = this.pod.running?.tree.node(inode)?.content;
      if (kept && (now === undefined || now === `c${token}`))
        throw new Error('what was held open cannot be read any more', { cause: error });
      throw error;
    } finally {
      await this.files.release(handle);
    }
  }

  /** The pod has died: nothing of this user's is open any more. */
  lost(): void {
    this.busy = undefined;
    this.held = undefined;
  }

  private get files(): WormholeFileSystem {
    const { running } = this.pod;
    if (running === undefined) throw new WormholeError('closed', 'the pod is down');
    return running.files;
  }

  private get places(): Places {
    return new Places(this.pod, this.files);
  }

  private async do(verb: Verb): Promise<string> {
    if (verb === 'hold' && this.held !== undefined) return this.letGo();
    const places = await this.places.all();
    const folder = this.folderOf(places);
    const name = this.numbers.pick(NAMES);
    if (verb === 'create') return this.create(folder, name, this.bytes());
    if (verb === 'again')
      return this.create(folder, name, this.numbers.pick(this.remembered) ?? this.bytes());
    if (verb === 'folder') {
      await this.files.mkdir(folder, name, 0o755, CALLER);
      return name;
    }
    const candidates = places.filter(({ kind }) => kind === 'file' || OF_ANYTHING.includes(verb));
    if (candidates.length === 0) return this.create(folder, name, this.bytes());
    const at = this.numbers.pick(candidates);
    const target = {
      folder: verb === 'rename' ? at.parent : folder,
      name: verb === 'move' && !this.numbers.once(3) ? at.name : name,
    };
    return `${at.path.join('/')} ${await this.doTo(verb, at, target, candidates)}`;
  }

  private async doTo(
    verb: Verb,
    at: Place,
    to: { folder: InodeId; name: string },
    others: readonly Place[],
  ): Promise<string> {
    switch (verb) {
      case 'overwrite':
        return this.overwrite(at);
      case 'append':
      case 'patch':
      case 'cut':
        return this.write(at, verb);
      case 'save':
        return this.save(at);
      case 'rename':
      case 'move':
        return this.rename(at, to.folder, to.name);
      case 'exchange': {
        const other = this.numbers.pick(others);
        const flags = { noreplace: false, exchange: true };
        await this.files.rename(at.parent, at.name, other.parent, other.name, flags);
        return other.path.join('/');
      }
      case 'link':
        await this.files.link(at.inode, to.folder, to.name);
        return to.name;
      case 'unlink':
        return this.unlink(at);
      case 'remove':
        return this.removeAll(at);
      case 'hold':
        return this.hold(at);
      case 'sync':
        return this.sync(at);
      default:
        // It may be written elsewhere between two reads of one look.
        return this.known(await this.places.steady(at, () => this.places.token(at)));
    }
  }

  /** Bytes that nobody else has. */
  private bytes(): Buffer {
    const head = `${this.pod.name} ${this.stage.nowMs} ${this.serial++} `.padEnd(HEAD_BYTES);
    const large = this.numbers.once(12);
    const length = 1 + this.numbers.below(large ? LARGE_BYTES : SMALL_BYTES);
    const body = this.numbers.once(2) ? Buffer.alloc(length, 'x') : noise(this.numbers, length);
    return Buffer.concat([Buffer.from(head), body]);
  }

  private async create(folder: InodeId, name: string, bytes: Buffer): Promise<string> {
    const { handle, stat } = await this.files.create(folder, name, 0o644, WRITE, CALLER);
    return `${name} ${await this.fill(handle, stat.inode, bytes)}`;
  }

  /** Writes, closes, and sees to the promise that was made. */
  private async fill(handle: number, inode: InodeId, bytes: Buffer): Promise<string> {
    const token = tokenOf(bytes);
    this.account.begun(token);
    await this.files.write(handle, 0, bytes);
    const said = await this.close(handle, inode, token, bytes.length);
    this.remembered.push(bytes);
    if (this.remembered.length > REMEMBERED_MAX) this.remembered.shift();
    return said;
  }

  private async close(handle: number, inode: InodeId, token: string, bytes: number): Promise<string> {
    const before = this.numbers.once(6);
    if (before) await this.files.fsync(handle, false);
    await this.files.flush(handle);
    // What was deleted elsewhere before it was written to is no file any more, as for every program that has one open.
    const { nlink } = await this.files.stat(inode);
    const { nowMs: atMs } = this.stage;
    if (nlink > 0) this.account.wrote(token, { bytes, pod: this.pod.name, inode, atMs });
    if (before) this.account.synced(token);
    else if (this.careful || this.numbers.once(6)) {
      await this.files.fsync(handle, false);
      this.account.synced(token);
    }
    await this.files.release(handle);
    return `${token.slice(0, 8)} (${bytes})`;
  }

  private async overwrite(at: Place): Promise<string> {
    const bytes = this.bytes();
    await this.removing(at);
    const handle = await this.files.open(at.inode, { ...WRITE, truncate: true });
    return this.fill(handle, at.inode, bytes);
  }

  /** Some bytes at the end or over others, or the end cut off. */
  private async write(at: Place, how: 'append' | 'patch' | 'cut'): Promise<string> {
    const handle = await this.files.open(at.inode, { ...WRITE, read: true, append: how === 'append' });
    const before = await this.places.steady(at, () => this.places.readAll(handle));
    const found = await this.files.lookup(at.parent, at.name);
    if (found?.inode !== at.inode || before.length < HEAD_BYTES) {
      await this.files.release(handle);
      return 'gone';
    }
    const piece = how === 'cut' ? Buffer.alloc(0) : this.bytes();
    const offset = how === 'append' ? before.length : this.numbers.below(before.length + 1);
    const size = HEAD_BYTES + this.numbers.below(before.length - HEAD_BYTES + 1);
    const expected =
      how === 'cut'
        ? before.subarray(0, size)
        : Buffer.concat([before.subarray(0, offset), piece, before.subarray(offset + piece.length)]);
    const token = tokenOf(expected);
    this.account.begun(token);
    this.account.removing(tokenOf(before), this.stage.nowMs, token);
    if (how === 'cut') await this.files.setStat(at.inode, { size }, handle);
    else await this.files.write(handle, offset, piece);
    const now = await this.places.readAll(handle);
    if (!now.equals(expected)) throw new Error('what was written is not what is read');
    return this.close(handle, at.inode, token, now.length);
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
    await this.renameOver(at.parent, name, at.parent, at.name);
    return said;
  }

  private async rename(at: Place, folder: InodeId, name: string): Promise<string> {
    const over = await this.files.lookup(folder, name);
    const { places } = this;
    const kind =
      over === undefined || over.inode === at.inode ? undefined : await places.kindAt(folder, name);
    if (kind === 'file') {
      const place = { ...at, parent: folder, name, inode: (over as { inode: InodeId }).inode };
      await this.removing(place);
    }
    await this.renameOver(at.parent, at.name, folder, name);
    return `to ${name}`;
  }

  /** What is renamed over something is published first: by then something else may be there, and is replaced. */
  private async renameOver(from: InodeId, name: string, folder: InodeId, newName: string): Promise<void> {
    const { tree } = this.pod.running as Running;
    const seen = tree.lookup(folder, newName)?.content;
    let looked: Promise<unknown> | undefined;
    const { rename } = tree;
    tree.rename = (...seats) => {
      tree.rename = rename;
      const now = tree.lookup(seats[2], seats[3]);
      if (now?.kind === 'file' && now.content !== seen) looked = this.replaced(now);
      return rename.apply(tree, seats);
    };
    try {
      await this.files.rename(from, name, folder, newName, { noreplace: false, exchange: false });
    } finally {
      tree.rename = rename;
      await looked;
    }
  }

  private async replaced({ id, content }: Pick<Node, 'id' | 'content'>): Promise<void> {
    // Where its bytes cannot be had it is not known what they are called.
    const token = content.startsWith('c')
      ? content.slice(1)
      : await this.places.token({ inode: id }).catch(() => '');
    this.account.removing(token, this.stage.nowMs);
  }

  private async unlink(at: Place): Promise<string> {
    const token = await this.removing(at);
    await this.files.unlink(at.parent, at.name);
    return token.slice(0, 8);
  }

  /** `rm -rf`, entry by entry. */
  private async removeAll(at: Place): Promise<string> {
    if (at.kind !== 'directory') return this.unlink(at);
    for (const child of await this.places.in(at.inode, at.path)) await this.removeAll(child);
    await this.files.rmdir(at.parent, at.name);
    return '';
  }

  /** Opens a file and keeps it open: whatever becomes of it, it can be read. */
  private async hold(at: Place): Promise<string> {
    const handle = await this.files.open(at.inode, READ);
    const token = tokenOf(await this.places.readAll(handle));
    this.held = { handle, inode: at.inode, token, kept: this.pod.running?.content.isKept(token) === true };
    return this.known(token);
  }

  /** fsync of what somebody else may have written. */
  private async sync(at: Place): Promise<string> {
    const handle = await this.files.open(at.inode, { ...WRITE, read: true });
    await this.files.fsync(handle, false);
    await this.files.release(handle);
    return '';
  }

  private known(token: string): string {
    if (isContent(token) && !this.account.mayBe(token)) throw new Error(`read ${token}, which nobody wrote`);
    return token.slice(0, 8);
  }

  /** What is seen is about to be replaced or deleted, in this very turn. @returns what that is */
  private async removing(at: Place, by?: string): Promise<string> {
    const token = await this.places.steady(at, async () => {
      const found = await this.files.lookup(at.parent, at.name);
      if (found === undefined) throw new WormholeError('not-found', 'it is gone');
      at.inode = found.inode;
      return this.places.token(at);
    });
    this.account.removing(token, this.stage.nowMs, by);
    return token;
  }

  private folderOf(places: readonly Place[]): InodeId {
    const folders = places.filter(({ kind, inode }) => kind === 'directory' && inode !== LOST_FOUND);
    return this.numbers.pick([ROOT, ROOT, ...folders.map(({ inode }) => inode)]);
  }
}

/** What is done where an fsync follows. */
const CAREFUL: readonly Verb[] = ['create', 'create', 'overwrite', 'append', 'patch', 'cut', 'save', 'again'];

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
