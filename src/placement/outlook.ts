import { type Clock, LIMITS, type Log, type PodId } from '../base/index.js';
import {
  defaultNetworkConfig,
  type NetworkConfig,
  Policies,
  type Policy,
  type Response,
  readNetworkConfig,
} from '../config/index.js';
import type { ContentStore } from '../content/index.js';
import type { Membership } from '../membership/index.js';
import { Absence } from './absence.js';
import { Layouts } from './layouts.js';
import type { Peers } from './peers.js';
import { type Judgement, judge } from './posture.js';
import { candidatesOf } from './rendezvous.js';

/** With less free than this a pod takes nothing more, until it has twice as much. */
const FULL_FREE_BYTES = LIMITS.freeFloorBytes;
/** The same of a capacity that is declared. */
const FULL_SHARE = 0.98;
const ROOMY_SHARE = 0.95;

export interface OutlookOptions {
  membership: Pick<Membership, 'self' | 'members' | 'declared' | 'presenceOf'>;
  peers: Pick<Peers, 'linked'>;
  content: Pick<ContentStore, 'usage'>;
  /** Paths that are wholly here, by this pod's own settings. */
  pins?: ((config: NetworkConfig) => readonly string[]) | undefined;
  /** Bytes that this pod may fill. */
  capacity?: ((config: NetworkConfig) => number | undefined) | undefined;
  /** Contents that this pod should have and cannot get, and bytes that it is still to copy. */
  lacking: () => { files: number; bytes: number };
  clock: Pick<Clock, 'monotonicMs'>;
  log: Log;
}

/** What may be done with a file now: anything; all but writing; nothing. */
export type Access = 'open' | 'read-only' | 'stopped';

/** What came of a look. */
export interface Changes {
  /** The judgement before it. */
  before: Judgement;
  /** Something belongs elsewhere now; `lost`: since a pod is gone. */
  places: boolean;
  lost: boolean;
}

/** What is declared, who is about and who is full, as this pod sees it, and what follows from that for every path. */
export class Outlook {
  private readonly options: OutlookOptions;
  private readonly absence: Absence;
  /** Pods that take nothing more, by their own word; also while they are silent. */
  private readonly full = new Set<PodId>();
  private declared: { text: string | undefined; policies: Policies };
  private judgementNow: Judgement;
  private layoutsNow: Layouts;
  private restrictsNow = false;

  constructor(options: OutlookOptions) {
    this.options = options;
    this.absence = new Absence(options.membership.self);
    this.declared = { text: undefined, policies: new Policies(defaultNetworkConfig()) };
    this.readConfig();
    this.judgementNow = this.judge();
    this.layoutsNow = this.readLayouts();
  }

  get policies(): Policies {
    return this.declared.policies;
  }

  get config(): NetworkConfig {
    return this.declared.policies.config;
  }

  get judgement(): Judgement {
    return this.judgementNow;
  }

  get layouts(): Layouts {
    return this.layoutsNow;
  }

  /** True when some files may not be written or opened now; only then {@link access} need be asked. */
  get restricts(): boolean {
    return this.restrictsNow;
  }

  /** True when no rule keeps anything out of caches. */
  get cachesAll(): boolean {
    return this.config.rules.every(({ cache }) => cache !== false);
  }

  /** True when this pod takes nothing more. */
  get isFull(): boolean {
    return this.full.has(this.options.membership.self);
  }

  access(path: string): Access {
    const access = accessUnder(this.policies.of(path), this.judgement);
    return access === 'open' && this.config.frozen ? 'read-only' : access;
  }

  /** True when copies of files under a policy are to be made slowly now. */
  throttles(policy: Policy): boolean {
    return this.judgement.responses(policy).includes('throttle');
  }

  /** Members, the declaration, or who is about may no longer be as they were. */
  look(): Changes {
    const { membership, peers, clock } = this.options;
    const members = membership.members().map((member) => member.id);
    this.absence.look(members, peers.linked(), clock.monotonicMs());
    this.readConfig();
    this.lookForRoom();
    const before = this.judgement;
    this.judgementNow = this.judge();
    this.restrictsNow =
      this.config.frozen ||
      this.policies.all().some(({ policy }) => accessUnder(policy, this.judgement) !== 'open');
    return { before, ...this.relayout() };
  }

