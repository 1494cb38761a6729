/** The four stories of docs/stories.md as networks: whole pods on hosts of their own, from the files as they are. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { listPods } from '../../src/daemon/home.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, fingerprint, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const FIXTURES = join(import.meta.dirname, '..', '..', '..', 'fixtures', 'configs');
/** In place of the minutes and hours that the files name. */
const GRACE = '3s';
const DAY_S = 86_400;

interface Story {
  folder: string;
  lan: TestNetwork;
  /** By name; the first one made the network. */
  pods: Map<string, TestPod>;
  file: string;
}

/** Brings a network up from its file, on a host for each of these pods; only the grace time is not the file's. */
async function bringUp(t: TestContext, name: string, names: readonly string[]): Promise<Story> {
  const folder = mkdtempSync(join(tmpdir(), `wormhole-${name}-`));
  // One more than there are pods, for who comes later.
  const lan = makeNetwork(names.length + 1);
  const pods = new Map(names.map((pod, i) => [pod, new TestPod(lan.hosts[i], pod, folder)]));
  t.after(async () => {
    await endAll(pods.values());
    await lan.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const file = join(folder, `${name}.yaml`);
  const text = readFileSync(join(FIXTURES, `${name}.yaml`), 'utf8');
  assert.match(text, /grace: \w+/);
  writeFileSync(file, text.replace(/grace: \w+/, `grace: ${GRACE}`));
  const [first, ...others] = [...pods.values()] as [TestPod, ...TestPod[]];
  const codes = await first.declare(file);
  await Promise.all(others.map((pod) => pod.joinBy(codes.get(pod.name))));
  return { folder, lan, pods, file };
}

function podOf({ pods }: Story, name: string): TestPod {
  const pod = pods.get(name);
  assert.ok(pod !== undefined);
  return pod;
}

async function holders(asked: TestPod, path: string): Promise<string[]> {
  return (await asked.inspect(path)).holders.sort();
}

async function copies(asked: TestPod, path: string): Promise<{ wanted: number; held: number }> {
  return (await asked.inspect(path)).copies;
}

async function until(pods: readonly TestPod[], posture: string): Promise<void> {
  await eventually(async () => {
    for (const pod of pods)
      assert.equal((await pod.status()).posture, posture, `${pod.name}${pod.logTail(8)}`);
  }, 30_000);
}

async function allHeld(pod: TestPod): Promise<void> {
  const { done, reason } = await pod.ask('sync', { copies: 1, timeoutMs: 60_000 });
  assert.ok(done, reason ?? '');
  await eventually(async () => assert.equal((await pod.status()).underReplicated, 0));
}

const refused = (work: Promise<unknown>) => assert.rejects(work, { code: 'EROFS' });

describe('the stories', { skip, concurrency: 2 }, () => {
  test('three NAS boxes: copies in two places, a dead box, a second one, and the accounts can only be read', async (t) => {
    const story = await bringUp(t, 'company', ['nas-1', 'nas-2', 'nas-3', 'anna']);
    const [nas1, nas2, nas3, anna] = [...story.pods.values()] as [TestPod, TestPod, TestPod, TestPod];
    for (const folder of ['accounts', 'scans', 'letters']) {
      await mkdir(anna.path(folder));
      await writeFile(anna.path(folder, 'one'), `${folder}\n`.repeat(500));
    }
    await refused(mkdir(anna.path('archive')));
    await allHeld(anna);
    await eventually(async () => {
      assert.deepEqual(await copies(nas1, '/accounts/one'), { wanted: 3, held: 3 });
      assert.deepEqual(await copies(nas1, '/letters/one'), { wanted: 2, held: 2 });
      const scans = await holders(nas1, '/scans/one');
      assert.ok(scans.includes('nas-1') && scans.includes('nas-2'), `${scans}`);
    });
    process.kill(nas2.pid, 'SIGKILL');
    const left = [nas1, nas3, anna];
    await until(left, 'mixed');
    assert.deepEqual(await copies(nas1, '/accounts/one'), { wanted: 2, held: 2 }, 'one less has to do');
    await writeFile(anna.path('accounts', 'two'), 'written with one box down\n');
    await allHeld(anna);
    process.kill(nas3.pid, 'SIGKILL');
    await until([nas1, anna], 'critical');
    for (const pod of [nas1, anna]) {
      await refused(writeFile(pod.path('accounts', 'one'), 'changed'));
      assert.equal(await readFile(pod.path('accounts', 'two'), 'utf8'), 'written with one box down\n');
      await writeFile(pod.path('letters', pod.name), 'not held up by it\n');
    }
    await nas3.up();
    await until(left, 'mixed');
    await writeFile(anna.path('accounts', 'three'), 'written again\n');
    await eventually(async () =>
      assert.equal(await readFile(nas3.path('accounts', 'three'), 'utf8'), 'written again\n'),
    );
    await nas1.ask('remove', { pod: 'nas-2', dead: true, timeoutMs: null });
    await until(left, 'favourable');
  });

  test('a lab for a day: one copy on ssd, results on two, and in the evening nothing is left', async (t) => {
    const story = await bringUp(t, 'lab', ['bench-1', 'bench-2', 'bench-4']);
    const benches = [...story.pods.values()] as [TestPod, TestPod, TestPod];
    const [one, two, four] = benches;
    await mkdir(one.path('data', 'tmp'), { recursive: true });
    await mkdir(one.path('results'));
    const names = Array.from({ length: 12 }, (_, i) => `f${i}`);
    for (const name of names) {
      await writeFile(one.path('data', name), `data ${name}\n`.repeat(300));
      await writeFile(one.path('results', name), `result ${name}\n`.repeat(300));
    }
    await writeFile(one.path('data', 'tmp', 'scratch'), 'of bench-1\n');
    await allHeld(one);
    await eventually(async () => {
      const released = await one.ask('rebalance', { plan: false });
      for (const name of names) {
        const { wanted, held } = await copies(four, `/results/${name}`);
        assert.deepEqual([wanted, held], [2, 2]);
        const data = await four.inspect(`/data/${name}`);
        assert.equal(data.copies.wanted, 1);
        assert.deepEqual(
          data.holders.filter((pod) => pod === 'bench-4'),
          [],
          'not on the hdd',
        );
        assert.equal(data.copies.held, 1);
      }
      const kept = await one.ask('list', { path: '/data' });
      assert.ok(
        kept.some(({ kind, state }) => kind === 'file' && state !== 'here'),
        `some of it went to bench-2: ${JSON.stringify(released)} ${benches.map((bench) => bench.logTail(8))}`,
      );
    });
    assert.deepEqual(await holders(two, '/data/tmp/scratch'), ['bench-1']);
    const keep = join(story.folder, 'keep');
    cpSync(four.path('results'), keep, { recursive: true });
    for (const bench of benches) await bench.ok('leave', '--abandon', '--abandon');
    assert.deepEqual(fingerprint(keep).length, names.length);
    for (const bench of benches) {
      assert.deepEqual(readdirSync(bench.mount), [], 'nothing is mounted any more');
      assert.deepEqual(listPods(bench.home), [], 'no network is known');
    }
  });

  test('a web service: three places, ssd while young and hdd when old; a place goes down and all is served', async (t) => {
    const names = ['east-1', 'east-2', 'west-1', 'west-2', 'north-1', 'front-1'];
    const story = await bringUp(t, 'web', names);
    const [east, front] = [podOf(story, 'east-1'), podOf(story, 'front-1')];
    const stranger = await east.wh('invite');
    assert.match(stranger.stderr, /closed to pods that its declaration does not name/);
    for (const folder of ['posts', 'logs']) await mkdir(front.path(folder));
    const then = Date.now() / 1000 - 40 * DAY_S;
    for (const name of ['young', 'old']) await writeFile(front.path('posts', name), `${name}\n`.repeat(400));
    await utimes(front.path('posts', 'old'), then, then);
    await writeFile(front.path('logs', 'access'), 'GET /\n'.repeat(400));
    await allHeld(front);
    const includes = async (path: string, ...wanted: string[]) => {
      const found = await holders(east, path);
      for (const pod of wanted) assert.ok(found.includes(pod), `${path}: ${found}`);
    };
    await eventually(async () => {
      await includes('/posts/young', 'east-1', 'west-1', 'north-1');
      await includes('/posts/old', 'east-2', 'west-2');
      const logs = (await holders(east, '/logs/access')).filter((pod) => pod !== 'front-1');
      assert.ok(logs.length === 1 && ['east-2', 'west-2'].includes(logs[0] ?? ''), `${logs}`);
    });
    const { reason } = await east.inspect('/posts/young');
    assert.equal(reason, '3 copies in 3 zones, by /posts/**; requiring role storage; preferring media ssd');
    for (const place of ['west-1', 'west-2']) story.lan.hosts[names.indexOf(place)]?.lose();
    await eventually(async () => {
      assert.deepEqual(await copies(east, '/posts/young'), { wanted: 3, held: 3 });
      await includes('/posts/young', 'east-1', 'east-2', 'north-1');
      await includes('/posts/old', 'east-1', 'east-2', 'north-1');
    }, 30_000);
    assert.equal(await readFile(front.path('posts', 'old'), 'utf8'), 'old\n'.repeat(400));
    await writeFile(front.path('posts', 'new'), 'written meanwhile\n');
    for (const place of ['west-1', 'west-2']) story.lan.hosts[names.indexOf(place)]?.heal();
    const west = podOf(story, 'west-1');
    await eventually(async () =>
      assert.equal(await readFile(west.path('posts', 'new'), 'utf8'), 'written meanwhile\n'),
    );
  });

  test("a family's laptop is stolen: it hears nothing more, nothing is missing, and the next one takes its place", async (t) => {
    const names = ['cellar', 'grandparents', 'mother', 'father'];
    const story = await bringUp(t, 'family', names);
    const [cellar, grandparents, mother, father] = [...story.pods.values()] as [
      TestPod,
      TestPod,
      TestPod,
      TestPod,
    ];
    for (const folder of ['photos', 'papers', 'films']) {
      await mkdir(father.path(folder));
      await writeFile(father.path(folder, 'one'), `${folder}\n`.repeat(500));
    }
    await allHeld(father);
    await eventually(async () => {
      const photos = await holders(mother, '/photos/one');
      assert.ok(photos.includes('cellar') && photos.includes('grandparents'), 'never only at home');
      assert.deepEqual(await copies(mother, '/papers/one'), { wanted: 3, held: 3 });
      assert.equal((await father.inspect('/papers/one')).state, 'here', 'pinned on the laptop');
    });
    const laptop = story.lan.hosts[names.indexOf('father')];
    laptop?.cut();
    await writeFile(father.path('papers', 'by the thief'), 'x');
    await cellar.ok('remove', 'father', '--dead');
    laptop?.heal();
    await writeFile(mother.path('papers', 'after the theft'), 'not for him\n');
    const { code } = await cellar.ask('invite', { role: 'storage', lifetimeMs: 600_000, pod: 'father' });
    const next = new TestPod(story.lan.hosts[names.length], 'father', join(story.folder, 'next'));
    story.pods.set('next', next);
    await next.joinBy(code);
    await eventually(async () => {
      assert.equal(await readFile(next.path('papers', 'after the theft'), 'utf8'), 'not for him\n');
      assert.equal((await next.inspect('/papers/one')).state, 'here', 'its pins wait for the next one');
    });
    for (const pod of [cellar, grandparents, mother]) {
      const { posture, pods, underReplicated } = await pod.status();
      assert.deepEqual([posture, underReplicated], ['favourable', 0], 'a portal was never a copy');
      assert.deepEqual(pods.map(({ name }) => name).sort(), names.toSorted());
      assert.ok(!existsSync(pod.path('papers', 'by the thief')));
    }
    assert.equal((await next.status()).pods.find(({ link }) => link === 'self')?.role, 'portal');
    assert.ok(!existsSync(father.path('papers', 'after the theft')), 'no pod talks to the thief');
    const seen = (await father.status()).pods.filter(({ link }) => link === 'up');
    assert.deepEqual(seen, []);
  });
});
