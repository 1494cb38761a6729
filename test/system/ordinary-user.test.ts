/** A user without any rights mounts, by fusermount3: the same cases, kill -9 and all, in a namespace of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from './pods.js';

function lacking(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root, to become somebody else';
  for (const tool of ['fusermount3', 'unshare', 'setpriv'])
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `needs ${tool}`;
  return existsSync('/dev/fuse') ? undefined : 'needs /dev/fuse';
}

const missing = lacking();
if (missing !== undefined) console.log(`skipped: ${missing}`);

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));
const USER = 48_211;

/**
 * Nothing of this outlasts the namespace: the user is a line in a copy of /etc/passwd, and its /dev/fuse, which
 * everybody may open as on a desktop, is a node on a tmpfs. The checkout and node are seen there too, since they may lie
 * in a home that is closed to others.
 */
const AS_USER = `
set -e
mount -t tmpfs none "$1/private"
mknod -m 666 "$1/private/fuse" c 10 229
mount --bind "$1/private/fuse" /dev/fuse
cp /etc/passwd "$1/private/passwd"
echo 'wormhole-test:x:${USER}:${USER}::/nonexistent:/bin/sh' >> "$1/private/passwd"
mount --bind "$1/private/passwd" /etc/passwd
mkdir "$1/private/checkout" "$1/private/bin"
mount --bind "$3" "$1/private/checkout"
touch "$1/private/bin/node"
mount --bind "$4" "$1/private/bin/node"
ip link set lo up
cd "$1"
exec setpriv --reuid=${USER} --regid=${USER} --clear-groups --inh-caps=-all sh -c "$2" sh "$1"
`;

const WORK = `
set -e
export HOME="$1/user" WH_HOME="$1/user/home" PATH="$1/private/bin:$1/private/checkout/bin:$PATH"
mnt="$1/user/mnt"
mkdir -p "$mnt"
trap 'wh down > /dev/null 2>&1' EXIT
wh new mine "$mnt" --pod user
grep -q " $mnt fuse.wh .*user_id=${USER}" /proc/self/mounts
wh doctor | grep -q "ok *fusermount3"
node "$1/private/checkout/dist/test/posix/run.js" "$mnt"
echo kept > "$mnt/kept"
kill -9 "$(cat "$WH_HOME/mine/store/lock")"
for i in $(seq 100); do grep -q " $mnt " /proc/self/mounts || break; sleep 0.05; done
! grep -q " $mnt " /proc/self/mounts
wh up
test "$(cat "$mnt/kept")" = kept
wh down
! grep -q " $mnt " /proc/self/mounts
echo all is well
`;

test('an ordinary user mounts, works, is killed, and goes on', { skip: missing ?? false }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'wormhole-user-'));
  try {
    await chmod(folder, 0o755);
    const made = spawnSync('sh', [
      '-c',
      'mkdir "$1/private" "$1/user" && chown "$2:$2" "$1/user"',
      'sh',
      folder,
      String(USER),
    ]);
    assert.equal(made.status, 0);
    const parts = ['-m', '-n', '--propagation', 'private', 'sh', '-c', AS_USER, 'sh', folder, WORK, CHECKOUT];
    const result = await run(undefined, ['unshare', ...parts, process.execPath], { timeoutMs: 150_000 });
    assert.equal(result.code, 0, `${result.stdout}\n${result.stderr}`);
    const counts = /\{"passed":(\d+),"failed":0,"skipped":(\d+)\}/.exec(result.stdout);
    console.log(
      `as an ordinary user: ${counts?.[1]} cases passed, ${counts?.[2]} need root and were skipped`,
    );
    assert.ok(Number(counts?.[1]) > 150, result.stdout);
    assert.match(result.stdout, /all is well/);
  } finally {
    // A daemon that is still ending must not hide what failed.
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
});
