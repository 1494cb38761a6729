import { constants } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { seededBytes } from './random.js';
import { CLOSE_DURABLE_MS, type Content, type Witness } from './witness.js';

const LARGE_BYTES = 6 * 1024 * 1024;
/** Small writes into it, each synced. */
const PATCHES = 6;
const BLOCK_BYTES = 1024 * 1024;

/** What programs do to files they care for, side by side, each told to the witness. `folder` is a mount. */
export async function work(folder: string, witness: Witness, round: number): Promise<void> {
  const own = `round-${round}`;
  await mkdir(join(folder, own));
  const player = new Player(folder, own, witness);
  await Promise.all([
    player.saves(),
    player.log(),
    player.smallFiles(),
    player.largeFile(),
    player.deleteAndCreate(),
    player.folders(),
  ]);
}

class Player {
  private readonly root: string;
  private readonly own: string;
  private readonly witness: Witness;

  constructor(root: string, own: string, witness: Witness) {
    this.root = root;
    this.own = own;
    this.witness = witness;
  }

  /** Write a temporary file, fsync, rename over; every other time the folder is fsynced as well. */
  async saves(): Promise<void> {
    const path = join(this.own, 'document');
    for (let version = 0; version < 24; version++) {
      const after = seededBytes(1000 + version * 3500, version + 1);
      const isSynced = version % 2 === 0;
      await this.witness.change({
        path,
        after,
        durableAfterMs: isSynced ? 0 : CLOSE_DURABLE_MS,
        act: async () => {
          const temporary = this.path(`${path}.${version}.tmp`);
          await writeSynced(temporary, after);
          await rename(temporary, this.path(path));
          if (isSynced) await this.syncFolder();
        },
      });
    }
  }

  /** Appends and fsyncs. */
  async log(): Promise<void> {
    const path = join(this.own, 'log');
    let whole = Buffer.alloc(0);
    for (let line = 0; line < 30; line++) {
      const before = whole;
      whole = Buffer.concat([whole, seededBytes(700 + line * 90, line + 100)]);
      const after = whole;
      await this.witness.change({
        path,
        after,
        during: (seen) =>
          before.length === 0
            ? isPartOf(after, seen, 0)
            : seen !== undefined && isPartOf(after, seen, before.length),
        act: async () => {
          const file = await open(this.path(path), 'a');
          try {
            await file.write(after.subarray(before.length));
            await file.sync();
          } finally {
            await file.close();
          }
        },
      });
    }
  }

  /** Written and closed, no fsync. */
  async smallFiles(): Promise<void> {
    for (let index = 0; index < 60; index++) {
      const path = join(this.own, `small-${index}`);
      const after = seededBytes(50 + index * 137, index + 200);
      await this.witness.change({
        path,
        after,
        during: (seen) => seen?.length === 0,
        durableAfterMs: CLOSE_DURABLE_MS,
        act: () => writeFile(this.path(path), after),
      });
      if (index % 10 === 0) await delay(100);
    }
  }

  /** In blocks, fsynced now and then; then a few bytes in the middle. */
  async largeFile(): Promise<void> {
    const path = join(this.own, 'large');
    const content = seededBytes(LARGE_BYTES, 300);
    const file = await open(this.path(path), constants.O_CREAT | constants.O_RDWR);
    try {
      for (let at = 0; at < LARGE_BYTES; at += 2 * BLOCK_BYTES) {
        const after = Buffer.from(content.subarray(0, at + 2 * BLOCK_BYTES));
        await this.witness.change({
          path,
          after,
          during: (seen) => isPartOf(after, seen, at),
          act: async () => {
            await file.write(after.subarray(at, at + BLOCK_BYTES), 0, BLOCK_BYTES, at);
            await file.write(after.subarray(at + BLOCK_BYTES), 0, BLOCK_BYTES, at + BLOCK_BYTES);
            await file.sync();
          },
        });
      }
      let before: Buffer = content;
      for (let i = 0; i < PATCHES; i++) {
        const patch = seededBytes(4096, 301 + i);
        const at = ((i * 7 + 3) % (LARGE_BYTES / BLOCK_BYTES)) * BLOCK_BYTES + 17;
        const [around, after] = [before, Buffer.from(before)];
        patch.copy(after, at);
        before = after;
        await this.witness.change({
          path,
          after,
          // In place: what is neither before nor after may stand where it is written, nowhere else.
          during: (seen) =>
            seen?.length === after.length &&
            seen.subarray(0, at).equals(around.subarray(0, at)) &&
            seen.subarray(at + patch.length).equals(around.subarray(at + patch.length)),
          act: async () => {
            await file.write(patch, 0, patch.length, at);
            await file.sync();
          },
        });
      }
    } finally {
      await file.close();
    }
  }

  async deleteAndCreate(): Promise<void> {
    const path = join(this.own, 'again');
    for (let version = 0; version < 8; version++) {
      const after = seededBytes(2000 + version, version + 400);
      await this.witness.change({
        path,
        after,
        during: (seen) => seen !== undefined && isPartOf(after, seen, 0),
        act: () => writeSynced(this.path(path), after),
      });
      await this.witness.change({
        path,
        after: undefined,
        act: async () => {
          await rm(this.path(path));
          await this.syncFolder();
        },
      });
    }
  }

  /** A folder with a file in it moves; the file is under one of the names, whole. */
  async folders(): Promise<void> {
    const content = seededBytes(90_000, 500);
    await this.witness.change({
      path: join(this.own, 'folder-0', 'inner'),
      after: content,
      during: (seen) => seen !== undefined && isPartOf(content, seen, 0),
      act: async () => {
        await mkdir(this.path(join(this.own, 'folder-0')));
        await writeSynced(this.path(join(this.own, 'folder-0', 'inner')), content);
      },
    });
    for (let index = 0; index < 6; index++) {
      const [from, to] = [join(this.own, `folder-${index}`), join(this.own, `folder-${index + 1}`)];
      const act = async () => {
        await rename(this.path(from), this.path(to));
        await this.syncFolder();
      };
      const moved = [
        {
          path: join(from, 'inner'),
          after: undefined,
          during: (seen: Content) => seen?.equals(content) === true,
        },
        { path: join(to, 'inner'), after: content },
      ];
      await this.witness.changeAll(moved, { act });
    }
  }

  private path(path: string): string {
    return join(this.root, path);
  }

  private async syncFolder(): Promise<void> {
    const handle = await open(this.path(this.own));
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

async function writeSynced(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Whether `seen` is `whole` up to `sure`, and from there on the same or not yet written, but not longer. */
function isPartOf(whole: Buffer, seen: Content, sure: number): boolean {
  if (seen === undefined) return sure === 0;
  if (seen.length < sure || seen.length > whole.length) return false;
  if (!seen.subarray(0, sure).equals(whole.subarray(0, sure))) return false;
  for (let at = sure; at < seen.length; at++) if (seen[at] !== whole[at] && seen[at] !== 0) return false;
  return true;
}
