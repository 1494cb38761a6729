import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WormholeError } from '../../base/index.js';
import { NOT_RUNNING } from '../../daemon/client.js';
import { wormholeHome } from '../../daemon/home.js';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';
import type { Pod } from '../pods.js';
import { unitName, unitText } from '../service-unit.js';

const SYSTEM_UNITS = '/etc/systemd/system';

interface Service {
  name: string;
  path: string;
  /** Arguments that every `systemctl` needs. */
  scope: string[];
}

const FLAGS = {
  user: Flags.boolean({ description: 'a service of this user, also for root' }),
};

export class ServiceInstall extends WormholeCommand {
  static override summary =
    'Keep this pod running: a systemd unit (of the user, or of the system when root).';
  static override description =
    'Starts at boot (a user service: at login, or at boot after `loginctl enable-linger`) and again after a failure.';
  static override examples = ['<%= config.bin %> service install'];
  static override flags = FLAGS;

  override async run(): Promise<void> {
    const { flags } = await this.parse(ServiceInstall);
    const pod = this.pod(flags.network);
    const service = serviceOf(pod, flags.user);
    writeUnit(pod, service);
    const enabled = systemctl(service, 'daemon-reload') ?? systemctl(service, 'enable', service.name);
    const running = await this.isRunning(pod);
    // A daemon that runs already goes on; systemd takes over at the next start.
    const started = running ? undefined : systemctl(service, 'start', service.name);
    const problem = enabled ?? started ?? null;
    this.show(flags.json, { unit: service.path, running: problem === null || running, problem }, () =>
      problem === null
        ? `${service.path} is in force${running ? ': the daemon runs already, the service takes over at the next start' : ', and the pod is up'}.\n`
        : `${service.path} is written, but systemd did not take it: ${problem}\n  systemctl ${[...service.scope, 'enable', '--now', service.name].join(' ')}\n`,
    );
    if (problem !== null) process.exitCode = 3;
  }

  private async isRunning(pod: Pod): Promise<boolean> {
    try {
      await this.ask(pod, 'status', {});
      return true;
    } catch (error) {
      if (error instanceof WormholeError && error.code === NOT_RUNNING) return false;
      throw error;
    }
  }
}

export class ServiceRemove extends WormholeCommand {
  static override summary = 'Take the systemd unit of this pod away; the service stops.';
  static override examples = ['<%= config.bin %> service remove'];
  static override flags = FLAGS;

  override async run(): Promise<void> {
    const { flags } = await this.parse(ServiceRemove);
    const service = serviceOf(this.pod(flags.network), flags.user);
    if (!existsSync(service.path)) {
      throw new WormholeError('not-found', `there is no ${service.path}: nothing to remove.`);
    }
    const problem = systemctl(service, 'disable', '--now', service.name) ?? null;
    rmSync(service.path);
    systemctl(service, 'daemon-reload');
    this.show(flags.json, { unit: service.path, problem }, () => `${service.path} is removed.\n`);
  }
}

function serviceOf({ record }: Pod, ofUser: boolean): Service {
  const name = unitName({ network: record.network, home: wormholeHome() });
  if (process.getuid?.() === 0 && !ofUser) return { name, path: join(SYSTEM_UNITS, name), scope: [] };
  const config = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  return { name, path: join(config, 'systemd', 'user', name), scope: ['--user'] };
}

function writeUnit({ record, paths }: Pod, { path, scope }: Service): void {
  const text = unitText({
    network: record.network,
    folder: paths.folder,
    home: wormholeHome(),
    node: process.execPath,
    main: fileURLToPath(new URL('../main.js', import.meta.url)),
    user: scope.length > 0 ? undefined : userInfo().username,
  });
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
}

/** @returns what systemctl says when it fails */
function systemctl({ scope }: Service, ...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync('systemctl', [...scope, ...args], { encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim() || `systemctl ended with code ${status}`);
}
