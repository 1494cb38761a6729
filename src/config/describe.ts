import { POSTURES } from './crisis.js';
import { type Bandwidth, defaultNetworkConfig, type NetworkConfig } from './network-config.js';
import { effectivePodSettings, type PodConfig } from './pod-config.js';
import type { Labels, Rule } from './rules.js';
import { formatDuration, formatRate, formatSize } from './units.js';

/** Settings by their place, `pods.nas-1.zone`, as people write them; in the order of the file. */
export type Settings = ReadonlyMap<string, string>;

/** One setting that is not the same in two declarations; absent where it is not set. */
export interface Difference {
  setting: string;
  from: string | null;
  to: string | null;
}

/** A setting with who says it. */
export interface Described {
  setting: string;
  value: string;
  /** `default`: nobody does. */
  from: 'wormhole.yaml' | 'pod.yaml' | 'default';
}

/** All settings of a declaration, defaults included. */
export function settingsOf(config: NetworkConfig): Settings {
  const found = new Map<string, string>();
  const put = (key: string, value: string | number | boolean | undefined) => {
    if (value !== undefined) found.set(key, String(value));
  };
  put('network', config.network);
  put('copies', config.copies);
  put('history', formatDuration(config.history));
  put('join', config.join);
  put('admins', config.admins.length === 0 ? 'every member' : config.admins.join(', '));
  put('seeds', config.seeds.length === 0 ? 'none' : config.seeds.join(', '));
  put('frozen', config.frozen);
  putBandwidth(put, 'bandwidth', {
    up: Number.POSITIVE_INFINITY,
    down: Number.POSITIVE_INFINITY,
    ...config.bandwidth,
  });
  for (const [name, pod] of config.pods) {
    const at = `pods.${name}`;
    put(at, 'listed');
    put(`${at}.role`, pod.role);
    put(`${at}.zone`, pod.zone);
    put(`${at}.media`, pod.media);
    put(`${at}.capacity`, pod.capacity === undefined ? undefined : formatSize(pod.capacity));
    put(`${at}.cache`, pod.cache === undefined ? undefined : formatSize(pod.cache));
    put(`${at}.priority`, pod.priority);
    putBandwidth(put, `${at}.bandwidth`, pod.bandwidth ?? {});
    put(`${at}.pin`, pod.pin?.join(', '));
  }
  for (const rule of config.rules) putRule(put, rule);
  put('crisis.grace', formatDuration(config.crisis.grace));
  for (const posture of POSTURES) put(`crisis.${posture}`, config.crisis[posture].join(', '));
  put('crisis.notify', config.crisis.notify.length === 0 ? 'none' : config.crisis.notify.join(', '));
  return found;
}

/** What changes from one declaration to the other; nothing where they mean the same. */
export function differencesOf(before: NetworkConfig, after: NetworkConfig): Difference[] {
  const [old, now] = [settingsOf(before), settingsOf(after)];
  const settings = [...new Set([...now.keys(), ...old.keys()])];
  return settings
    .map((setting) => ({ setting, from: old.get(setting) ?? null, to: now.get(setting) ?? null }))
    .filter(({ from, to }) => from !== to);
}

/** Every setting that is in force on a pod, and who says it. */
export function describeConfig(config: NetworkConfig, pod: string, own: PodConfig): Described[] {
  const defaults = settingsOf(defaultNetworkConfig());
  const declared = settingsOf(config);
  const withOwn = (settings: PodConfig) =>
    settingsOf({ ...config, pods: new Map([[pod, effectivePodSettings(config, pod, settings)]]) });
  const without = withOwn({});
  const mine = [...withOwn(own)].filter(([setting, value]) => without.get(setting) !== value);
  if (own.owners !== undefined) mine.push([`pods.${pod}.owners`, own.owners]);
  return [...new Map([...declared, ...mine])].map(([setting, value]) => {
    if (declared.get(setting) !== value) return { setting, value, from: 'pod.yaml' };
    return { setting, value, from: defaults.get(setting) === value ? 'default' : 'wormhole.yaml' };
  });
}

type Put = (key: string, value: string | number | boolean | undefined) => void;

function putBandwidth(put: Put, at: string, { up, down }: Bandwidth): void {
  put(`${at}.up`, up === undefined ? undefined : formatRate(up));
  put(`${at}.down`, down === undefined ? undefined : formatRate(down));
}

function putRule(put: Put, rule: Rule): void {
  const at = `rules[${rule.path.text}]`;
  const { history, prefer, require, affinity } = rule;
  put(at, 'listed');
  for (const key of ['copies', 'zones', 'min-pods', 'read-only', 'cache', 'ignore'] as const)
    put(`${at}.${key}`, rule[key]);
  put(`${at}.history`, history === undefined ? undefined : formatDuration(history));
  put(`${at}.prefer`, prefer === undefined ? undefined : describeLabels(prefer));
  put(`${at}.require`, require === undefined ? undefined : describeLabels(require));
  put(`${at}.affinity.hot`, affinity?.hot === undefined ? undefined : describeLabels(affinity.hot));
  const { cold } = affinity ?? {};
  put(`${at}.affinity.cold`, cold === undefined ? undefined : describeLabels(cold));
  put(`${at}.affinity.cold.after`, cold?.after === undefined ? undefined : formatDuration(cold.after));
  put(`${at}.pin`, rule.pin?.join(', '));
  for (const posture of POSTURES) put(`${at}.crisis.${posture}`, rule.crisis?.[posture]?.join(', '));
}

/** `media ssd or nvme, zone cellar` */
export function describeLabels(labels: Labels): string {
  const parts = (['role', 'zone', 'media'] as const).flatMap((key) => {
    const words = labels[key];
    return words === undefined ? [] : [`${key} ${words.join(' or ')}`];
  });
  return parts.join(', ');
}
