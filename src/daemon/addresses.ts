import { networkInterfaces } from 'node:os';
import { LIMITS } from '../base/index.js';
import type { PodConfig } from '../config/index.js';
import type { PodRecord } from './home.js';

/** Where this pod listens: as its owner's `pod.yaml` says, else as it was made. */
export function listenAddress(record: PodRecord, settings: PodConfig): { host: string; port: number } {
  const { listen } = settings;
  if (listen === undefined) return { host: record.listen, port: record.port };
  const at = listen.lastIndexOf(':');
  const hasPort = at > 0 && /^\d+$/.test(listen.slice(at + 1));
  return hasPort
    ? { host: listen.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(listen.slice(at + 1)) }
    : { host: listen, port: record.port };
}

/** Where the other members can reach this pod; they try these when multicast tells them nothing. */
export function ownAddresses(host: string, port: number): string[] {
  const anywhere = host === '::' || host === '0.0.0.0';
  const hosts = anywhere
    ? Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .filter(
          ({ internal, address, family }) =>
            !internal && !address.startsWith('fe80:') && (host === '::' || family === 'IPv4'),
        )
        .map(({ address }) => address)
    : [host];
  return hosts
    .slice(0, LIMITS.announcedAddressesMax)
    .map((each) => (each.includes(':') ? `[${each}]:${port}` : `${each}:${port}`));
}
