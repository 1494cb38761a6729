// Copies a folder file by file with synchronous calls, as `cp` would; prints a file's name once its close()
// returned. What fails (the mount is gone for a moment) is tried again until it works.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const [source = '', target = ''] = process.argv.slice(2);
const GIVE_UP_MS = 60_000;
const PAUSE_MS = 100;

function copyFile(file: string): void {
  const mount = dirname(target);
  // A folder that nothing is mounted on must not be filled instead.
  if (statSync(mount).ino !== 1) throw new Error(`${mount} is not mounted`);
  mkdirSync(join(target, dirname(file)), { recursive: true });
  const descriptor = openSync(join(target, file), 'w');
  try {
    writeSync(descriptor, readFileSync(join(source, file)));
  } finally {
    closeSync(descriptor);
  }
}

const files = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(source.length + 1))
  .sort();

for (const file of files) {
  const end = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      copyFile(file);
      break;
    } catch (error) {
      if (performance.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
  process.stdout.write(`${file}\n`);
  // Slow enough for kills to strike in the middle.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
}
