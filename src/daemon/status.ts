import type { MassDeletionStatus, PodStatus, Status, Work } from './control.js';
import { unmetBy } from './declaration.js';
import { massDeletions } from './history.js';
import type { Pod } from './pod.js';

/** One screen of what goes on. */
export function statusOf(pod: Pod): Status {
  const { record, tree, fileSystem, placement, mount } = pod;
  const counts = tree.counts();
  const readOnly = readOnlyFor(pod);
  const troubles = troublesOf(pod, readOnly);
  const masses = massDeletions(pod, Date.now());
  return {
    network: record.network,
    pod: record.pod,
    mount: mount.mountPoint,
    state: pod.engine.state === 'loading' ? 'loading' : troubles.length > 0 ? 'degraded' : 'running',
    posture: placement.posture.posture,
    pods: podStatuses(pod),
    files: counts.files,
    bytes: counts.bytes,
    unpublished: fileSystem.unpublished(),
    underReplicated: placement.underReplicated(),
    conflicts: counts.conflicts,
    ignored: counts.ignored,
    work: placement.work().map(workOf),
    massDeletions: masses,
    readOnly: readOnly ?? null,
    warnings: [
      ...troubles,
      ...masses.map(massSentence),
      ...missingFiles(pod),
      ...crisisOf(pod),
      ...unmetBy(pod, pod.config),
      ...collectionOf(pod),
    ],
  };
}

/** This pod first, then the others by name. */
export function podStatuses({ membership, links, content, identity }: Pod): PodStatus[] {
  const statuses = membership.members().map((member): PodStatus => {
    const self = member.id === identity.pod;
    const link = links.get(member.id);
    const { status, lastSeen } = membership.presenceOf(member.id);
    return {
      name: member.name,
      id: member.id,
      role: member.role,
      link: self ? 'self' : link === undefined ? 'down' : 'up',
      address: link?.address ?? null,
      lastSeen: self || link !== undefined ? new Date().toISOString() : isoOrNull(lastSeen),
      free: self ? content.usage().freeBytes : (status?.free ?? null),
    };
  });
  return statuses.sort((a, b) => Number(b.link === 'self') - Number(a.link === 'self'));
}

/** What somebody wanted to read and no pod in reach has, with the pods that should. */
function missingFiles(pod: Pod): string[] {
  const { fileSystem, placement, tree } = pod;
  const absent = podStatuses(pod).filter(({ link, role }) => link === 'down' && role === 'storage');
  return fileSystem.missing().map(({ inode, chunk }) => {
    const meant = new Set(placement.holdersOf(chunk));
    const likely = absent.filter(({ id }) => meant.has(id));
    const pods = (likely.length > 0 ? likely : absent).map(
      ({ name, lastSeen }) => `${name} (last seen ${lastSeen ?? 'never'})`,
    );
    const cure = pods.length === 0 ? 'no other pod is known' : `connect ${pods.join(' or ')}`;
    return `${tree.pathOf(inode)} could not be read, no pod in reach has all of it: ${cure}.`;
  });
}

/** What holds back users now, and why. */
function crisisOf({ placement, config, record }: Pod): string[] {
  const { posture, reason } = placement.posture;
  const found = config.frozen ? ['The whole network is read-only: `wh unfreeze` ends that.'] : [];
  if (reason !== undefined) found.push(`The posture is ${posture}: ${reason}.`);
  if (placement.isFull)
    found.push(`${record.pod} is full: what falls to it is held by others. Free some space here.`);
  return found;
}

/** Why the space of what was deleted does not come back. */
function collectionOf({ placement }: Pod): string[] {
  const { problem } = placement.collection;
  return problem === undefined ? [] : [`What nothing names any more stays on this disk for now: ${problem}.`];
}

function massSentence({ pod, time, deleted, folders }: MassDeletionStatus): string {
  const [worst] = folders;
  const where =
    worst === undefined
      ? ''
      : `, among them ${worst.deleted} of ${worst.deleted + worst.left} in ${worst.path}`;
  return `${pod} deleted ${deleted} entries${where} (seen ${time}): \`wh undo\` brings them back.`;
}

/** The disk failed below a log or the database, or became read-only; or a log was found damaged. */
function readOnlyFor({ tree, content }: Pod): string | undefined {
  const refusals = [tree.refusal, content.refusal].flatMap((refusal) => refusal?.message ?? []);
  return refusals.length === 0 ? undefined : [...new Set(refusals)].join('; ');
}

function troublesOf({ engine, fileSystem, content, paths }: Pod, readOnly: string | undefined): string[] {
  const warnings: string[] = [];
  if (readOnly !== undefined)
    warnings.push(
      `This pod is read-only: ${readOnly}. Reading goes on. See to its disk (\`dmesg\`), then \`wh down\` and \`wh up\`.`,
    );
  if (content.isFull)
    warnings.push(
      `The disk of ${paths.folder} is full: writing answers ENOSPC, reading and deleting go on. Free some space.`,
    );
  if (engine.state === 'failed')
    warnings.push(`The tree's engine: ${engine.reason ?? 'it failed and is started again'}.`);
  const failure = fileSystem.failure();
  if (failure !== undefined) warnings.push(`${failure}; it is tried again.`);
  return warnings;
}

function workOf(work: ReturnType<Pod['placement']['work']>[number]): Work {
  return {
    name: work.name,
    done: work.done,
    total: work.total,
    unit: 'files',
    eta: work.eta ?? null,
    problem: work.problem ?? null,
  };
}

function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
