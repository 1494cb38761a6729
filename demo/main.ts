// `npm run demo`: the main job, seen. Two pods on two hosts (network namespaces of this machine), found by mDNS,
// mounted for real; sync, lazy reading, edits on both sides while cut off, and the merge. Cleans up after itself.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Inspection, Status } from '../src/daemon/control.js';
import { makeNetwork, type TestNetwork } from '../test/system/namespaces.js';
import { eventually, run, TestPod } from '../test/system/pods.js';

const MEBIBYTES = 256;

const folder = mkdtempSync(join(tmpdir(), 'wormhole-demo-'));
const cleanups: (() => Promise<unknown>)[] = [];
let cleaning: Promise<void> | undefined;

function clean(): Promise<void> {
  cleaning ??= (async () => {
    for (const cleanup of cleanups.reverse()) await cleanup().catch((error) => console.error(String(error)));
    rmSync(folder, { recursive: true, force: true });
  })();
  return cleaning;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    say('\nCleaning up …');
    clean().finally(() => process.exit(130));
  });
}

try {
  await demo();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await clean();
}

async function demo(): Promise<void> {
  title('Two machines, one network, no address typed');
  const { a, b, lan } = await twoPods();
  const { pods } = await a.json<Status>('status');
  say(
    `  desktop and laptop found each other by mDNS: ${pods.map((pod) => `${pod.name} (${pod.link})`).join(', ')}`,
  );
  say(`  desktop mounts ${a.mount}\n  laptop mounts  ${b.mount}`);

  title('A file written on one appears on the other');
  writeFileSync(a.path('hello.txt'), 'hello from the desktop\n');
  const closed = performance.now();
  await eventually(() => {
    if (readFileSync(b.path('hello.txt'), 'utf8') === '') throw new Error('still empty');
  });
  say(`  $ cat laptop/hello.txt        → ${readFileSync(b.path('hello.txt'), 'utf8').trim()}`);
  say(`  ${(performance.now() - closed).toFixed(0)} ms after it was closed on the desktop`);

  title(
    `A large file streams when it is read (${MEBIBYTES} MiB; the laptop is a portal: it caches, it never must hold)`,
  );
  await writeLarge(a.path('film.mkv'));
  await a.ok('sync', '--wait', '--timeout', '60s');
  const before = await b.json<Inspection>('inspect', b.path('film.mkv'));
  say(`  on the laptop: ${before.state}, ${here(before)} of ${before.chunks.length} chunks here`);
  await timed('the first 64 kB, from the middle', [
    'dd',
    `if=${b.path('film.mkv')}`,
    'bs=64k',
    'count=1',
    'skip=2000',
    'of=/dev/null',
  ]);
  const some = await b.json<Inspection>('inspect', b.path('film.mkv'));
  say(`  on the laptop: ${some.state}, ${here(some)} of ${some.chunks.length} chunks here`);
  await timed('all of it', ['cmp', a.path('film.mkv'), b.path('film.mkv')]);

  title('The cable is pulled; both go on; the cable is back');
  writeFileSync(a.path('plan.txt'), 'the plan\n');
  await a.ok('sync', '--wait', '--timeout', '30s');
  await eventually(() => {
    readFileSync(b.path('plan.txt'));
  });
  lan.hosts[1]?.cut();
  writeFileSync(a.path('plan.txt'), 'the plan, as the desktop wants it\n');
  writeFileSync(b.path('plan.txt'), 'the plan, as the laptop wants it\n');
  writeFileSync(b.path('on-the-train.txt'), 'written offline\n');
  await run(undefined, ['mv', a.path('hello.txt'), a.path('welcome.txt')]);
  await run(undefined, ['sh', '-c', `echo 'and more, from the train' >> '${b.path('hello.txt')}'`]);
  say('  offline: plan.txt edited on both, hello.txt renamed on the desktop and edited on the laptop');
  lan.hosts[1]?.heal();
  const healed = performance.now();
  await eventually(() => {
    for (const pod of [a, b]) {
      const names = readdirSync(pod.mount);
      if (!names.includes('on-the-train.txt') || names.filter((name) => name.startsWith('plan')).length < 2) {
        throw new Error('not merged yet');
      }
    }
    if (readFileSync(a.path('welcome.txt'), 'utf8') !== readFileSync(b.path('welcome.txt'), 'utf8')) {
      throw new Error('not merged yet');
    }
  }, 60_000);
  say(
    `  merged ${((performance.now() - healed) / 1000).toFixed(1)} s after the cable was back; the same on both:`,
  );
  for (const name of readdirSync(a.mount).filter((entry) => entry.endsWith('.txt'))) {
    const text = readFileSync(a.path(name), 'utf8');
    if (text !== readFileSync(b.path(name), 'utf8')) throw new Error(`${name} differs`);
    say(`    ${name.padEnd(44)} ${text.trim().replaceAll('\n', ' ⏎ ')}`);
  }
  say('  nothing was lost: the rename carries the edit, and both plans are there.');

  title('Where to look next');
  say((await a.ok('status')).replace(/^/gm, '  ').trimEnd());
  say('\n  Your own: ./bin/wh new NAME FOLDER, then ./bin/wh invite. README.md has the first tour.');
}

async function twoPods(): Promise<{ a: TestPod; b: TestPod; lan: TestNetwork }> {
  const lan = makeNetwork(2);
  cleanups.push(() => lan.remove());
  const a = new TestPod(lan.hosts[0], 'desktop', folder);
  const b = new TestPod(lan.hosts[1], 'laptop', folder);
  cleanups.push(() => a.wh('down'));
  cleanups.push(() => b.wh('down'));
  say(`  $ wh new home ${a.mount}`);
  await a.create('home');
  say('  $ wh invite --role portal     → a code, good once\n  $ wh join CODE');
  await b.join(a, { role: 'portal' });
  return { a, b, lan };
}

async function writeLarge(path: string): Promise<void> {
  await run(undefined, ['dd', 'if=/dev/urandom', `of=${path}`, 'bs=1M', `count=${MEBIBYTES}`]);
}

async function timed(what: string, command: string[]): Promise<void> {
  const started = performance.now();
  const { code, stderr } = await run(undefined, command);
  if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  say(`  read on the laptop, ${what}: ${(performance.now() - started).toFixed(0)} ms`);
}

function here(file: Inspection): number {
  return file.chunks.filter((chunk) => chunk.here).length;
}

function title(text: string): void {
  const bold = process.stdout.isTTY ? (line: string) => `\x1b[1m${line}\x1b[0m` : (line: string) => line;
  say(`\n${bold(`— ${text}`)}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
