import type { PodId } from '../base/index.js';
import { type Labelled, matchesLabels, type NetworkConfig, type Policy } from '../config/index.js';
import type { ChunkId } from '../content/index.js';
import type { Member } from '../membership/index.js';

/** A pod that may hold chunks. */
export interface Candidate extends Labelled {
  id: PodId;
  /** Its share grows in proportion: its capacity in bytes. */
  weight: number;
  /** It takes nothing more: what it has it keeps, and for what it lacks the next pod stands in. */
  full?: boolean;
}

/** What decides where the chunks of some files belong: the pods that may hold them, and what is asked of them. */
export interface Layout {
  self: PodId;
  policy: Policy;
  /** Pods that the rule allows, in the order of their ids. */
  candidates: readonly Candidate[];
  /** Copies that each chunk should have, where there are so many candidates. */
  copies: number;
  /** All of it belongs here, whatever else holds it: it is pinned on this pod by its own settings. */
  here: boolean;
  /** The candidates as the hash wants them. */
  readonly seats: readonly Seat[];
}

/** A candidate with what is known of it before any chunk is. */
interface Seat {
  id: PodId;
  weight: number;
  zone: string | undefined;
  /** Pinned pods come first, then preferred ones, then the others. */
  rank: number;
  full: boolean;
  high: number;
  low: number;
}

/** A pod without a declared capacity counts as one with so many bytes. */
const DEFAULT_WEIGHT = 1e12;

/** The members that may hold chunks under a configuration; portals never do. In the order of their ids.
 *  @param lost pods that are not counted on
 *  @param full pods that take nothing more */
