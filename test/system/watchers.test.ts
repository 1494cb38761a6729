/** Programs that watch a folder on one pod learn of what is done on another. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { namespacesMissing } from './namespaces.js';
import { makePair, type Pair } from './pair.js';
import { eventually, type TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

let pair: Pair | undefined;
let a: TestPod;
let b: TestPod;

before(async () => {
  if (skip) return;
  pair = await makePair('watchers');
  ({ a, b } = pair);
});

after(() => pair?.remove());

/** Prints each event that inotify tells of, as `MASK COOKIE NAME`. */
const INOTIFY = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init()
for path in sys.argv[1:]:
    assert libc.inotify_add_watch(fd, os.fsencode(path), 0xfff) >= 0
print('watching', flush=True)
while True:
    data = os.read(fd, 65536)
    while data:
        wd, mask, cookie, length = struct.unpack('iIII', data[:16])
        print(hex(mask & 0xfff), cookie, data[16:16 + length].rstrip(b'\\0').decode(), flush=True)
        data = data[16 + length:]
`;
const MASK = {
  modify: 0x2,
  attrib: 0x4,
  closeWrite: 0x8,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  remove: 0x200,
  deleteSelf: 0x400,
};

/** Children of tests that failed would keep this process. */
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** A program that runs until the test has seen enough of what it prints. */
class Program {
  readonly child: ChildProcess;
  seen = '';

  constructor(command: string, ...parameters: string[]) {
    this.child = spawn(command, parameters, { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(this.child);
    this.child.on('exit', () => running.delete(this.child));
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.seen += text;
    });
  }

  async shows(what: RegExp): Promise<void> {
    await eventually(() => assert.match(this.seen, what));
  }

  async end(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}

async function watch(...paths: string[]): Promise<Program> {
  const program = new Program('python3', '-c', INOTIFY, ...paths);
  await program.shows(/watching/);
  return program;
}

/** Watches folders of beta. What happened just before may be told too: all of that is past when this resolves. */
async function watchFolders(...folders: string[]): Promise<Program> {
  const program = await watch(...folders.map((folder) => b.path(folder)));
  const mark = a.path(folders[0] ?? '', 'mark');
  fs.writeFileSync(mark, '');
  await program.shows(event(MASK.create, 'mark'));
  fs.unlinkSync(mark);
  await program.shows(event(MASK.remove, 'mark'));
  program.seen = '';
  return program;
}

const event = (mask: number, name: string) => new RegExp(`^0x${mask.toString(16)} \\d+ ${name}$`, 'm');

/** Makes something on alpha and waits until beta shows it. */
async function made(path: string, text = 'x'): Promise<string> {
  fs.mkdirSync(join(a.path(path), '..'), { recursive: true });
  fs.writeFileSync(a.path(path), text);
  await eventually(() => assert.equal(fs.readFileSync(b.path(path), 'utf8'), text));
  return b.path(path);
}

test('inotify tells of what is made, changed, marked, renamed and removed elsewhere', { skip }, async () => {
  await made('d/old', 'old');
  await made('e/other', 'other');
  const program = await watchFolders('d', 'e');
  fs.writeFileSync(a.path('d', 'new'), 'content');
  await program.shows(event(MASK.create, 'new'));
  await program.shows(event(MASK.modify, 'new'));
  await program.shows(event(MASK.closeWrite, 'new'));
  fs.mkdirSync(a.path('d', 'folder'));
  await program.shows(event(MASK.create, 'folder'));
  fs.symlinkSync('old', a.path('d', 'link'));
  await program.shows(event(MASK.create, 'link'));
  fs.appendFileSync(a.path('d', 'old'), ' and new');
  await program.shows(event(MASK.modify, 'old'));
  assert.equal(fs.readFileSync(b.path('d', 'old'), 'utf8'), 'old and new');
  fs.chmodSync(a.path('d', 'old'), 0o755);
  await program.shows(event(MASK.attrib, 'old'));
  fs.renameSync(a.path('d', 'old'), a.path('e', 'moved'));
  await program.shows(event(MASK.movedTo, 'moved'));
  const from = /^0x40 (\d+) old$/m.exec(program.seen)?.[1];
  assert.equal(/^0x80 (\d+) moved$/m.exec(program.seen)?.[1], from, 'both halves have one cookie');
  fs.unlinkSync(a.path('e', 'moved'));
  await program.shows(event(MASK.remove, 'moved'));
  fs.rmdirSync(a.path('d', 'folder'));
  await program.shows(event(MASK.remove, 'folder'));
  await program.end();
  // Nothing of all that was done a second time.
  assert.deepEqual(fs.readdirSync(b.path('d')).sort(), ['link', 'new']);
  assert.deepEqual(fs.readdirSync(a.path('d')).sort(), ['link', 'new']);
  assert.deepEqual(fs.readdirSync(a.path('e')), ['other']);
  assert.equal(fs.readFileSync(b.path('d', 'new'), 'utf8'), 'content');
});

test('a watched folder that goes where nobody has looked is alive there', { skip }, async () => {
  await made('near/folder/inside');
  fs.mkdirSync(a.path('far', 'away'), { recursive: true });
  const program = await watch(b.path('near'), b.path('near', 'folder'));
  fs.renameSync(a.path('near', 'folder'), a.path('far', 'away', 'folder'));
  await program.shows(event(MASK.remove, 'folder'));
  const path = (...names: string[]) => b.path('far', 'away', 'folder', ...names);
  await eventually(() => assert.deepEqual(fs.readdirSync(path()), ['inside']));
  fs.writeFileSync(path('new'), 'x');
  assert.equal(fs.readFileSync(path('inside'), 'utf8'), 'x');
  await program.end();
});

test('a watch of a file itself tells of its end', { skip }, async () => {
  const path = await made('self', 'x');
  const program = await watch(path);
  fs.writeFileSync(a.path('self'), 'changed');
  await program.shows(event(MASK.modify, ''));
  fs.unlinkSync(a.path('self'));
  await program.shows(event(MASK.deleteSelf, ''));
  await program.end();
});

test('node\u2019s fs.watch and tail -f see it', { skip }, async () => {
  const path = await made('log/a.log', 'first\n');
  const tail = new Program('tail', '-n', '+1', '-f', path);
  await tail.shows(/first/);
  const script = 'require("fs").watch(process.argv[1], (_, name) => console.log(name)); console.log("ready")';
  const watcher = new Program(process.execPath, '-e', script, b.path('log'));
  await watcher.shows(/ready/);
  fs.appendFileSync(a.path('log', 'a.log'), 'second\n');
  await tail.shows(/second/);
  await watcher.shows(/a\.log/);
  fs.writeFileSync(a.path('log', 'b.log'), '');
  await watcher.shows(/b\.log/);
  await tail.end();
  await watcher.end();
});

test('an editor\u2019s save by rename is seen as a change of the file', { skip }, async () => {
  await made('edited/text', 'one');
  const program = await watchFolders('edited');
  fs.writeFileSync(a.path('edited', '.text.tmp'), 'two');
  fs.renameSync(a.path('edited', '.text.tmp'), a.path('edited', 'text'));
  await program.shows(event(MASK.modify, 'text'));
  assert.equal(fs.readFileSync(b.path('edited', 'text'), 'utf8'), 'two');
  await program.end();
});

test('many changes are told in the end, none is repeated for ever, and both pods agree', {
  skip,
}, async () => {
  await made('many/first');
  const watchers = [await watch(b.path('many')), await watch(a.path('many'))];
  for (let index = 0; index < 100; index++) fs.writeFileSync(a.path('many', `file-${index}`), `${index}`);
  for (let index = 0; index < 100; index++) fs.writeFileSync(b.path('many', `back-${index}`), `${index}`);
  await watchers[0]?.shows(event(MASK.create, 'file-99'));
  await watchers[1]?.shows(event(MASK.create, 'back-99'));
  await eventually(() =>
    assert.deepEqual(fs.readdirSync(a.path('many')).sort(), fs.readdirSync(b.path('many')).sort()),
  );
  await a.ok('sync', '--wait', '--timeout', '30s');
  await delay(300);
  const quiet = watchers.map(({ seen }) => seen.length);
  await delay(700);
  assert.deepEqual(
    watchers.map(({ seen }) => seen.length),
    quiet,
    'events go on',
  );
  for (const watcher of watchers) await watcher.end();
  for (const name of fs.readdirSync(b.path('many')))
    assert.deepEqual(fs.readFileSync(b.path('many', name)), fs.readFileSync(a.path('many', name)));
});

test('without watchers there is nothing to do; the mount goes on when the helper is killed', {
  skip,
}, async () => {
  await made('quiet/file');
  const program = await watch(b.path('quiet'));
  fs.writeFileSync(a.path('quiet', 'one'), '1');
  await program.shows(event(MASK.create, 'one'));
  for (const pid of helpersOf(b.pid)) process.kill(pid, 'SIGKILL');
  fs.writeFileSync(a.path('quiet', 'two'), '2');
  await eventually(() => assert.equal(fs.readFileSync(b.path('quiet', 'two'), 'utf8'), '2'));
  fs.writeFileSync(a.path('quiet', 'three'), '3');
  await program.shows(event(MASK.create, 'three'));
  await program.end();
  // The helper, when it is there, does not keep the mount busy.
  assert.equal((await b.wh('down')).code, 0);
  assert.deepEqual(fs.readdirSync(b.mount), []);
  await b.up();
});

function helpersOf(daemon: number): number[] {
  return fs
    .readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        return (
          fs.readFileSync(`/proc/${pid}/status`, 'utf8').includes(`PPid:\t${daemon}\n`) &&
          fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('watching/helper.js')
        );
      } catch {
        return false;
      }
    });
}
