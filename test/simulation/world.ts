import { check, collect, darkness, disaster, heal, oblivion } from './ending.js';
import type { SimulatedPod } from './pod.js';
import { ANSWER_WITHIN_MS, COPIES, HISTORY_MS, Scene } from './scene.js';

const STEPS_MIN = 20;
const STEPS_MORE = 30;
const PAUSE_MS = 2_000;
const LONG_PAUSE_MS = 15_000;
/** What was just acknowledged is struck by a fault no later than this. */
const SOON_MS = 20;
const LATER_MS = 1_000;
const SLEEP_MS = 20_000;
const CLOCK_MS = 10 * 365 * 86_400_000;
/** Calls of a disk that is about to fail that still go well. */
const LAST_CALLS = 6;

/** What may happen, each as often as its number says. */
const STEPS = {
  act: 100,
  pause: 8,
  partition: 5,
  heal: 5,
  flap: 4,
  kill: 4,
  powerCut: 4,
  strike: 10,
  dark: 2,
  restart: 2,
  start: 12,
  collect: 6,
  full: 1,
  room: 3,
  failing: 3,
  rot: 4,
  sleep: 2,
  clock: 2,
} as const;
type Step = keyof typeof STEPS;

export interface Outcome {
  /** The same for the same seed. */
  fingerprint: number;
  turns: number;
  acknowledged: number;
  /** Faults that struck while a pod had something acknowledged. */
  faults: number;
  /** How often pods were asked for what they owed after a fault, bytes rotted, something was collected, a disk failed and
   *  a machine burnt down with what others held. */
  reached: Scene['reached'];
  /** What was noted, when asked for. */
  lines: string[] | undefined;
}

/**
 * One run of whole pods: what users do, what breaks and when follows from the seed alone.
 * @throws Error that tells what went wrong, and how it came
 */
export async function simulateWhole(seed: number, options: { lines?: boolean } = {}): Promise<Outcome> {
  const scene = new Scene(seed, options);
  try {
    await run(scene);
  } catch (error) {
    const troubles = scene.town.troubles.slice(-20).join('\n');
    const told = scene.stage.lines ?? scene.story;
    throw new Error(`seed ${seed}\n${told.join('\n')}\n${troubles}`, { cause: error });
  }
  const { stage, account, faults, reached } = scene;
  const { fingerprint, turns, lines } = stage;
  return { fingerprint, turns, acknowledged: account.acknowledged, faults, reached, lines };
}

async function run(scene: Scene): Promise<void> {
  const { numbers, stage, pods } = scene;
  for (const pod of pods) await pod.start();
  declare(scene);
  for (let steps = STEPS_MIN + numbers.below(STEPS_MORE); steps > 0; steps--) {
    await take(scene, numbers.weighted(STEPS), numbers.pick(pods));
    await stage.pass(numbers.below(numbers.once(3) ? PAUSE_MS : 100));
    scene.look();
  }
  await heal(scene);
  await check(scene);
  await numbers.pick([disaster, disaster, disaster, oblivion, darkness, async () => {}])(scene);
  for (const pod of pods) pod.kill();
}

function declare({ pods, stage }: Scene): void {
  const text = `copies: ${COPIES}\nhistory: ${HISTORY_MS / 1000}s\n`;
  const pod = pods[0] as SimulatedPod;
  stage.after(pod.process, 0, () => pod.declare({ number: 1, text }));
}

async function take(scene: Scene, step: Step, pod: SimulatedPod): Promise<void> {
  const { numbers, stage, network, pods } = scene;
  if (step === 'act') {
    const answered = scene.act(pod);
    // Now and then something else happens before it is answered.
    if (!numbers.once(4)) await answered?.();
    return;
  }
  scene.say(`${pod.name}: ${step}`);
  switch (step) {
    case 'pause':
      return stage.pass(numbers.below(LONG_PAUSE_MS));
    case 'partition':
      return partition(scene);
    case 'heal':
      return network.heal();
    case 'flap':
      return network.flap(pod.id);
    case 'kill':
      return scene.kill(pod);
    case 'powerCut':
      return scene.powerCut(pod);
    case 'strike':
      return strike(scene, pod);
    case 'dark':
      for (const each of pods) scene.powerCut(each);
      return;
    case 'restart':
      return scene.restart(pod);
    case 'start':
      return scene.start(pod);
    case 'collect':
      for (const each of pods) await collect(scene, each);
      return;
    case 'full':
      pod.disk.limitBytes = pod.disk.usedBytes;
      return;
    case 'room':
      for (const each of pods) each.disk.limitBytes = undefined;
      return;
    case 'failing':
      return failing(scene, pod);
    case 'rot':
      return rot(scene, pod);
    case 'sleep': {
      const ms = numbers.below(SLEEP_MS);
      pod.sleep(ms);
      return network.silent(pod.id, ms);
    }
    case 'clock':
      return pod.setClock(numbers.below(2 * CLOCK_MS) - CLOCK_MS);
  }
}

function partition(scene: Scene): void {
  const sides = new Map(scene.pods.map(({ id }) => [id, scene.numbers.below(2)]));
  scene.network.partition(
    (pod) => sides.get(pod) ?? 0,
    scene.pods.map(({ id }) => id),
  );
  scene.struck();
}

/** Something is written and fsynced, and the power is cut just then. */
async function strike(scene: Scene, pod: SimulatedPod): Promise<void> {
  const { numbers, stage, account } = scene;
  const { syncs } = account;
  const answered = scene.act(pod, { careful: true });
  if (answered === undefined) return;
  await stage.until(() => account.syncs > syncs || !scene.isBusy(pod), ANSWER_WITHIN_MS);
  await stage.pass(numbers.below(numbers.once(4) ? LATER_MS : SOON_MS));
  scene.powerCut(pod);
  await answered();
  if (numbers.once(2)) await scene.start(pod);
}

/** A disk begins to fail, and after a while the machine is started anew. */
async function failing(scene: Scene, pod: SimulatedPod): Promise<void> {
  const { numbers } = scene;
  if (!pod.isUp) return;
  scene.struck();
  scene.fails(pod, numbers.pick(['write', 'sync']), numbers.below(LAST_CALLS));
  for (let acts = 1 + numbers.below(3); acts > 0; acts--)
    await scene.act(pod, { careful: numbers.once(2) })?.();
  if ((pod.disk.fault?.after ?? 0) < 0) scene.reached.failed++;
  if (numbers.once(2)) scene.kill(pod);
  else scene.powerCut(pod);
  await scene.start(pod);
}

/** A byte turns where somebody else has the same content. */
function rot(scene: Scene, pod: SimulatedPod): void {
  const { numbers, keepers } = scene;
  const tokens = keepers.spare(pod);
  const token = tokens.length === 0 ? undefined : numbers.pick(tokens);
  if (token === undefined || !pod.rot(token)) return;
  keepers.rots(token, pod);
  scene.reached.rotten++;
  scene.struck();
}
