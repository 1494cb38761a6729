import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { WormholeError, writeFileDurably } from '../base/index.js';
import { isPodName } from '../config/index.js';

/** What a pod's folder says about itself, in `pod.json`; written once, at `wh new` or `wh join`. */
export interface PodRecord {
  format: 1;
  /** The network's name, as this machine calls it. */
  network: string;
  /** The pod's name. */
  pod: string;
  /** Absolute path of the mount point. */
  mount: string;
  /** TCP port; 0 takes a free one at every start. */
  port: number;
  /** Address to listen on. */
  listen: string;
  /** Addresses given by hand, where multicast does not reach. */
  addresses: string[];
  /** It made the network, and so the first change of the network's document. */
  founder: boolean;
}

/** Folders in a pod's store. */
export const CONTENT = 'content';
export const TREE = 'tree';

/** Where one pod's files lie. */
export interface PodPaths {
  folder: string;
  record: string;
  /** The owner's own settings, `pod.yaml`. */
  settings: string;
  identity: string;
  store: string;
  socket: string;
  log: string;
}

/** `WH_HOME`, by default the XDG data folder. Holds one folder a network. */
export function wormholeHome(environment: NodeJS.ProcessEnv = process.env): string {
  const own = environment['WH_HOME'];
  if (own !== undefined && own !== '') return resolve(own);
  const data = environment['XDG_DATA_HOME'];
  return join(
    data !== undefined && data !== '' ? resolve(data) : join(homedir(), '.local', 'share'),
    'wormhole',
  );
}

export function podPaths(folder: string): PodPaths {
  return {
    folder,
    record: join(folder, 'pod.json'),
    settings: join(folder, 'pod.yaml'),
    identity: join(folder, 'identity.pem'),
    store: join(folder, 'store'),
    socket: join(folder, 'control.sock'),
    log: join(folder, 'daemon.log'),
  };
}

/** The file of the log `age` rotations ago. */
export function oldLog(path: string, age: number): string {
  return `${path}.${age}`;
}

/** Names become folders and parts of file names. @throws WormholeError `usage` */
export function checkName(name: string, whose: 'network' | 'pod'): string {
  if (isPodName(name)) return name;
  throw new WormholeError(
    'usage',
    `"${name}" cannot be a ${whose}'s name: use up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit.`,
  );
}

/** @throws WormholeError `corrupt` */
export function readPodRecord(paths: PodPaths): PodRecord {
  let record: unknown;
  try {
    record = JSON.parse(readFileSync(paths.record, 'utf8'));
  } catch (cause) {
    throw new WormholeError(
      'corrupt',
      `${paths.record} cannot be read: restore it from a backup, or leave and join again.`,
      { cause },
    );
  }
  const { format, network, pod, mount, port, listen, addresses, founder } = record as Partial<PodRecord>;
  if (typeof format === 'number' && format > 1) {
    throw new WormholeError(
      'newer-format',
      `${paths.record} was written by a newer version of wormhole: update this one.`,
    );
  }
  if (
    format !== 1 ||
    typeof network !== 'string' ||
    typeof pod !== 'string' ||
    typeof mount !== 'string' ||
    typeof port !== 'number' ||
    typeof listen !== 'string' ||
    !Array.isArray(addresses) ||
    typeof founder !== 'boolean'
  ) {
    throw new WormholeError(
      'corrupt',
      `${paths.record} is not a pod's record: restore it from a backup, or leave and join again.`,
    );
  }
  return { format, network, pod, mount, port, listen, addresses: addresses.map(String), founder };
}

export async function writePodRecord(paths: PodPaths, record: PodRecord): Promise<void> {
  await writeFileDurably(paths.record, `${JSON.stringify(record, undefined, 2)}\n`);
}

/** All pods of this home, by the name of their network. */
export function listPods(home: string): { paths: PodPaths; record: PodRecord }[] {
  if (!existsSync(home)) return [];
  return readdirSync(home, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => podPaths(join(home, entry.name)))
    .filter((paths) => existsSync(paths.record))
    .map((paths) => ({ paths, record: readPodRecord(paths) }));
}
