import { WormholeError } from '../base/index.js';
import type { NetworkConfig, Role } from '../config/index.js';

/** Whether an invite may be given now, for a pod of this name or for any (decision 29).
 *  @throws WormholeError `not-permitted` */
export function checkInvited({ join, pods }: NetworkConfig, name: string | null): void {
  if (join !== 'closed' || (name !== null && pods.has(name))) return;
  const sentence =
    name === null
      ? 'the network is closed to pods that its declaration does not name: invite one that it does with `wh invite --pod NAME`.'
      : `the network is closed, and its declaration names no pod "${name}": add it under \`pods:\` first.`;
  throw new WormholeError('not-permitted', sentence);
}

/**
 * Under which name and role a pod comes in by an invite. An invite may be for one pod only: its name stands behind
 * its role then. @throws WormholeError `not-permitted`
 */
export function admitted(config: NetworkConfig, asked: string, grant: string): { name: string; role: Role } {
  const [granted, only] = grant.split('/');
  const name = only ?? asked;
  const declared = config.pods.get(name);
  // The declaration may have been changed since the invite was given.
  checkInvited(config, only ?? null);
  if (config.join === 'approve' && declared === undefined) {
    throw new WormholeError(
      'not-permitted',
      `the network takes in only pods that its declaration names, and "${name}" is none of them: ask an admin to add it under \`pods:\`.`,
    );
  }
  return { name, role: declared?.role ?? (granted === 'portal' ? 'portal' : 'storage') };
}
