/**
 * Opens pods one after the other, without a mount, and says what is in them. A process of its own, started by
 * {@link Looker}: what a damaged store does to it, it does to nobody else.
 */
import { makeLog, messageOf, systemClock, systemRandom, WormholeError } from '../../src/base/index.js';
import { InlineEngine, type InlineParts } from '../tree/simulation/inline-engine.js';
import { openInnerPod, readInside, troubles } from './inner-pod.js';

export interface Question {
  /** The pod's folder. */
  folder: string;
  paths: readonly string[];
  /** Every chunk that the tree names should be here. */
  whole: boolean;
  /** The store is damaged: the document goes on with what is left of it, as in a daemon. */
  ailing?: boolean;
}

export interface Answer {
  /** Of each path: the bytes, undefined where nothing is, or why they cannot be read. */
  seen: (Buffer | undefined | { failed: string })[];
  /** What a check found wrong. */
  troubles: string[];
  /** Why the pod could not be opened or closed, and the code and sentence, if the error is one of ours. */
  failed?: string;
  refusal?: { code: string; message: string };
  log: string;
}

/** As many operations in a change as there are: nobody listens. */
const GROUP_SIZE = 1_000;
/** What is held back on the disk costs time to write. */
const SMALL = { freeFloorBytes: 1024 * 1024, reserveBytes: 64 * 1024 };

async function look({ folder, paths, whole, ailing = false }: Question): Promise<Answer> {
  let log = '';
  const answer: Answer = { seen: [], troubles: [], log };
  const logger = makeLog((line) => {
    log += line;
  });
  try {
    const parts: InlineParts = { clock: systemClock, random: systemRandom, groupSize: () => GROUP_SIZE };
    if (ailing) {
      parts.history = true;
      parts.damaged = ({ reason }) => logger.error(reason);
    }
    const pod = await openInnerPod(folder, {
      log: logger,
      alone: true,
      startEngine: (options) => new InlineEngine(options, parts),
      ...(ailing ? { limits: SMALL } : {}),
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
    if (error instanceof WormholeError) answer.refusal = { code: error.code, message: error.message };
  }
  return { ...answer, log };
}

process.on('message', (question: Question) => {
  look(question).then((answer) => process.send?.(answer));
});
// Whoever asked is gone.
process.on('disconnect', () => process.exit(0));
