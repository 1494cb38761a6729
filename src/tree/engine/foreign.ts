import { LIMITS, messageOf, WormholeError } from '../../base/index.js';
import { automerge, isDead } from './automerge.js';
import { type CheckedChange, checkChunks } from './change-check.js';
import { TreeDocument } from './document.js';
import { sameHeads } from './load.js';
import { decodeSnapshot } from './snapshot.js';

/** The schema's versions that this program understands. */
const SCHEMA_VERSION = 1;

/**
 * What the document's head says counts only where it is not the one that this network's document begins with: whatever
 * is written over that later, by whoever it may be, decides nothing.
 * @throws WormholeError `newer-format`, or `corrupt` for the document of another network
 */
export function checkSchema(document: TreeDocument): void {
  if (document.founded) return;
  if (document.version() > SCHEMA_VERSION) {
    throw new WormholeError('newer-format', "this network's tree needs a newer wormhole: update this one");
  }
  throw new WormholeError('corrupt', 'the document belongs to another network');
}

/** Looks at a peer's sync message before the document does.
 *  @returns the changes that it carries by themselves (not in a whole document)
 *  @throws WormholeError `protocol` */
export function checkMessage(message: Uint8Array): CheckedChange[] {
  if (message.length > LIMITS.treeMessageBytesMax) {
    throw new WormholeError('protocol', 'a sync message is larger than the limit');
  }
  try {
    const { changes } = automerge.decodeSyncMessage(message);
    return changes.flatMap(checkChunks);
  } catch (error) {
    if (isDead(error) || error instanceof WormholeError) throw error;
    throw new WormholeError('protocol', 'a sync message is not valid', { cause: error });
  }
}

/** The document of a peer's snapshot.
 *  @throws WormholeError `protocol` when it is damaged, or of another network or a newer schema */
export function loadForeign(bytes: Uint8Array, actor: string, network: Uint8Array): TreeDocument {
  try {
    const { header, document } = decodeSnapshot(bytes);
    const foreign = TreeDocument.load(document, actor, network, header.hidden);
    checkSchema(foreign);
    if (!sameHeads(foreign.heads(), header.heads)) throw new RangeError('wrong heads');
    return foreign;
  } catch (error) {
    if (isDead(error)) throw error;
    const reason = messageOf(error);
    throw new WormholeError('protocol', `a peer's snapshot is not valid: ${reason}`, { cause: error });
  }
}
