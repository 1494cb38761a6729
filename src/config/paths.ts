/**
 * Patterns of paths inside the tree. `*` is any part of one name, `?` one character, `**` any number of folders.
 * A pattern that matches a folder matches everything below it: `/a` and `/a/**` are the same.
 */

const PATTERN_LENGTH_MAX = 4096;
const WILDCARD = /[*?]/;

export interface PathPattern {
  /** As it was written. */
  readonly text: string;
  matches(path: string): boolean;
  /** What it says of the names in a folder, given by its path, '' being the root: true for all of them, false for none,
   *  or a test of a name. The same as `matches` with each path, and far cheaper for many. */
  inFolder(folder: string): boolean | ((name: string) => boolean);
  /** A path that it matches, as plain as can be. */
  readonly sample: string;
  /** Where two patterns match, the one with the larger numbers, compared in order, is the more specific. */
  readonly specificity: readonly number[];
}

/** Begins with `/` or `**` + `/`; no empty name, `.` or `..` in it. */
export function parsePattern(text: string): PathPattern | undefined {
  const anchored = text.startsWith('/');
  if ((!anchored && !text.startsWith('**/')) || text.length > PATTERN_LENGTH_MAX) return undefined;
  const names = (anchored ? text.slice(1) : text).split('/');
  if (names.at(-1) === '') names.pop();
  if (names.some((name) => ['', '.', '..'].includes(name) || (name.includes('**') && name !== '**'))) {
    return undefined;
  }
  while (names.at(-1) === '**') names.pop();
  const expression = new RegExp(`^${names.map(partOf).join('')}(?:/.*)?$`, 'su');
  const sample = `/${names
    .filter((name) => name !== '**')
    .join('/')
    .replace(/[*?]/g, 'x')}`;
  // What every path that it matches begins with: most paths are told apart by that.
  const [prefix = ''] = names
    .map((name) => `/${name}`)
    .join('')
    .split(/\/\*\*|[*?]/, 1);
  const matches = (path: string) => path.startsWith(prefix) && expression.test(path);
  const above = new RegExp(`^${names.slice(0, -1).map(partOf).join('')}$`, 'su');
  const last = nameTest(names.at(-1) ?? '');
  const inFolder = (folder: string) => {
    if (!folder.startsWith(prefix) && !prefix.startsWith(`${folder}/`)) return false;
    return matches(folder) || (above.test(folder) && last);
  };
  return { text, matches, inFolder, sample, specificity: specificityOf(names) };
}

/** A path that is meant as it stands: `/projects/current`. */
export function parseTreePath(text: string): string | undefined {
  const pattern = text.startsWith('/') && !WILDCARD.test(text) ? parsePattern(text) : undefined;
  return pattern === undefined ? undefined : text.replace(/\/$/, '') || '/';
}

/** True for the path itself and everything below it. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

/** The less specific first. */
export function bySpecificity(a: PathPattern, b: PathPattern): number {
  for (const [i, value] of a.specificity.entries()) {
    const difference = value - (b.specificity[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Tests a name by itself. Plain ones are compared: this runs for every file of a plan. */
function nameTest(pattern: string): (name: string) => boolean {
  if (!WILDCARD.test(pattern)) return (name) => name === pattern;
  const expression = new RegExp(`^${partOf(pattern).slice(1)}$`, 'su');
  return (name) => expression.test(name);
}

function partOf(name: string): string {
  if (name === '**') return '(?:/[^/]+)*';
  const escaped = name.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return `/${escaped.replace(/\*/g, '[^/]*').replace(/\?/g, '[^/]')}`;
}

function specificityOf(names: readonly string[]): number[] {
  const literal = names.filter((name) => !WILDCARD.test(name)).length;
  const characters = names.join('').replace(/[*?]/g, '').length;
  return [literal, names.filter((name) => name !== '**').length, characters];
}
