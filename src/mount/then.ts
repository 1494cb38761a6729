import type { Answer } from '../fs/index.js';

/** Goes on with an answer at once where it is there, later where it is a promise. */
export function then<T, U>(answer: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
