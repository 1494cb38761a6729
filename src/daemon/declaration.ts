import { WormholeError } from '../base/index.js';
import {
  defaultNetworkConfig,
  describeConfig,
  differencesOf,
  editConfig,
  type NetworkConfig,
  parseNetworkConfig,
  readNetworkConfig,
  shortfalls,
} from '../config/index.js';
import type { Declaration } from '../membership/index.js';
import { candidatesOf } from '../placement/index.js';
import type { ConfigApplied, ConfigEntry, ConfigPlan, ConfigShown } from './control.js';
import type { Pod } from './pod.js';

/** What is in force here, and who says each of it. */
export function showConfig(pod: Pod): ConfigShown {
  const { membership, config } = pod;
  const declared = membership.declared();
  return {
    text: declared?.text ?? '',
    declared: declared === undefined ? null : signatureOf(pod, declared),
    settings: describeConfig(config, pod.record.pod, pod.settings),
    unmet: unmetBy(pod, config),
  };
}

/** All declarations, the first one first, each with what it changed. */
export function configHistory(pod: Pod): ConfigEntry[] {
  let before = defaultNetworkConfig();
  return pod.membership.declarations().map((declaration) => {
    const config = readNetworkConfig(declaration.text).value ?? before;
    const changes = differencesOf(before, config);
    before = config;
    return { ...signatureOf(pod, declaration), changes };
  });
}

/** What a declaration would change, and what it could not keep. @throws WormholeError `config` */
export async function planConfig(pod: Pod, text: string, signal: AbortSignal): Promise<ConfigPlan> {
  const config = parseNetworkConfig(text);
  const { membership, placement } = pod;
  const flow = await placement.flowTo(config, signal);
  const nameOf = (id: string) => membership.member(id)?.name ?? id;
  const pods = [...flow.pods].map(([id, { receive, drop, holds }]) => {
    const name = nameOf(id);
    const [received, dropped, held] = [receive, drop, holds].map(Math.round) as [number, number, number];
    return {
      name,
      receive: received,
      drop: dropped,
      holds: held,
      capacity: config.pods.get(name)?.capacity ?? null,
    };
  });
  const full = pods
    .filter(({ holds, capacity }) => capacity !== null && holds > capacity)
    .map(({ name }) => `${name} would hold more than its capacity: raise it, or declare fewer copies`);
  return {
    changes: differencesOf(placement.config, config),
    files: flow.files,
    make: { copies: flow.make.copies, bytes: Math.round(flow.make.bytes) },
    drop: { copies: flow.drop.copies, bytes: Math.round(flow.drop.bytes) },
    pods: pods.sort((a, b) => (a.name < b.name ? -1 : 1)),
    seconds: secondsOf(
      pods.map(({ receive }) => receive),
      placement.rate ?? config.bandwidth.down,
    ),
    unmet: [...unmetBy(pod, config), ...full],
  };
}

/** Declares it for the whole network, unless it changes nothing. */
export async function applyConfig(pod: Pod, text: string, signal: AbortSignal): Promise<ConfigApplied> {
  const plan = await planConfig(pod, text, signal);
  if (plan.changes.length === 0) return { ...plan, applied: false };
  await declare(pod, text);
  return { ...plan, applied: true };
}

/** Declares again what held before the present declaration. @throws WormholeError `not-found` */
export function undoConfig(pod: Pod, signal: AbortSignal): Promise<ConfigApplied> {
  const declarations = pod.membership.declarations();
  if (declarations.length === 0) throw new WormholeError('not-found', 'nothing was declared yet.');
  const [current, ...earlier] = [...declarations].reverse();
  // Undone twice, it does not come back: what the last undo went back to is left out with what it undid.
  const before = earlier.find(({ text }) => text !== current?.text);
  return applyConfig(pod, before?.text ?? '', signal);
}

/** Changes one key of the declaration; comments and all else stay. */
export async function editDeclaration(pod: Pod, path: readonly string[], value: unknown): Promise<void> {
  const text = pod.membership.declared()?.text ?? '';
  const edited = editConfig(text, path, value);
  if (edited !== text) await declare(pod, edited);
}

/** @throws WormholeError `not-permitted` where the declaration leaves this to others */
export function checkAdmin(pod: Pod, what: string): void {
  const { admins } = pod.config;
  if (admins.length === 0 || admins.includes(pod.record.pod)) return;
  throw new WormholeError(
    'not-permitted',
    `only ${admins.join(' and ')} may ${what}: the declaration names them as admins.`,
  );
}

/** What is declared and cannot be met by the pods that there are. */
export function unmetBy(pod: Pod, config: NetworkConfig): string[] {
  const found = shortfalls(config, candidatesOf(pod.membership.members(), config));
  return found.map(({ message }) => `${message[0]?.toUpperCase()}${message.slice(1)}.`);
}

/** @throws WormholeError `not-permitted`, `invalid` when nobody could change it again, `config` */
export async function declare(pod: Pod, text: string): Promise<void> {
  checkAdmin(pod, 'change the declaration');
  const { admins } = parseNetworkConfig(text);
  const { membership } = pod;
  if (admins.length > 0 && !admins.some((name) => membership.memberNamed(name) !== undefined)) {
    throw new WormholeError(
      'invalid',
      `none of the admins (${admins.join(', ')}) is a member, so nobody could change this again: name one that is.`,
    );
  }
  await membership.declare(text);
}

function signatureOf(pod: Pod, { by, at, number }: Declaration): { by: string; at: string; number: number } {
  return { by: pod.membership.member(by)?.name ?? by.slice(0, 8), at: new Date(at).toISOString(), number };
}

/** The pod that gets most takes longest. */
function secondsOf(received: readonly number[], bytesPerSecond: number | undefined): number | null {
  const most = Math.max(0, ...received);
  if (most === 0) return 0;
  if (bytesPerSecond === undefined || !Number.isFinite(bytesPerSecond)) return null;
  return Math.ceil(most / bytesPerSecond);
}
