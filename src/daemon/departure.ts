import { type Clock, Countdown, WormholeError } from '../base/index.js';
import { checkAdmin, declare, editDeclaration } from './declaration.js';
import type { Pod } from './pod.js';

const LOOK_MS = 500;
const PROGRESS_MS = 5_000;
const LEAVE_SYNC_MS = 60_000;
const HEARD_MS = 10_000;

export interface WaitContext {
  clock: Clock;
  timeoutMs: number | null;
  progress: (line: string) => void;
  signal: AbortSignal;
}

/**
 * Takes a member out for good. First nothing is placed on it any more, and the others fetch what it held; it leaves
 * the declaration too. With `dead` nobody waits, and the declaration keeps its name for a successor.
 * @throws WormholeError `no-pod`, `timeout` when the others are not ready in time: it stays, and holds nothing new
 */
export async function removePod(pod: Pod, name: string, dead: boolean, context: WaitContext): Promise<void> {
  checkAdmin(pod, 'remove pods');
  const member = pod.membership.memberNamed(name);
  if (member === undefined) throw new WormholeError('no-pod', `there is no pod "${name}": see \`wh pods\`.`);
  if (member.id === pod.identity.pod)
    throw new WormholeError('usage', 'this is the pod itself: use `wh leave`.');
  if (!dead) {
    await drain(pod, name);
    await untilHandedOver(pod, context, `${name} stays a member until the others hold what it held`);
  }
  await pod.membership.remove(member.id);
  // What was drained is not wanted any more. The place of one that was lost waits for its successor (decision 29).
  const declared = pod.config.pods.get(name);
  if (declared === undefined) return;
  if (!dead) await editDeclaration(pod, ['pods', name], undefined);
  else if (declared.capacity === 0) await editDeclaration(pod, ['pods', name, 'capacity'], undefined);
}

/**
 * Hands over what only this pod holds, and ends its membership.
 * @param abandon goes even though something is nowhere else
 * @returns files that are on this pod only
 */
export async function leaveNetwork(pod: Pod, abandon: boolean, context: WaitContext): Promise<number> {
  const { membership, placement, fileSystem, record, identity } = pod;
  const before = membership.declared()?.text ?? '';
  if (!abandon) {
    await fileSystem.publishAll(context.signal);
    await pod.sync.waitUntilShared({ timeoutMs: context.timeoutMs ?? LEAVE_SYNC_MS, signal: context.signal });
    await drain(pod, record.pod);
    await untilHandedOver(pod, context, 'this pod stays a member until the others hold what it holds');
  }
  const onlyHere = await placement.onlyHere(context.signal);
  if (onlyHere > 0 && !abandon) {
    await declare(pod, before);
    throw new WormholeError(
      'not-permitted',
      `${onlyHere} files have their only copy here, since no other pod may hold them: let one in, change the rules, or leave without them by \`wh leave --abandon --abandon\`.`,
    );
  }
  // A later pod of this name begins anew, and not with the share of one that was drained.
  if (!abandon) await editDeclaration(pod, ['pods', record.pod], undefined);
  await membership.remove(identity.pod);
  await untilHeard(pod, context);
  return onlyHere;
}

/** Whoever learns that this pod is no member any more ends its link. */
async function untilHeard(pod: Pod, { clock }: WaitContext): Promise<void> {
  const startMs = clock.monotonicMs();
  while (pod.links.list().length > 0 && clock.monotonicMs() - startMs < HEARD_MS) await clock.sleep(LOOK_MS);
}

/** From now on nothing belongs on it. A pod that is no admin asks one to do this. */
async function drain(pod: Pod, name: string): Promise<void> {
  if (pod.config.pods.get(name)?.capacity === 0) return;
  await editDeclaration(pod, ['pods', name, 'capacity'], '0B');
}

async function untilHandedOver(pod: Pod, context: WaitContext, otherwise: string): Promise<void> {
  const { clock, timeoutMs, progress, signal } = context;
  const startMs = clock.monotonicMs();
  let toldMs = startMs;
  const countdown = new Countdown(clock);
  // The new declaration is taken in by this pod's own placement at once.
  await clock.sleep(LOOK_MS, signal);
  while (!pod.placement.handedOver) {
    const nowMs = clock.monotonicMs();
    if (timeoutMs !== null && nowMs - startMs > timeoutMs) {
      throw new WormholeError(
        'timeout',
        `the others do not hold everything yet: ${otherwise}. Try again later.`,
      );
    }
    if (nowMs - toldMs >= PROGRESS_MS) {
      toldMs = nowMs;
      const files = pod.placement.underReplicated();
      progress(`${files} files are not yet where they are to go${countdown.left(files)}`);
    }
    await clock.sleep(LOOK_MS, signal);
  }
}
