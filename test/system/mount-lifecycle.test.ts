/** From the mount to its end, in order and by every accident. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { silentLog, WormholeError } from '../../src/base/index.js';
import { mountFileSystem } from '../../src/mount/index.js';
import { MEMORY_ROOT, MemoryFileSystem } from '../mount/memory-filesystem.js';
import { cannotMount, isMounted, makeMountPoint, type Served, serve, until } from '../mount/serve.js';
import type { ServerOptions } from '../mount/server.js';

function umount(mountPoint: string): void {
  assert.equal(spawnSync('umount', [mountPoint]).status, 0);
}

/** Serves, lets act, and cleans up whatever is left. */
async function withServed(use: (served: Served) => Promise<void>, options: Partial<ServerOptions> = {}) {
  const served = await serve(options);
  try {
    await use(served);
  } finally {
    if (served.child.exitCode === null && served.child.signalCode === null) {
      served.child.kill('SIGKILL');
      await once(served.child, 'exit');
    }
    await until('the mount is gone', () => !isMounted(served.mountPoint));
    fs.rmdirSync(served.mountPoint);
  }
}

/** The helpers that watch this mount. */
function watchdogs(mountPoint: string): string[] {
  return fs.readdirSync('/proc').filter((pid) => {
    try {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.includes('wormhole-watchdog') && words.includes(mountPoint);
    } catch {
      return false;
    }
  });
}

