/**
 * Programs that stress a file system and check what they read, on the mount of a real pod. `STRESS_SECONDS=n` gives
 * each so much time; `npm run stress` takes all of stress-ng's file-system stressors, one after the other.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { must, TestPod } from './pods.js';

const absent = namespacesMissing();
if (absent !== undefined) console.log(`skipped: ${absent}`);
const skip = absent ?? false;

const SECONDS = Number(process.env['STRESS_SECONDS'] ?? 4);
const ALL = process.env['STRESS_ALL'] === '1';

/** Together they use every call of the mount. */
const STRESSORS = [
  'access',
  'chmod',
  'dentry',
  'dir',
  'flock',
  'fstat',
  'getdent',
  'hdd',
  'link',
  'lockf',
].concat(['mknod', 'open', 'rename', 'seek', 'symlink', 'sync-file', 'touch', 'utime', 'xattr']);
/** Need what the mount does not have, with the line of docs/posix.md. */
const EXCLUDED = ['acl', 'binderfs', 'fallocate', 'fanotify', 'fiemap', 'fpunch', 'handle', 'verity'];

const without = (tool: string) =>
  skip ||
  (spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0 ? false : `needs ${tool}: run scripts/setup`);

describe('on the mount of a pod', { skip }, () => {
  let folder: string;
  let lan: TestNetwork;
  let pod: TestPod;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-stress-'));
    lan = makeNetwork(1);
    pod = new TestPod(lan.hosts[0], 'alpha', folder);
    await pod.create('stress');
  });

  after(async () => {
    await pod?.wh('down');
    await lan?.remove();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  /** Runs in a folder of its own, with a limit that only a hang reaches. */
  async function within(name: string, work: (path: string) => Promise<unknown>): Promise<void> {
    const path = pod.path(name);
    mkdirSync(path);
    await work(path);
    rmSync(path, { recursive: true, force: true });
    await pod.ok('status');
  }

  test('stress-ng finds nothing wrong', { skip: without('stress-ng') }, () =>
    within('stress', async (path) => {
      const which = ALL
        ? ['--class', 'filesystem', '--sequential', '1', '--exclude', EXCLUDED.join(',')]
        : STRESSORS.flatMap((name) => [`--${name}`, '1']);
      const limits = ['--verify', '--timeout', `${SECONDS}s`, '--temp-path', path, '--hdd-bytes', '32m'];
      const timeoutMs = (ALL ? 80 * SECONDS + 300 : 10 * SECONDS + 60) * 1_000;
      await must(undefined, ['stress-ng', ...limits, ...which], { timeoutMs });
    }),
  );

  test('fio reads what it wrote', { skip: without('fio') }, () =>
    within('fio', async (path) => {
      const common = [
        `--directory=${path}`,
        '--size=12m',
        '--verify=sha256',
        '--verify_fatal=1',
        '--group_reporting',
      ];
      const jobs = [
        ['--name=random', '--rw=randwrite', '--bs=4k', '--ioengine=psync', '--io_size=3m', '--fsync=64'],
        ['--name=sequential', '--rw=write', '--bs=256k', '--ioengine=psync', '--end_fsync=1'],
        ['--name=mapped', '--rw=randwrite', '--bs=4k', '--ioengine=mmap', '--io_size=2m'],
      ];
      for (const job of jobs) await must(undefined, ['fio', ...job, ...common], { timeoutMs: 120_000 });
    }),
  );

  test(
    'sqlite3: many transactions in each journal mode, and the database is whole',
    { skip: without('sqlite3') },
    () =>
      within('sqlite', async (path) => {
        const rows = (n: number) =>
          `with recursive n(i) as (select 1 union all select i+1 from n where i<${n})`;
        for (const mode of ['delete', 'truncate', 'persist', 'wal']) {
          const single = Array.from(
            { length: 40 },
            (_, i) => `insert into t values(${i}, ${i * 7}, 'row ${i}');`,
          );
          const script = `
          pragma journal_mode=${mode};
          create table t(a integer, b integer, c text);
          ${single.join('\n')}
          begin; ${rows(5_000)} insert into t select i, abs(random()), 'text ' || i from n; commit;
          create index i1 on t(b); create index i2 on t(c);
          begin; update t set b = b + 1 where a % 3 = 0; delete from t where a % 11 = 0; commit;
          begin; delete from t; rollback;
          vacuum;
          pragma integrity_check; select count(*) from t;`;
          const said = await must(undefined, ['sqlite3', join(path, `${mode}.db`)], { input: script });
          assert.match(said, /\nok\n4\d\d\d\n$/, said);
        }
      }),
  );

  test('an afternoon of git ends in a repository that git fsck finds whole', { skip: without('git') }, () =>
    within('git', async (path) => {
      const script = `
        set -e
        cd "$1"
        git init -q -b main .
        git config user.name A; git config user.email a@example.org; git config gc.auto 0
        for i in $(seq 8); do
          mkdir -p "d$i"; for j in 1 2 3 4; do echo "$i $j" > "d$i/f$j"; done
          git add -A; git commit -q -m "commit $i"
          if [ $((i % 4)) = 0 ]; then
            git checkout -q -b "b$i"; echo branch > "branch$i"; git add -A; git commit -q -m "on b$i"
            git checkout -q main; echo more >> d1/f1; git commit -qam "main $i"; git merge -q -m "merge $i" "b$i"
          fi
        done
        git mv d2 renamed; git commit -qm renamed
        echo stash >> d3/f1; git stash -q; git stash pop -q; git commit -qam popped
        git rebase -q --onto HEAD~2 HEAD~1 HEAD; git checkout -q -B main
        git tag -a v1 -m v1; git repack -adq; git worktree add -q ../tree v1; git worktree remove ../tree
        git clone -q --no-local . ../clone; git -C ../clone fsck --strict --full; rm -rf ../clone
        git gc -q --prune=now; git fsck --strict --full
        test -z "$(git status --porcelain)"`;
      await must(undefined, ['sh', '-c', script, 'sh', path], { timeoutMs: 120_000 });
    }),
  );
});
