/**
 * Network namespaces for system tests: hosts with an address each on one bridge, as machines on one switch.
 * Needs root and `ip`; everything has a unique name and is removed at the end, also after a failure or Ctrl-C.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

export interface Host {
  readonly name: string;
  readonly address: string;
  /** Starts a program inside; it is killed when the network is removed. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program inside to its end and returns what it printed; throws when it fails. */
  run(command: string, args: readonly string[]): string;
  /** `cable`: the interface inside loses its carrier. `switch`: it stays up and hears nothing. */
  cut(where?: 'cable' | 'switch'): void;
  heal(): void;
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

/** @param options.multicast false leaves out the route that mDNS needs */
export function makeNetwork(hostCount: number, options: { multicast?: boolean } = {}): TestNetwork {
  // Interface names have at most 15 characters.
  const id = randomBytes(3).toString('hex');
  const bridge = `whb${id}`;
  const namespaces: string[] = [];
  const children = new Set<ChildProcess>();

  const removeNow = () => {
    process.off('exit', removeNow);
    for (const child of children) child.kill('SIGKILL');
    for (const namespace of namespaces.splice(0)) quietly('netns', 'del', namespace);
    quietly('link', 'del', bridge);
  };
  process.on('exit', removeNow);
  exitOnSignals();

  try {
    ip('link', 'add', bridge, 'type', 'bridge', 'mcast_snooping', '0');
    ip('link', 'set', bridge, 'up');
    const hosts = Array.from({ length: hostCount }, (_, index) => {
      const namespace = `whn${id}-${index}`;
      const outside = `whv${id}${index}`;
      const address = `10.77.0.${index + 1}`;
      ip('netns', 'add', namespace);
      namespaces.push(namespace);
      ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      ip('link', 'set', outside, 'master', bridge, 'up');
      ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'link', 'set', 'eth0', 'up');
      if (options.multicast !== false) ip('-n', namespace, 'route', 'add', '224.0.0.0/4', 'dev', 'eth0');
      return makeHost(namespace, address, outside, bridge, children);
    });
    return {
      hosts,
      async remove() {
        const running = [...children].filter((child) => child.exitCode === null && child.signalCode === null);
        for (const child of running) child.kill('SIGKILL');
        await Promise.all(running.map((child) => once(child, 'exit')));
        removeNow();
      },
    };
  } catch (error) {
    removeNow();
    throw error;
  }
}

function makeHost(
  namespace: string,
  address: string,
  outside: string,
  bridge: string,
  children: Set<ChildProcess>,
): Host {
  return {
    name: namespace,
    address,
    spawn(command, args, options = {}) {
      const child = spawn('ip', ['netns', 'exec', namespace, command, ...args], options);
      children.add(child);
      child.once('exit', () => children.delete(child));
      return child;
    },
    run: (command, args) =>
      execFileSync('ip', ['netns', 'exec', namespace, command, ...args], { encoding: 'utf8' }),
    cut: (where = 'cable') => ip('link', 'set', outside, where === 'cable' ? 'down' : 'nomaster'),
    heal: () => ip('link', 'set', outside, 'master', bridge, 'up'),
  };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function quietly(...args: string[]): void {
  try {
    ip(...args);
  } catch {
    // It was not there, or is gone already.
  }
}

/** Turns Ctrl-C and a test runner's SIGTERM into an ordinary exit, at which namespaces are removed. */
function exitOnSignals(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    if (process.listenerCount(signal) === 0) process.once(signal, () => process.exit(code));
  }
}
