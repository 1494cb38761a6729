import { decodeCbor, encodeCbor } from '../base/cbor.js';
import { type Clock, Emitter, type PodId } from '../base/index.js';
import type { Link, Links } from '../net/index.js';
import type { Database } from '../store/index.js';

const MESSAGE = 'presence';
const TABLE = 'membership-presence';
const STATE_LENGTH_MAX = 64;
const HOT_MAX = 100;
const INODE_LENGTH_MAX = 256;

/** What a pod says about itself now. */
export interface Status {
  /** Bytes that its disk has free. */
  free: number;
  /** Bytes it may fill, if that is limited. */
  capacity?: number;
  /** Files that should be on it and that it cannot get from anybody. */
  missing?: number;
  /** It takes nothing more. */
  full?: boolean;
  /** Files that are opened most on it, by inode, and how often lately. */
  hot?: readonly (readonly [string, number])[];
  /** A word for people: `ready`, `loading`, `full` … */
  state: string;
}

export interface Presence {
  /** As it said while linked; absent when it never did since the start. */
  status?: Status;
  /** Wall clock here, milliseconds: when a link to it last stood. Absent: never. */
  lastSeen?: number;
}

export interface PresenceEvents extends Record<string, unknown> {
  changed: PodId;
}

/** Who is about and how they are: told over links, never kept in the shared document. */
export class PresenceBoard {
  readonly events = new Emitter<PresenceEvents>();
  private readonly database: Database;
  private readonly clock: Clock;
  private readonly isMember: (pod: PodId) => boolean;
  private readonly told = new Map<PodId, Status>();
  private own: Status | undefined;
  private links: Links | undefined;
  private readonly detach: (() => void)[] = [];

  constructor(options: { database: Database; clock: Clock; isMember: (pod: PodId) => boolean }) {
    this.database = options.database;
    this.clock = options.clock;
    this.isMember = options.isMember;
  }

  attach(links: Links): void {
    this.links = links;
    links.handle(MESSAGE, (link, body) => this.receive(link, body));
    this.detach.push(
      links.events.on('up', (link) => {
        if (this.own !== undefined) link.send(MESSAGE, this.own);
      }),
      links.events.on('down', ({ link }) => {
        this.saw(link.peer);
        this.events.emit('changed', link.peer);
      }),
    );
  }

  /** Tells the linked pods how this one is; those that link later are told then. */
  tell(status: Status): void {
    this.own = status;
    for (const link of this.links?.list() ?? []) link.send(MESSAGE, status);
  }

  of(pod: PodId): Presence {
    const status = this.told.get(pod);
    const linked = this.links?.get(pod) !== undefined;
    const lastSeen = linked ? this.now() : this.stored(pod);
    return { ...(status && linked ? { status } : {}), ...(lastSeen === undefined ? {} : { lastSeen }) };
  }

  close(): void {
    for (const detach of this.detach.splice(0)) detach();
    for (const link of this.links?.list() ?? []) this.saw(link.peer);
    this.links = undefined;
  }

  private receive(link: Link, body: unknown): void {
    const status = parseStatus(body);
    if (status === undefined || !this.isMember(link.peer)) return;
    this.told.set(link.peer, status);
    this.events.emit('changed', link.peer);
  }

  /** Only for show, so a full disk is no reason to fail. */
  private saw(pod: PodId): void {
    this.database
      .write([{ table: TABLE, key: pod, value: encodeCbor({ seen: this.now() }) }])
      .catch(() => {});
  }

  private stored(pod: PodId): number | undefined {
    const value = this.database.table(TABLE).get(pod);
    const seen = value === undefined ? undefined : (decodeCbor(value) as { seen?: unknown }).seen;
    return typeof seen === 'number' ? seen : undefined;
  }

  private now(): number {
    return Number(this.clock.wallNs() / 1_000_000n);
  }
}

/** A peer's own words, or undefined when they make no sense. */
export function parseStatus(body: unknown): Status | undefined {
  const { free, capacity, missing, full, hot, state } = (body ?? {}) as { [name: string]: unknown };
  if (!isBytes(free) || typeof state !== 'string' || state.length > STATE_LENGTH_MAX) return undefined;
  return {
    free,
    state,
    ...(isBytes(capacity) ? { capacity } : {}),
    ...(isBytes(missing) ? { missing } : {}),
    ...(full === true ? { full } : {}),
    ...(isHot(hot) ? { hot } : {}),
  };
}

function isHot(value: unknown): value is [string, number][] {
  if (!Array.isArray(value) || value.length > HOT_MAX) return false;
  return value.every((entry: unknown) => {
    const [inode, opens] = Array.isArray(entry) ? entry : [];
    return typeof inode === 'string' && inode.length <= INODE_LENGTH_MAX && isBytes(opens);
  });
}

function isBytes(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
