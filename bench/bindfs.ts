import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { must, run } from '../test/system/pods.js';

/** A bindfs mount of a local folder (a pass-through file system in C), or why there is none: what FUSE costs when
 *  nothing is done behind it. */
export async function withBindfs<T>(
  folder: string,
  work: (mount: string) => Promise<T>,
): Promise<T | { missing: string }> {
  if ((await run(undefined, ['sh', '-c', 'command -v bindfs'])).code !== 0) {
    return { missing: 'bindfs is not installed' };
  }
  const [source, mount] = [join(folder, 'bindfs', 'source'), join(folder, 'bindfs', 'mnt')];
  mkdirSync(source, { recursive: true });
  mkdirSync(mount, { recursive: true });
  await must(undefined, ['bindfs', source, mount]);
  try {
    return await work(mount);
  } finally {
    await run(undefined, ['umount', mount]);
  }
}
