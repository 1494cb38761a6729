/**
 * Whole pods in one process over real TLS links: each sees each other one at an address of its own on the loopback, and
 * what lies between two of them is a {@link Line} for either way of dialling, whose weather is set at will.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Log, silentLog } from '../../src/base/index.js';
import { podPaths, writePodRecord } from '../../src/daemon/home.js';
import { createMembership, joinMembership, type Membership } from '../../src/membership/index.js';
import {
  type Discovery,
  type DiscoveryEvents,
  loadOrCreateIdentity,
  makeLinks,
} from '../../src/net/index.js';
import { openDatabase, openStore } from '../../src/store/index.js';
import { Line, type Weather } from '../net/line.js';
import { type InnerPod, openInnerPod } from './inner-pod.js';

/** What stands between pod `from` and pod `to` for what `from` says. */
export type Between = (from: number, to: number) => 'open' | 'held' | 'refused';

export class FivePods {
  readonly pods: InnerPod[] = [];
  private readonly folder: string;
  private readonly announced: Announced[] = [];
  /** By who dials, then by who is dialled. */
  private readonly lines: Line[][] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(count = 5, log: Log = silentLog): Promise<FivePods> {
    const five = new FivePods(await mkdtemp(join(tmpdir(), 'wormhole-five-')));
    try {
      for (let index = 0; index < count; index++) await five.add(index, log);
      for (let from = 0; from < count; from++) {
        const row: Line[] = [];
        for (let to = 0; to < count; to++) if (from !== to) row[to] = await five.line(from, to);
        five.lines.push(row);
      }
      five.announce(() => 'open');
      return five;
    } catch (error) {
      await five.close();
      throw error;
    }
  }

  /** From now on it is so between them, and who can reach each other is announced. */
  set(between: Between): void {
    this.each((line, dialler, dialled) => {
      line.set(weatherOf(between(dialler, dialled), between(dialled, dialler)));
    });
    this.announce(between);
  }

  passed(what: keyof Line['passed']): number {
    let sum = 0;
    this.each(({ passed }) => {
      sum += passed[what];
    });
    return sum;
  }

  /** Whether they have a link, as one of them sees it. */
  linked(a: number, b: number): boolean {
    const [one, other] = [this.pods[a], this.pods[b]];
    return one !== undefined && other !== undefined && one.links.get(other.membership.self) !== undefined;
  }

  async close(): Promise<void> {
    await Promise.all(this.pods.map((pod) => pod.close()));
    this.each((line) => line.close());
    await rm(this.folder, { recursive: true, force: true });
  }

  private each(act: (line: Line, dialler: number, dialled: number) => void): void {
    for (const [dialler, row] of this.lines.entries()) {
      for (const [dialled, line] of row.entries()) if (line !== undefined) act(line, dialler, dialled);
    }
  }

  private async add(index: number, log: Log): Promise<void> {
    const folder = join(this.folder, `${index}`);
    await found(folder, `pod-${index}`, this.pods[0]?.membership);
    const discovery = new Announced();
    this.announced.push(discovery);
    this.pods.push(
      await openInnerPod(folder, {
        log,
        links: ({ identity, membership }) =>
          makeLinks({
            identity,
            admit: (pod) => membership.isMember(pod),
            host: '127.0.0.1',
            discovery,
            log: log.part(`links-${index}`),
          }),
      }),
    );
  }

  /** Who is called by it sees the caller where it can call it back: the line the other way listens there. */
  private line(from: number, to: number): Promise<Line> {
    const port = this.pods[to]?.links.port ?? 0;
    return Line.open({
      listen: { host: addressOf(to, from), port },
      target: { host: '127.0.0.1', port, from: addressOf(from, to) },
    });
  }

  /** As by multicast, which comes every now and then, and at once where a network comes back. */
  private announce(between: Between): void {
    for (const [to, { links }] of this.pods.entries()) {
      for (const [from, announced] of this.announced.entries()) {
        if (from !== to && between(to, from) === 'open')
          announced.events?.found([`${addressOf(to, from)}:${links.port}`]);
      }
    }
  }
}

/** Where a pod is, as another one sees it. */
function addressOf(pod: number, seenBy: number): string {
  return `127.77.${seenBy + 1}.${pod + 1}`;
}

class Announced implements Discovery {
  events: DiscoveryEvents | undefined;

  start(events: DiscoveryEvents): void {
    this.events = events;
  }

  async stop(): Promise<void> {
    this.events = undefined;
  }
}

/** @param to what stands before what the dialler says; `from`: before what it is answered */
function weatherOf(to: ReturnType<Between>, from: ReturnType<Between>): Weather {
  if (to === 'refused' || from === 'refused') return { down: true };
  if (to === 'held') return { hold: from === 'held' ? 'both' : 'to' };
  return from === 'held' ? { hold: 'from' } : {};
}

/** Makes the folder of a pod that founds a network, or that a member lets in. */
async function found(folder: string, name: string, inviter: Membership | undefined): Promise<void> {
  const paths = podPaths(folder);
  const store = await openStore(paths.store);
  const identity = await loadOrCreateIdentity(paths.identity, () => {});
  const database = openDatabase(store.databasePath);
  const parts = { database, identity, log: silentLog };
  const membership =
    inviter === undefined
      ? await createMembership(parts, { name: 'five', pod: name })
      : await joinMembership(
          parts,
          await inviter.welcome(identity.pod, { name, role: 'storage' }),
          inviter.self,
        );
  await membership.close();
  await database.close();
  store.close();
  await writePodRecord(paths, {
    format: 1,
    network: 'five',
    pod: name,
    mount: join(folder, 'mount'),
    port: 0,
    listen: '127.0.0.1',
    addresses: [],
    founder: inviter === undefined,
  });
}
