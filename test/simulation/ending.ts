import assert from 'node:assert/strict';
import { Worst } from './disk.js';
import type { Running, SimulatedPod } from './pod.js';
import { COPIES, HISTORY_MS, type Scene } from './scene.js';
import { isContent } from './user.js';

const HEAL_WITHIN_MS = 30 * 60_000;
const LOOK_MS = 250;
const CALM_MS = 1_000;
const HOLD_WITHIN_MS = 20_000;
const SLOW_SYNC_MS = 400;
const CONTENTS_MAX = 100_000;

/** All is up and linked, and it is waited until nothing is left to be done. */
export async function heal(scene: Scene): Promise<void> {
  const { stage, network, pods } = scene;
  scene.say('at last');
  network.heal();
  for (const pod of pods) pod.disk.limitBytes = undefined;
  for (const pod of pods) if (scene.isFailing(pod)) scene.kill(pod);
  for (const pod of pods) await scene.start(pod);
  network.heal();
  await scene.answered();
  for (const pod of scene.keepers.mended()) await scrub(scene, pod);
  let calmMs = 0;
  for (const sinceMs = stage.nowMs; stage.nowMs - sinceMs < HEAL_WITHIN_MS; ) {
    await stage.pass(LOOK_MS);
    calmMs = unrest(pods) === undefined ? calmMs + LOOK_MS : 0;
    if (calmMs >= CALM_MS) return;
  }
  assert.fail(`they do not come to rest: ${unrest(pods)}`);
}

/** What rotted is found. */
async function scrub(scene: Scene, pod: SimulatedPod): Promise<void> {
  const { signal } = new AbortController();
  const bytesPerSecond = () => Number.POSITIVE_INFINITY;
  await scene.ask(pod, ({ placement }) => placement.scrub({ bytesPerSecond, reached: () => {}, signal }));
}

function unrest(pods: readonly SimulatedPod[]): string | undefined {
  const heads = String(pods[0]?.running?.tree.heads());
  for (const pod of pods) {
    if (!pod.isUp) return `${pod.name} is down`;
    const why = pod.ask((running) => unrestOf(running, heads, pods.length - 1));
    if (why !== undefined) return `${pod.name} ${why}`;
  }
  return undefined;
}

function unrestOf(
  { links, files, tree, placement }: Running,
  heads: string,
  others: number,
): string | undefined {
  if (links.list().length < others) return 'is not linked to all';
  if (files.unpublished() > 0) return 'has something to publish';
  if (tree.counts().pendingOperations > 0) return 'has operations that wait';
  if (String(tree.heads()) !== heads) return 'has other heads';
  if (!placement.settled) return `does not hold its share: ${JSON.stringify(placement.work())}`;
  if (placement.underReplicated() > 0) return 'counts too few copies';
  return undefined;
}

/** Equal trees, every byte readable everywhere, as many copies as declared, and what was acknowledged is there. */
export async function check(scene: Scene): Promise<void> {
  const [first, ...others] = scene.pods as [SimulatedPod, ...SimulatedPod[]];
  const expected = await scene.seen(first);
  for (const other of others)
    assert.deepEqual((await scene.seen(other)).lines, expected.lines, `${other.name} shows another tree`);
  await checkCopies(scene, first);
  assert.deepEqual(scene.account.problems(new Set([...expected.tokens].filter(isContent))), []);
}

async function checkCopies(scene: Scene, first: SimulatedPod): Promise<void> {
  for (const { content, size } of first.running?.tree.contents(undefined, CONTENTS_MAX) ?? []) {
    if (content === '') continue;
    for (const { id } of (await scene.ask(first, (running) => running.content.chunksOf(content, size))) ??
      []) {
      const holders = () => scene.pods.filter((pod) => pod.ask((running) => running.content.isKept(id)));
      // What is being read this moment is not counted.
      const isEnough = await scene.stage.until(() => holders().length >= COPIES, CALM_MS);
      assert.ok(isEnough, `${id} of ${content} has ${holders().length} copies`);
    }
  }
}

/** The power fails everywhere at once: what they said that they hold, they hold. */
export async function darkness(scene: Scene): Promise<void> {
  await scene.stage.pass(scene.numbers.below(6_000));
  scene.say('all go dark');
  for (const pod of scene.pods) scene.powerCut(pod);
  await heal(scene);
  await check(scene);
}

/**
 * Files are deleted, and their history passes. One of them is open all the time; and just as they are collected, somebody
 * writes the same bytes again.
 */
export async function oblivion(scene: Scene): Promise<void> {
  const { numbers, stage, pods } = scene;
  const pod = numbers.pick(pods);
  await scene.act(pod, { deed: 'forget' })?.();
  await heal(scene);
  // What was asked for lately is taken for named by the first.
  for (const each of [...pods, ...pods]) await collect(scene, each);
  await stage.pass(HISTORY_MS);
  for (const each of pods) if (each !== pod) await collect(scene, each);
  const collected = scene.begin(pod, ({ placement }) => placement.collection.collect());
  await stage.pass(numbers.below(60));
  await scene.act(pod, { deed: 'remember' })?.();
  await collected();
  await scene.act(pod, { deed: 'letGo' })?.();
  await heal(scene);
  await check(scene);
}

/** One round of collection on a pod. */
export async function collect(scene: Scene, pod: SimulatedPod): Promise<void> {
  const told = await scene.ask(pod, ({ placement }) =>
    placement.collection.collect().then(
      (found) => {
        scene.reached.collected += found?.removed ?? 0;
        return `collected ${JSON.stringify(found)}`;
      },
      (error) => `did not collect: ${(error as Error).message}`,
    ),
  );
  if (told !== undefined) scene.say(`${pod.name}: ${told}`);
}

/**
 * Somebody writes, and waits until two have it; in that moment the machine where it was written burns down, and the power
 * fails elsewhere.
 */
export async function disaster(scene: Scene): Promise<void> {
  const { numbers, account, stage, pods } = scene;
  const [pod, witness] = numbers.shuffled(pods) as [SimulatedPod, SimulatedPod];
  // Now and then the two are alone, and what they write takes its time.
  const isAlone = !numbers.once(3);
  for (const other of pods) {
    if (isAlone && other !== pod && other !== witness) scene.kill(other);
    if (isAlone) other.disk.syncMs = SLOW_SYNC_MS;
  }
  if (isAlone) scene.network.slownessMs = 1;
  for (let acts = numbers.below(3); acts > 0; acts--) await scene.act(pod)?.();
  await scene.act(pod, { deed: 'note' })?.();
  await scene.ask(pod, ({ files }) => files.publishAll());
  const named = pod.ask(({ tree }) => {
    const contents = new Set(tree.contents(undefined, CONTENTS_MAX).map(({ content }) => content));
    return [...account.needed()].filter(({ token }) => contents.has(`c${token}`));
  });
  const wait = { timeoutMs: HOLD_WITHIN_MS };
  const reached = await scene.ask(pod, ({ placement }) => placement.waitForCopies(COPIES, wait));
  if (reached?.done !== true) return;
  for (const written of named) written.held = true;
  if (!isAlone && numbers.once(2)) await stage.pass(numbers.below(20));
  if (named.length > 0) scene.reached.burnt++;
  scene.say(`${pod.name} burns down, ${named.length} contents were held`);
  for (const other of pods)
    if (other !== pod && (isAlone || !numbers.once(4))) scene.powerCut(other, new Worst(0));
  scene.destroy(pod);
  await heal(scene);
  await check(scene);
}
