import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a folder's entries durable (a rename or create below it survives a power cut afterwards). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Replaces a file atomically and durably: what `write` puts into a temporary file beside it, fsync, rename, fsync of
 * the folder. The old one is there, whole, until the new one is. A temporary file that a crash left is overwritten.
 */
export async function replaceFile(
  path: string,
  temporary: string,
  write: (handle: FileHandle) => Promise<void>,
  mode = 0o600,
): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, 'w', mode);
    await write(handle);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
  } catch (error) {
    await handle?.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** {@link replaceFile} for small files (identity, format, settings); two callers at once do not disturb each other. */
export function writeFileDurably(path: string, data: Uint8Array | string, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  return replaceFile(path, temporary, (handle) => handle.writeFile(data), mode);
}
