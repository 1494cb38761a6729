import { LIMITS, messageOf, WormholeError } from '../../base/index.js';
import { automerge, isDead } from './automerge.js';
import { type CheckedChange, checkChunks } from './change-check.js';
import { TreeDocument } from './document.js';
import { sameHeads } from './load.js';
import { decodeSnapshot } from './snapshot.js';

/** The schema's versions that this program understands. */
const SCHEMA_VERSION = 1;

/** @throws WormholeError `newer-format`, or `corrupt` for the document of another network */
export function checkSchema(document: TreeDocument, network: Uint8Array): void {
  if (document.version() > SCHEMA_VERSION) {
    throw new WormholeError('newer-format', "this network's tree needs a newer wormhole: update this one");
  }
  const found = document.network();
  if (found === undefined || Buffer.compare(found, network) !== 0) {
    throw new WormholeError('corrupt', 'the document belongs to another network');
  }
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
    const foreign = TreeDocument.load(document, actor);
    checkSchema(foreign, network);
    if (!sameHeads(foreign.heads(), header.heads)) throw new RangeError('wrong heads');
    return foreign;
  } catch (error) {
    if (isDead(error)) throw error;
    const reason = messageOf(error);
    throw new WormholeError('protocol', `a peer's snapshot is not valid: ${reason}`, { cause: error });
  }
}
