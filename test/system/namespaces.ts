/**
 * Network namespaces for system tests: hosts with an address each on one bridge, as machines on one switch.
 * Needs root and `ip`; everything has a unique name and is removed at the end, however this process ends.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';

export interface Host {
  readonly name: string;
  readonly address: string;
  /** Starts a program inside; whatever runs inside is killed when the network is removed. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program inside to its end and returns what it printed; throws when it fails. */
  run(command: string, args: readonly string[]): string;
  /** `cable`: the interface inside loses its carrier. `switch`: it stays up and hears nothing. */
  cut(where?: 'cable' | 'switch'): void;
  /** Cuts the cable, and all TCP connections end at once instead of after the time of silence. */
  lose(): void;
  heal(): void;
  /** Loses its address, and has another one from then on. */
  renumber(address: string): void;
}

export interface TestNetwork {
  readonly hosts: readonly Host[];
  remove(): Promise<void>;
}

/** Why namespaces cannot be made here, or undefined when they can: the reason to print with a skipped test. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const probe = `whp${randomBytes(3).toString('hex')}`;
  try {
    ip('netns', 'add', probe);
    ip('netns', 'del', probe);
    return undefined;
  } catch (error) {
    return `network namespaces do not work here: ${(error as Error).message.split('\n')[0]}`;
  }
}

/** Why no host can stand for others behind it, or undefined: the reason to print with a skipped test. */
export function translationMissing(): string | undefined {
  const missing = namespacesMissing();
  if (missing !== undefined) return missing;
  const probe = `whp${randomBytes(3).toString('hex')}`;
  try {
    ip('netns', 'add', probe);
    try {
      translate(probe);
    } finally {
      ip('netns', 'del', probe);
    }
    return undefined;
  } catch (error) {
    return `address translation does not work here: ${(error as Error).message.split('\n')[0]}`;
  }
}

/**
 * @param options.multicast false leaves out the route that mDNS needs
 * @param options.behind the hosts are in a network of their own behind this one, which gives what they send outside an
 *   address of its own; nobody outside can call them
 */
export function makeNetwork(
  hostCount: number,
  options: { multicast?: boolean; behind?: Host } = {},
): TestNetwork {
  // Interface names have at most 15 characters.
  const id = randomBytes(3).toString('hex');
  const bridge = `whb${id}`;
  const namespaces = Array.from({ length: hostCount }, (_, index) => `whn${id}-${index}`);
  const cleaner = startCleaner(bridge, namespaces);
  ip('link', 'add', bridge, 'type', 'bridge', 'mcast_snooping', '0');
  ip('link', 'set', bridge, 'up');
  const hosts = namespaces.map((namespace, index) => {
    const outside = `whv${id}${index}`;
    const address = `${options.behind === undefined ? '10.77.0' : '10.78.0'}.${index + 1}`;
    ip('netns', 'add', namespace);
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    ip('link', 'set', outside, 'master', bridge, 'up');
    ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    if (options.multicast !== false) ip('-n', namespace, 'route', 'add', '224.0.0.0/4', 'dev', 'eth0');
    return makeHost(namespace, address, outside, bridge, namespaces);
  });
  if (options.behind !== undefined) {
    const [router, outside, gateway] = [options.behind.name, `whr${id}`, '10.78.0.254'];
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth1', 'netns', router);
    ip('link', 'set', outside, 'master', bridge, 'up');
    ip('-n', router, 'addr', 'add', `${gateway}/24`, 'dev', 'eth1');
    ip('-n', router, 'link', 'set', 'eth1', 'up');
    translate(router);
    for (const namespace of namespaces) ip('-n', namespace, 'route', 'add', 'default', 'via', gateway);
  }
  return {
    hosts,
    async remove() {
      if (cleaner.exitCode !== null) return;
      cleaner.ref();
      const ended = once(cleaner, 'exit');
      cleaner.stdin?.end();
      await ended;
    },
  };
}

/**
 * A process in a session of its own that waits for the end of its input, which comes however this process ends,
 * and then kills what runs in the namespaces and removes them.
 */
function startCleaner(bridge: string, namespaces: readonly string[]): ChildProcess {
  const script = `cat >/dev/null
    for name in ${namespaces.join(' ')}; do
      for pid in $(ip netns pids $name 2>/dev/null); do kill -9 $pid; done
      ip netns del $name
    done
    ip link del ${bridge}`;
  const cleaner = spawn('sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  cleaner.unref();
  (cleaner.stdin as Socket | null)?.unref();
  return cleaner;
}

function makeHost(
  namespace: string,
  address: string,
  outside: string,
  bridge: string,
  all: readonly string[],
): Host {
  const cut: Host['cut'] = (where = 'cable') =>
    ip('link', 'set', outside, where === 'cable' ? 'down' : 'nomaster');
  return {
    name: namespace,
    address,
    spawn: (command, args, options = {}) =>
      spawn('ip', ['netns', 'exec', namespace, command, ...args], options),
    run: (command, args) =>
      execFileSync('ip', ['netns', 'exec', namespace, command, ...args], { encoding: 'utf8' }),
    cut,
    lose: () => {
      cut();
      // Where the kernel cannot do that, they end after the time of silence.
      for (const name of all)
        spawnSync('ip', ['netns', 'exec', name, 'ss', '-tnK', name === namespace ? 'src' : 'dst', address]);
    },
    heal: () => ip('link', 'set', outside, 'master', bridge, 'up'),
    renumber: (other) => {
      ip('-n', namespace, 'addr', 'flush', 'dev', 'eth0', 'scope', 'global');
      ip('-n', namespace, 'addr', 'add', `${other}/24`, 'dev', 'eth0');
    },
  };
}

/** What a host forwards seems to come from itself. */
function translate(namespace: string): void {
  const run = (program: string, args: readonly string[], input = '') =>
    execFileSync('ip', ['netns', 'exec', namespace, program, ...args], { input, stdio: 'pipe' });
  run('tee', ['/proc/sys/net/ipv4/ip_forward'], '1');
  run('nft', [
    `add table ip nat
    add chain ip nat out { type nat hook postrouting priority 100; }
    add rule ip nat out oifname "eth0" masquerade`,
  ]);
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
