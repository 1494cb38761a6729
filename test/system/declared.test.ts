/** The declared network, through `wh` and ordinary file operations: three hosts, a file, its rules and its crises. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Posture } from '../../src/config/crisis.js';
import type {
  ConfigApplied,
  ConfigEntry,
  ConfigPlan,
  ConfigShown,
  ScrubResult,
} from '../../src/daemon/control.js';
import { Drills, drillRules, folderOf } from './drills.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, must, TestPod, WH } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

let folder: string;
let lan: TestNetwork;
let pods: TestPod[];
let [a, b, c] = [] as unknown as [TestPod, TestPod, TestPod];

const DECLARED = `version: 1
network: office      # ours
copies: 2
join: approve
admins: [alpha, beta]
pods:
  alpha: { zone: cellar, media: ssd }
  beta:  { zone: attic, media: hdd }
  gamma: { zone: attic, media: hdd }
rules:
  - path: /fast/**
    copies: 1
    require: { media: ssd }
  - path: /apart/**
    zones: 2
  - path: /three/**
    copies: 3
  - path: /single/**
    copies: 1
    ignore: true
${drillRules()}  - path: /archive/**
    read-only: true
  - path: "**/scratch/**"
    ignore: true
crisis:
  grace: 4s
  notify: ["exec:PAGER", "http://10.77.0.1:4780/hook"]
`;

const file = () => join(folder, 'wormhole.yaml');
const pages = () => join(folder, 'pages');
/** A web hook on alpha's host: keeps each call as a line. */
const HOOK = `const fs = require('node:fs');
require('node:http').createServer((request, response) => {
  request.setEncoding('utf8').on('data', (text) => fs.appendFileSync(process.argv[1], text + '\\n'));
  request.on('end', () => response.end());
}).listen(4780, '10.77.0.1');`;
const calls = () => join(folder, 'calls');

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-declared-'));
  lan = makeNetwork(3);
  pods = ['alpha', 'beta', 'gamma'].map((name, i) => new TestPod(lan.hosts[i], name, folder));
  [a, b, c] = pods as [TestPod, TestPod, TestPod];
  const pager = join(folder, 'pager');
  writeFileSync(pager, `#!/bin/sh\necho "$WORMHOLE_POD $WORMHOLE_POSTURE" >> ${pages()}\n`);
  chmodSync(pager, 0o755);
  writeFileSync(file(), DECLARED.replace('PAGER', pager));
  lan.hosts[0]?.spawn(process.execPath, ['-e', HOOK, calls()], { stdio: 'ignore' });
});

