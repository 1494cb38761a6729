/** The file system: inode operations that join tree and content. */
export type * from './filesystem.js';
export { inodeNumber } from './stat.js';
export { type FileSystemOptions, openFileSystem, type WormholeFileSystem } from './wormhole-filesystem.js';
