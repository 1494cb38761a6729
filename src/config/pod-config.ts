import { parseAddress } from './names.js';
import { type Bandwidth, bandwidth, type NetworkConfig, type PodSettings, pins } from './network-config.js';
import { accepted, type Reading } from './problem.js';
import { mapping, oneOf, readText, text } from './reader.js';
import { parseDuration, parseSize } from './units.js';

/** `pod.yaml` in WH_HOME: what a pod's owner sets on that pod alone. */
export interface PodConfig {
  /** Bytes of the cache. */
  cache?: number;
  /** Address to listen on: `host:port`, or a host alone for any free port. */
  listen?: string;
  /** Bytes it may fill; only ever less than the network declares. */
  capacity?: number;
  bandwidth?: Bandwidth;
  /** Folders and files that are wholly here, beside those that the network names. */
  pin?: readonly string[];
  /** Milliseconds that a read waits for a pod that has its bytes. */
  wait?: number;
  /** `squash`: all files are shown as the daemon's user's. Default: `keep`. */
  owners?: OwnersPolicy;
}

export type OwnersPolicy = 'keep' | 'squash';

const podConfig = mapping<PodConfig>({
  cache: text('a size', '20GB', parseSize),
  listen: text('an address', '0.0.0.0:4747', parseListen),
  capacity: text('a size', '500GB', parseSize),
  bandwidth,
  pin: pins,
  wait: text('a duration', '30s', parseDuration),
  owners: oneOf(['keep', 'squash'] as const),
});

export function readPodConfig(source: string): Reading<PodConfig> {
  return readText(source, podConfig);
}

/** @throws WormholeError `config` with a picture of every problem */
export function parsePodConfig(source: string, file = 'pod.yaml'): PodConfig {
  return accepted(readPodConfig(source), file, source);
}

/** What holds for a pod: the network's file wins where both speak; the owner may only lower capacity and rates, and
 *  add pins. */
export function effectivePodSettings(network: NetworkConfig, name: string, own: PodConfig): PodSettings {
  const declared = network.pods.get(name) ?? {};
  const capacity = lowest(declared.capacity, own.capacity);
  const cache = declared.cache ?? own.cache;
  const up = declared.bandwidth?.up ?? lowest(network.bandwidth.up, own.bandwidth?.up);
  const down = declared.bandwidth?.down ?? lowest(network.bandwidth.down, own.bandwidth?.down);
  const pin = [...new Set([...(declared.pin ?? []), ...(own.pin ?? [])])];
  return {
    ...declared,
    ...(capacity === undefined ? {} : { capacity }),
    ...(cache === undefined ? {} : { cache }),
    ...(up === undefined && down === undefined
      ? {}
      : { bandwidth: { ...given('up', up), ...given('down', down) } }),
    ...(pin.length === 0 ? {} : { pin }),
  };
}

function given<Key extends string>(key: Key, value: number | undefined): { [K in Key]?: number } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: number });
}

function lowest(...values: (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function parseListen(address: string): string | undefined {
  if (parseAddress(address) !== undefined) return address;
  return /^[^\s:/]+$/.test(address) ? address : undefined;
}
