import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lastLines } from '../../src/cli/commands/logs.js';
import { withFolder } from '../tree/index/fixture.js';

const MODULE = new URL('../../src/daemon/log-file.js', import.meta.url).href;
const WRITER = `
  const { LogFile } = await import(${JSON.stringify(MODULE)});
  const file = new LogFile(process.argv[1], 1000);
  for (let n = 0; n < 100; n++) {
    const line = 'line ' + String(n).padStart(94, '.') + '\\n';
    process.stdout.write(line);
    file.written(line.length);
  }`;

function write(log: string, output: string): void {
  const descriptor = openSync(output, 'a');
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', WRITER, log], {
    stdio: ['ignore', descriptor, 'inherit'],
  });
  closeSync(descriptor);
  assert.equal(child.status, 0);
}

test('a log that grows is begun anew, the files before it are kept, three of them', () =>
  withFolder(async (folder) => {
    const log = join(folder, 'daemon.log');
    write(log, log);
    const lines = lastLines(log, 12).map((line) => Number(/\d+$/.exec(line)?.[0]));
    assert.deepEqual(
      lines,
      Array.from({ length: 12 }, (_, i) => 88 + i),
      'no line is missing at the seam',
    );
    for (const n of [1, 2, 3]) assert.equal(readFileSync(`${log}.${n}`, 'utf8').length, 1_100);
    assert.equal(existsSync(`${log}.4`), false);
  }));

test('an output that is not the log is left alone', () =>
  withFolder(async (folder) => {
    const [log, elsewhere] = [join(folder, 'daemon.log'), join(folder, 'journal')];
    write(log, elsewhere);
    assert.equal(readFileSync(elsewhere, 'utf8').length, 100 * 100);
    assert.equal(existsSync(`${log}.1`), false);
  }));
