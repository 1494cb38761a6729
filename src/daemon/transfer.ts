import { realpath, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { messageOf, WormholeError } from '../base/index.js';
import { exportTree, importFolder } from '../fs/index.js';
import { type InodeId, ROOT } from '../tree/index.js';
import type { Transferred } from './control.js';
import type { Pod } from './pod.js';

interface Context {
  progress(line: string): void;
  signal: AbortSignal;
}

const FOLDER = { kind: 'directory', size: 0, content: '', mode: 0o755 } as const;

/** @throws WormholeError `usage` | `not-found` | `not-a-directory`, and as {@link importFolder} */
export async function importInto(
  pod: Pod,
  source: string,
  path: string,
  context: Context,
): Promise<Transferred> {
  await checkOutside(pod, source);
  const found = await stat(source).catch((cause) => {
    throw new WormholeError('not-found', `${source} cannot be read: ${messageOf(cause)}`, { cause });
  });
  if (!found.isDirectory()) {
    throw new WormholeError('usage', `${source} is not a folder: give the folder that is to be imported.`);
  }
  const folder = folderAt(pod, path);
  const options = { progress: context.progress, signal: context.signal };
  const transfer = await importFolder(pod, source, folder, options);
  return { path: pod.tree.pathOf(folder), ...transfer };
}

/** @throws WormholeError `usage` | `not-found`, and as {@link exportTree} */
export async function exportFrom(
  pod: Pod,
  path: string,
  target: string,
  context: Context,
): Promise<Transferred> {
  const node = pod.tree.resolvePath(path);
  if (node === undefined) throw noSuch(pod, path);
  await checkOutside(pod, target);
  const options = { progress: context.progress, signal: context.signal };
  return { path, ...(await exportTree(pod, node, target, options)) };
}

/** The folder, made where only its last part is missing. */
function folderAt(pod: Pod, path: string): InodeId {
  const parts = path.split('/').filter((part) => part !== '');
  const name = parts.pop();
  if (name === undefined) return ROOT;
  const parent = pod.tree.resolvePath(`/${parts.join('/')}`);
  if (parent === undefined) throw noSuch(pod, `/${parts.join('/')}`);
  const node = pod.tree.lookup(parent.id, name);
  // As a batch of one: the kernel did not ask for it, and has to hear of it.
  if (node === undefined) {
    return pod.tree.createMany([{ parent: parent.id, name, data: FOLDER, attributes: {} }])[0] as InodeId;
  }
  if (node.kind !== 'directory') throw new WormholeError('not-a-directory', `${path} is not a folder.`);
  return node.id;
}

function noSuch(pod: Pod, path: string): WormholeError {
  return new WormholeError('not-found', `there is no ${path} in network "${pod.record.network}".`);
}

/** The daemon that serves a mount must not walk it, nor its own store. */
async function checkOutside(pod: Pod, path: string): Promise<void> {
  const real = await realPath(path);
  for (const forbidden of [pod.mount.mountPoint, pod.paths.folder]) {
    const isInside = real === forbidden || real.startsWith(forbidden + sep);
    const isAround = forbidden.startsWith(real === sep ? sep : real + sep);
    if (isInside || isAround) {
      throw new WormholeError('usage', `${path} and ${forbidden} overlap: choose a folder apart from it.`);
    }
  }
}

/** Of as much of it as is there. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
    return join(await realPath(dirname(path)), path.slice(dirname(path).length).replace(/^\//, ''));
  }
}
