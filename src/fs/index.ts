/** The file system: inode operations that join tree and content. */
export type * from './filesystem.js';
export { inodeNumber } from './stat.js';
export { exportTree } from './transfer/export.js';
export { importFolder } from './transfer/import.js';
export type { Transfer } from './transfer/transfer.js';
export {
  type FileSystemOptions,
  type Guard,
  openFileSystem,
  type WormholeFileSystem,
} from './wormhole-filesystem.js';
