import type { Reading } from './problem.js';
import { accepted } from './problem.js';
import { integer, mapping, named, oneOf, readText, sequence, text } from './reader.js';
import { parseDuration, parseSize } from './units.js';

export const ROLES = ['storage', 'portal'] as const;
/** A portal mounts and caches but never counts as a copy. */
export type Role = (typeof ROLES)[number];

/** What a network's file declares about one pod; what is absent has the default. */
export interface PodSettings {
  role?: Role;
  /** Bytes that it may fill. */
  capacity?: number;
  /** Bytes of its cache. */
  cache?: number;
  /** Where it stands, for spreading copies. */
  zone?: string;
  /** What it stores on: `hdd`, `ssd` or a word of the user's. */
  media?: string;
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
  /** Who may come in: whoever has an invite, or nobody. */
  join: 'invite' | 'closed';
  /** Addresses, `host:port`, to try beside what discovery finds. */
  seeds: readonly string[];
  pods: ReadonlyMap<string, PodSettings>;
}

const COPIES_MAX = 64;

/** Words of CONFIG.md whose behaviour this version lacks: better refused than accepted in silence. */
const PLANNED = ['admins', 'bandwidth', 'rules', 'crisis'];
const PLANNED_FOR_PODS = ['priority', 'bandwidth', 'pin'];

const word = (what: string, example: string) =>
  text(what, example, (value) => (isPodName(value) ? value : undefined));

const podSettings = mapping<PodSettings>(
  {
    role: oneOf(ROLES),
    capacity: text('a size', '4TB or 500GiB', parseSize),
    cache: text('a size', '20GB', parseSize),
    zone: word('the name of a zone', 'cellar'),
    media: word('a kind of storage', 'ssd'),
  },
  PLANNED_FOR_PODS,
);

const networkConfig = mapping<NetworkConfig>(
  {
    version: (at) => (integer('the version', 1, 1)(at) === 1 ? 1 : undefined),
    network: word("the network's name", 'atelier'),
    copies: integer('the number of copies', 1, COPIES_MAX),
    history: text('a duration', '30d', parseDuration),
    join: oneOf(['invite', 'closed'], ['approve']),
    seeds: sequence('addresses', text('an address', 'nas.example.org:4747', parseAddress)),
    pods: named('pods by name', podSettings, isPodName),
  },
  PLANNED,
);

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

/** A name for a pod, a network or a zone: it appears in file names, so it is short and plain. */
export function isPodName(name: string): boolean {
  return /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,62}$/u.test(name);
}

/** `host:port`, with IPv6 in brackets. */
export function parseAddress(address: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.%\w]+\]|[^\s:[\]/]+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  return match !== null && port >= 1 && port <= 65_535 ? address : undefined;
}

function withDefaults(declared: Partial<NetworkConfig>): NetworkConfig {
  return {
    version: 1,
    copies: 2,
    history: 30 * 86_400_000,
    join: 'invite',
    seeds: [],
    pods: new Map(),
    ...declared,
  };
}
