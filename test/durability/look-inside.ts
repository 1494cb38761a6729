/**
 * Opens pods one after the other, without a mount, and says what is in them. A process of its own, started by
 * {@link Looker}: what a damaged store does to it, it does to nobody else.
 */
import { makeLog, messageOf, systemClock, systemRandom } from '../../src/base/index.js';
import { InlineEngine } from '../tree/simulation/inline-engine.js';
import { openInnerPod, readInside, troubles } from './inner-pod.js';

export interface Question {
  /** The pod's folder. */
  folder: string;
  paths: readonly string[];
  /** Every chunk that the tree names should be here. */
  whole: boolean;
}

export interface Answer {
  /** Of each path: the bytes, undefined where nothing is, or why they cannot be read. */
  seen: (Buffer | undefined | { failed: string })[];
  /** What a check found wrong. */
  troubles: string[];
  /** Why the pod could not be opened or closed. */
  failed?: string;
  log: string;
}

/** As many operations in a change as there are: nobody listens. */
const GROUP_SIZE = 1_000;

async function look({ folder, paths, whole }: Question): Promise<Answer> {
  let log = '';
  const answer: Answer = { seen: [], troubles: [], log };
  const write = (line: string) => {
    log += line;
  };
  try {
    const parts = { clock: systemClock, random: systemRandom, groupSize: () => GROUP_SIZE };
    const pod = await openInnerPod(folder, {
      log: makeLog(write),
      alone: true,
      startEngine: (options) => new InlineEngine(options, parts),
    });
    try {
      for (const path of paths) {
        answer.seen.push(await readInside(pod, path).catch((error) => ({ failed: messageOf(error) })));
      }
      answer.troubles = await troubles(pod, whole);
    } finally {
      await pod.close();
    }
  } catch (error) {
    answer.failed = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  return { ...answer, log };
}

process.on('message', (question: Question) => {
  look(question).then((answer) => process.send?.(answer));
});
// Whoever asked is gone.
process.on('disconnect', () => process.exit(0));
