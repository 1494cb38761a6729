import type { Node, Pair } from 'yaml';
import { nearest, type Problem, type ProblemCode, type Reading } from './problem.js';
import { yaml } from './yaml.js';

/** A declaration is written by people; nobody writes this much. */
const CONFIG_BYTES_MAX = 1024 * 1024;

/** Reads one value, or notes what is wrong with it and answers undefined. */
export type Read<T> = (at: Place) => T | undefined;

/** What the keys of a mapping hold. */
export type Keys<T> = { readonly [K in keyof T]: Read<NonNullable<T[K]>> };

/** A node of the document and where it stands in the text. */
export class Place {
  readonly node: Node | null;
  readonly span: readonly [number, number];
  private readonly problems: Problem[];

  constructor(node: Node | null, span: readonly [number, number], problems: Problem[]) {
    this.node = node;
    this.span = span;
    this.problems = problems;
  }

  problem(code: ProblemCode, message: string): undefined {
    this.problems.push({ code, message, start: this.span[0], end: this.span[1] });
  }

  /** A node below this one; where there is none, the place of this one with nothing in it. */
  below(node: unknown): Place {
    const inner = node as Node | null;
    const range = inner?.range;
    return new Place(inner ?? null, range ? [range[0], range[1]] : this.span, this.problems);
  }
}

/** Parses the text and reads its root. The empty text is the empty mapping. */
export function readText<T>(text: string, read: Read<T>): Reading<T> {
  if (text.length > CONFIG_BYTES_MAX) {
    const message = `the file is larger than ${CONFIG_BYTES_MAX / 1024} KiB`;
    return { value: undefined, problems: [{ code: 'too-large', message, start: 0, end: 0 }] };
  }
  const document = yaml().parseDocument(text, { prettyErrors: false, logLevel: 'error', stringKeys: true });
  const problems: Problem[] = document.errors.map((error) => ({
    code: 'syntax',
    message: error.message,
    start: error.pos[0],
    end: error.pos[1],
  }));
  if (problems.length > 0) return { value: undefined, problems };
  const contents = document.contents as Node | null;
  const range = contents?.range;
  const value = read(new Place(contents, range ? [range[0], range[1]] : [0, 0], problems));
  if (value !== undefined && problems.length === 0) return { value, problems: [] };
  return { value: undefined, problems };
}

/** Where each key of a mapping stands, for problems between them. */
export type PlaceOf = (key: string) => Place;

/**
 * A mapping with the given keys; others are refused.
 * @param check looks at the whole once all of it could be read, and notes what does not fit together
 */
export function mapping<T extends object>(
  keys: Keys<Required<T>>,
  check: (value: Partial<T>, placeOf: PlaceOf) => void = () => {},
): Read<Partial<T>> {
  const known = Object.keys(keys);
  return (at) => {
    const pairs = pairsOf(at, `a mapping with the keys ${list(known)}`);
    if (pairs === undefined) return undefined;
    const result: { [key: string]: unknown } = {};
    const places = new Map<string, Place>();
    let whole = true;
    for (const pair of pairs) {
      const key = at.below(pair.key);
      const name = yaml().isScalar(pair.key) ? String(pair.key.value) : '';
      const read = Object.hasOwn(keys, name) ? (keys as { [name: string]: Read<unknown> })[name] : undefined;
      if (read === undefined)
        key.problem('unknown-key', `there is no key "${name}" here${meant(name, known)}`);
      const place = key.below(pair.value);
      places.set(name, place);
      const value = read?.(place);
      if (value === undefined) whole = false;
      else result[name] = value;
    }
    if (whole) check(result as Partial<T>, (key) => places.get(key) ?? at);
    return result as Partial<T>;
  };
}

