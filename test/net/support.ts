import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodId } from '../../src/base/index.js';
import {
  type Identity,
  type Link,
  type Links,
  type LinksOptions,
  makeLinks,
  temporaryIdentity,
} from '../../src/net/index.js';

export interface TestPod {
  identity: Identity;
  links: Links;
  address: string;
  /** Whom it admits; change it at will. */
  members: Set<PodId>;
}

/** Two identities in the order of their ids: the first one decides which connection is the link. */
export function orderedIdentities(): [Identity, Identity] {
  const [a, b] = [temporaryIdentity(), temporaryIdentity()];
  return a.pod < b.pod ? [a, b] : [b, a];
}

/** Pods of a failed test must not keep the process alive. */
const made = new Set<TestPod>();
after(async () => {
  await Promise.all([...made].map((pod) => pod.links.stop()));
});

/** A pod that listens on loopback and admits `members`; set its handlers, then `start` it. */
export function testPod(members: Set<PodId>, options: Partial<LinksOptions> = {}): TestPod {
  const identity = options.identity ?? temporaryIdentity();
  const links = makeLinks({ host: '127.0.0.1', admit: (pod) => members.has(pod), ...options, identity });
  const pod: TestPod = {
    identity,
    links,
    members,
    get address() {
      return `127.0.0.1:${links.port}`;
    },
  };
  made.add(pod);
  return pod;
}

/** Two started pods with a link between them. */
export async function linkedPair(prepare: (a: Links, b: Links) => void = () => {}): Promise<{
  a: TestPod;
  b: TestPod;
  toB: Link;
  toA: Link;
  stop(): Promise<void>;
}> {
  const members = new Set<PodId>();
  const a = testPod(members);
  const b = testPod(members);
  members.add(a.identity.pod).add(b.identity.pod);
  prepare(a.links, b.links);
  await a.links.start();
  await b.links.start();
  a.links.dial(b.address);
  const toB = await linkTo(a, b);
  const toA = await linkTo(b, a);
  const stop = async () => {
    await Promise.all([a.links.stop(), b.links.stop()]);
  };
  return { a, b, toB, toA, stop };
}

/** The link from one pod to the other, once it is up. */
export async function linkTo(from: TestPod, to: TestPod, withinMs = 5_000): Promise<Link> {
  return until(() => from.links.get(to.identity.pod), withinMs, 'no link came up');
}

/** Waits for something to be there. */
export async function until<T>(
  probe: () => T | undefined | false,
  withinMs: number,
  complaint: string,
): Promise<T> {
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    await sleep(5);
  }
  throw new Error(`${complaint} within ${withinMs} ms`);
}
