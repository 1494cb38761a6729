import { type CrisisResponses, crisisKeys } from './crisis.js';
import { isPodName } from './names.js';
import { bySpecificity, type PathPattern, parsePattern } from './paths.js';
import { integer, mapping, oneOf, oneOrMore, sequence, text, truth } from './reader.js';
import { parseDuration } from './units.js';

export const ROLES = ['storage', 'portal'] as const;
/** A portal mounts and caches but never counts as a copy. */
export type Role = (typeof ROLES)[number];

export const COPIES_MAX = 64;

/** What a pod must be to match: one of the words of every key that is given. */
export interface Labels {
  role?: readonly Role[];
  zone?: readonly string[];
  media?: readonly string[];
}

/** Pods that are preferred for files that are read often, and for those that were not changed for long. */
export interface Affinity {
  hot?: Labels;
  cold?: Labels & { after?: number };
}

/** What holds for files below a path; what is absent comes from a less specific rule, or from above. */
export interface Rule {
  path: PathPattern;
  copies?: number;
  /** Copies stand in at least so many zones. */
  zones?: number;
  /** Fewer reachable holders than this is critical. */
  'min-pods'?: number;
  /** Milliseconds. */
  history?: number;
  prefer?: Labels;
  require?: Labels;
  affinity?: Affinity;
  /** Names of pods that hold a copy each, whatever else holds. */
  pin?: readonly string[];
  'read-only'?: boolean;
  /** False: not kept in caches. */
  cache?: boolean;
  /** The content stays on the machine that made it. */
  ignore?: boolean;
  crisis?: Partial<CrisisResponses>;
}

const word = (what: string, example: string) =>
  text(what, example, (value) => (isPodName(value) ? value : undefined));

const labelKeys = {
  role: oneOrMore('roles', oneOf(ROLES)),
  zone: oneOrMore('zones', word('the name of a zone', 'cellar')),
  media: oneOrMore('kinds of storage', word('a kind of storage', 'ssd')),
};

const labels = mapping<Labels>(labelKeys, (value, placeOf) => {
  if (Object.keys(value).length === 0)
    placeOf('').problem('bad-value', 'name a role, a zone or a media here');
});

const rule = mapping<Rule>(
  {
    path: text('a path', '/accounts/** or "**/node_modules/**"', parsePattern),
    copies: integer('the number of copies', 1, COPIES_MAX),
    zones: integer('the number of zones', 1, COPIES_MAX),
    'min-pods': integer('the least number of pods', 1, COPIES_MAX),
    history: text('a duration', '30d', parseDuration),
    prefer: labels,
    require: labels,
    affinity: mapping<Affinity>({
      hot: labels,
      cold: mapping<NonNullable<Affinity['cold']>>({
        ...labelKeys,
        after: text('a duration', '30d', parseDuration),
      }),
    }),
    pin: oneOrMore('pods', word('the name of a pod', 'nas-1')),
    'read-only': truth('read-only'),
    cache: truth('cache'),
    ignore: truth('ignore'),
    crisis: mapping<CrisisResponses>(crisisKeys),
  },
  (value, placeOf) => {
    const { path, copies, zones } = value;
    if (path === undefined) placeOf('').problem('bad-value', 'a rule needs a path: write path: /accounts/**');
    if (copies === undefined) return;
    if ((zones ?? 1) > copies) {
      placeOf('zones').problem('bad-value', `copies in ${zones} zones need at least ${zones} copies`);
    }
    if ((value['min-pods'] ?? 1) > copies) {
      const message = `with ${copies} copies there are never ${value['min-pods']} pods that hold one`;
      placeOf('min-pods').problem('bad-value', message);
    }
    if (value.ignore === true && copies > 1) {
      placeOf('ignore').problem('bad-value', 'what is ignored stays on one machine: leave out copies');
    }
  },
);

/** The less specific come first; among equals the later one prevails, and so comes last. */
export const rules = (at: Parameters<typeof ruleList>[0]): Rule[] | undefined =>
  ruleList(at)?.sort((a, b) => bySpecificity(a.path, b.path));

const ruleList = sequence<Rule>(
  'rules',
  (at) => rule(at) as Rule | undefined,
  (items) => {
    const seen = new Set<string>();
    for (const { value, place } of items) {
      const path = value.path?.text;
      if (path === undefined) continue;
      if (seen.has(path)) place.problem('bad-value', `there is another rule for ${path}: write them as one`);
      seen.add(path);
    }
  },
);
