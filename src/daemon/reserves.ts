import { join } from 'node:path';
import { giveUpContentReserve } from '../content/index.js';
import { giveUpTreeReserve } from '../tree/index.js';
import { CONTENT, type PodPaths, TREE } from './home.js';

/**
 * Gives back to a full disk what the stopped pod in a folder holds back for such a time: first the contents' reserve,
 * then the journal's.
 * @returns false when there is nothing held back any more
 */
export function giveUpReserve(paths: PodPaths): boolean {
  return giveUpContentReserve(join(paths.store, CONTENT)) || giveUpTreeReserve(join(paths.store, TREE));
}
