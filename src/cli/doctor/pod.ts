/** Checks of one pod of this machine. */
import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { LIMITS, messageOf, WormholeError } from '../../base/index.js';
import { formatSize } from '../../config/index.js';
import { callDaemon, NOT_RUNNING } from '../../daemon/client.js';
import type { PodDetails } from '../../daemon/control.js';
import type { Pod } from '../pods.js';
import { type Finding, ok, problem, warning } from './finding.js';

const FREE_WARNING_BYTES = 1024 ** 3;
const FREE_INODES_WARNING = 10_000;
const TMPFS_MAGIC = 0x01021994;
const ANSWER_TIMEOUT_MS = 5_000;

export async function checkPod(pod: Pod): Promise<Finding[]> {
  const daemon = await askDaemon(pod);
  const running = Array.isArray(daemon);
  const links = running ? daemon.filter(({ link }) => link !== 'self').map(checkLink) : [];
  const port = running ? [] : [await checkPort(pod)];
  const store = running ? [await checkStore(pod)] : [];
  return [checkDisk(pod), ...(running ? [ok('daemon', 'it answers')] : [daemon]), checkMount(pod, running)]
    .concat(store)
    .concat(port)
    .concat(links);
}

/** Whether it still takes what is written to it. */
async function checkStore({ paths }: Pod): Promise<Finding> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    const { readOnly } = await callDaemon(paths.socket, 'status', {}, { signal });
    if (readOnly === null) return ok('store', 'it can be written');
    const cure = "see to its disk ('dmesg'), mount it anew if it is read-only, then 'wh down' and 'wh up'";
    return problem('store', `it takes nothing more: ${readOnly}`, cure);
  } catch (error) {
    return problem('store', `the daemon does not tell: ${messageOf(error)}`, `see ${paths.log}`);
  }
}

async function askDaemon({ paths }: Pod): Promise<PodDetails[] | Finding> {
  try {
    return await callDaemon(paths.socket, 'pods', {}, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  } catch (error) {
    if (error instanceof WormholeError && error.code === NOT_RUNNING)
      return warning('daemon', 'it is not running', "start it with 'wh up'");
    return problem(
      'daemon',
      `it does not answer: ${messageOf(error)}`,
      `see ${paths.log}, and start it anew with 'wh down' and 'wh up'`,
    );
  }
}

function checkDisk({ paths }: Pod): Finding {
  if (isReadOnly(paths.folder))
    return problem(
      'disk',
      `the file system of ${paths.folder} is read-only`,
      "see why ('dmesg'), mount it anew for writing, then 'wh down' and 'wh up'",
    );
  const disk = statfsSync(paths.folder);
  const free = disk.bavail * disk.bsize;
  const found = `${formatSize(free)} free for ${paths.folder}`;
  if (free < LIMITS.freeFloorBytes)
    return problem('disk', `${found}: nothing new can be written`, 'make room on that disk');
  if (free < FREE_WARNING_BYTES) return warning('disk', found, 'make room on that disk');
  if (disk.files > 0 && disk.ffree < FREE_INODES_WARNING)
    return warning(
      'disk',
      `only ${disk.ffree} inodes are free for ${paths.folder}`,
      'remove small files there',
    );
  if (disk.type === TMPFS_MAGIC)
    return warning(
      'disk',
      `${paths.folder} is in memory and gone at the next boot`,
      'set WH_HOME to a folder on a disk',
    );
  return ok('disk', found);
}

function isReadOnly(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

/** The mount itself is not asked: it may hang. */
function checkMount({ record }: Pod, running: boolean): Finding {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[1] === record.mount && line.includes(' fuse.wh '));
  if (mounted === running) return ok('mount', mounted ? `mounted on ${record.mount}` : 'nothing is mounted');
  return mounted
    ? problem(
        'mount',
        `a dead mount is left on ${record.mount}`,
        `'wh up' takes it away, or 'umount -l ${record.mount}'`,
      )
    : problem('mount', `the daemon runs, and ${record.mount} is not mounted here`, "'wh down' and 'wh up'");
}

async function checkPort({ record }: Pod): Promise<Finding> {
  if (record.port === 0) return ok('port', 'any free one is taken at the start');
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(record.port, record.listen, resolve);
    });
    return ok('port', `${record.port} is free`);
  } catch (error) {
    const cure = `end what uses it ('ss -ltnp sport = :${record.port}'), or set another in pod.yaml: listen`;
    return problem('port', `${record.port} cannot be used: ${messageOf(error)}`, cure);
  } finally {
    server.close();
  }
}

function checkLink({ name, link, address, lastSeen }: PodDetails): Finding {
  if (link === 'up') return ok('link', `${name} is linked${address === null ? '' : ` at ${address}`}`);
  const seen = lastSeen === null ? 'was never seen' : `was last seen ${lastSeen}`;
  return warning(
    'link',
    `${name} is not linked and ${seen}`,
    `see that it is on ('wh up' there), and that its port is not kept by a firewall`,
  );
}
