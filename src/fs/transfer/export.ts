import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, open, readlink, rename, rm, symlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { messageOf, sha256, syncDirectory, WormholeError } from '../../base/index.js';
import type { InodeId, Node } from '../../tree/index.js';
import type { TransferOptions, TransferParts } from './import.js';
import { BLOCK_BYTES, READ, readFully, sameBytes, type Transfer, TransferReport } from './transfer.js';

const PAGE = 1_000;

/**
 * Copies a folder or file of the tree to this machine, fetching what is not here. Nothing that is there is replaced:
 * a second run goes on where the first was cut off.
 * @throws WormholeError `interrupted`, or the system's error for the target
 */
export async function exportTree(
  parts: TransferParts,
  source: Node,
  target: string,
  options: TransferOptions,
): Promise<Transfer> {
  const run = new Export(parts, options);
  await run.count(source);
  if (source.kind === 'directory') await run.folder(source, target);
  else {
    await mkdir(target, { recursive: true });
    await run.entry(source, join(target, source.name));
  }
  return run.report.transfer;
}

class Export {
  readonly report: TransferReport;
  private readonly parts: TransferParts;
  private readonly signal: AbortSignal;

  constructor(parts: TransferParts, { progress, signal }: TransferOptions) {
    this.parts = parts;
    this.signal = signal;
    this.report = new TransferReport(progress);
  }

  /** Counts what is to come, so that it can be told how long it takes. */
  async count(node: Node): Promise<void> {
    if (node.kind !== 'directory') return this.report.expect(1);
    for (let after: string | undefined; ; ) {
      const page = this.parts.tree.list(node.id, after, PAGE);
      await setImmediate();
      if (this.signal.aborted) throw cancelled();
      for (const { inode } of page) {
        const child = this.parts.tree.node(inode);
        if (child?.kind === 'directory') await this.count(child);
        else this.report.expect(1);
      }
      after = page.at(-1)?.name;
      if (page.length < PAGE) return;
    }
  }

  async folder(folder: Node, path: string): Promise<void> {
    const made = await mkdir(path, { recursive: true });
    if (made !== undefined) this.report.transfer.folders++;
    for (let after: string | undefined; ; ) {
      const page = this.parts.tree.list(folder.id, after, PAGE);
      for (const { name, inode } of page) {
        const node = this.parts.tree.node(inode);
        if (node === undefined) continue;
        const below = join(path, name);
        try {
          await this.entry(node, below);
        } catch (error) {
          if (this.signal.aborted) throw error;
          this.report.leave(below, messageOf(error));
        }
      }
      after = page.at(-1)?.name;
      if (page.length < PAGE) break;
    }
    await syncDirectory(path);
    if (made !== undefined) await dress(folder, path);
  }

  async entry(node: Node, path: string): Promise<void> {
    if (this.signal.aborted) throw cancelled();
    const there = await lstat(path).catch(() => undefined);
    if (node.kind === 'directory') {
      if (there === undefined || there.isDirectory()) return this.folder(node, path);
      return this.report.leave(path, 'a file of this name is there');
    }
    if (node.kind === 'symlink') {
      if (there?.isSymbolicLink() === true && (await readlink(path)) === node.content)
        return this.report.already();
      if (there !== undefined) return this.report.leave(path, 'another entry of this name is there');
      await symlink(node.content, path);
      return this.report.copied(0);
    }
    if (node.kind !== 'file') return this.report.leave(path, 'it is neither file, folder nor symbolic link');
    if (there === undefined) return this.file(node, path);
    const isSame = there.isFile() && there.size === node.size && (await this.isSame(path, node.id));
    return isSame ? this.report.already() : this.report.leave(path, 'another file of this name is there');
  }

  private async isSame(path: string, inode: InodeId): Promise<boolean> {
    const plain = await open(path, 'r');
    try {
      return await sameBytes(plain, this.parts.fileSystem, inode);
    } finally {
      await plain.close();
    }
  }

  /** Written beside, flushed, read again and compared, and only then given its name. */
  private async file(node: Node, path: string): Promise<void> {
    const { fileSystem } = this.parts;
    const temporary = join(dirname(path), `.wh-export-${sha256(Buffer.from(path)).slice(0, 16)}`);
    await rm(temporary, { force: true });
    const handle = await fileSystem.open(node.id, READ);
    const plain = await open(temporary, 'wx+', 0o600);
    try {
      const hash = createHash('sha256');
      let at = 0;
      for (;;) {
        if (this.signal.aborted) throw cancelled();
        const bytes = await fileSystem.read(handle, at, BLOCK_BYTES, this.signal);
        if (bytes.length === 0) break;
        hash.update(bytes);
        await plain.writeFile(bytes);
        at += bytes.length;
        this.report.tell();
      }
      await plain.sync();
      const again = createHash('sha256');
      const block = Buffer.alloc(BLOCK_BYTES);
      for (let from = 0, count = -1; count !== 0; from += count) {
        count = await readFully(plain, block, from);
        again.update(block.subarray(0, count));
      }
      if (hash.digest('hex') !== again.digest('hex')) {
        throw new WormholeError('io', 'what was read back is not what was written');
      }
      await plain.close();
      await dress(node, temporary);
      await rename(temporary, path);
      this.report.copied(at);
    } catch (error) {
      await plain.close().catch(() => {});
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await fileSystem.release(handle);
    }
  }
}

/** Owner where this process may give it away, then mode and time. */
async function dress({ mode, uid, gid, mtime }: Node, path: string): Promise<void> {
  if (process.getuid?.() === 0) await chown(path, uid, gid);
  await chmod(path, mode);
  await utimes(path, Number(mtime) / 1e9, Number(mtime) / 1e9);
}

function cancelled(): WormholeError {
  return new WormholeError('interrupted', 'the export was cancelled');
}
