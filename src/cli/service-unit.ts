import { createHash } from 'node:crypto';

/** What a unit of systemd has to know. */
export interface UnitSettings {
  network: string;
  /** The pod's own folder, and `WH_HOME`. */
  folder: string;
  home: string;
  /** Absolute paths: services have no shell and a PATH of their own. */
  node: string;
  main: string;
  /** For a system service: who owns the pod. */
  user: string | undefined;
}

/** Names of networks may hold letters that names of units may not, and two homes may have one network's name. */
export function unitName({ network, home }: Pick<UnitSettings, 'network' | 'home'>): string {
  const mark = createHash('sha256').update(home).digest('hex').slice(0, 6);
  return `wormhole-${network.replace(/[^A-Za-z0-9._-]/g, '_')}-${mark}.service`;
}

/**
 * The unit that keeps a pod's daemon running. Only the daemon's starter gets the signal to stop: it passes it on, and
 * the watchdog beside the daemon ends by itself once the mount is gone.
 */
export function unitText({ network, folder, home, node, main, user }: UnitSettings): string {
  const log = escapeSpecifiers(`${folder}/daemon.log`);
  return `[Unit]
Description=Wormhole, network ${escapeSpecifiers(network)}
Documentation=man:systemd.service(5)
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
${user === undefined ? '' : `User=${user}\n`}Environment=${quote(`WH_HOME=${home}`)}
ExecStart=${quote(node)} ${quote(main)} up --foreground --network ${quote(network)}
Restart=on-failure
RestartSec=5
KillMode=mixed
TimeoutStopSec=120
LimitNOFILE=65536
StandardOutput=append:${log}
StandardError=append:${log}

[Install]
WantedBy=${user === undefined ? 'default.target' : 'multi-user.target'}
`;
}

function quote(text: string): string {
  return `"${escapeSpecifiers(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '$$$$')}"`;
}

function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}
