import type { Answer } from '../base/index.js';
import type { FileHandle, OpenFlags } from '../fs/index.js';
import type { InodeId, Node } from './nodes.js';
import type { Session } from './session.js';

interface Appending {
  inode: InodeId;
  /** A second handle without O_APPEND, opened when first needed. */
  positional: Answer<FileHandle> | undefined;
}

/**
 * What the driver must know of open handles. A write through a handle with O_APPEND goes to the end, wherever the
 * kernel thinks that is, but for pages of a mapped file on their way back and for handles whose O_APPEND was taken
 * away by fcntl: these come without the flag, mean their offset, and go through a second handle.
 */
export class OpenFiles {
  private readonly appending = new Map<FileHandle, Appending>();

  opened(handle: FileHandle, node: Node, flags: OpenFlags): void {
    node.opens++;
    if (flags.append && flags.write) this.appending.set(handle, { inode: node.inode, positional: undefined });
  }

  /** @returns the second handle, to be released as well */
  released(handle: FileHandle, node: Node | undefined): Answer<FileHandle> | undefined {
    if (node !== undefined) node.opens--;
    const appending = this.appending.get(handle);
    this.appending.delete(handle);
    return appending?.positional;
  }

  /** The handle for a write that means its offset. */
  positional(session: Session, handle: FileHandle): Answer<FileHandle> {
    const appending = this.appending.get(handle);
    if (appending === undefined) return handle;
    appending.positional ??= session.fileSystem.open(appending.inode, {
      read: false,
      write: true,
      append: false,
      truncate: false,
      sync: false,
    });
    return appending.positional;
  }
}