export function candidatesOf(
  members: Iterable<Member>,
  config: NetworkConfig,
  lost: (pod: PodId) => boolean = () => false,
  full: (pod: PodId) => boolean = () => false,
): Candidate[] {
  const candidates: Candidate[] = [];
  for (const { id, name, role } of members) {
    const settings = config.pods.get(name);
    if ((settings?.role ?? role) === 'portal' || settings?.capacity === 0 || lost(id)) continue;
    const { zone, media, capacity = DEFAULT_WEIGHT } = settings ?? {};
    candidates.push({
      id,
      name,
      role: 'storage',
      weight: capacity,
      ...(zone === undefined ? {} : { zone }),
      ...(media === undefined ? {} : { media }),
      ...(full(id) ? { full: true } : {}),
    });
  }
  return candidates.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** @param all every pod that may hold anything, in the order of their ids */
export function layoutOf(self: PodId, all: readonly Candidate[], policy: Policy, here = false): Layout {
  // What is ignored belongs nowhere: it stays where it was made, since nothing lets go of it.
  const allowed = policy.ignore
    ? []
    : all.filter((pod) => matchesLabels(pod, policy.require) || policy.pin.includes(pod.name));
  const pinned = allowed.filter((pod) => policy.pin.includes(pod.name)).length;
  const prefers = Object.keys(policy.prefer).length > 0;
  const seats = allowed.map((pod): Seat => {
    const preferred = !prefers || matchesLabels(pod, policy.prefer);
    const rank = policy.pin.includes(pod.name) ? 0 : preferred ? 1 : 2;
    const [high, low] = [mix(word(pod.id, 0)), mix(word(pod.id, 8) ^ 0x9e3779b9)];
    return { id: pod.id, weight: pod.weight, zone: pod.zone, rank, full: pod.full === true, high, low };
  });
  return { self, policy, candidates: allowed, copies: Math.max(policy.copies, pinned), here, seats };
}

/**
 * The pods that should hold a chunk, the first being the likeliest: weighted rendezvous hashing (Thaler and
 * Ravishankar 1998; weights by Schindelhauer and Schomaker 2005). Every pod computes the same without asking,
 * and when a pod comes or goes only its own share moves. All candidates, where they are no more than the copies.
 * Where zones are asked for, pods of a zone that has a copy are passed over while another zone is still needed.
 * For each of them that is full the next one that is not is there too, behind them: it stands in for what that lacks.
 */
export function holders(id: ChunkId, layout: Layout): PodId[] {
  const { chosen, standIns } = seatsOf(id, layout);
  const pods: PodId[] = [];
  for (const seat of chosen) pods.push(seat.id);
  for (const seat of standIns) pods.push(seat.id);
  return pods;
}

/** The pods that a chunk falls to, and those that hold it where the full ones among these do not. */
export function holdersWithStandIns(id: ChunkId, layout: Layout): { full: PodId[]; standIns: PodId[] } {
  const { chosen, standIns } = seatsOf(id, layout);
  return {
    full: chosen.filter((seat) => seat.full).map((seat) => seat.id),
    standIns: standIns.map((seat) => seat.id),
  };
}

const NOBODY: Seat[] = [];

function seatsOf(id: ChunkId, layout: Layout): { chosen: Seat[]; standIns: Seat[] } {
  const order = inOrder(id, layout.seats);
  const chosen = choose(order, layout);
  let full = 0;
  for (const seat of chosen) if (seat.full) full++;
  if (full === 0) return { chosen, standIns: NOBODY };
  return { chosen, standIns: order.filter((seat) => !seat.full && !chosen.includes(seat)).slice(0, full) };
}

function choose(order: Seat[], { copies, policy }: Layout): Seat[] {
  if (policy.zones <= 1) return order.slice(0, copies);
  const chosen: Seat[] = [];
  const passed: Seat[] = [];
  const zones = new Set<string>();
  for (const seat of order) {
    if (chosen.length === copies) break;
    const isNew = seat.zone !== undefined && !zones.has(seat.zone);
    if (!isNew && policy.zones - zones.size >= copies - chosen.length) passed.push(seat);
    else {
      chosen.push(seat);
      if (seat.zone !== undefined) zones.add(seat.zone);
    }
  }
  // With too few zones, copies in one zone are better than none.
  return [...chosen, ...passed].slice(0, copies);
}

/** By rank, then by score, then by id; few enough for sorting by insertion. */
function inOrder(id: ChunkId, seats: readonly Seat[]): Seat[] {
  const high = word(id, 0);
  const low = word(id, 8);
  const order: Seat[] = [];
  const scores: number[] = [];
  // By index and in place: this runs for every chunk of a plan over all files.
  for (let i = 0; i < seats.length; i++) {
    const seat = seats[i] as Seat;
    const score = -seat.weight / Math.log(uniform(high, low, seat));
    let at = i;
    // The seats come in the order of their ids, so equals stay in that order.
    for (; at > 0 && comesBefore(seat, score, order[at - 1] as Seat, scores[at - 1] as number); at--) {
      order[at] = order[at - 1] as Seat;
      scores[at] = scores[at - 1] as number;
    }
    order[at] = seat;
    scores[at] = score;
  }
  return order;
}

function comesBefore(a: Seat, scoreA: number, b: Seat, scoreB: number): boolean {
  return a.rank !== b.rank ? a.rank < b.rank : scoreA > scoreB;
}

/**
 * A number between 0 and 1, both excluded, that depends on both ids evenly. Both are SHA-256 already, so mixing
 * 64 bits of each is enough. Part of the protocol: pods that mix otherwise would place otherwise.
 */
function uniform(chunkHigh: number, chunkLow: number, seat: Seat): number {
  const high = mix(chunkHigh ^ seat.high);
  const low = mix(high ^ chunkLow ^ seat.low);
  // 52 bits, and half of the last one so that it is never 0.
  return (high * 0x100000 + (low >>> 12) + 0.5) / 2 ** 52;
}

/** Eight hexadecimal digits as a number; by hand, since this runs for every chunk of a plan over all files. */
function word(hex: string, at: number): number {
  let value = 0;
  for (let i = at; i < at + 8; i++) {
    const code = hex.charCodeAt(i);
    value = (value << 4) | (code > DIGIT_9 ? code - LETTER_A + 10 : code - DIGIT_0);
  }
  return value >>> 0;
}

const [DIGIT_0, DIGIT_9, LETTER_A] = [0x30, 0x39, 0x61];

/** The finaliser of MurmurHash3: each input bit changes each output bit with a chance of one half. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
