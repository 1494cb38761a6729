/** Given at once where memory can; a promise only where disk or network is needed. */
export type Answer<T> = T | Promise<T>;

/** Goes on with an answer without giving up the thread when it is there already. */
export function then<T, U>(answer: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
