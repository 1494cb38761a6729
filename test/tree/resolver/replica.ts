import {
  type Attributes,
  compareOpIds,
  type Data,
  type InodeId,
  type Location,
  type OpId,
  type RegisterName,
  type Registers,
  type Tombstone,
  type Versioned,
} from '../../../src/tree/schema.js';
import { WatchedTables } from './helpers.js';

type Value = Location | Data | Attributes | Tombstone;

/** One put into a register: it replaces what its writer saw there. */
interface Put {
  id: OpId;
  inode: InodeId;
  register: RegisterName;
  value: Value;
  replaces: OpId[];
}

/** One operation of a user, whole; travels as it is. */
interface Packet {
  id: string;
  puts: Put[];
}

/**
 * A pod in the simulation: registers that keep all concurrent values as Automerge does, and the resolver over
 * them, fed change by change. Packets travel in an order in which none comes before what its writer had seen.
 */
export class Replica {
  readonly watched = new WatchedTables();
  readonly actor: string;
  readonly packets: Packet[] = [];
  /** Contents that a user took away or replaced on purpose. */
  readonly removed = new Set<string>();
  /** Contents that a user wrote. */
  readonly written = new Set<string>();
  /** Whether each step is watched closely: it is slow. */
  watch = false;
  private readonly known = new Set<string>();
  private readonly registers = new Map<InodeId, Registers>();
  private readonly replaced = new Set<OpId>();
  private counter = 0;
  private serial = 0;
  private open: Packet | undefined;

  constructor(actor: string) {
    this.actor = actor;
  }

  get tables() {
    return this.watched.tables;
  }

  allocate(): InodeId {
    return `${this.actor.slice(0, 4)}/${this.serial++}`;
  }

  of(inode: InodeId): Registers {
    return this.registers.get(inode) ?? { l: [], d: [], a: [], x: [] };
  }

  /** Every put that `work` makes becomes one change. */
  commit(work: () => void): void {
    this.open = { id: `${this.actor}:${this.packets.length}`, puts: [] };
    work();
    const { open } = this;
    this.open = undefined;
    if (open.puts.length === 0) return;
    this.keep(open);
    this.show(open.puts.map(({ inode }) => inode));
  }

  put(inode: InodeId, register: RegisterName, value: Value): OpId {
    const id = `${++this.counter}@${this.actor}`;
    const replaces = this.of(inode)[register].map((version) => version.id);
    const put: Put = { id, inode, register, value, replaces };
    this.open!.puts.push(put);
    this.take(put);
    return id;
  }

  /** Takes up to `limit` packets of another pod, in one go or in pieces. */
  receive(from: Replica, limit: number, pieces: number): void {
    const fresh = from.packets.filter(({ id }) => !this.known.has(id)).slice(0, limit);
    const size = Math.max(1, Math.ceil(fresh.length / pieces));
    for (let at = 0; at < fresh.length; at += size) {
      const touched = new Set<InodeId>();
      for (const packet of fresh.slice(at, at + size)) {
        for (const put of packet.puts) {
          this.take(put);
          touched.add(put.inode);
        }
        this.keep(packet);
      }
      this.show(touched);
    }
  }

  all(): [InodeId, Registers][] {
    return [...this.registers];
  }

  private keep(packet: Packet): void {
    this.packets.push(packet);
    this.known.add(packet.id);
  }

  private show(touched: Iterable<InodeId>): void {
    const changes = [...new Set(touched)].map((inode) => ({ inode, registers: this.registers.get(inode) }));
    this.watched.resolve(changes, this.watch);
  }

  /** Values that nobody replaced stay beside each other, in the order of their ids. */
  private take({ id, inode, register, value, replaces }: Put): void {
    this.counter = Math.max(this.counter, Number(id.split('@')[0]));
    for (const old of replaces) this.replaced.add(old);
    const before = this.of(inode);
    const list = [...(before[register] as Versioned<Value>[]), { id, value }]
      .filter((version) => !this.replaced.has(version.id))
      .sort((a, b) => compareOpIds(a.id, b.id));
    this.registers.set(inode, { ...before, [register]: list });
  }
}