after(async () => {
  await endAll(pods ?? []);
  await lan?.remove();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

const posture = async (pod: TestPod) => (await pod.status()).posture;
const refused = (work: Promise<unknown>) => assert.rejects(work, { code: 'EROFS' });

test('one command makes the network of a file, and its pods join by their invite alone', {
  skip,
}, async () => {
  const up = await a.json<{ applied: boolean; invites: { pod: string; code: string }[] }>(
    'up',
    '-f',
    file(),
    a.mount,
    '--pod',
    'alpha',
  );
  assert.equal(up.applied, true);
  assert.deepEqual(
    up.invites.map(({ pod }) => pod),
    ['beta', 'gamma'],
  );
  for (const [i, pod] of [b, c].entries()) {
    const code = up.invites[i]?.code ?? '';
    const joined = JSON.parse(
      await must(pod.host, [WH, 'join', code, pod.mount, '--json'], { env: { WH_HOME: pod.home } }),
    );
    assert.equal(joined.pod, pod.name, 'its name comes with the invite');
  }
  const { code } = await a.json<{ code: string }>('invite');
  const stranger = new TestPod(lan.hosts[2], 'delta', folder);
  const refusal = await stranger.wh('join', code, stranger.mount, '--pod', 'delta');
  assert.equal(refusal.code, 1, refusal.stdout);
  assert.match(refusal.stderr, /"delta" is none of them/);
});

test('every pod shows the same declaration, with who and when; the same file again changes nothing', {
  skip,
}, async () => {
  await eventually(async () => {
    const shown = await Promise.all(pods.map((pod) => pod.ask('config', {})));
    for (const one of shown) assert.deepEqual(one, shown[0]);
    assert.equal(shown[0]?.declared?.by, 'alpha');
    assert.ok(shown[0]?.text.includes('# ours'));
    assert.deepEqual(shown[0]?.unmet, []);
  });
  assert.deepEqual(await c.json<ConfigShown>('config', 'show'), await a.ask('config', {}));
  const again = await b.json<ConfigApplied>('apply', file(), '--yes');
  assert.deepEqual([again.applied, again.changes], [false, []]);
  const wrong = join(folder, 'wrong.yaml');
  writeFileSync(wrong, 'copies: 2\nzoen: cellar\n');
  const checked = await a.wh('config', 'check', wrong);
  assert.equal(checked.code, 2);
  assert.match(checked.stdout, /wrong\.yaml:2:1: there is no key "zoen"/);
  const other = join(folder, 'other.yaml');
  writeFileSync(other, readFileSync(file(), 'utf8').replace('copies: 2', 'copies: 4'));
  const plan = await a.json<ConfigPlan>('plan', other);
  assert.deepEqual(plan.changes, [{ setting: 'copies', from: '2', to: '4' }]);
  assert.match(plan.unmet[0] ?? '', /on 4 pods, and there are 3/);
  const foreign = await c.wh('apply', other, '--yes');
  assert.match(foreign.stderr, /only alpha and beta may change the declaration/);
  assert.equal((await b.json<ConfigApplied>('apply', other, '--yes')).applied, true);
  await eventually(async () => assert.equal((await a.ask('config', {})).declared?.by, 'beta'));
  assert.deepEqual((await a.json<ConfigApplied>('config', 'undo')).changes, [
    { setting: 'copies', from: '4', to: '2' },
  ]);
  const history = await a.json<ConfigEntry[]>('config', 'history');
  assert.deepEqual(
    history.map(({ by }) => by),
    ['alpha', 'beta', 'alpha'],
  );
});

test('files lie where their rules say, and what is ignored stays where it was made', { skip }, async () => {
  for (const name of ['fast', 'apart', 'scratch', 'plain']) await mkdir(b.path(name));
  await writeFile(b.path('plain', 'f'), 'plain\n');
  for (let i = 0; i < 20; i++) {
    for (const name of ['fast', 'apart', 'scratch', 'plain']) {
      await writeFile(b.path(name, `f${i}`), `${name} ${i}\n`.repeat(50));
    }
  }
  assert.ok((await b.ask('sync', { copies: 2, timeoutMs: 60_000 })).done);
  const holders = async (path: string) => (await b.inspect(path)).holders.sort();
  await eventually(async () => {
    for (let i = 0; i < 20; i += 7) {
      assert.deepEqual(await holders(`/scratch/f${i}`), ['beta']);
      assert.ok((await holders(`/fast/f${i}`)).includes('alpha'));
      const apart = await holders(`/apart/f${i}`);
      assert.ok(apart.includes('alpha') && apart.length >= 2, `${apart}`);
    }
  });
  const inspected = await c.inspect('/fast/f0');
  assert.equal(inspected.reason, '1 copy, by /fast/**; requiring media ssd');
  assert.equal(
    await readFile(c.path('scratch', 'f3'), 'utf8'),
    'scratch 3\n'.repeat(50),
    'read where it is not',
  );
});

test('what is read-only by a rule, and all of a frozen network, answers EROFS; unfrozen it is written again', {
  skip,
}, async () => {
  await refused(mkdir(a.path('archive')));
  await a.ok('freeze');
  await eventually(() => refused(writeFile(c.path('plain', 'new'), 'x')));
  await refused(rm(b.path('plain', 'f0')));
  await refused(appendFile(a.path('plain', 'f1'), 'x'));
  assert.equal((await readFile(c.path('plain', 'f1'), 'utf8')).length > 0, true);
  await b.ok('unfreeze');
  await eventually(() => writeFile(c.path('plain', 'new'), 'x'));
  await eventually(() => writeFile(a.path('plain', 'new'), 'y'));
});

test("each posture is entered, its responses are seen on the mounts, by rule and by the network's word, and end with it", {
  skip,
}, async () => {
  const drills = new Drills(a, [b, c]);
  await drills.prepare();
  await mkdir(a.path('three'));
  assert.ok((await a.ask('sync', { copies: 2, timeoutMs: 60_000 })).done);
  for (const pod of pods) assert.equal(await posture(pod), 'favourable');
  for (const response of ['fewer-copies', 'continue', 'throttle'] as const)
    await drills.sees(folderOf('favourable', response), response);
  await everywhere('favourable', drills);
  // Made where they are ignored, so that nobody else has them.
  await mkdir(c.path('single'));
  for (let i = 0; i < 12; i++) await writeFile(c.path('single', `f${i}`), `only with gamma ${i}\n`);
  await eventually(() => assert.ok(existsSync(a.path('single', 'f11'))));
  lan.hosts[2]?.lose();
  await eventually(async () => {
    for (const pod of [a, b]) assert.equal(await posture(pod), 'critical', pod.logTail());
  }, 60_000);
  await inCrisis(new Drills(a, [b]));
  // The laptop on its train: alone, and in no crisis but where its rule says so.
  assert.equal(await posture(c), 'critical');
  await writeFile(c.path('plain', 'written alone'), 'x');
  await refused(writeFile(c.path(folderOf('critical', 'read-only'), 'f'), 'mine\n'));
  lan.hosts[2]?.heal();
  await eventually(async () => {
    for (const pod of pods) assert.equal(await posture(pod), 'favourable');
    assert.ok(existsSync(a.path('plain', 'written alone')));
  }, 60_000);
  // What the network answers to a crisis is declared still, and no longer holds.
  await drills.sees('plain', 'continue');
  for (const posture of ['mixed', 'critical'] as const) await drills.over(posture);
  for (const response of ['fewer-copies', 'read-only', 'stop'] as const)
    await drills.sees(folderOf('favourable', response), response);
  await eventually(() => assert.match(readFileSync(pages(), 'utf8'), /alpha favourable/));
  assert.equal(await readFile(b.path('single', 'f3'), 'utf8'), 'only with gamma 3\n');
  await a.ask('apply', { text: readFileSync(file(), 'utf8') });
  await rm(a.path('single'), { recursive: true });
});

/** Two are left of three, which is mixed, critical where a rule wants three, and at last critical altogether. */
async function inCrisis(drills: Drills): Promise<void> {
  const call = JSON.parse(readFileSync(calls(), 'utf8').split('\n')[0] ?? '') as Record<string, string>;
  assert.deepEqual([call['network'], call['posture'], call['before']], ['office', 'critical', 'favourable']);
  assert.match(readFileSync(pages(), 'utf8'), /alpha critical/);
  await writeFile(b.path('plain', 'written in the crisis'), 'x');
  // With gamma lost, alpha and beta hold everything between them.
  await eventually(async () => {
    for (const path of ['/plain/f5', '/plain/written in the crisis'])
      assert.deepEqual((await a.inspect(path)).copies, { wanted: 2, held: 2 });
  });
  await drills.prepareClosed();
  for (const posture of ['mixed', 'critical'] as const) await drills.hold(posture);
  await drills.over('favourable');
  await everywhere('mixed', drills);
  const text = readFileSync(file(), 'utf8').replace('copies: 1\n    ignore: true', 'copies: 1');
  await drills.declare(text);
  await eventually(async () => {
    for (const pod of [a, b])
      assert.match(
        (await pod.status()).warnings.join(),
        /files have no copy that can be reached while gamma/,
      );
  });
  await everywhere('critical', drills, text);
}

/** The responses to a posture that the network declares for all that no rule speaks of; the last one stays. */
async function everywhere(
  posture: Posture,
  drills: Drills,
  text = readFileSync(file(), 'utf8'),
): Promise<void> {
  for (const response of ['fewer-copies', 'throttle', 'stop', 'continue', 'read-only'] as const) {
    await drills.declare(text.replace('crisis:\n', `crisis:\n  ${posture}: ${response}\n`));
    await drills.sees('plain', response, false);
  }
  if (posture !== 'favourable') return;
  await drills.declare(text);
  await drills.sees('plain', 'continue');
}

/** Resolves when a file is published and has its copies. */
async function held(path: string, bytes: number, copies: number): Promise<void> {
  await eventually(async () => {
    const inspected = await a.inspect(path);
    assert.equal(inspected.size, bytes);
    assert.deepEqual(inspected.copies, { wanted: copies, held: copies });
  });
}

test('a chunk that rots is found by the scrub and fetched again from another pod', { skip }, async () => {
  const bytes = randomBytes(300_000);
  await writeFile(a.path('three', 'precious'), bytes);
  await held('/three/precious', bytes.length, 3);
  const { chunks } = await b.inspect('/three/precious');
  const id = chunks.find(({ length }) => length > 100_000)?.id ?? '';
  const stored = join(b.home, 'office', 'store', 'content', 'chunks', id.slice(0, 2), id.slice(2));
  const rotten = readFileSync(stored);
  rotten[rotten.length >> 1] = (rotten[rotten.length >> 1] ?? 0) ^ 1;
  writeFileSync(stored, rotten);
  const scrubbed = await b.wh('scrub', '--json');
  assert.equal(scrubbed.code, 3, scrubbed.stderr);
  assert.equal((JSON.parse(scrubbed.stdout) as ScrubResult).damaged, 1);
  await eventually(async () => {
    assert.ok((await b.inspect('/three/precious')).chunks.every(({ here }) => here));
    assert.deepEqual((await a.inspect('/three/precious')).copies, { wanted: 3, held: 3 });
  });
  assert.equal((await b.ask('scrub', {})).damaged, 0, 'mended');
  assert.ok((await readFile(b.path('three', 'precious'))).equals(bytes));
});

test('a rate that is declared holds at once, without a restart', { skip }, async () => {
  const text = readFileSync(file(), 'utf8');
  await a.ask('apply', { text: `${text}bandwidth: { down: 2MB/s }\n` });
  await eventually(async () => {
    for (const pod of [b, c]) assert.match((await pod.ask('config', {})).text, /down: 2MB/);
  });
  const started = performance.now();
  await writeFile(a.path('three', 'slow'), randomBytes(6e6));
  await held('/three/slow', 6e6, 3);
  assert.ok(performance.now() - started > 1_200, 'six megabytes at two a second');
  await a.ask('apply', { text });
});

test('a pod that leaves hands over what only it has, and one that is removed is drained first', {
  skip,
}, async () => {
  await rm(b.path('scratch'), { recursive: true });
  const late = join(folder, 'late.yaml');
  writeFileSync(
    late,
    readFileSync(file(), 'utf8').replace('copies: 2', 'copies: 1').replace('admins: [alpha, beta]', ''),
  );
  await a.ok('apply', late, '--yes');
  await writeFile(c.path('plain', 'of gamma'), 'only here at first\n');
  await c.ok('leave', '--timeout', '60s');
  assert.equal(await readFile(a.path('plain', 'of gamma'), 'utf8'), 'only here at first\n');
  await eventually(async () =>
    assert.deepEqual((await a.status()).pods.map(({ name }) => name).sort(), ['alpha', 'beta']),
  );
  assert.ok(!(await a.ask('config', {})).text.includes('gamma:'), 'nor is it declared any more');
  await writeFile(b.path('plain', 'of beta'), 'with beta at first\n');
  await a.ok('remove', 'beta', '--timeout', '60s');
  await b.ok('down');
  assert.equal(await readFile(a.path('plain', 'of beta'), 'utf8'), 'with beta at first\n');
  assert.ok(!(await a.json<ConfigShown>('config', 'show')).text.includes('beta:'));
  const last = await a.wh('leave', '--timeout', '5s');
  assert.notEqual(last.code, 0, 'the only copy of everything is here');
  assert.match(last.stderr, /only copy here/);
});
