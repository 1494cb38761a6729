import type { PodId } from '../base/index.js';
import { matchesLabels, type Policies, type Policy, type Posture, type Response } from '../config/index.js';
import type { Candidate } from './rendezvous.js';

/** All that a posture depends on. Pods that see the same come to the same. */
export interface Situation {
  policies: Policies;
  /** Every pod that may hold copies, also those that are gone. */
  candidates: readonly Candidate[];
  /** Pods that are silent for longer than the grace time. */
  gone: ReadonlySet<PodId>;
  /** No other pod is linked: it is this one that is away, and no judge of the others. */
  alone: boolean;
  /** Files of which some pod that is linked says that it cannot get them from anybody. */
  missing: number;
  /** Bytes that the pods that are left may still take, and those that are still to be copied. */
  free: number;
  needed: number;
}

export interface Judgement {
  /** The worst of all. */
  posture: Posture;
  /** What is done with files under a policy. */
  responses(policy: Policy): readonly Response[];
  /** Why it is not favourable, for people. */
  reason: string | undefined;
}

/** What the network is to do. Pure. */
export function judge(situation: Situation): Judgement {
  const common = commonPosture(situation);
  let worst = common;
  const postures = new Map<Policy, Posture>();
  const postureOf = (policy: Policy) => {
    let posture = postures.get(policy);
    if (posture === undefined) {
      const own = belowMinimum(policy, situation);
      posture = own === undefined ? common.posture : 'critical';
      postures.set(policy, posture);
    }
    return posture;
  };
  for (const { path, policy } of situation.policies.all()) {
    const reason = belowMinimum(policy, situation);
    if (reason !== undefined && worst.posture !== 'critical')
      worst = { posture: 'critical', reason: `${path}: ${reason}` };
  }
  return {
    posture: worst.posture,
    reason: worst.reason,
    responses: (policy) => policy.crisis[postureOf(policy)],
  };
}

/** Without looking at the minimum that rules ask for. */
function commonPosture(situation: Situation): { posture: Posture; reason: string | undefined } {
  const { candidates, gone, alone, missing, policies, free, needed } = situation;
  const lost = candidates.filter((pod) => gone.has(pod.id));
  if (alone || lost.length === 0) return { posture: 'favourable', reason: undefined };
  const names = lost.map((pod) => pod.name).join(', ');
  if (missing > 0) {
    return {
      posture: 'critical',
      reason: `${missing} files have no copy that can be reached while ${names} is lost`,
    };
  }
  const left = candidates.filter((pod) => !gone.has(pod.id));
  const crowded = policies.all().some(({ policy }) => {
    const before = Math.min(policy.copies, allowed(policy, candidates).length);
    return allowed(policy, left).length < before;
  });
  if (crowded)
    return { posture: 'mixed', reason: `${names} is lost, and too few pods are left for all copies` };
  if (needed > free)
    return { posture: 'mixed', reason: `${names} is lost, and there is no room for new copies` };
  return { posture: 'favourable', reason: undefined };
}

function belowMinimum(policy: Policy, { candidates, gone }: Situation): string | undefined {
  if (policy.minPods === 0) return undefined;
  const present = allowed(policy, candidates).filter((pod) => !gone.has(pod.id)).length;
  if (present >= policy.minPods) return undefined;
  return `${present} of the ${policy.minPods} pods that its rule needs can be reached`;
}

function allowed(policy: Policy, candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter((pod) => matchesLabels(pod, policy.require) || policy.pin.includes(pod.name));
}
