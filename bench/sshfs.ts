import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { must, run } from '../test/system/pods.js';

/** An sshfs mount of a local folder over a private sshd on the loopback address, or why there is none. */
export async function withSshfs<T>(
  folder: string,
  work: (mount: string, source: string) => Promise<T>,
): Promise<T | { missing: string }> {
  if (!existsSync('/usr/sbin/sshd') || (await run(undefined, ['sh', '-c', 'command -v sshfs'])).code !== 0) {
    return { missing: 'sshfs and openssh-server are not installed' };
  }
  const base = join(folder, 'sshfs');
  const [source, mount] = [join(base, 'source'), join(base, 'mnt')];
  mkdirSync(source, { recursive: true });
  mkdirSync(mount, { recursive: true });
  mkdirSync('/run/sshd', { recursive: true });
  for (const key of ['host', 'user']) {
    await must(undefined, ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(base, key)]);
  }
  await must(undefined, ['cp', join(base, 'user.pub'), join(base, 'authorized_keys')]);
  const port = await freePort();
  writeFileSync(
    join(base, 'sshd_config'),
    `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${base}/host\nAuthorizedKeysFile ${base}/authorized_keys\n` +
      `StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n`,
  );
  const sshd: ChildProcess = spawn('/usr/sbin/sshd', ['-D', '-f', join(base, 'sshd_config')], {
    stdio: 'ignore',
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 500));
    await must(undefined, [
      'sshfs',
      `127.0.0.1:${source}`,
      mount,
      '-p',
      String(port),
      '-o',
      `IdentityFile=${base}/user`,
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'BatchMode=yes',
    ]);
    try {
      return await work(mount, source);
    } finally {
      await run(undefined, ['umount', mount]);
    }
  } finally {
    sshd.kill();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
