import { type NetworkConfig, type PodSettings, parseAddress } from './network-config.js';
import { accepted, type Reading } from './problem.js';
import { mapping, readText, text } from './reader.js';
import { parseRate, parseSize } from './units.js';

/** `pod.yaml` in WH_HOME: what a pod's owner sets on that pod alone. */
export interface PodConfig {
  /** Bytes of the cache. */
  cache?: number;
  /** Address to listen on: `host:port`, or a host alone for any free port. */
  listen?: string;
  /** Bytes it may fill; only ever less than the network declares. */
  capacity?: number;
  /** Bytes per second; Infinity is no limit. */
  bandwidth?: { up?: number; down?: number };
}

const rate = text('a rate', '20MB/s or none', parseRate);

const podConfig = mapping<PodConfig>(
  {
    cache: text('a size', '20GB', parseSize),
    listen: text('an address', '0.0.0.0:4747', parseListen),
    capacity: text('a size', '500GB', parseSize),
    bandwidth: mapping<NonNullable<PodConfig['bandwidth']>>({ up: rate, down: rate }),
  },
  ['pin'],
);

export function readPodConfig(source: string): Reading<PodConfig> {
  return readText(source, podConfig);
}

/** @throws WormholeError `config` with a picture of every problem */
export function parsePodConfig(source: string, file = 'pod.yaml'): PodConfig {
  return accepted(readPodConfig(source), file, source);
}

/** What holds for a pod: the network's file wins where both speak, and the owner may only lower the capacity. */
export function effectivePodSettings(network: NetworkConfig, name: string, own: PodConfig): PodSettings {
  const declared = network.pods.get(name) ?? {};
  const capacities = [declared.capacity, own.capacity].filter((bytes) => bytes !== undefined);
  const cache = declared.cache ?? own.cache;
  return {
    ...declared,
    ...(capacities.length > 0 ? { capacity: Math.min(...capacities) } : {}),
    ...(cache !== undefined ? { cache } : {}),
  };
}

function parseListen(address: string): string | undefined {
  if (parseAddress(address) !== undefined) return address;
  return /^[^\s:/]+$/.test(address) ? address : undefined;
}