async function refused(code: string, pattern: RegExp, mounting: Promise<unknown>): Promise<void> {
  await assert.rejects(mounting, (error: Error & { code?: string }) => {
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

describe('mounting', { skip: cannotMount() ?? false }, () => {
  test('a clean unmount ends everything: mount, helper, process', () =>
    withServed(async ({ child, mountPoint, command, closed }) => {
      fs.writeFileSync(join(mountPoint, 'f'), 'x');
      assert.equal(watchdogs(mountPoint).length, 1);
      await command({ do: 'unmount' });
      assert.equal(isMounted(mountPoint), false);
      assert.equal(await closed, 'unmounted');
      child.disconnect();
      assert.deepEqual(await once(child, 'exit'), [0, null]);
      await until('the helper has ended', () => watchdogs(mountPoint).length === 0);
    }));

  test('df and mount show the network', () =>
    withServed(async ({ mountPoint }) => {
      const line = fs
        .readFileSync('/proc/self/mounts', 'utf8')
        .split('\n')
        .find((at) => at.includes(mountPoint));
      assert.match(
        line ?? '',
        /^wormhole:test .* fuse\.wh rw,nosuid,nodev,.*default_permissions,allow_other/,
      );
    }));

  test('a mount that is in use is not taken away, and the refusal says who uses it', () =>
    withServed(async ({ mountPoint, command }) => {
      const user = spawn('sleep', ['60'], { cwd: mountPoint });
      await once(user, 'spawn');
      await refused('busy', new RegExp(`in use by .*sleep \\(${user.pid}\\)`), command({ do: 'unmount' }));
      fs.writeFileSync(join(mountPoint, 'f'), 'still serving');
      user.kill();
      await once(user, 'exit');
      await command({ do: 'unmount' });
      assert.equal(isMounted(mountPoint), false);
    }));

  test('a lazy unmount takes it away from under its users', () =>
    withServed(async ({ mountPoint, command }) => {
      const fd = fs.openSync(join(mountPoint, 'f'), 'w');
      await command({ do: 'unmount', lazy: true });
      assert.equal(isMounted(mountPoint), false);
      assert.throws(() => fs.writeSync(fd, 'x'), { code: 'ENOTCONN' });
      assert.throws(() => fs.closeSync(fd), { code: 'ENOTCONN' });
    }));

  test('an unmount by somebody else is noticed', () =>
    withServed(async ({ mountPoint, closed, child }) => {
      umount(mountPoint);
      assert.equal(await closed, 'unmounted');
      child.disconnect();
      assert.deepEqual(await once(child, 'exit'), [0, null]);
      await until('the helper has ended', () => watchdogs(mountPoint).length === 0);
    }));

  test('an abort by an administrator leaves no dead mount', () =>
    withServed(async ({ mountPoint, closed, child }) => {
      const connections = makeMountPoint();
      assert.equal(spawnSync('mount', ['-t', 'fusectl', 'none', connections]).status, 0);
      const { dev } = fs.statSync(mountPoint);
      fs.writeFileSync(join(connections, String(dev & 0xff), 'abort'), '1');
      umount(connections);
      fs.rmdirSync(connections);
      assert.equal(await closed, 'aborted');
      assert.equal(isMounted(mountPoint), false);
      child.disconnect();
      assert.deepEqual(await once(child, 'exit'), [0, null]);
      await until('the helper has ended', () => watchdogs(mountPoint).length === 0);
    }));

  test('an unmount succeeds although another mount namespace has a copy', () =>
    withServed(async ({ mountPoint, command }) => {
      const other = spawn('unshare', ['-m', '--propagation', 'private', 'sleep', '60']);
      await delay(300);
      await command({ do: 'unmount' });
      assert.equal(isMounted(mountPoint), false);
      other.kill();
      await once(other, 'exit');
    }));
});

describe('a mount point that will not do', { skip: cannotMount() ?? false }, () => {
  const mounting = (mountPoint: string) =>
    mountFileSystem({
      fileSystem: new MemoryFileSystem(),
      root: MEMORY_ROOT,
      mountPoint,
      networkName: 'test',
      log: silentLog,
    });

  test('missing, no folder, not empty, in use', async () => {
    const folder = makeMountPoint();
    fs.writeFileSync(join(folder, 'f'), '');
    await refused('mount-point', /does not exist; make it with 'mkdir -p /, mounting(join(folder, 'none')));
    await refused('mount-point', /is not a folder/, mounting(join(folder, 'f')));
    await refused('mount-point', /is not a folder/, mounting(join(folder, 'f', 'below')));
    await refused('mount-point', /is not empty/, mounting(folder));
    fs.rmSync(folder, { recursive: true });
    await withServed(async ({ mountPoint }) => {
      await refused('mount-point', /mounted on .* already; unmount it with 'umount /, mounting(mountPoint));
    });
    await refused('mount-point', /mounted on \/proc already/, mounting('/proc'));
  });

  test('no /dev/fuse', () => {
    const folder = makeMountPoint();
    const server = fileURLToPath(new URL('../mount/server.js', import.meta.url));
    // In a namespace of its own /dev has what a process needs, and no fuse.
    const script = `
      mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9
      exec "$1" -e '
        const { fork } = require("node:child_process");
        const child = fork(process.argv[1], [process.argv[2]]);
        child.on("message", (reply) => { console.log(JSON.stringify(reply)); child.disconnect(); });
      ' "$2" "$3"`;
    const options = JSON.stringify({ mountPoint: folder });
    const result = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', process.execPath, server, options], {
      encoding: 'utf8',
    });
    const reply = JSON.parse(result.stdout || '{}') as { code?: string; message?: string };
    assert.equal(reply.code, 'no-fuse', result.stderr);
    assert.match(reply.message ?? '', /offers no FUSE .*modprobe fuse/);
    fs.rmdirSync(folder);
  });

  test('a symbolic link to a folder is followed', async () => {
    const real = makeMountPoint();
    const link = join(tmpdir(), `wormhole-link-${process.pid}`);
    fs.symlinkSync(real, link);
    const served = await serve({ mountPoint: link });
    try {
      assert.ok(isMounted(real));
      fs.writeFileSync(join(link, 'f'), 'x');
    } finally {
      await served.command({ do: 'unmount' });
      served.child.disconnect();
      fs.unlinkSync(link);
      fs.rmdirSync(real);
    }
  });

  test('a name with spaces and special characters is mounted, watched and unmounted', async () => {
    const mountPoint = join(makeMountPoint(), "a b\\ü'\t$(x)");
    fs.mkdirSync(mountPoint);
    const served = await serve({ mountPoint });
    fs.writeFileSync(join(mountPoint, 'f'), 'x');
    served.child.kill('SIGKILL');
    await until('the mount is gone', () => !isMounted(mountPoint));
    fs.rmSync(join(mountPoint, '..'), { recursive: true });
  });
});

describe('accidents', { skip: cannotMount() ?? false }, () => {
  test('kill -9 of the process leaves no dead mount', () =>
    withServed(async ({ child, mountPoint }) => {
      fs.writeFileSync(join(mountPoint, 'f'), 'x');
      child.kill('SIGKILL');
      await until('the mount is gone', () => !isMounted(mountPoint));
      await until('the helper has ended', () => watchdogs(mountPoint).length === 0);
    }));

  test('kill -9 of its whole process group neither', () =>
    withServed(async ({ child, mountPoint }) => {
      fs.writeFileSync(join(mountPoint, 'f'), 'x');
      // The server leads a group of its own.
      process.kill(-child.pid!, 'SIGKILL');
      await until('the mount is gone', () => !isMounted(mountPoint));
    }));

  test('an exit without an unmount neither, in each way to read requests', async () => {
    for (const way of ['pipe', 'read'] as const) {
      await withServed(
        async ({ child, mountPoint, command }) => {
          await command({ do: 'exit' }).catch(() => {});
          if (child.exitCode === null) await once(child, 'exit');
          assert.equal(child.exitCode, 7);
          await until('the mount is gone', () => !isMounted(mountPoint));
        },
        { way },
      );
    }
  });

  test('who waits for a stopped process goes free when that is killed', () =>
    withServed(async ({ child, mountPoint }) => {
      // Not in the mount point itself: once the mount is gone, that is a plain folder to write to.
      fs.mkdirSync(join(mountPoint, 'd'));
      child.kill('SIGSTOP');
      const waiting = spawn('sh', ['-c', 'ls "$1/d/none"; echo x > "$1/d/g"', 'sh', mountPoint], {
        cwd: '/',
      });
      const exited = once(waiting, 'exit');
      await delay(500);
      assert.equal(waiting.exitCode, null, 'it should be waiting');
      child.kill('SIGKILL');
      const late = delay(30_000, undefined, { ref: false }).then(() => assert.fail('it still waits'));
      await Promise.race([exited, late]);
      await until('the mount is gone', () => !isMounted(mountPoint));
    }));

  test('a killed writer, in the middle of writing, leaves the mount serving', () =>
    withServed(async ({ mountPoint }) => {
      const writer = spawn('dd', ['if=/dev/zero', `of=${join(mountPoint, 'f')}`, 'bs=1M', 'count=100000'], {
        cwd: '/',
        stdio: 'ignore',
      });
      await delay(300);
      writer.kill('SIGKILL');
      await once(writer, 'exit');
      assert.ok(fs.statSync(join(mountPoint, 'f')).size > 0);
      fs.unlinkSync(join(mountPoint, 'f'));
    }));

  test('a dead mount of an earlier process is taken away at the start', async () => {
    const mountPoint = makeMountPoint();
    const first = await serve({ mountPoint });
    // Without its helper nobody cleans up after it.
    for (const pid of watchdogs(mountPoint)) process.kill(Number(pid), 'SIGKILL');
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    assert.ok(isMounted(mountPoint));
    assert.throws(() => fs.readdirSync(mountPoint), { code: 'ENOTCONN' });
    const second = await serve({ mountPoint });
    fs.writeFileSync(join(mountPoint, 'f'), 'x');
    await second.stop();
  });

  test('the helper of an old mount leaves a newer one at the same place alone', async () => {
    const mountPoint = makeMountPoint();
    const first = await serve({ mountPoint });
    const [old] = watchdogs(mountPoint);
    process.kill(Number(old), 'SIGSTOP');
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const second = await serve({ mountPoint });
    process.kill(Number(old), 'SIGCONT');
    await until('the old helper has ended', () => !watchdogs(mountPoint).includes(old!));
    assert.ok(isMounted(mountPoint));
    fs.writeFileSync(join(mountPoint, 'f'), 'x');
    await second.stop();
  });

  test('a killed helper does not harm the mount', () =>
    withServed(async ({ mountPoint, command }) => {
      for (const pid of watchdogs(mountPoint)) process.kill(Number(pid), 'SIGKILL');
      await delay(100);
      fs.writeFileSync(join(mountPoint, 'f'), 'x');
      await command({ do: 'unmount' });
      assert.equal(isMounted(mountPoint), false);
    }));
});

test('a WormholeError is what refusals are', { skip: cannotMount() ?? false }, async () => {
  const options = { root: MEMORY_ROOT, networkName: 'test', log: silentLog, mountPoint: '/nowhere/at/all' };
  const error = await mountFileSystem({ ...options, fileSystem: new MemoryFileSystem() }).catch(
    (e: unknown) => e,
  );
  assert.ok(error instanceof WormholeError);
});
