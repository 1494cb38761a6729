import type { Emitter, WormholeError } from '../base/index.js';
import type { History } from './history/history.js';
import type { NamedContent } from './index/contents.js';
import type { Revived } from './operations/revive.js';
import type { Conflict } from './resolver/conflicts.js';
import type { Attributes, Data, Heads, InodeId, Kind, OpId } from './schema.js';

export type { Conflict };

/** A visible inode, as readers see it. Objects are shared and must not be changed. */
export interface Node {
  id: InodeId;
  kind: Exclude<Kind, 'link'>;
  /** Bytes. */
  size: number;
  /** Nanoseconds since 1970. A folder's mtime and every ctime are this machine's own. */
  mtime: bigint;
  ctime: bigint;
  /** Permission bits, 07777. */
  mode: number;
  uid: number;
  gid: number;
  /** Names of a file; for a folder 2 + its subfolders. */
  nlink: number;
  /** Content id of a file ('' when empty), target of a symlink, `major:minor` of a device, else ''. */
  content: string;
  xattrs: { readonly [name: string]: Uint8Array };
  /** Parent and visible name of the inode itself (of its first name, where it has several). */
  parent: InodeId;
  name: string;
  /** Operation ids of the data values that a write at this name replaces; of those that are not yet in the
   *  document, ids that mean something to this tree only, also after a restart. */
  versions: readonly OpId[];
  /** Set when this is the losing value of a concurrent edit, shown beside the winner. */
  conflictOf?: InodeId;
}

export interface Entry {
  name: string;
  inode: InodeId;
  kind: Node['kind'];
}

/** An entry of a batch. */
export interface NewEntry {
  /** A folder, or the number in the batch of one that is made before. */
  parent: InodeId | number;
  name: string;
  data: Omit<Data, 'mtime'> & { mtime?: bigint };
  attributes: Attributes;
}

export interface TreeEvents extends Record<string, unknown> {
  /** Remote changes have landed in the index: what the kernel must forget. `names`: folder and entry, with what it
   *  led to before (null: nothing), where that is known. `contents`: files among the inodes with other bytes.
   *  `everything`: the index was built anew, and anything may be different. `of`: a bulk comes in parts, of so many
   *  inodes and names in all. */
  changed: {
    inodes: InodeId[];
    names: { parent: InodeId; name: string; before?: { inode: InodeId; kind: Node['kind'] } | null }[];
    contents?: InodeId[];
    everything?: true;
    of?: number;
  };
  /** The index has taken in changes, of this pod or of others, in these inodes; undefined: in any, it was built anew
   *  or took in a bulk. */
  indexed: { inodes: readonly InodeId[] | undefined };
  /** This pod has given entries other paths. */
  moved: { inodes: readonly InodeId[] };
  /** The document reached these heads, durably (local groups and remote batches alike). */
  advanced: { heads: Heads };
  /** Changes of this pod, durable here, to be pushed to peers. */
  changes: { changes: Uint8Array[]; heads: Heads };
  /** The engine's worker died or was restarted; the tree goes on serving from the index. */
  engine: { state: 'loading' | 'ready' | 'failed'; reason?: string };
}

/**
 * Names by CRDT. Reads and operations are synchronous, answered from the index and the operations that are
 * not yet in it; what an operation returned is seen by every later read. Operations are journaled before they
 * return (they survive the death of the process) and reach the document in groups.
 *
 * Operations throw WormholeError with the code whose errno POSIX asks for: `not-found`, `exists`, `not-empty`,
 * `not-a-directory`, `is-a-directory`, `invalid` (rename into its own subtree), `name-too-long`, `bad-name`,
 * `full`, `read-only`. Permissions are the kernel's business (default_permissions).
 */
export interface Tree {
  readonly events: Emitter<TreeEvents>;
  /** What was overwritten and deleted, and can be brought back. */
  readonly history: Pick<History, keyof History>;

  node(id: InodeId): Node | undefined;
  /** Operation ids by which a file was deleted; none for what was never there, or was not deleted. */
  deletionsOf(id: InodeId): readonly OpId[];
  /** The entry's inode, or undefined. */
  lookup(parent: InodeId, name: string): Node | undefined;
  /** Entries in a stable order, after the given name (exclusive), at most `limit`. */
  list(parent: InodeId, after: string | undefined, limit: number): Entry[];
  /** Walks `/a/b` from the root; undefined where a part is missing. Symlinks are not followed. */
  resolvePath(path: string): Node | undefined;
  /** The path of an inode, for messages and commands. */
  pathOf(id: InodeId): string;

  /** The conflict that an entry is part of, whether it has the name or not; undefined when it is in none. */
  conflictAt(parent: InodeId, name: string): Conflict | undefined;
  /** Conflicts of the inodes after one, of at most `limit` that are looked at; one may come several times. `next`:
   *  where to go on, undefined at the end. What waits for the document is not among them. */
  conflicts(after: InodeId | undefined, limit: number): { found: Conflict[]; next: InodeId | undefined };

