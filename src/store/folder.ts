import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

const folderMode = 0o700;

/** Makes a folder, with its parents, so that a power cut afterwards does not take it away again. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: folderMode });
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'EEXIST') return;
    // Not `recursive`, which hides the reason (a full disk) behind an ENOENT of its own.
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
    makeFolder(dirname(folder));
    mkdirSync(folder, { mode: folderMode });
  }
  syncPath(dirname(folder));
}

/** Makes the names in a folder durable, or the bytes of a file. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
