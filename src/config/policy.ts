import { type CrisisResponses, POSTURES, type Response } from './crisis.js';
import type { NetworkConfig } from './network-config.js';
import type { Affinity, Labels, Rule } from './rules.js';

/** What holds for one file: the network's word, with the rules that match its path laid over it. */
export interface Policy {
  copies: number;
  zones: number;
  /** 0: nothing is asked for. */
  minPods: number;
  /** Milliseconds. */
  history: number;
  prefer: Labels;
  require: Labels;
  affinity: Affinity;
  /** Names of pods. */
  pin: readonly string[];
  readOnly: boolean;
  cache: boolean;
  ignore: boolean;
  crisis: CrisisResponses;
  /** Postures whose responses a rule gives, other than the network's. */
  ownCrisis: boolean;
  /** The rules that made it, as written, the most specific last. */
  rules: readonly string[];
}

/** Policies by path. Paths under the same rules share one object. */
export class Policies {
  readonly config: NetworkConfig;
  /** What holds where no rule matches. */
  readonly common: Policy;
  private readonly byRules = new Map<string, Policy>();

  constructor(config: NetworkConfig) {
    this.config = config;
    this.common = policyOf(config, []);
    this.byRules.set('', this.common);
  }

  /** True when every path has the same policy, so that paths need not be looked up. */
  get uniform(): boolean {
    return this.config.rules.length === 0;
  }

  /** True when everything is kept for the same time once it was overwritten or deleted. */
  get sameHistory(): boolean {
    const { history, rules } = this.config;
    return rules.every((rule) => rule.history === undefined || rule.history === history);
  }

  of(path: string): Policy {
    if (this.uniform) return this.common;
    return this.under(this.config.rules.filter((rule) => rule.path.matches(path)));
  }

  /** As `of`, for many names in one folder: the folder's path is looked at once. '' is the root. */
  inFolder(folder: string): (name: string) => Policy {
    const judged = this.config.rules.map((rule) => ({ rule, holds: rule.path.inFolder(folder) }));
    const possible = judged.filter(({ holds }) => holds !== false);
    const common = this.under(possible.filter(({ holds }) => holds === true).map(({ rule }) => rule));
    const tests = possible.flatMap(({ holds }) => (typeof holds === 'function' ? [holds] : []));
    if (tests.length === 0) return () => common;
    return (name) => {
      if (!tests.some((test) => test(name))) return common;
      const matching = possible.filter(({ holds }) => holds === true || (holds !== false && holds(name)));
      return this.under(matching.map(({ rule }) => rule));
    };
  }

  private under(matching: readonly Rule[]): Policy {
    const key = matching.map((rule) => rule.path.text).join('\n');
    let policy = this.byRules.get(key);
    if (policy === undefined) {
      policy = policyOf(this.config, matching);
      this.byRules.set(key, policy);
    }
    return policy;
  }

  /** What holds by default, and below the path of each rule: where promises can be judged without any file. */
  all(): { path: string; policy: Policy }[] {
    const ofRules = this.config.rules.map(({ path }) => ({ path: path.text, policy: this.of(path.sample) }));
    return [{ path: '/', policy: this.common }, ...ofRules];
  }
}

function policyOf(config: NetworkConfig, rules: readonly Rule[]): Policy {
  const merged: Partial<Rule> = Object.assign({}, ...rules);
  const own = Object.assign({}, ...rules.map((rule) => rule.crisis ?? {})) as Partial<CrisisResponses>;
  const ignore = merged.ignore === true;
  const copies = ignore ? 1 : (merged.copies ?? config.copies);
  return {
    copies,
    zones: Math.min(merged.zones ?? 1, copies),
    minPods: merged['min-pods'] ?? 0,
    history: merged.history ?? config.history,
    prefer: merged.prefer ?? {},
    require: merged.require ?? {},
    affinity: merged.affinity ?? {},
    pin: merged.pin ?? [],
    readOnly: merged['read-only'] === true,
    cache: merged.cache !== false,
    ignore,
    crisis: { ...responsesOf(config), ...own },
    ownCrisis: Object.keys(own).length > 0,
    rules: rules.map((rule) => rule.path.text),
  };
}

function responsesOf(config: NetworkConfig): CrisisResponses {
  return Object.fromEntries(POSTURES.map((posture) => [posture, config.crisis[posture]])) as {
    [P in keyof CrisisResponses]: readonly Response[];
  };
}
