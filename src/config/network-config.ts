import { type Crisis, crisis, defaultCrisis } from './crisis.js';
import { isPodName, parseAddress } from './names.js';
import { parseTreePath } from './paths.js';
import type { Reading } from './problem.js';
import { accepted } from './problem.js';
import { integer, mapping, named, oneOf, readText, sequence, text, truth } from './reader.js';
import { COPIES_MAX, ROLES, type Role, type Rule, rules } from './rules.js';
import { parseDuration, parseRate, parseSize } from './units.js';

/** Bytes per second; Infinity is no limit. */
export interface Bandwidth {
  up?: number;
  down?: number;
}

/** What a network's file declares about one pod; what is absent has the default. */
export interface PodSettings {
  role?: Role;
  /** Bytes that it may fill; 0 holds nothing. */
  capacity?: number;
  /** Bytes of its cache. */
  cache?: number;
  /** Where it stands, for spreading copies. */
  zone?: string;
  /** What it stores on: `hdd`, `ssd` or a word of the user's. */
  media?: string;
  /** Pods with more of it are asked first for what several hold. */
  priority?: number;
  bandwidth?: Bandwidth;
  /** Folders and files that are wholly there. */
  pin?: readonly string[];
}

/** `wormhole.yaml`, version 1, with its defaults filled in. */
export interface NetworkConfig {
  version: 1;
  /** The network's name, where the file says it. */
  network?: string;
  /** Pods that hold each file. */
  copies: number;
  /** Milliseconds for which overwritten and deleted files can be restored. */
  history: number;
  /** Who may come in: whoever has an invite; of these only pods that the file names; nobody. */
  join: 'invite' | 'approve' | 'closed';
  /** Pods that may invite, remove and declare; none: every member. */
  admins: readonly string[];
  /** Addresses, `host:port`, to try beside what discovery finds. */
  seeds: readonly string[];
  /** Of each pod. */
  bandwidth: Bandwidth;
  /** The whole network is read-only. */
  frozen: boolean;
  pods: ReadonlyMap<string, PodSettings>;
  /** The less specific come first. */
  rules: readonly Rule[];
  crisis: Crisis;
}

const PRIORITY_MAX = 1000;

const podName = (what: string, example: string) =>
  text(what, example, (value) => (isPodName(value) ? value : undefined));
const rate = text('a rate', '20MB/s or none', parseRate);
const size = text('a size', '4TB or 500GiB', parseSize);

export const bandwidth = mapping<Bandwidth>({ up: rate, down: rate });
export const pins = sequence('paths', text('a path', '/projects/current', parseTreePath));

const podSettings = mapping<PodSettings>({
  role: oneOf(ROLES),
  capacity: size,
  cache: size,
  zone: podName('the name of a zone', 'cellar'),
  media: podName('a kind of storage', 'ssd'),
  priority: integer('the priority', 0, PRIORITY_MAX),
  bandwidth,
  pin: pins,
});

type Declared = Partial<Omit<NetworkConfig, 'crisis'>> & { crisis?: Partial<Crisis> };

const networkConfig = mapping<Declared>({
  version: text('a version that this wormhole knows', '1', (value) => (value === '1' ? 1 : undefined)),
  network: podName("the network's name", 'atelier'),
  copies: integer('the number of copies', 1, COPIES_MAX),
  history: text('a duration', '30d', parseDuration),
  join: oneOf(['invite', 'approve', 'closed']),
  admins: sequence('pods', podName('the name of a pod', 'nas-1')),
  seeds: sequence('addresses', text('an address', 'nas.example.org:4747', parseAddress)),
  bandwidth,
  frozen: truth('frozen'),
  pods: named('pods by name', podSettings, isPodName),
  rules,
  crisis,
});

/** Checks a declaration; the problems say line, column and what was perhaps meant. */
export function readNetworkConfig(source: string): Reading<NetworkConfig> {
  const reading = readText(source, networkConfig);
  return reading.value === undefined ? reading : { value: withDefaults(reading.value), problems: [] };
}

/** @throws WormholeError `config` with a picture of every problem */
export function parseNetworkConfig(source: string, file = 'wormhole.yaml'): NetworkConfig {
  return accepted(readNetworkConfig(source), file, source);
}

/** What holds when nothing is declared. */
export function defaultNetworkConfig(): NetworkConfig {
  return withDefaults({});
}

function withDefaults(declared: Declared): NetworkConfig {
  return {
    version: 1,
    copies: 2,
    history: 30 * 86_400_000,
    join: 'invite',
    admins: [],
    seeds: [],
    bandwidth: {},
    frozen: false,
    pods: new Map(),
    rules: [],
    ...declared,
    crisis: { ...defaultCrisis(), ...declared.crisis },
  };
}
