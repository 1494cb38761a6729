import { type Clock, Emitter, LIMITS, type Log, WormholeError } from '../base/index.js';
import type { Database, LogPosition, UnflushedSession } from '../store/index.js';
import { derivedInode, type InodeAllocator } from './engine/allocator.js';
import type { EngineClient, EngineEvents } from './engine/client.js';
import { History } from './history/history.js';
import { conflictsOf } from './index/conflicts.js';
import type { Journal } from './index/journal.js';
import type { Overlay } from './index/overlay.js';
import { type AttributeChange, type OwnerChange, setAttributes, setData } from './operations/change.js';
import { keepBeside } from './operations/conflict.js';
import { create, createMany, link } from './operations/create.js';
import { seenBy, withRealIds } from './operations/real-ids.js';
import { rmdir, unlink } from './operations/remove.js';
import { type RenameFlags, rename } from './operations/rename.js';
import { type Revived, revive } from './operations/revive.js';
import type { View } from './operations/view.js';
import { Publisher } from './publisher.js';
import { conflictAt } from './resolver/conflicts.js';
import { parseConflictInode, type Seat } from './resolver/tables.js';
import { listNames, lookupName, pathOf, resolvePath, viewNode } from './resolver/view.js';
import type { Attributes, Data, Heads, InodeId, Operation, OpId, RegisterWrite } from './schema.js';
import type { Entry, NewEntry, Node, Tree, TreeEvents } from './tree.js';

/** What the tree asks of the store of contents. */
export interface Contents {
  /** Up to where the log goes that holds the contents published so far. */
  reached(): LogPosition;
  /** Resolves when all of them survive a power cut. */
  flush(): Promise<void>;
}

export interface TreeParts {
  database: Database;
  /** The database's commits are not flushed before it ends. */
  session: UnflushedSession;
  journal: Journal;
  overlay: Overlay;
  engine: EngineClient;
  allocator: InodeAllocator;
  clock: Clock;
  log: Log;
  beforePublish?: (contents: string[]) => Promise<void>;
  contents?: Contents;
  replayed: Operation[];
}

/** The façade: decides operations on the overlay, journals them, hands them on; answers reads from the overlay. */
export class WormholeTree implements Tree {
  readonly events = new Emitter<TreeEvents>();
  readonly sync: Tree['sync'];
  readonly history: History;
  private readonly database: Database;
  private readonly session: UnflushedSession;
  private readonly journal: Journal;
  private readonly overlay: Overlay;
  private readonly engine: EngineClient;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly contentStore: Contents | undefined;
  private readonly publisher: Publisher;
  private readonly view: View;
  private readonly stopListening: (() => void)[];
  private relief: { promise: Promise<void>; resolve: () => void } | undefined;
  private engineState: EngineEvents['state']['state'] = 'loading';
  private closing: Promise<void> | undefined;

  constructor(parts: TreeParts) {
    const { database, journal, overlay, engine, allocator, clock, log, replayed } = parts;
    this.database = database;
    this.session = parts.session;
    this.journal = journal;
    this.overlay = overlay;
    this.engine = engine;
    this.clock = clock;
    this.log = log;
    this.contentStore = parts.contents;
    this.view = {
      tables: overlay.tables,
      node: (id) => this.node(id),
      allocate: () => allocator.next(),
      allocateSeveral: (count) => allocator.several(count),
      time: 0n,
    };
    this.history = new History(
      database,
      (inode) => overlay.tables.row(inode),
      () => clock.monotonicMs(),
    );
    this.sync = {
      generate: (peer) => engine.generate(peer),
      receive: (peer, message) => engine.receive(peer, message),
      apply: (changes) => engine.applyChanges(changes),
      disconnect: (peer) => engine.disconnect(peer),
      snapshot: () => engine.snapshotForPeer(),
      adopt: (snapshot) => engine.adoptSnapshot(snapshot),
    };
    this.stopListening = [
      engine.events.on('echo', (echo) => this.echoed(echo)),
      engine.events.on('shown', (part) => this.shown(part)),
      engine.events.on('durable', (durable) => this.durable(durable)),
      engine.events.on('changes', (changes) => this.events.emit('changes', changes)),
      engine.events.on('state', (state) => this.changeState(state)),
    ];
    const beforePublish = parts.beforePublish ?? (() => Promise.resolve());
    this.publisher = new Publisher({
      engine,
      journal,
      beforePublish,
      clock,
      log,
      replayed,
      onTrouble: (reason) => this.trouble(reason),
    });
  }

