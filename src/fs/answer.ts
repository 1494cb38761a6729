import type { Answer } from '../base/index.js';

/** Does the work and, when it fails at once or later, what undoes its beginnings; the failure goes on. */
export function orElse<T>(work: () => Answer<T>, undo: () => unknown): Answer<T> {
  const failed = (error: unknown): never => {
    undo();
    throw error;
  };
  try {
    const answer = work();
    return answer instanceof Promise ? answer.catch(failed) : answer;
  } catch (error) {
    return failed(error);
  }
}
