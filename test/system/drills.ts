/** What each response of each posture is seen to do by whoever works on the mounts of three pods. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { POSTURES, type Posture, RESPONSES, type Response } from '../../src/config/crisis.js';
import { eventually, type TestPod } from './pods.js';

/** A pod that asks another what it holds waits for a minute where the answer is lost with its link. */
const COPIED_WITHIN_MS = 180_000;
/** What a posture that throttles allows each pod to copy. */
const THROTTLED_BYTES_PER_SECOND = 4e6;
/** For each pod that copies: neither its burst of 1 MB nor a first and a last chunk, of 4 MiB at most, bring it to four
 *  times the rate then. */
const LARGE_BYTES = 9e6;
const SMALL_BYTES = 1e6;

/** The folder whose rule answers this posture in this way, and is served as usual in the others. */
export function folderOf(posture: Posture, response: Response): string {
  return `${posture}-${response}`;
}

/** A rule for each posture and response, as lines of a declaration. */
export function drillRules(): string {
  const rules = POSTURES.flatMap((posture) =>
    RESPONSES.map((response) => {
      const calm = posture === 'favourable' ? ', mixed: continue' : '';
      const minimum = posture === 'critical' ? 'min-pods: 3, ' : '';
      const path = `/${folderOf(posture, response)}/**`;
      return `  - { path: ${path}, ${minimum}crisis: { ${posture}: ${response}${calm} } }\n`;
    }),
  );
  return rules.join('');
}

/** Nothing can be made in these while nothing is lost. */
const CLOSED_WHILE_CALM: readonly Response[] = ['read-only', 'stop'];

/** Drills on the mounts of a pod that writes, and of the others. */
export class Drills {
  private readonly writer: TestPod;
  private readonly others: readonly TestPod[];
  private large = 0;

  /** @param others the first of them stays when a pod is lost */
  constructor(writer: TestPod, others: readonly TestPod[]) {
    this.writer = writer;
    this.others = others;
  }

  /** While nothing is lost: makes the folders, as far as that is allowed. */
  async prepare(): Promise<void> {
    const { writer } = this;
    for (const posture of POSTURES) {
      for (const response of RESPONSES) {
        const folder = folderOf(posture, response);
        if (posture === 'favourable' && CLOSED_WHILE_CALM.includes(response))
          await assert.rejects(mkdir(writer.path(folder)), folder);
        else await this.fill(folder);
      }
    }
  }

  /** In a crisis: what could not be made before can be, since its rule answers the lack of one. */
  async prepareClosed(): Promise<void> {
    for (const response of CLOSED_WHILE_CALM) await this.fill(folderOf('favourable', response));
  }

  /** A posture holds: in the folders of its rules its responses are seen. */
  async hold(posture: Posture): Promise<void> {
    for (const response of RESPONSES) await this.sees(folderOf(posture, response), response);
  }

  /** A posture is over: in the folders of its rules everything is as usual. */
  async over(posture: Posture): Promise<void> {
    for (const response of RESPONSES) {
      const folder = folderOf(posture, response);
      if (response === 'throttle') await this.isUnthrottled(folder);
      else await this.sees(folder, 'continue');
    }
  }

  /** Resolves when all of them know a new declaration. */
  async declare(text: string): Promise<void> {
    await this.writer.ask('apply', { text });
    await eventually(async () => {
      for (const pod of this.others) assert.equal((await pod.ask('config', {})).text, text);
    });
  }

  /** A response is seen in a folder.
   *  @param timed whether the rate of one that throttles is measured, which takes seconds, or only that there is one */
  async sees(folder: string, response: Response, timed = true): Promise<void> {
    const [other] = this.others as [TestPod];
    const file = other.path(folder, 'f');
    switch (response) {
      case 'continue':
        await eventually(() => writeFile(file, `${folder} goes on\n`));
        await this.wants(folder, 2);
        await eventually(async () =>
          assert.equal(await readFile(this.writer.path(folder, 'f'), 'utf8'), `${folder} goes on\n`),
        );
        break;
      case 'fewer-copies':
        await this.wants(folder, 1);
        break;
      case 'read-only':
        await eventually(() => assert.rejects(writeFile(file, 'x'), { code: 'EROFS' }, folder));
        assert.notEqual(await readFile(file, 'utf8'), '', 'it can be read');
        break;
      case 'stop':
        await eventually(() => assert.rejects(readFile(file), { code: 'EIO' }, folder));
        break;
      case 'throttle':
        await this.isThrottled(folder, timed);
        break;
    }
  }

  private async fill(folder: string): Promise<void> {
    await mkdir(this.writer.path(folder));
    await writeFile(this.writer.path(folder, 'f'), `${folder}\n`);
  }

  private async wants(folder: string, copies: number): Promise<void> {
    await eventually(async () => {
      const { wanted } = (await this.writer.inspect(`/${folder}/f`)).copies;
      assert.equal(wanted, copies, folder);
    });
  }

  /** Copies are made at the declared rate. A busy machine only makes it take longer. */
  private async isThrottled(folder: string, timed: boolean): Promise<void> {
    const [before, started] = [await this.copied(), performance.now()];
    const bytes = timed ? LARGE_BYTES * this.others.length : SMALL_BYTES;
    await this.writeLarge(folder, bytes);
    const seconds = (performance.now() - started) / 1000;
    const after = await this.copied();
    const copied = after.throttled - before.throttled;
    assert.ok(copied > bytes / 4, `${folder}: only ${copied} bytes waited for the rate`);
    if (!timed) return;
    const rate = copied / seconds / this.others.length;
    assert.ok(rate < 4 * THROTTLED_BYTES_PER_SECOND, `${folder}: ${rate} bytes per second`);
  }

  private async isUnthrottled(folder: string): Promise<void> {
    const before = await this.copied();
    await this.writeLarge(folder, SMALL_BYTES);
    const after = await this.copied();
    // Of two copies at most one is the writer's own.
    assert.ok(after.free - before.free > 0.9 * SMALL_BYTES, `${folder}: it was not copied at full speed`);
  }

  /** Resolves when all copies are where they belong. */
  private async writeLarge(folder: string, bytes: number): Promise<void> {
    const name = `large ${this.large++}`;
    await eventually(() => writeFile(this.writer.path(folder, name), randomBytes(bytes)));
    await eventually(async () => {
      const { size, copies } = await this.writer.inspect(`/${folder}/${name}`);
      assert.equal(size, bytes);
      assert.deepEqual(copies, { wanted: 2, held: 2 }, name);
    }, COPIED_WITHIN_MS);
  }

  /** Bytes that the others have copied so far, by their own figures. One that cannot be asked copies nothing. */
  private async copied(): Promise<{ free: number; throttled: number }> {
    const sum = { free: 0, throttled: 0 };
    for (const pod of this.others) {
      const metrics = await pod.ask('metrics', {});
      const samples = metrics.find(({ name }) => name === 'wormhole_copied_bytes_total')?.samples ?? [];
      assert.equal(samples.length, 2);
      for (const { labels, value } of samples)
        sum[labels['throttled'] === 'yes' ? 'throttled' : 'free'] += value;
    }
    return sum;
  }
}