  // ---- reads

  deletionsOf(id: InodeId): readonly OpId[] {
    const registers = this.overlay.tables.row(id)?.registers;
    return registers?.d.at(-1)?.value.kind === 'file' ? registers.x.map((deletion) => deletion.id) : [];
  }

  node(id: InodeId): Node | undefined {
    const { tables } = this.overlay;
    const node = viewNode(tables, id);
    if (node !== undefined) return node;
    // A losing value that became an inode of its own goes on under the id by which somebody may hold it.
    const virtual = parseConflictInode(id);
    return virtual === undefined ? undefined : viewNode(tables, derivedInode(virtual.version));
  }

  lookup(parent: InodeId, name: string): Node | undefined {
    return lookupName(this.overlay.tables, parent, name);
  }

  list(parent: InodeId, after: string | undefined, limit: number): Entry[] {
    return listNames(this.overlay.tables, parent, after, limit);
  }

  resolvePath(path: string): Node | undefined {
    return resolvePath(this.overlay.tables, path);
  }

  pathOf(id: InodeId): string {
    return pathOf(this.overlay.tables, id);
  }

  counts(): ReturnType<Tree['counts']> {
    return { ...this.overlay.counts(), pendingOperations: this.overlay.depth };
  }

  contents(after: InodeId | undefined, limit: number): ReturnType<Tree['contents']> {
    return this.overlay.contents(after, limit);
  }

  contentsAt(inode: InodeId): string[] {
    return this.overlay.contentsAt(inode).map(({ content }) => content);
  }

  conflictAt(parent: InodeId, name: string): ReturnType<Tree['conflictAt']> {
    return conflictAt(this.overlay.tables, parent, name);
  }

  conflicts(after: InodeId | undefined, limit: number): ReturnType<Tree['conflicts']> {
    return conflictsOf(this.overlay.tables, this.overlay.rows(after), limit);
  }

  // ---- operations

  create(
    parent: InodeId,
    name: string,
    data: Omit<Data, 'mtime'> & { mtime?: bigint },
    attributes: Attributes,
  ): Node {
    const view = this.begin();
    const { inode, writes } = create(view, parent, name, { mtime: view.time, ...data }, attributes);
    this.commitWrites(writes, [{ parent, name }]);
    return this.nodeAfter(inode);
  }

  createMany(entries: readonly NewEntry[]): InodeId[] {
    const { inodes, writes } = createMany(this.begin(), entries);
    if (writes.length > 0) this.commitWrites(writes);
    // Not the kernel's own doing; what lies in folders of the batch it has not seen.
    this.tellAll(inodes.filter((_, at) => typeof entries[at]?.parent === 'string'));
    return inodes;
  }

  link(inode: InodeId, parent: InodeId, name: string): Node {
    const made = link(this.begin(), inode, parent, name);
    this.commitWrites(made.writes, [{ parent, name }]);
    if (made.inode !== inode) this.events.emit('moved', { inodes: [made.inode] });
    return this.nodeAfter(made.inode);
  }

  unlink(parent: InodeId, name: string): { node: Node; gone: boolean } {
    const { node, gone, writes } = unlink(this.begin(), parent, name);
    this.commitWrites(writes, [{ parent, name }], true);
    return { node, gone };
  }

  rmdir(parent: InodeId, name: string): Node {
    const { node, writes } = rmdir(this.begin(), parent, name);
    this.commitWrites(writes, [{ parent, name }], true);
    return node;
  }

