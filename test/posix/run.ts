/** `node run.js FOLDER`: the cases in that folder, for a user or a namespace that the test runner is not in. Prints
 *  what failed and what was skipped; the exit code is 1 when anything failed. */
import { matrixCases, missing, posixCases, runCase, SystemCalls } from './index.js';

const folder = process.argv[2] ?? '';
const system = await SystemCalls.start();
const count = { passed: 0, failed: 0, skipped: 0 };
for (const posixCase of [...posixCases, ...matrixCases]) {
  if (missing(posixCase) !== undefined) {
    count.skipped++;
    continue;
  }
  try {
    await runCase(posixCase, folder, system);
    count.passed++;
  } catch (error) {
    count.failed++;
    console.log(`failed: ${posixCase.name}\n${error instanceof Error ? error.stack : String(error)}`);
  }
}
await system.close();
console.log(JSON.stringify(count));
process.exit(count.failed > 0 ? 1 : 0);
