// Programs that use a mount as any program would, in a process of their own: `node programs.js NAME …`. The
// same program runs on the plain disk and on the peers.
import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [name, folder = '', count = '0'] = process.argv.slice(2);

function createFiles(): Record<string, number> {
  const data = Buffer.alloc(4096, 'w');
  const started = performance.now();
  for (let i = 0; i < Number(count); i++) {
    if (i % 1000 === 0) mkdirSync(join(folder, `d${i / 1000}`));
    data.writeUInt32LE(i, 0);
    const file = openSync(join(folder, `d${Math.floor(i / 1000)}`, `f${i}`), 'wx');
    writeSync(file, data);
    closeSync(file);
  }
  return { perSecond: Number(count) / ((performance.now() - started) / 1000) };
}

function readFile(): Record<string, number> {
  const block = Buffer.alloc(1024 * 1024);
  const started = performance.now();
  const file = openSync(folder, 'r');
  let bytes = readSync(file, block, 0, 4096, 0);
  const firstByteMs = performance.now() - started;
  for (;;) {
    const read = readSync(file, block, 0, block.length, bytes);
    if (read === 0) break;
    bytes += read;
  }
  closeSync(file);
  return { firstByteMs, bytes, megabytesPerSecond: bytes / 1e6 / ((performance.now() - started) / 1000) };
}

function writeFile(): Record<string, number> {
  const block = Buffer.alloc(1024 * 1024);
  const started = performance.now();
  const file = openSync(folder, 'w');
  // Blocks that differ, so that nothing is saved by equal chunks.
  let state = 0x9e3779b9;
  for (let i = 0; i < Number(count); i++) {
    for (let at = 0; at < block.length; at += 4) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      block.writeInt32LE(state, at);
    }
    writeSync(file, block);
  }
  fsyncSync(file);
  closeSync(file);
  return { megabytesPerSecond: Number(count) / ((performance.now() - started) / 1000) };
}

/** 4 KiB at random places of a file that is there, with an fsync after every hundred. */
function writeRandomly(): Record<string, number> {
  const block = Buffer.alloc(4096);
  const file = openSync(folder, 'r+');
  const blocks = Math.floor(fstatSync(file).size / block.length);
  let state = 12345;
  const started = performance.now();
  for (let i = 1; i <= Number(count); i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    block.writeInt32LE(state, 0);
    writeSync(file, block, 0, block.length, ((state >>> 4) % blocks) * block.length);
    if (i % 100 === 0) fsyncSync(file);
  }
  fsyncSync(file);
  const perSecond = Number(count) / ((performance.now() - started) / 1000);
  closeSync(file);
  return { perSecond };
}

/** Writes a file again below another name, with one byte more at its start. */
function shiftFile(): Record<string, number> {
  const [from, to] = [openSync(folder, 'r'), openSync(`${folder}.shifted`, 'w')];
  const block = Buffer.alloc(1024 * 1024);
  writeSync(to, 'x');
  for (let read = readSync(from, block); read > 0; read = readSync(from, block))
    writeSync(to, block, 0, read);
  closeSync(from);
  closeSync(to);
  return {};
}

const PROGRAMS: Record<string, () => Record<string, number>> = {
  'create-files': createFiles,
  'read-file': readFile,
  'write-file': writeFile,
  'write-randomly': writeRandomly,
  'shift-file': shiftFile,
};
const program = PROGRAMS[name ?? ''];
if (program === undefined) throw new Error(`no program ${name}`);
console.log(JSON.stringify(program()));