  rename(
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flags: RenameFlags = {},
  ): { moved: Node; replaced?: Node } {
    const [from, to] = [
      { parent, name },
      { parent: newParent, name: newName },
    ];
    const { writes, inode, replaced } = rename(this.begin(), from, to, flags);
    if (writes.length > 0) {
      this.commitWrites(writes, [from, to]);
      const other = flags.exchange ? this.lookup(parent, name) : undefined;
      this.events.emit('moved', { inodes: other === undefined ? [inode] : [inode, other.id] });
    }
    const moved = this.nodeAfter(inode);
    return replaced === undefined ? { moved } : { moved, replaced };
  }

  keepBeside(parent: InodeId, name: string): void {
    this.commitWrites(keepBeside(this.begin(), parent, name));
  }

  setData(
    inode: InodeId,
    data: { size: number; mtime: bigint; content: string },
    replaces: readonly OpId[],
    owner: OwnerChange = {},
    ctime?: bigint,
  ): Node {
    const view = this.begin();
    if (ctime !== undefined) view.time = ctime;
    const changed = setData(view, inode, data, replaces, owner);
    this.commitWrites(changed.writes);
    return this.nodeAfter(changed.inode);
  }

  setAttributes(inode: InodeId, change: AttributeChange): Node {
    const changed = setAttributes(this.begin(), inode, change);
    this.commitWrites(changed.writes);
    // A losing value has become a file of its own.
    if (changed.inode !== inode) this.events.emit('moved', { inodes: [changed.inode] });
    return this.nodeAfter(changed.inode);
  }

  revive(entries: readonly Revived[]): void {
    const writes = revive(this.begin(), entries);
    if (writes.length === 0) return;
    this.commitWrites(writes);
    this.tellAll(writes.map(({ inode }) => inode));
  }

  restoreData(inode: InodeId, data: { size: number; mtime: bigint; content: string }): Node {
    const { id, versions } = this.nodeAfter(inode);
    const node = this.setData(id, data, versions);
    this.tellAll([node.id]);
    return node;
  }

  restoreCopy(parent: InodeId, name: string, data: Data, attributes: Attributes): Node {
    const node = this.create(parent, name, data, attributes);
    this.tellAll([node.id]);
    return node;
  }

  congested(): Promise<void> | undefined {
    if (this.engineState !== 'ready' && this.engineState !== 'loading') return undefined;
    if (this.overlay.pendingWrites < LIMITS.pendingOperationsHigh) return undefined;
    if (this.relief === undefined) {
      let resolve = () => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.relief = { promise, resolve };
    }
    return this.relief.promise;
  }

  forgetHistory(periodMs: number): Promise<void> {
    return this.engine.forgetHistory(periodMs);
  }

  // ---- durability

  get refusal(): WormholeError | undefined {
    return this.journal.refusal;
  }

  reached(): number {
    return this.journal.next - 1;
  }

  async flush(): Promise<void> {
    await Promise.all([this.journal.sync(), this.contentStore?.flush()]);
  }

  async commit(): Promise<Heads> {
    await this.publisher.drain();
    return this.engine.commit();
  }

  heads(): Heads {
    return this.engine.heads();
  }

