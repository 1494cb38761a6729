import { sha256 } from '../../base/index.js';
import { derivedBuckets } from './allocator.js';
import { automerge } from './automerge.js';

/** The document's first change, which makes its head: the maps that all else lies in. */
export interface Founding {
  change: Uint8Array;
  hash: string;
  /** The map of buckets. */
  top: string;
  /** The maps of the buckets that the document begins with: somebody may have put them out of sight before they are looked
   *  for. */
  maps: ReadonlyMap<string, string>;
}

const VERSION = 1;
const ACTOR_DIGITS = 40;
export const ROOT_BUCKET = 'root';

/**
 * It follows from the network's id alone. So every pod knows its hash and its maps without asking anyone, and
 * whatever a member may write over the head later (`v`, `network`, `b` of the root) is not looked at.
 */
export function foundingOf(network: Uint8Array): Founding {
  const handle = automerge.create({ actor: actorOf(network) });
  try {
    const names = [ROOT_BUCKET, ...derivedBuckets()];
    const buckets = Object.fromEntries(names.map((name) => [name, {}]));
    handle.put('_root', 'v', VERSION, 'uint');
    handle.put('_root', 'network', network);
    handle.put('_root', 'epoch', 0, 'uint');
    const top = handle.putObjectFromHydrate('_root', 'b', buckets);
    const hash = handle.commit(null, 0);
    const change = handle.getLastLocalChange();
    if (hash === null || change === null) throw new RangeError('the founding change is empty');
    const maps = new Map(names.map((name) => [name, String(handle.getWithType(top, name)?.[1])]));
    return { change, hash, top, maps };
  } finally {
    handle.free();
  }
}

/** No pod's: it makes this one change. */
function actorOf(network: Uint8Array): string {
  return sha256(Buffer.concat([Buffer.from('wormhole/tree/1\0'), network])).slice(0, ACTOR_DIGITS);
}
