/** kill -9 of each daemon during a copy: nothing acknowledged is missing, no dead mount stays, the copy goes on. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { namespacesMissing } from './namespaces.js';
import { makePair, type Pair } from './pair.js';
import { eventually, fingerprint } from './pods.js';
import { killDaemon } from './users.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const COPIER = fileURLToPath(new URL('./copier.js', import.meta.url));
const SOURCE = join(import.meta.dirname, '..', '..', '..', 'node_modules', '@types', 'node');
/** Files that are there when a daemon dies: that of the writer, that of the receiver, both. */
const KILLS = [
  { files: 15, victims: ['a'] },
  { files: 40, victims: ['b'] },
  { files: 65, victims: ['a', 'b'] },
] as const;

let pair: Pair;

before(async () => {
  if (!skip) pair = await makePair('copy');
});

after(async () => {
  await pair?.remove();
});

/** A copy that tells of each file once its close() returned, and tries again what failed. */
class Copy {
  readonly acknowledged: string[] = [];
  readonly done: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(target: string) {
    this.child = spawn(process.execPath, [COPIER, SOURCE, target], {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    assert.ok(this.child.stdout !== null);
    createInterface({ input: this.child.stdout }).on('line', (line) => this.acknowledged.push(line));
    this.done = new Promise((resolve) => this.child.on('close', resolve));
  }

  end(): void {
    this.child.kill('SIGKILL');
  }
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

test('each daemon is killed during a copy: what was acknowledged is there, and the copy completes', {
  skip,
}, async (t) => {
  const { a, b } = pair;
  const copy = new Copy(a.path('copy'));
  t.after(() => copy.end());
  for (const { files, victims } of KILLS) {
    await eventually(() => assert.ok(copy.acknowledged.length >= files));
    const acknowledged = [...copy.acknowledged];
    for (const victim of victims) await killDaemon(pair[victim]);
    for (const victim of victims) await pair[victim].up();
    for (const file of acknowledged) {
      const told = `${file} was acknowledged before the kill${a.logTail()}`;
      assert.equal(digest(a.path('copy', file)), digest(join(SOURCE, file)), told);
    }
  }
  assert.equal(await copy.done, 0);
  assert.deepEqual(fingerprint(a.path('copy')), fingerprint(SOURCE));
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  assert.deepEqual(fingerprint(b.path('copy')), fingerprint(SOURCE), b.logTail());
});
