/** The cases on a folder of this machine's own: what fails here is a fault of the case. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { matrixCases, missing, posixCases, runCase, SystemCalls } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'wormhole-posix-'));
let system: SystemCalls;
before(async () => {
  // Other users must get as far as the cases' own folders.
  chmodSync(folder, 0o755);
  system = await SystemCalls.start();
});
after(async () => {
  await system.close();
  rmSync(folder, { recursive: true, force: true });
});

for (const posixCase of [...posixCases, ...matrixCases]) {
  test(posixCase.name, { skip: missing(posixCase) ?? false }, () => runCase(posixCase, folder, system));
}
