import { WormholeError } from '../base/index.js';

/** What can be wrong with a declaration. Programs decide by the code. */
export type ProblemCode = 'syntax' | 'unknown-key' | 'wrong-type' | 'bad-value' | 'too-large';

/** One thing that is wrong, and where. */
export interface Problem {
  code: ProblemCode;
  /** One sentence for people. */
  message: string;
  /** Position in the text, in UTF-16 units: start and one past the end. */
  start: number;
  end: number;
}

/** The value, or everything that is wrong with the text. */
export type Reading<T> =
  | { readonly value: T; readonly problems: readonly [] }
  | { readonly value: undefined; readonly problems: readonly Problem[] };

/** Line and column of a position, both counted from 1. */
export function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - lineStart + 1 };
}

/** The problem with its place, the line of the text and a caret below:
 *
 *      wormhole.yaml:3:1: there is no key "copy"; did you mean "copies"?
 *        3 | copy: 2
 *          | ^^^^
 */
export function pictureOf(file: string, text: string, problem: Problem): string {
  const start = Math.min(problem.start, text.length);
  const { line, column } = positionOf(text, start);
  const source = (text.split('\n')[line - 1] ?? '').replace(/\r$/, '');
  const gutter = `  ${line} | `;
  const length = Math.max(1, Math.min(problem.end - start, source.length - column + 1));
  const indent = source.slice(0, column - 1).replace(/[^\t]/g, ' ');
  return [
    `${file}:${line}:${column}: ${problem.message}`,
    gutter + source,
    `${' '.repeat(gutter.length - 2)}| ${indent}${'^'.repeat(length)}`,
  ].join('\n');
}

/** The value of a reading. @throws WormholeError `config` with a picture of every problem */
export function accepted<T>(reading: Reading<T>, file: string, text: string): T {
  if (reading.value !== undefined) return reading.value;
  const pictures = reading.problems.map((problem) => pictureOf(file, text, problem));
  throw new WormholeError('config', pictures.join('\n'));
}

/** The word of `valid` nearest to `word`, if one is near enough to be what was meant. */
export function nearest(word: string, valid: Iterable<string>): string | undefined {
  let best: { word: string; distance: number } | undefined;
  for (const candidate of valid) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (best === undefined || distance < best.distance) best = { word: candidate, distance };
  }
  return best !== undefined && best.distance <= Math.max(1, Math.ceil(word.length / 3))
    ? best.word
    : undefined;
}

/** Levenshtein's distance with transpositions of neighbours (Damerau, restricted). */
function editDistance(a: string, b: string): number {
  // A word this long is no misspelling of ours, and the table is quadratic.
  if (a.length > 64) return a.length;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = at(rows, i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(at(rows, i - 1, j) + 1, (row[j - 1] ?? 0) + 1, replace);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, at(rows, i - 2, j - 2) + 1);
      }
      row.push(best);
    }
    rows.push(row);
  }
  return at(rows, a.length, b.length);
}

function at(rows: number[][], i: number, j: number): number {
  return rows[i]?.[j] ?? 0;
}
