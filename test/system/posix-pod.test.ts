/** The cases of a local folder, and random operations beside one, on the mount of a real pod with its real store. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { compareFolders, matrixCases, missing, posixCases, runCase, SystemCalls } from '../posix/index.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, TestPod } from './pods.js';

const absent = namespacesMissing();
if (absent !== undefined) console.log(`skipped: ${absent}`);
const skip = absent ?? false;

/** Random operations: `WORMHOLE_RUNS=n` seeds in a row, `WORMHOLE_SEED=n` the first of them, `WORMHOLE_STEPS=n` longer ones. */
const RUNS = Number(process.env['WORMHOLE_RUNS'] ?? 100);
const STEPS = Number(process.env['WORMHOLE_STEPS'] ?? 200);
const firstSeed = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 2 ** 30);
/** Each has found something once. */
const FIXED = [359314950];
const seeds = [...Array.from({ length: RUNS }, (_, index) => firstSeed + index), ...FIXED];

describe('a pod alone', { skip }, () => {
  let folder: string;
  let lan: TestNetwork;
  let pod: TestPod;
  let system: SystemCalls;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-posix-'));
    chmodSync(folder, 0o755);
    lan = makeNetwork(1);
    pod = new TestPod(lan.hosts[0], 'alpha', folder);
    await pod.create('posix');
    mkdirSync(join(folder, 'plain'));
    system = await SystemCalls.start();
  });

  after(async () => {
    await system?.close();
    await endAll([pod]);
    await lan?.remove();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  for (const posixCase of [...posixCases, ...matrixCases]) {
    test(posixCase.name, { skip: missing(posixCase) ?? false }, () => runCase(posixCase, pod.mount, system));
  }

  test('random operations do what they do in a plain folder', () => {
    console.log(`${RUNS} seeds from ${firstSeed} on (again with WORMHOLE_SEED=n WORMHOLE_RUNS=1)`);
    for (const seed of seeds) {
      const [plain, mounted] = [join(folder, 'plain', 'random'), pod.path('random')];
      mkdirSync(plain);
      mkdirSync(mounted);
      try {
        compareFolders(system, seed, STEPS, plain, mounted);
      } finally {
        rmSync(plain, { recursive: true });
        rmSync(mounted, { recursive: true });
      }
    }
  });
});