  create(
    parent: InodeId,
    name: string,
    data: Omit<Data, 'mtime'> & { mtime?: bigint },
    attributes: Attributes,
  ): Node;
  /** Up to `LIMITS.bucketInodesMax` entries as one operation, for imports and large copies: many times cheaper
   *  than one after the other. All are made or none. */
  createMany(entries: readonly NewEntry[]): InodeId[];
  /** A further name of a file. */
  link(inode: InodeId, parent: InodeId, name: string): Node;
  /** Removes a name; the inode is returned as it was, and `gone` tells whether that was its last name. */
  unlink(parent: InodeId, name: string): { node: Node; gone: boolean };
  rmdir(parent: InodeId, name: string): Node;
  /** POSIX rename, with `noreplace` and `exchange`. Renaming a file over a file keeps the target's inode id for
   *  others: d(target) = d(source), source deleted. `replaced`: the node that lost its last name. `moved`: the
   *  inode that is at the new name afterwards (may differ from the source's). */
  rename(
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flags?: { noreplace?: boolean; exchange?: boolean },
  ): { moved: Node; replaced?: Node };
  /** Gives an entry the conflict name that it is shown under for its own, which ends the conflict. */
  keepBeside(parent: InodeId, name: string): void;
  /** Publishes content: `replaces` are the versions that the writer had opened. A file that was deleted elsewhere
   *  meanwhile comes back. The node's id is another when the inode was the losing value of a conflict (the write
   *  makes it a file of its own), or is shown as another one of equal bytes.
   *  @param owner what was set meanwhile and goes along
   *  @param ctime when that was; default: now */
  setData(
    inode: InodeId,
    data: { size: number; mtime: bigint; content: string },
    replaces: readonly OpId[],
    owner?: { mode?: number; uid?: number; gid?: number },
    ctime?: bigint,
  ): Node;
  /** Merges into the attributes; `undefined` leaves as is, `xattrs` replaces the whole set, `mtime: null` clears. */
  setAttributes(
    inode: InodeId,
    change: {
      mode?: number;
      uid?: number;
      gid?: number;
      mtime?: bigint | null;
      xattrs?: { [name: string]: Uint8Array };
    },
  ): Node;

  /** Brings deleted inodes back, with their attributes and contents, to these places (and the folders around them,
   *  where those are gone too), as one operation; those that are not deleted stay as they are. Who brings back many
   *  takes `LIMITS.restoredPerOperation` at a time. */
  revive(entries: readonly Revived[]): void;
  /** Gives a file a content again that it had; its chunks are here. @throws WormholeError `not-found` */
  restoreData(inode: InodeId, data: { size: number; mtime: bigint; content: string }): Node;
  /** As `create`, but told to the kernel, which did not ask for it. */
  restoreCopy(parent: InodeId, name: string, data: Data, attributes: Attributes): Node;
  /** Forgets the history that was noted more than `periodMs` ago, in time that this store was open. */
  forgetHistory(periodMs: number): Promise<void>;

  /** Set while too many operations wait for the document: whoever makes operations in numbers (fs/) waits for
   *  it before the next one. Beyond a far higher limit operations throw `busy`. */
  congested(): Promise<void> | undefined;

  /** Why nothing can be changed here any more, until the tree is opened anew. */
  readonly refusal: WormholeError | undefined;
  /** Number of the last operation: right after the start, of the last that survived. */
  reached(): number;
  /** Resolves when everything returned so far survives a power cut here, and the contents that it names. */
  flush(): Promise<void>;
  /** Resolves when everything returned so far is in the document and durable; with its heads. */
  commit(): Promise<Heads>;

  /** The heads that are durable here; empty while the document loads. */
  heads(): Heads;
  /** True when the document here has all of `heads`. */
  contains(heads: Heads): Promise<boolean>;
  counts(): {
    files: number;
    directories: number;
    bytes: number;
    conflicts: number;
    /** Inodes of which nothing to show fits the schema: of a newer version, or a hostile member. */
    ignored: number;
    pendingOperations: number;
  };
  /** All distinct (inode, content id, size) of files, in a stable order, for placement; resumable after an inode. */
  contents(after: InodeId | undefined, limit: number): NamedContent[];

  /** As `contents`, of one inode. */
  contentsAt(inode: InodeId): string[];

  /** Anti-entropy with one peer, by Automerge's sync protocol; the state per peer is kept. */
  sync: {
    /** The next message for the peer, or undefined when there is nothing to say now. */
    generate(peer: string): Promise<Uint8Array | undefined>;
    /** Resolves, when what it brought is durable, with the heads to acknowledge.
     *  @throws WormholeError `protocol` when the message is not valid; nothing was applied */
    receive(peer: string, message: Uint8Array): Promise<Heads>;
    /** Pushed changes of a peer; those whose dependencies are missing wait for anti-entropy.
     *  Resolves, when they are durable, with the heads to acknowledge. */
    apply(changes: readonly Uint8Array[]): Promise<Heads>;
    /** Forgets the conversation (the link is gone), keeps what the peer is known to have. */
    disconnect(peer: string): Promise<void>;
    /** The whole document for a peer whose own is empty; undefined when it is small enough for plain sync. */
    snapshot(): Promise<Uint8Array | undefined>;
    /** Starts this pod's empty document from a peer's snapshot, whose bytes are given away; resolves when it is durable here.
     *  @throws WormholeError `protocol` when it is not valid or of another network, `exists` when not empty */
    adopt(snapshot: Uint8Array): Promise<Heads>;
  };
  close(): Promise<void>;
}
