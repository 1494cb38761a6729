import { WormholeError } from '../base/index.js';

// What commands take, as oclif reads it. It is defined here, because oclif alone takes longer to load than all the rest of
// a command: it is asked for help, and for what is wrong with a line that cannot be read (words.ts).

interface Description {
  description: string;
}

/** `--name`, or `--name=value`. */
export interface Flag<T> {
  readonly type: 'boolean' | 'option';
  readonly description: string;
  readonly char?: string;
  readonly helpValue?: string;
  readonly helpGroup?: string;
  readonly required?: boolean;
  readonly exclusive?: string[];
  readonly options?: readonly string[];
  readonly default?: T;
  readonly multiple?: boolean;
  readonly allowNo?: boolean;
  readonly input?: string[];
  parse(input: string | boolean): Promise<T>;
}

/** A word without dashes. */
export interface Arg<T> {
  readonly description: string;
  readonly required?: boolean;
  /** A word that is missing is not looked for in standard input, which may be a list that a script reads. */
  readonly ignoreStdin: true;
  readonly input: string[];
  parse(input: string): Promise<T>;
}

export interface Definitions {
  readonly flags: { readonly [name: string]: Flag<unknown> };
  readonly args: { readonly [name: string]: Arg<unknown> };
}

/** What a command line gave for each definition. */
export type Values<D> = { [K in keyof D]: D[K] extends Flag<infer T> | Arg<infer T> ? T : never };

type FlagOptions<T> = Description &
  Partial<Omit<Flag<T>, 'type' | 'parse' | 'multiple' | 'allowNo' | 'input'>>;

function booleanFlag(options: FlagOptions<boolean>): Flag<boolean> {
  return { ...options, type: 'boolean', allowNo: false, parse: async (given) => given === true };
}

function option<T>(options: FlagOptions<T>, parse: (input: string) => T): Flag<T> {
  return {
    ...options,
    type: 'option',
    multiple: false,
    input: [],
    parse: async (input) => parse(String(input)),
  };
}

function stringFlag(options: FlagOptions<string> & ({ required: true } | { default: string })): Flag<string>;
function stringFlag(options: FlagOptions<string>): Flag<string | undefined>;
function stringFlag(options: FlagOptions<string>): Flag<string> {
  return option(options, (input) => input);
}

function choice<const T extends string>(
  options: FlagOptions<T> & { options: readonly T[]; default: T },
): Flag<T> {
  // Only what is among the options gets here.
  return option(options, (input) => input as T);
}

type IntegerOptions = FlagOptions<number> & { min: number; max?: number };

function integer(options: IntegerOptions & { default: number }): Flag<number>;
function integer(options: IntegerOptions): Flag<number | undefined>;
function integer({ min, max = Number.MAX_SAFE_INTEGER, ...options }: IntegerOptions): Flag<number> {
  return option(options, (input) => {
    const number = /^\d{1,15}$/.test(input) ? Number(input) : Number.NaN;
    if (number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new WormholeError('usage', `expected a whole number ${range}, not "${input}".`);
  });
}

function stringArg(options: Description & { required: true }): Arg<string>;
function stringArg(options: Description): Arg<string | undefined>;
function stringArg(options: Description & { required?: boolean }): Arg<string> {
  return { ...options, ignoreStdin: true, input: [], parse: async (input) => input };
}

export const Flags = { boolean: booleanFlag, string: stringFlag, choice, integer };
export const Args = { string: stringArg };
