import { describeLabels } from './describe.js';
import type { NetworkConfig } from './network-config.js';
import { Policies, type Policy } from './policy.js';
import type { Labels, Role } from './rules.js';

/** A pod as far as rules look at it. */
export interface Labelled {
  name: string;
  role: Role;
  zone?: string;
  media?: string;
}

/** A promise of the declaration that the pods there are cannot keep. */
export interface Shortfall {
  /** Path of the rule; `/` is what holds without one. */
  path: string;
  /** One sentence that says what is missing and what helps. */
  message: string;
}

/** True when the pod is what the labels ask for. */
export function matchesLabels(pod: Labelled, labels: Labels): boolean {
  return (
    (labels.role === undefined || labels.role.includes(pod.role)) &&
    (labels.zone === undefined || (pod.zone !== undefined && labels.zone.includes(pod.zone))) &&
    (labels.media === undefined || (pod.media !== undefined && labels.media.includes(pod.media)))
  );
}

/** What cannot be met by these pods, which may hold copies. What is lost or leaves is not among them. */
export function shortfalls(config: NetworkConfig, holders: readonly Labelled[]): Shortfall[] {
  const found = new Policies(config).all().flatMap(({ path, policy }) => lacks(path, policy, holders));
  const known = new Set(holders.map((pod) => pod.name));
  for (const rule of config.rules) {
    for (const name of rule.pin ?? []) {
      if (known.has(name)) continue;
      const message = `${rule.path.text} is pinned on ${name}, which is no storage pod of this network: let it in, or leave it out`;
      found.push({ path: rule.path.text, message });
    }
  }
  return found;
}

function lacks(path: string, policy: Policy, holders: readonly Labelled[]): Shortfall[] {
  const allowed = holders.filter(
    (pod) => matchesLabels(pod, policy.require) || policy.pin.includes(pod.name),
  );
  const where = path === '/' ? 'each file' : path;
  const asked = describeLabels(policy.require);
  const zones = new Set(allowed.map((pod) => pod.zone).filter((zone) => zone !== undefined));
  const messages: string[] = [];
  if (allowed.length < policy.copies) {
    const of = asked === '' ? '' : ` with ${asked}`;
    messages.push(
      `${where} is meant to be on ${count(policy.copies, 'pod')}${of}, and ${are(allowed.length)} that may hold it: let another one in with \`wh invite\`, or declare fewer copies`,
    );
  }
  if (policy.zones > 1 && zones.size < policy.zones) {
    messages.push(
      `${where} is meant to be in ${policy.zones} zones, and its pods are in ${zones.size}: give pods a zone under \`pods:\``,
    );
  }
  return messages.map((message) => ({ path, message }));
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function are(number: number): string {
  return number === 1 ? 'there is 1' : `there are ${number}`;
}