/** A mapping from names of the user's choice. */
export function named<T>(
  what: string,
  read: Read<T>,
  isName: (name: string) => boolean,
): Read<Map<string, T>> {
  return (at) => {
    const pairs = pairsOf(at, `a mapping of ${what}`);
    if (pairs === undefined) return undefined;
    const result = new Map<string, T>();
    for (const pair of pairs) {
      const key = at.below(pair.key);
      const name = yaml().isScalar(pair.key) ? String(pair.key.value) : '';
      if (!isName(name)) key.problem('bad-value', `"${name}" cannot be a name here`);
      const value = read(key.below(pair.value));
      if (value !== undefined) result.set(name, value);
    }
    return result;
  };
}

/** @param check looks at all items that could be read, in their order */
export function sequence<T>(
  what: string,
  read: Read<T>,
  check: (items: readonly { value: T; place: Place }[]) => void = () => {},
): Read<T[]> {
  return (at) => {
    if (!yaml().isSeq(at.node)) return at.problem('wrong-type', `a list of ${what} belongs here`);
    const items = at.node.items.flatMap((item) => {
      const place = at.below(item);
      const value = read(place);
      return value === undefined ? [] : [{ value, place }];
    });
    check(items);
    return items.map(({ value }) => value);
  };
}

/** One value, or a list of at least one. */
export function oneOrMore<T>(what: string, read: Read<T>): Read<T[]> {
  const many = sequence(what, read);
  return (at) => {
    if (!yaml().isSeq(at.node)) {
      const value = read(at);
      return value === undefined ? undefined : [value];
    }
    if (at.node.items.length === 0) return at.problem('bad-value', `this list of ${what} is empty`);
    return many(at);
  };
}

/** `true`, `false`, and `yes` and `no`, which YAML 1.2 takes for words. */
export function truth(what: string): Read<boolean> {
  const words = new Map([
    ['true', true],
    ['yes', true],
    ['false', false],
    ['no', false],
  ]);
  return (at) => {
    const value = words.get(yaml().isScalar(at.node) ? String(at.node.value) : '');
    return value ?? at.problem('bad-value', `${what} is true or false`);
  };
}

/** A text that `parse` understands; `example` shows the form. */
export function text<T>(what: string, example: string, parse: (text: string) => T | undefined): Read<T> {
  return (at) => {
    const value = yaml().isScalar(at.node) ? at.node.value : undefined;
    if (typeof value !== 'string' && typeof value !== 'number') {
      return at.problem('wrong-type', `${what} belongs here, such as ${example}`);
    }
    // The source keeps what YAML would turn into a number: a pod may be called 007.
    const source = yaml().isScalar(at.node) && at.node.source !== undefined ? at.node.source : String(value);
    const parsed = parse(source);
    if (parsed !== undefined) return parsed;
    return at.problem('bad-value', `"${source}" is not ${what}; write it like ${example}`);
  };
}

export function integer(what: string, min: number, max: number): Read<number> {
  return (at) => {
    const value = yaml().isScalar(at.node) ? at.node.value : undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    return at.problem('bad-value', `${what} is a whole number from ${min} to ${max}`);
  };
}

export function oneOf<T extends string>(words: readonly T[]): Read<T> {
  return (at) => {
    const value = yaml().isScalar(at.node) ? String(at.node.value) : undefined;
    if (value === undefined) return at.problem('wrong-type', `one of ${list(words)} belongs here`);
    const word = words.find((candidate) => candidate === value);
    return word ?? at.problem('bad-value', `"${value}" is none of ${list(words)}${guess(value, words)}`);
  };
}

/** The pairs of a mapping; `pods:` with nothing behind it has none. */
function pairsOf(at: Place, what: string): readonly Pair[] | undefined {
  if (yaml().isMap(at.node)) return at.node.items;
  if (at.node === null || (yaml().isScalar(at.node) && at.node.value === null)) return [];
  return at.problem('wrong-type', `${what} belongs here`);
}

function meant(word: string, valid: readonly string[]): string {
  return guess(word, valid) || `; there are ${list(valid)}`;
}

function guess(word: string, valid: readonly string[]): string {
  const near = nearest(word, valid);
  return near === undefined ? '' : `; did you mean "${near}"?`;
}

function list(words: readonly string[]): string {
  return words.join(', ');
}
