import { residentMegabytes } from '../../test/system/pods.js';
import { atLeast, atMost, type Scenario } from '../figure.js';
import { runProgram } from '../program.js';
import { withPair } from '../world.js';

const MEBIBYTES = 1024;

export const largeRead: Scenario = {
  name: 'large-read',
  run: () =>
    withPair('portal', async ({ a, b }) => {
      const peak = { a: 0, b: 0 };
      const watch = setInterval(() => {
        peak.a = Math.max(peak.a, residentMegabytes(a.pid));
        peak.b = Math.max(peak.b, residentMegabytes(b.pid));
      }, 100);
      try {
        const written = await runProgram('write-file', a.path('large'), MEBIBYTES);
        await a.ok('sync', '--wait', '--timeout', '120s');
        const read = await runProgram('read-file', b.path('large'));
        if (read['bytes'] !== MEBIBYTES * 1024 * 1024) throw new Error(`read ${read['bytes']} bytes`);
        const again = await runProgram('read-file', b.path('large'));
        const [first, rate] = [read['firstByteMs'] ?? Number.NaN, read['megabytesPerSecond'] ?? Number.NaN];
        return [
          {
            name: '1 GiB written on A, with fsync',
            value: written['megabytesPerSecond'] ?? Number.NaN,
            unit: 'MB/s',
          },
          { name: 'read on B, first byte', value: first, unit: 'ms', target: atMost(50, first, 'ms') },
          {
            name: 'read on B, 1 GiB that only A holds',
            value: rate,
            unit: 'MB/s',
            target: atLeast(150, rate, 'MB/s'),
          },
          { name: 'read on B again', value: again['megabytesPerSecond'] ?? Number.NaN, unit: 'MB/s' },
          { name: 'memory of A, peak', value: peak.a, unit: 'MB', target: atMost(400, peak.a, 'MB') },
          { name: 'memory of B, peak', value: peak.b, unit: 'MB', target: atMost(400, peak.b, 'MB') },
        ];
      } finally {
        clearInterval(watch);
      }
    }),
};
