import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WormholeError } from '../../src/base/index.js';
import { openStore } from '../../src/store/index.js';

const contender = fileURLToPath(new URL('./contender.js', import.meta.url));

/** A process that tries to open a store whenever it is asked to, and says how that went. */
class Contender {
  private readonly process: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  constructor(folder: string, command = process.execPath, args: string[] = []) {
    this.process = spawn(command, [...args, contender, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.process.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
  }

  get pid(): number {
    return this.process.pid as number;
  }

  async ready(): Promise<void> {
    assert.equal((await this.lines.next()).value, 'ready');
  }

  async try(): Promise<string> {
    this.process.stdin?.write('try\n');
    return (await this.lines.next()).value;
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await ended;
  }
}

describe('store', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-store-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made once, and found again', async () => {
    const path = join(folder, 'a', 'b');
    const store = await openStore(path);
    assert.equal(store.databasePath, join(path, 'database'));
    assert.deepEqual((await readdir(path)).sort(), ['format.json', 'lock']);
    store.close();
    store.close();
    const again = await openStore(path);
    assert.equal(again.id, store.id);
    again.close();
  });

  it('is not opened twice in one process', async () => {
    const store = await openStore(folder);
    await assert.rejects(openStore(folder), (error) => {
      assert.ok(error instanceof WormholeError && error.code === 'locked');
      assert.match(error.message, new RegExp(`process ${process.pid} `));
      return true;
    });
    store.close();
    (await openStore(folder)).close();
  });

  it('of a newer version is refused with the cure', async () => {
    await writeFile(join(folder, 'format.json'), '{"format": 2, "something": "new"}');
    await assert.rejects(openStore(folder), { code: 'newer-format', message: /npm install -g wormhole-fs/ });
    assert.equal(await readFile(join(folder, 'format.json'), 'utf8'), '{"format": 2, "something": "new"}');
  });

  it('that is damaged is refused', async () => {
    const id = 'ab'.repeat(16);
    for (const text of [
      '',
      '{',
      'null',
      '7',
      '{}',
      '{"format":0}',
      `{"format":"1","id":"${id}"}`,
      '{"format":1}',
    ]) {
      await writeFile(join(folder, 'format.json'), text);
      await assert.rejects(openStore(folder), { code: 'corrupt' }, text);
    }
    await rm(join(folder, 'format.json'));
    await mkdir(join(folder, 'database'));
    await assert.rejects(openStore(folder), { code: 'corrupt' });
  });

  it('whose making was cut short is made again', async () => {
    await writeFile(join(folder, 'format.json.0123456789ab.tmp'), '{"for');
    (await openStore(folder)).close();
    assert.deepEqual((await readdir(folder)).sort(), ['format.json', 'lock']);
  });

  it('has one owner among eight processes, also after kill -9 of the owner, again and again', async () => {
    const contenders = Array.from({ length: 8 }, () => new Contender(folder));
    try {
      await Promise.all(contenders.map((each) => each.ready()));
      for (let round = 0; round < 6; round++) {
        const answers = await Promise.all(contenders.map((each) => each.try()));
        const winners = contenders.filter((_, i) => answers[i] === 'held');
        assert.equal(winners.length, 1, answers.join(', '));
        const winner = winners[0] as Contender;
        assert.equal(answers.filter((answer) => answer.startsWith('locked')).length, contenders.length - 1);
        assert.match(
          await (contenders.find((each) => each !== winner) as Contender).try(),
          new RegExp(`${winner.pid}`),
        );
        await winner.kill();
        contenders.splice(contenders.indexOf(winner), 1);
      }
    } finally {
      await Promise.all(contenders.map((each) => each.kill()));
    }
  });

  it('has one owner also among processes in different network namespaces', async (context) => {
    if (spawnSync('unshare', ['-n', 'true']).status !== 0)
      return context.skip('unshare -n is not permitted here');
    const here = new Contender(folder);
    const there = new Contender(folder, 'unshare', ['-n', process.execPath]);
    try {
      await Promise.all([here.ready(), there.ready()]);
      assert.equal(await there.try(), 'held');
      assert.equal(await here.try(), `locked by ${there.pid}`);
      await there.kill();
      assert.equal(await here.try(), 'held');
    } finally {
      await Promise.all([here.kill(), there.kill()]);
    }
  });
});
