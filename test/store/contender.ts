// Run by store.test.ts as a process of its own: opens the store named by the argument for each line it reads.
import { createInterface } from 'node:readline';
import { WormholeError } from '../../src/base/index.js';
import { openStore } from '../../src/store/index.js';

const folder = process.argv[2] as string;

async function attempt(): Promise<string> {
  try {
    await openStore(folder);
    return 'held';
  } catch (error) {
    if (!(error instanceof WormholeError) || error.code !== 'locked') return String(error);
    return `locked by ${/process (\d+)/.exec(error.message)?.[1] ?? 'nobody known'}`;
  }
}

process.stdout.write('ready\n');
for await (const _ of createInterface({ input: process.stdin })) process.stdout.write(`${await attempt()}\n`);
