import type { Answer } from './filesystem.js';

/** Goes on with an answer at once where it is there, later where it is a promise. */
export function then<T, U>(answer: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}

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
