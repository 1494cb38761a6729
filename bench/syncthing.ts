import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Host, makeNetwork } from '../test/system/namespaces.js';
import { eventually, must, run } from '../test/system/pods.js';

/** A folder that two Syncthing daemons on two hosts of a LAN keep equal. */
export interface SyncthingPair {
  readonly a: string;
  readonly b: string;
}

export async function syncthingMissing(): Promise<string | undefined> {
  const found = await run(undefined, ['sh', '-c', 'command -v syncthing && command -v curl']);
  return found.code === 0 ? undefined : 'syncthing and curl are not installed';
}

/** @param watcherDelaySeconds how long Syncthing gathers changes before it looks at them; its default is 10 */
export async function withSyncthing<T>(
  folder: string,
  watcherDelaySeconds: number,
  work: (pair: SyncthingPair) => Promise<T>,
): Promise<T> {
  const lan = makeNetwork(2);
  try {
    const sides = await Promise.all(
      lan.hosts.map(async (host, i) => {
        const home = join(folder, `syncthing-${watcherDelaySeconds}-${i}`);
        const data = join(home, 'data');
        mkdirSync(data, { recursive: true });
        await must(undefined, ['syncthing', 'generate', `--home=${home}`, '--no-default-folder'], {
          env: { HOME: home },
        });
        const id = (
          await must(undefined, ['syncthing', `--home=${home}`, '--device-id'], { env: { HOME: home } })
        ).trim();
        return { host, home, data, id };
      }),
    );
    for (const side of sides) {
      configure(side.home, side.data, sides, watcherDelaySeconds);
      const { host, home } = side;
      host.spawn('syncthing', ['serve', `--home=${home}`, '--no-browser', '--no-restart'], {
        stdio: 'ignore',
        env: { ...process.env, HOME: home, STNOUPGRADE: '1' },
      });
    }
    for (const { host } of sides) await untilLinked(host);
    return await work({ a: sides[0]?.data ?? '', b: sides[1]?.data ?? '' });
  } finally {
    await lan.remove();
  }
}

/** Its defaults but for what leaves the LAN, since there is nothing beyond it. */
function configure(
  home: string,
  data: string,
  sides: readonly { id: string; host: Host }[],
  watcherDelaySeconds: number,
): void {
  const file = join(home, 'config.xml');
  const version = /<configuration version="(\d+)"/.exec(readFileSync(file, 'utf8'))?.[1] ?? '36';
  const devices = sides.map(
    ({ id, host }) =>
      `<device id="${id}" name="${host.name}"><address>tcp://${host.address}:22000</address></device>`,
  );
  writeFileSync(
    file,
    `<configuration version="${version}">
  <folder id="bench" path="${data}" type="sendreceive" rescanIntervalS="3600" fsWatcherEnabled="true" fsWatcherDelayS="${watcherDelaySeconds}">
    ${sides.map(({ id }) => `<device id="${id}"></device>`).join('')}
  </folder>
  ${devices.join('\n  ')}
  <gui enabled="true"><address>127.0.0.1:8384</address><apikey>bench</apikey></gui>
  <options>
    <listenAddress>tcp://0.0.0.0:22000</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled>
    <localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled>
    <natEnabled>false</natEnabled>
    <urAccepted>-1</urAccepted>
    <crashReportingEnabled>false</crashReportingEnabled>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
  </options>
</configuration>
`,
  );
}

async function untilLinked(host: Host): Promise<void> {
  await eventually(async () => {
    const question = [
      'curl',
      '-s',
      '-H',
      'X-API-Key: bench',
      'http://127.0.0.1:8384/rest/system/connections',
    ];
    const { connections } = JSON.parse((await run(host, question)).stdout) as {
      connections: Record<string, { connected: boolean }>;
    };
    if (!Object.values(connections).some(({ connected }) => connected))
      throw new Error('syncthing is not linked');
  }, 60_000);
}