  contains(heads: Heads): Promise<boolean> {
    return this.engine.contains(heads);
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  // ---- within

  private begin(): View {
    if (this.closing !== undefined) throw new WormholeError('closed', 'the tree is closed');
    if (this.overlay.pendingWrites >= LIMITS.pendingOperationsMax) {
      throw new WormholeError('busy', 'too many changes wait for the document: try again later');
    }
    this.view.time = this.clock.wallNs();
    return this.view;
  }

  /** From here on the operation has happened: it is journaled, then shown, then handed on.
   *  @param asked the names it is about, which whoever asked knows of */
  private commitWrites(writes: RegisterWrite[], asked: readonly Seat[] = [], removes = false): void {
    const operation: Operation = {
      seq: this.journal.next,
      seen: seenBy(writes, this.overlay.echoed),
      time: this.view.time,
      writes: writes.map((write) => withRealIds(write, (inode) => this.overlay.seenBefore(inode))),
    };
    const needs = writes.some(namesContent) ? this.contentStore?.reached() : undefined;
    this.journal.append(operation, removes, needs);
    const touched = this.overlay.apply(operation);
    this.publisher.add(operation);
    this.tellAside(touched, asked);
  }

  /** An operation may change further names (a conflict copy gets its plain name back), which nobody asked for. */
  private tellAside(touched: readonly Seat[], asked: readonly Seat[]): void {
    const isAsked = ({ parent, name }: Seat) =>
      asked.some((seat) => seat.parent === parent && seat.name === name);
    const names = touched.filter((seat) => !isAsked(seat));
    if (names.length > 0) this.events.emit('changed', { inodes: [], names });
  }

  private nodeAfter(inode: InodeId): Node {
    const node = this.node(inode);
    if (node === undefined)
      throw new WormholeError('internal', `${inode} is not visible after its own change`);
    return node;
  }

  /** What the kernel did not ask for itself, it has to hear of. */
  private tellAll(inodes: readonly InodeId[]): void {
    const nodes = inodes.map((inode) => this.node(inode)).filter((node) => node !== undefined);
    const names = nodes.map(({ parent, name }) => ({ parent, name }));
    const folders = new Set(names.map(({ parent }) => parent));
    this.events.emit('changed', { inodes: [...nodes.map(({ id }) => id), ...folders], names });
  }

  private echoed(echo: EngineEvents['echo']): void {
    const { generation } = this.overlay;
    const different = this.overlay.echo(echo);
    const rebuilt = generation !== this.overlay.generation;
    const isAll = rebuilt || echo.of !== undefined;
    this.events.emit('indexed', { inodes: isAll ? undefined : echo.change.inodes });
    const bulk = echo.of === undefined ? {} : { of: echo.of };
    if (rebuilt) this.events.emit('changed', { inodes: [], names: [], everything: true });
    else if (different.inodes.length > 0 || different.names.length > 0)
      this.events.emit('changed', { ...different, ...bulk });
    if (this.relief !== undefined && this.overlay.pendingWrites < LIMITS.pendingOperationsHigh / 2)
      this.relieve();
  }

  private shown({ change, of }: EngineEvents['shown']): void {
    this.events.emit('changed', { ...this.overlay.shown(change), of });
  }

  private durable({ heads, seq }: EngineEvents['durable']): void {
    this.journal
      .drop(Math.min(seq, this.overlay.echoed))
      .catch((error) => this.log.warn('the journal could not be tidied', { error }));
    this.events.emit('advanced', { heads });
  }

  private changeState({ state, reason }: EngineEvents['state']): void {
    this.engineState = state;
    if (state !== 'ready' && state !== 'loading') this.relieve();
    const shown =
      state === 'waiting' || state === 'ready' ? 'ready' : state === 'loading' ? 'loading' : 'failed';
    this.events.emit('engine', reason === undefined ? { state: shown } : { state: shown, reason });
  }

  /** Operations do not reach the document although it is there; undefined: they do again. */
  private trouble(reason: string | undefined): void {
    if (reason !== undefined) this.events.emit('engine', { state: 'failed', reason });
    else if (this.engineState === 'ready') this.events.emit('engine', { state: 'ready' });
  }

  /** Resolves when the index shows what the document holds. @throws why that did not load */
  async loaded(): Promise<void> {
    await this.engine.ready;
  }

  private relieve(): void {
    this.relief?.resolve();
    this.relief = undefined;
  }

  private async closeAll(): Promise<void> {
    this.relieve();
    await this.publisher.stop();
    await this.engine.close();
    for (const stop of this.stopListening) stop();
    await this.journal.close();
    await this.database.close();
    this.session.end();
  }
}

function namesContent({ d }: RegisterWrite): boolean {
  return d?.kind === 'file' && d.content !== '';
}
