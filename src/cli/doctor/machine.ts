/** Checks of this machine that need no pod. */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { networkInterfaces, release } from 'node:os';
import { messageOf } from '../../base/index.js';
import { type Finding, ok, problem, warning } from './finding.js';

const KERNEL_LEAST = [5, 4] as const;
const FILES_LEAST = 4_096;
const MULTICAST = '224.0.0.251';
const TOOL_TIMEOUT_MS = 3_000;

export async function checkMachine(): Promise<Finding[]> {
  return [checkKernel(), ...checkFuse(), await checkMulticast(), checkClock(), checkLimits()];
}

function checkKernel(): Finding {
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  const [least, leastMinor] = KERNEL_LEAST;
  const isNew = major > least || (major === least && minor >= leastMinor);
  const found = `Linux ${release()}, Node ${process.version}`;
  return isNew ? ok('system', found) : problem('system', found, 'upgrade to Linux 5.4 or later');
}

function checkFuse(): Finding[] {
  const device = openable();
  if (process.geteuid?.() === 0) return [device];
  if (!runs('fusermount3', '--version'))
    return [device, problem('fusermount3', 'it is missing', 'install the package fuse3, or run wh as root')];
  try {
    createRequire(import.meta.url).resolve('koffi');
    return [device, ok('fusermount3', 'an ordinary user can mount')];
  } catch {
    const found = 'the package koffi is missing, without which only root mounts';
    return [device, problem('fusermount3', found, "install it with 'npm install koffi', or run wh as root")];
  }
}

function openable(): Finding {
  try {
    closeSync(openSync('/dev/fuse', 'r+'));
    return ok('fuse', '/dev/fuse opens');
  } catch (error) {
    const found = `/dev/fuse does not open: ${messageOf(error)}`;
    const denied = ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
    const cure = denied
      ? "let you in with 'chmod 666 /dev/fuse' as root, or run wh as root"
      : "load it with 'modprobe fuse', or start the container with '--device /dev/fuse --cap-add SYS_ADMIN'";
    return problem('fuse', found, cure);
  }
}

async function checkMulticast(): Promise<Finding> {
  const cure = "give addresses by hand: 'wh join CODE --address HOST:PORT'";
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  if (outside.length === 0) return warning('multicast', 'this machine has no network but its own', cure);
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, () => {
        try {
          socket.addMembership(MULTICAST);
          socket.send(Buffer.alloc(12), 5353, MULTICAST, (error) => (error ? reject(error) : resolve()));
        } catch (error) {
          reject(error);
        }
      });
    });
    return ok('multicast', `pods on the local network can find each other (${outside[0]?.address})`);
  } catch (error) {
    return warning('multicast', `the local network cannot be asked: ${messageOf(error)}`, cure);
  } finally {
    socket.close();
  }
}

/** No clock decides what is kept; a wrong one only shows wrong times. */
function checkClock(): Finding {
  const asked = spawnSync('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'], {
    encoding: 'utf8',
    timeout: TOOL_TIMEOUT_MS,
  });
  if (asked.status === 0 && asked.stdout.trim() === 'no')
    return warning(
      'clock',
      'the clock is not synchronised: times of files may look wrong on other machines',
      "turn it on with 'timedatectl set-ntp true'",
    );
  return ok('clock', `it is ${new Date().toISOString()}`);
}

function checkLimits(): Finding {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? '';
  const most = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  if (most >= FILES_LEAST) return ok('limits', `${hard} open files`);
  return warning(
    'limits',
    `only ${hard} open files are allowed`,
    `raise it to ${FILES_LEAST} with 'ulimit -n' or LimitNOFILE= of the service`,
  );
}

function runs(program: string, ...parameters: string[]): boolean {
  return spawnSync(program, parameters, { stdio: 'ignore', timeout: TOOL_TIMEOUT_MS }).status === 0;
}