  /** Layouts under another declaration, in no crisis. */
  layoutsUnder(config: NetworkConfig): Layouts {
    const { membership } = this.options;
    const candidates = candidatesOf(membership.members(), config);
    const pins = this.options.pins?.(config) ?? [];
    return new Layouts({ self: membership.self, candidates, policies: new Policies(config), pins });
  }

  private relayout(): { places: boolean; lost: boolean } {
    const [before, layouts] = [this.layouts, this.readLayouts()];
    const same = layouts.fingerprint === before.fingerprint && layouts.pinned === before.pinned;
    if (same) {
      // What belongs where is the same; what is done in a crisis may not be.
      if (layouts.policies !== before.policies) this.layoutsNow = layouts;
      return { places: false, lost: false };
    }
    this.layoutsNow = layouts;
    const lost = before.candidates.some((pod) => !layouts.candidates.some((other) => other.id === pod.id));
    return { places: true, lost };
  }

  private readLayouts(): Layouts {
    const { membership } = this.options;
    const { policies } = this;
    const lost = this.lost();
    const isLost = (pod: PodId) => lost.has(pod);
    const isFull = (pod: PodId) => this.full.has(pod);
    const candidates = candidatesOf(membership.members(), policies.config, isLost, isFull);
    const { judgement } = this;
    const responses = (policy: Policy) => judgement.responses(policy);
    const pins = this.options.pins?.(policies.config) ?? [];
    return new Layouts({ self: membership.self, candidates, policies, pins, responses });
  }

  /** Who takes nothing more. This pod's own word has some slack, lest it changes with every file. */
  private lookForRoom(): void {
    const { membership, peers, content } = this.options;
    for (const pod of peers.linked()) {
      const { status } = membership.presenceOf(pod);
      if (status === undefined) continue;
      if (status.full === true) this.full.add(pod);
      else this.full.delete(pod);
    }
    const { bytes, cachedBytes, freeBytes } = content.usage();
    const capacity = this.options.capacity?.(this.config) ?? Number.POSITIVE_INFINITY;
    const kept = bytes - cachedBytes;
    const slack = this.isFull ? 2 : 1;
    const share = this.isFull ? ROOMY_SHARE : FULL_SHARE;
    // What is cached gives way.
    if (freeBytes + cachedBytes < FULL_FREE_BYTES * slack || kept > capacity * share)
      this.full.add(membership.self);
    else this.full.delete(membership.self);
  }

  /** Whoever sees nobody is away itself, and is no judge of the others. */
  private lost(): ReadonlySet<PodId> {
    return this.options.peers.linked().length === 0 ? new Set() : this.gone();
  }

  private gone(): ReadonlySet<PodId> {
    return new Set(this.absence.gone(this.options.clock.monotonicMs(), this.config.crisis.grace));
  }

  private judge(): Judgement {
    const { membership, peers, content } = this.options;
    const lacking = this.options.lacking();
    const told = peers.linked().flatMap((pod) => membership.presenceOf(pod).status ?? []);
    return judge({
      policies: this.policies,
      candidates: candidatesOf(membership.members(), this.config),
      gone: this.gone(),
      alone: peers.linked().length === 0,
      missing: told.reduce((sum, status) => sum + (status.missing ?? 0), lacking.files),
      free: told.reduce((sum, status) => sum + status.free, content.usage().freeBytes),
      needed: lacking.bytes,
    });
  }

  /** Reads what is declared, where that is new. */
  private readConfig(): void {
    const text = this.options.membership.declared()?.text;
    if (text === this.declared.text) return;
    const { value } = readNetworkConfig(text ?? '');
    // Declared by a newer version, perhaps: the defaults lose nothing.
    if (value === undefined) this.options.log.warn('the declared configuration cannot be read here');
    this.declared = { text, policies: new Policies(value ?? defaultNetworkConfig()) };
  }
}

function accessUnder(policy: Policy, judgement: Judgement): Access {
  const responses: readonly Response[] = judgement.responses(policy);
  if (responses.includes('stop')) return 'stopped';
  return policy.readOnly || responses.includes('read-only') ? 'read-only' : 'open';
}
