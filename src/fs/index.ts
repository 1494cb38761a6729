/** The file system: inode operations that join tree and content. */
export type * from './filesystem.js';
