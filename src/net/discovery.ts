import { createHmac } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { Service } from 'bonjour-service';
import {
  type Clock,
  LIMITS,
  type Log,
  type Random,
  silentLog,
  systemClock,
  systemRandom,
} from '../base/index.js';
import { MulticastDns } from './multicast-dns.js';
import { formatAddress } from './websocket.js';

export interface DiscoveryEvents {
  /** The port on which this pod listens. */
  port: number;
  /** A pod of this network says that it is at these addresses (`host:port`). Comes again and again. */
  found: (addresses: string[]) => void;
  /** This machine's network interfaces or addresses changed. */
  networkChanged: () => void;
}

/** Finds pods of one network on the local network, and lets them find this one. */
export interface Discovery {
  start(events: DiscoveryEvents): void;
  stop(): Promise<void>;
}

export interface DiscoveryOptions {
  /** Known to members only; never sent. */
  networkId: string;
  clock?: Clock;
  random?: Random;
  log?: Log;
}

const TYPE = 'wormhole';
const VERSION = '1';
const NETWORK_WATCH_MS = 2_000;
/** When to ask after a start or a change of the network, and then how often. */
const QUERY_DELAYS_MS = [0, 500, 1_500, 4_000, 10_000];
const QUERY_INTERVAL_MS = 20_000;

/**
 * Discovery by multicast DNS. The packets tell only that some pod is here: names are random at every start, and
 * the network shows as a keyed hash of a fresh salt, which members alone recognise.
 */
export function makeDiscovery(options: DiscoveryOptions): Discovery {
  const { networkId, random = systemRandom } = options;
  let browsing: { stop(): Promise<void> } | undefined;
  return {
    start({ port, found, networkChanged }) {
      browsing = browse(options, {
        announce: () => announcement(networkId, port, random),
        accept: (service) => isOurs(service, networkId),
        found,
        networkChanged,
      });
    },
    stop: async () => browsing?.stop(),
  };
}

/** Looks for pods of any network, announcing nothing: for whoever joins. */
export function searchPods(options: Omit<DiscoveryOptions, 'networkId'> = {}) {
  return (found: (addresses: string[]) => void): { stop(): Promise<void> } =>
    browse(options, { announce: undefined, accept: () => true, found, networkChanged: () => {} });
}

interface Browsing {
  announce: (() => Announcement) | undefined;
  accept: (service: Service) => boolean;
  found: (addresses: string[]) => void;
  networkChanged: () => void;
}

interface Announcement {
  name: string;
  host: string;
  port: number;
  type: string;
  probe: false;
  txt: Record<string, string>;
}

function browse(options: Omit<DiscoveryOptions, 'networkId'>, browsing: Browsing): { stop(): Promise<void> } {
  const { clock = systemClock, log = silentLog } = options;
  const stopped = new AbortController();
  let dns: MulticastDns | undefined;

  /** A new socket and a new name: memberships and addresses are those of the network as it is now. */
  const open = async () => {
    await dns?.close();
    if (stopped.signal.aborted) return;
    const own = browsing.announce?.();
    dns = new MulticastDns(log);
    if (own !== undefined) dns.publish(own);
    dns.onService = (service) => {
      if (service.name === own?.name || !browsing.accept(service)) return;
      const addresses = addressesOf(service);
      if (addresses.length > 0) browsing.found(addresses);
    };
  };

  const run = async () => {
    let interfaces = '';
    let queries = 0;
    let queryAt = 0;
    while (!stopped.signal.aborted) {
      const now = clock.monotonicMs();
      const current = ownAddresses();
      if (current !== interfaces || dns === undefined || dns.failed) {
        if (interfaces !== '' && current !== interfaces) browsing.networkChanged();
        interfaces = current;
        await open();
        queries = 0;
        queryAt = now;
      }
      if (now >= queryAt) {
        dns?.query(TYPE);
        queryAt = now + (QUERY_DELAYS_MS[++queries] ?? QUERY_INTERVAL_MS);
      }
      await clock
        .sleep(Math.min(NETWORK_WATCH_MS, Math.max(1, queryAt - now)), stopped.signal)
        .catch(() => {});
    }
    await dns?.close();
  };

  const running = run().catch((error) => log.error('discovery ended', { error }));
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

function announcement(networkId: string, port: number, random: Random): Announcement {
  const hex = (bytes: number) => Buffer.from(random.bytes(bytes)).toString('hex');
  const name = hex(8);
  const salt = hex(8);
  const txt = { v: VERSION, salt, short: shortOf(networkId, salt) };
  return { name, host: `${name}.local`, port, type: TYPE, probe: false, txt };
}

function isOurs(service: Service, networkId: string): boolean {
  const { v, salt, short } = (service.txt ?? {}) as Record<string, unknown>;
  return v === VERSION && typeof salt === 'string' && short === shortOf(networkId, salt);
}

/** Eight bytes by which members recognise their network; different with every salt. */
function shortOf(networkId: string, salt: string): string {
  return createHmac('sha256', networkId).update(salt).digest('hex').slice(0, 16);
}

/** Where the packet came from first: that address works. Link-local IPv6 has no meaning without its interface. */
function addressesOf(service: Service): string[] {
  const hosts = [service.referer?.address, ...(service.addresses ?? [])];
  const usable = hosts.filter((host): host is string => typeof host === 'string' && !/^fe[89ab]/i.test(host));
  if (!Number.isInteger(service.port) || service.port < 1 || service.port > 65_535) return [];
  return [...new Set(usable.map((host) => formatAddress(host, service.port)))].slice(
    0,
    LIMITS.announcedAddressesMax,
  );
}

function ownAddresses(): string {
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).filter((one) => !one.internal).map((one) => `${name} ${one.address}`),
  );
  return `interfaces: ${addresses.sort().join(', ')}`;
}
