import './world-calls.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, silentLog, systemClock } from '../../src/base/index.js';
import type { ContentStore } from '../../src/content/index.js';
import { Numbers } from '../tree/simulation/numbers.js';
import { openSimulatedDatabase } from './database.js';
import { Disk, Worst } from './disk.js';
import { Actor, Stage } from './stage.js';

const { openContentStore } = await import('../../src/content/index.js');

const FOLDER = '/simulated/pod';
const WITHIN_MS = 60_000;

/** One process after the other on one disk, each ended by a power cut. */
class Machine {
  private readonly stage = new Stage();
  private readonly disk = new Disk();

  constructor() {
    this.stage.disks.set('pod', this.disk);
  }

  async run<T>(work: (content: ContentStore) => Promise<T>): Promise<T> {
    const actor = new Actor('pod', new Numbers(1));
    actor.bootId = String(this.disk.boots);
    const done: { value?: T; error?: unknown } = {};
    this.stage.after(actor, 0, () => {
      this.open()
        .then(work)
        .then(
          (value) => {
            done.value = value;
          },
          (error) => {
            done.error = error;
          },
        );
    });
    assert.ok(await this.stage.until(() => Object.keys(done).length > 0, WITHIN_MS), 'it takes too long');
    actor.end();
    this.disk.powerCut(new Worst(1));
    if (done.error !== undefined) throw done.error;
    return done.value as T;
  }

  private open(): Promise<ContentStore> {
    const clock: Clock = { ...systemClock, monotonicMs: () => this.stage.nowMs };
    const database = openSimulatedDatabase(this.disk, `${FOLDER}/database`, { flushed: true });
    const limits = { freeFloorBytes: 1024, reserveBytes: 1024 };
    return openContentStore({ folder: `${FOLDER}/content`, database, clock, log: silentLog, limits });
  }
}

test('a large file that was fsynced is there after a power cut that takes every name that was not', async () => {
  const machine = new Machine();
  const bytes = Buffer.alloc(100_000, 'x');
  await machine.run(async (content) => {
    const file = content.open('inode', '', 0);
    await file.write(0, bytes);
    await file.sync();
  });
  const found = await machine.run(async (content) => {
    const [recovered] = content.recovered();
    assert.ok(recovered !== undefined, 'nothing of it is there');
    return recovered.content.read(0, bytes.length);
  });
  assert.ok(Buffer.from(found).equals(bytes));
});
