/** Real trees in temporary folders, linked in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type PodId,
  sha256,
  sha256Bytes,
  silentLog,
  systemClock,
  systemRandom,
} from '../../src/base/index.js';
import { TreeSync } from '../../src/sync/index.js';
import { openTree, ROOT, type Tree } from '../../src/tree/index.js';
import { MemoryLinks } from './memory-links.js';

export interface TreePod {
  id: PodId;
  tree: Tree;
  links: MemoryLinks;
  sync: TreeSync;
}

/** Makes pods; `close` ends them all and removes their folders. */
export class Orchard {
  private readonly folder: Promise<string> = mkdtemp(join(tmpdir(), 'wormhole-sync-'));
  private readonly pods: TreePod[] = [];
  private readonly network = sha256Bytes(systemRandom.bytes(16));
  isMember: (pod: PodId) => boolean = () => true;

  async pod(name: string): Promise<TreePod> {
    const id = sha256(Buffer.from(name));
    const tree = await openTree({
      folder: join(await this.folder, `${this.pods.length}-${name}`),
      podId: id,
      podName: name,
      network: this.network,
      founder: this.pods.length === 0,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
    const links = new MemoryLinks(id);
    const isMember = (pod: PodId) => this.isMember(pod);
    const sync = new TreeSync({ links, tree, isMember, clock: systemClock, log: silentLog });
    const pod = { id, tree, links, sync };
    this.pods.push(pod);
    return pod;
  }

  async close(): Promise<void> {
    for (const pod of this.pods) {
      await pod.links.stop();
      pod.sync.close();
    }
    await Promise.all(this.pods.map((pod) => pod.tree.close()));
    await rm(await this.folder, { recursive: true, force: true });
  }
}

export function createFile(tree: Tree, name: string, content = ''): void {
  tree.create(ROOT, name, { kind: 'file', size: content === '' ? 0 : 1, content, mode: 0o644 }, {});
}
