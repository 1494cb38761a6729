import { type PodId, type Sha256, sha256 } from '../base/index.js';
import {
  isWithin,
  matchesLabels,
  type NetworkConfig,
  Policies,
  type Policy,
  type Response,
} from '../config/index.js';
import { type Candidate, type Layout, layoutOf } from './rendezvous.js';

export interface LayoutsOptions {
  self: PodId;
  /** Every pod that may hold anything, in the order of their ids. */
  candidates: readonly Candidate[];
  policies: Policies;
  /** Paths that are wholly on this pod, by its own settings. */
  pins?: readonly string[];
  /** What is done in the present posture. */
  responses?: (policy: Policy) => readonly Response[];
}

/** A file as far as its place depends on it. */
export interface Placed {
  path: string;
  /** Milliseconds since it was written last. */
  ageMs: number;
  /** All of it is to be here, by a pin that is this pod's own. */
  pinned?: boolean;
  /** It is asked for often on this pod. */
  hot?: boolean;
}

/** Where everything belongs, by path, under one declaration and with these pods. */
export class Layouts {
  readonly self: PodId;
  readonly candidates: readonly Candidate[];
  readonly policies: Policies;
  /** What holds where no rule matches. */
  readonly common: Layout;
  /** Equal on pods that place everything alike. */
  readonly fingerprint: Sha256;
  private readonly options: LayoutsOptions;
  private readonly pins: readonly string[];
  private readonly known = new Map<Policy, Map<string, Layout>>();

  constructor(options: LayoutsOptions) {
    this.options = options;
    this.self = options.self;
    this.candidates = options.candidates;
    this.policies = options.policies;
    this.pins = options.pins ?? [];
    this.common = this.layout(this.policies.common, 'plain', false);
    this.fingerprint = this.hash();
  }

  /** True when paths make no difference, and so need not be looked up. */
  get uniform(): boolean {
    return this.policies.uniform && this.pins.length === 0;
  }

  of({ path, ageMs, pinned = false, hot: isHot = false }: Placed): Layout {
    const policy = this.policies.of(path);
    const attracts = isHot && this.attracts(policy);
    return this.aged(policy, ageMs, pinned || attracts || this.pins.some((folder) => isWithin(path, folder)));
  }

  /** As `of`, for many files in one folder: the folder's path, '' being the root, is looked at once. */
  inFolder(folder: string): (name: string, ageMs: number) => Layout {
    const policyOf = this.policies.inFolder(folder);
    const pinned = this.pins.some((pin) => isWithin(folder === '' ? '/' : folder, pin));
    const pins = new Set(this.pins);
    const isPinned = (name: string) => pinned || (pins.size > 0 && pins.has(`${folder}/${name}`));
    // Of the files of a folder nearly all have one policy, which mostly asks nothing about their age.
    let last: { policy: Policy; here: boolean; layout: Layout | undefined } | undefined;
    return (name, ageMs) => {
      const [policy, here] = [policyOf(name), isPinned(name)];
      if (last?.policy !== policy || last.here !== here) {
        const layout = dependsOnAge(policy) ? undefined : this.aged(policy, ageMs, here);
        last = { policy, here, layout };
      }
      return last.layout ?? this.aged(policy, ageMs, here);
    };
  }

  private aged(policy: Policy, ageMs: number, here: boolean): Layout {
    const { hot, cold } = policy.affinity;
    if (cold?.after !== undefined && ageMs >= cold.after) return this.layout(policy, 'cold', here);
    return this.layout(policy, hot === undefined ? 'plain' : 'hot', here);
  }

  /** True when this pod is one that hot files under this policy go to. */
  attracts(policy: Policy): boolean {
    const { hot } = policy.affinity;
    const self = this.candidates.find((candidate) => candidate.id === this.self);
    return hot !== undefined && self !== undefined && matchesLabels(self, hot);
  }

  /** True when this pod may hold anything by the declaration, or keeps something by its own settings. */
  get holdsAnything(): boolean {
    return this.pins.length > 0 || this.candidates.some((candidate) => candidate.id === this.self);
  }

  /** True when this pod is to have everything. */
  get holdsAll(): boolean {
    return this.uniform && this.candidates.length <= this.common.copies && this.holdsAnything;
  }

  /** True when pods whose clocks differ may place some files differently for a while. */
  get dependsOnClocks(): boolean {
    return this.policies.config.rules.some(({ affinity }) => affinity?.cold?.after !== undefined);
  }

  /** Paths that are wholly here by this pod's own settings, as one text. */
  get pinned(): string {
    return this.pins.join('\n');
  }

  private hash(): Sha256 {
    const { config } = this.policies;
    const copies = this.policies.all().map(({ policy }) => this.copiesOf(policy));
    const rules = config.rules.map(({ crisis, history, path, ...rule }) => ({ ...rule, path: path.text }));
    return sha256(Buffer.from(JSON.stringify([this.candidates, config.copies, rules, copies])));
  }

  private layout(policy: Policy, kind: 'plain' | 'hot' | 'cold', here: boolean): Layout {
    let layouts = this.known.get(policy);
    if (layouts === undefined) {
      layouts = new Map();
      this.known.set(policy, layouts);
    }
    const key = here ? `${kind} here` : kind;
    let layout = layouts.get(key);
    if (layout === undefined) {
      const preferred = kind === 'plain' ? undefined : policy.affinity[kind];
      const { after, ...labels } = { after: undefined, ...preferred };
      const copies = this.copiesOf(policy);
      const asked = { ...policy, copies, ...(preferred === undefined ? {} : { prefer: labels }) };
      layout = layoutOf(this.self, this.candidates, asked, here);
      layouts.set(key, layout);
    }
    return layout;
  }

  /** In a crisis that says so, one copy less has to do. */
  private copiesOf(policy: Policy): number {
    const fewer = this.options.responses?.(policy).includes('fewer-copies') ?? false;
    return fewer ? Math.max(1, policy.copies - 1) : policy.copies;
  }
}

function dependsOnAge({ affinity }: Policy): boolean {
  return affinity.cold?.after !== undefined;
}

/** Layouts under a declaration, in no crisis. */
export function plainLayouts(
  self: PodId,
  candidates: readonly Candidate[],
  config: NetworkConfig,
  pins: readonly string[] = [],
): Layouts {
  return new Layouts({ self, candidates, policies: new Policies(config), pins });
}
