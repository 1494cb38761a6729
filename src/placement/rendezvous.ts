import type { PodId } from '../base/index.js';
import type { NetworkConfig } from '../config/index.js';
import type { ChunkId } from '../content/index.js';
import type { Member } from '../membership/index.js';

/** A pod that may hold chunks. */
export interface Candidate {
  id: PodId;
  /** Its share grows in proportion: its capacity in bytes. */
  weight: number;
}

/** A pod without a declared capacity counts as one with so many bytes. */
const DEFAULT_WEIGHT = 1e12;

/** The members that may hold chunks under a configuration; portals never do. In the order of their ids. */
export function candidatesOf(members: Iterable<Member>, config: NetworkConfig): Candidate[] {
  const candidates: Candidate[] = [];
  for (const member of members) {
    const settings = config.pods.get(member.name);
    if ((settings?.role ?? member.role) === 'portal' || settings?.capacity === 0) continue;
    candidates.push({ id: member.id, weight: settings?.capacity ?? DEFAULT_WEIGHT });
  }
  return candidates.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * The pods that should hold a chunk, the first being the likeliest: weighted rendezvous hashing (Thaler and
 * Ravishankar 1998; weights by Schindelhauer and Schomaker 2005). Every pod computes the same without asking,
 * and when a pod comes or goes only its own share moves. All candidates, where they are no more than `copies`.
 */
export function holders(id: ChunkId, candidates: readonly Candidate[], copies: number): PodId[] {
  const scored = candidates.map((candidate) => ({
    id: candidate.id,
    score: -candidate.weight / Math.log(uniform(id, candidate.id)),
  }));
  scored.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
  return scored.slice(0, copies).map((candidate) => candidate.id);
}

/**
 * A number between 0 and 1, both excluded, that depends on both ids evenly. Both are SHA-256 already, so mixing
 * 64 bits of each is enough. Part of the protocol: pods that mix otherwise would place otherwise.
 */
function uniform(chunk: string, pod: string): number {
  const high = mix(word(chunk, 0) ^ mix(word(pod, 0)));
  const low = mix(high ^ word(chunk, 8) ^ mix(word(pod, 8) ^ 0x9e3779b9));
  // 52 bits, and half of the last one so that it is never 0.
  return (high * 0x100000 + (low >>> 12) + 0.5) / 2 ** 52;
}

function word(hex: string, at: number): number {
  return Number.parseInt(hex.slice(at, at + 8), 16);
}

/** The finaliser of MurmurHash3: each input bit changes each output bit with a chance of one half. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
