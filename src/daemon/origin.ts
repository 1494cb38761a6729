import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Log, syncDirectory, WormholeError } from '../base/index.js';
import { createMembership, joinMembership } from '../membership/index.js';
import { prepareMountPoint, systemMounter } from '../mount/index.js';
import { type Identity, joinNetwork, loadOrCreateIdentity, searchPods } from '../net/index.js';
import { type Database, openDatabase, openStore } from '../store/index.js';
import { checkName, type PodPaths, type PodRecord, podPaths, writePodRecord } from './home.js';
import type { DaemonOrder } from './order.js';

type Origin<Kind> = Extract<NonNullable<DaemonOrder['origin']>, { kind: Kind }>;

/**
 * Where the pod of an order lies; at its first start, brings it into being. Its record is written last: a
 * folder without one is no pod.
 */
export async function establish(order: DaemonOrder, log: Log): Promise<PodPaths> {
  const paths = podPaths(order.folder);
  if (order.origin === undefined) return paths;
  await refuseUsedFolder(paths);
  try {
    return order.origin.kind === 'new'
      ? await found(paths, order.origin, log)
      : await joinAt(paths, order.origin, log);
  } catch (error) {
    for (const made of [paths.store, paths.identity, paths.record])
      await rm(made, { recursive: true, force: true });
    throw error;
  }
}

async function found(paths: PodPaths, origin: Origin<'new'>, log: Log): Promise<PodPaths> {
  await checkMountPoint(origin.mount);
  await withNewStore(paths, log, async (database, identity) => {
    const network = { name: origin.network, pod: origin.pod };
    const membership = await createMembership({ database, identity, log: log.part('membership') }, network);
    await membership.close();
  });
  await writePodRecord(paths, {
    ...recordOf(origin),
    network: origin.network,
    mount: origin.mount,
    addresses: [],
    founder: true,
  });
  return paths;
}

async function joinAt(paths: PodPaths, origin: Origin<'join'>, log: Log): Promise<PodPaths> {
  if (origin.mount !== null) await checkMountPoint(origin.mount);
  const { code, pod: name, port } = origin;
  const joined = await withNewStore(paths, log, async (database, identity) => {
    const answer = await joinNetwork({
      code,
      name,
      identity,
      port,
      log: log.part('join'),
      search: searchPods({ log: log.part('discovery') }),
      ...(origin.address === null ? {} : { address: origin.address }),
    });
    const membership = await joinMembership(
      { database, identity, log: log.part('membership') },
      answer.body,
      answer.inviter,
    );
    const network = membership.network.name;
    // An invite for one pod gives it its name.
    const pod = membership.member(identity.pod)?.name ?? name;
    await membership.close();
    return { network, pod, address: answer.address };
  });
  const network = freeName(origin.home, checkName(joined.network, 'network'));
  const mount = origin.mount ?? (await defaultMount(network));
  await writePodRecord(paths, {
    ...recordOf(origin),
    pod: joined.pod,
    network,
    mount,
    addresses: [joined.address],
    founder: false,
  });
  const home = podPaths(join(origin.home, network));
  await rename(paths.folder, home.folder);
  await syncDirectory(dirname(home.folder));
  return home;
}

function recordOf(origin: {
  pod: string;
  port: number;
  listen: string;
}): Pick<PodRecord, 'format' | 'pod' | 'port' | 'listen'> {
  return { format: 1, pod: origin.pod, port: origin.port, listen: origin.listen };
}

async function withNewStore<T>(
  paths: PodPaths,
  log: Log,
  work: (database: Database, identity: Identity) => Promise<T>,
): Promise<T> {
  const store = await openStore(paths.store);
  try {
    const identity = await loadOrCreateIdentity(paths.identity, (sentence) => log.warn(sentence));
    const database = openDatabase(store.databasePath);
    try {
      return await work(database, identity);
    } finally {
      await database.close();
    }
  } finally {
    store.close();
  }
}

/** What lies there may be somebody's only copy: nothing is made on top of it. */
async function refuseUsedFolder(paths: PodPaths): Promise<void> {
  await mkdir(paths.folder, { recursive: true, mode: 0o700 });
  const found = (await readdir(paths.folder)).filter((name) => !['daemon.log', 'pod.yaml'].includes(name));
  if (found.length === 0) return;
  throw new WormholeError(
    'exists',
    `${paths.folder} is not empty (${found.slice(0, 3).join(', ')}): move it away if nothing in it is needed, then try again.`,
  );
}

/** Two networks may have one name; the later one here gets a number. */
function freeName(home: string, network: string): string {
  let name = network;
  for (let i = 2; existsSync(join(home, name)); i++) name = `${network}-${i}`;
  return name;
}

async function defaultMount(network: string): Promise<string> {
  const folder = join(homedir(), network);
  await mkdir(folder, { recursive: true });
  await checkMountPoint(folder);
  return folder;
}

/** A pod whose folder cannot be mounted is better refused before anything is made. */
async function checkMountPoint(path: string): Promise<void> {
  await prepareMountPoint(path, async (stale) => {
    await systemMounter().unmount(stale, true);
  });
}
