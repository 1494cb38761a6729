import { realpathSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { WormholeError } from '../base/index.js';
import { listPods, type PodPaths, type PodRecord } from '../daemon/home.js';

export interface Pod {
  paths: PodPaths;
  record: PodRecord;
}

/**
 * The pod that a command is about: the one named, or the one in whose mount a path lies, or the only one.
 * @throws WormholeError `no-network` | `usage`
 */
export function choosePod(home: string, network: string | undefined, path?: string): Pod {
  const pods = listPods(home);
  if (network !== undefined) {
    const named = pods.find((pod) => pod.record.network === network);
    if (named !== undefined) return named;
    const known = pods.map((pod) => pod.record.network).join(', ');
    throw new WormholeError(
      'no-network',
      `this machine is in no network "${network}"${known === '' ? '' : ` (it is in ${known})`}.`,
    );
  }
  const [first, ...others] = pods;
  if (first === undefined) {
    throw new WormholeError(
      'no-network',
      'this machine is in no network yet: make one with `wh new NAME`, or join one with `wh join CODE`.',
    );
  }
  if (others.length === 0) return first;
  const around = pods.find((pod) => insideMount(pod, resolve(path ?? '.')) !== undefined);
  if (around !== undefined) return around;
  throw new WormholeError(
    'usage',
    `this machine is in several networks: add --network ${pods.map((pod) => pod.record.network).join(' | ')}.`,
  );
}

/**
 * A PATH argument as a path inside the tree: an ordinary path into the mount (absolute, or relative to the
 * working directory), else `/path` as it is.
 * @throws WormholeError `usage` for a relative path outside the mount
 */
export function treePath(pod: Pod, path: string): string {
  const inside = insideMount(pod, resolve(path));
  if (inside !== undefined) return inside;
  if (path.startsWith('/')) return path;
  throw new WormholeError(
    'usage',
    `${path} is not in the mount ${pod.record.mount}: give a path in it, or /PATH inside the tree.`,
  );
}

/** The path inside the tree of an absolute path, or undefined when it is outside the mount. */
export function insideMount(pod: Pod, absolute: string): string | undefined {
  for (const mount of new Set([pod.record.mount, realPath(pod.record.mount)])) {
    const below = relative(mount, absolute);
    if (below === '') return '/';
    if (below !== '..' && !below.startsWith('../')) return `/${below}`;
  }
  return undefined;
}

/** The mount point may lie below a symbolic link. Only its parent is looked at: the mount itself may hang. */
function realPath(mount: string): string {
  try {
    return resolve(realpathSync(resolve(mount, '..')), mount.slice(mount.lastIndexOf('/') + 1));
  } catch {
    return mount;
  }
}
