/** The cases of a local folder, on a mount of the memory file system, in each way that the driver works. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cannotMount, type Served, serve } from '../mount/serve.js';
import type { ServerOptions } from '../mount/server.js';
import { missing, posixCases, runCase, SystemCalls } from '../posix/index.js';

const variants: { name: string; options: Partial<ServerOptions> }[] = [
  { name: 'answers at once, requests by the pipe', options: { way: 'pipe' } },
  { name: 'answers later, requests by fs.read', options: { way: 'read', later: true } },
  {
    name: 'nothing cached',
    options: { timeouts: { entryMs: 0, attributesMs: 0, negativeMs: 0 } },
  },
];

for (const { name, options } of variants) {
  describe(name, { skip: cannotMount() ?? false }, () => {
    let served: Served;
    let system: SystemCalls;
    before(async () => {
      system = await SystemCalls.start();
      served = await serve(options);
      assert.equal(served.way, options.way ?? 'pipe');
    });
    after(async () => {
      await system?.close();
      await served?.stop();
    });

    for (const posixCase of posixCases) {
      test(posixCase.name, { skip: missing(posixCase) ?? false }, () =>
        runCase(posixCase, served.mountPoint, system),
      );
    }

    test('nothing is left open or remembered', async () => {
      const { openHandles, inodes } = await served.command({ do: 'count' });
      assert.deepEqual({ openHandles, inodes }, { openHandles: 0, inodes: 1 });
    });
  });
}
