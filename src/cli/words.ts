import { parseArgs } from 'node:util';
import type { Definitions, Flag } from './definitions.js';

export interface Given {
  flags: { [name: string]: unknown };
  args: { [name: string]: unknown };
}

/**
 * What the words after a command's name give for its definitions.
 * @throws Error of oclif, with what is wrong
 */
export async function readWords(words: readonly string[], definitions: Definitions): Promise<Given> {
  const plain = await readPlainWords(words, definitions);
  if (plain !== undefined) return plain;
  const { parse } = await import('@oclif/core/parser');
  const { flags, args } = await parse([...words], definitions as unknown as Parameters<typeof parse>[1]);
  return { flags: { ...absentFlags(definitions), ...flags }, args };
}

/** Undefined when anything is unusual: that is for oclif to judge. Where this answers, oclif would say the same. */
export async function readPlainWords(
  words: readonly string[],
  definitions: Definitions,
): Promise<Given | undefined> {
  const found = separate(words, definitions);
  if (found === undefined) return undefined;
  const { options, positionals } = found;
  const given: Given = { flags: absentFlags(definitions), args: {} };
  try {
    for (const [name, flag] of Object.entries(definitions.flags)) {
      const value = options.get(name);
      if (value === undefined && flag.required === true) return undefined;
      if (value === undefined) continue;
      if (flag.options?.includes(String(value)) === false) return undefined;
      if (flag.exclusive?.some((other) => options.has(other)) === true) return undefined;
      given.flags[name] = await flag.parse(value);
    }
    for (const [index, [name, arg]] of Object.entries(definitions.args).entries()) {
      const word = positionals[index];
      if (word === undefined && arg.required === true) return undefined;
      if (word !== undefined) given.args[name] = await arg.parse(word);
    }
  } catch {
    return undefined;
  }
  return given;
}

/** Flags with their values, and the other words; undefined when a word cannot be placed. */
function separate(
  words: readonly string[],
  { flags, args }: Definitions,
): { options: Map<string, string | true>; positionals: string[] } | undefined {
  const options = Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, optionOf(flag)]));
  let tokens: ReturnType<typeof tokensOf>;
  try {
    tokens = tokensOf([...words], options);
  } catch {
    return undefined;
  }
  const [found, positionals] = [new Map<string, string | true>(), [] as string[]];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const isValue = flags[token.name]?.type === 'option';
    if (isValue && (found.has(token.name) || !/^[^-=]/.test(token.value ?? ''))) return undefined;
    found.set(token.name, token.value ?? true);
  }
  return positionals.length > Object.keys(args).length ? undefined : { options: found, positionals };
}

type Options = { [name: string]: { type: 'boolean' | 'string'; short?: string } };

function tokensOf(words: string[], options: Options) {
  return parseArgs({ args: words, options, allowPositionals: true, strict: true, tokens: true }).tokens;
}

function optionOf(flag: Flag<unknown>): Options[string] {
  return {
    type: flag.type === 'boolean' ? 'boolean' : 'string',
    ...(flag.char === undefined ? {} : { short: flag.char }),
  };
}

/** What holds for flags that are not given. */
function absentFlags({ flags }: Definitions): { [name: string]: unknown } {
  const values = Object.entries(flags).map(([name, flag]) => [
    name,
    flag.type === 'boolean' ? false : flag.default,
  ]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}
