import { readFileSync, writeFileSync } from 'node:fs';
import type { TestPod } from '../../test/system/pods.js';
import { atMost, type Figure, percentile, type Scenario } from '../figure.js';
import { withPair } from '../world.js';

const ROUNDS = 200;
const TIMEOUT_MS = 5_000;

/** close() on one pod to content readable on the other, in ms, for `rounds` new files. */
export async function measureLatency(
  from: TestPod,
  to: TestPod,
  rounds: number,
  prefix: string,
): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const name = `${prefix}-${i}`;
    const content = `content of ${name}\n`;
    writeFileSync(from.path(name), content);
    const closed = performance.now();
    for (;;) {
      if (visible(to.path(name)) === content) break;
      if (performance.now() - closed > TIMEOUT_MS) throw new Error(`${name} did not arrive${to.logTail()}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    times.push(performance.now() - closed);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return times;
}

function visible(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export function latencyFigures(name: string, times: readonly number[]): Figure[] {
  const [p50, p95] = [percentile(times, 0.5), percentile(times, 0.95)];
  return [
    { name: `${name}, p50`, value: p50, unit: 'ms', target: atMost(25, p50, 'ms') },
    { name: `${name}, p95`, value: p95, unit: 'ms', target: atMost(100, p95, 'ms') },
  ];
}

export const latency: Scenario = {
  name: 'latency',
  run: () =>
    withPair('storage', async ({ a, b }) => {
      await measureLatency(a, b, 20, 'warm-up');
      return latencyFigures('close() on A to content on B', await measureLatency(a, b, ROUNDS, 'file'));
    }),
};
