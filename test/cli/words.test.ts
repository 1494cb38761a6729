import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from '@oclif/core/parser';

import { WormholeCommand } from '../../src/cli/command.js';
import type { Definitions } from '../../src/cli/definitions.js';
import { COMMANDS } from '../../src/cli/index.js';
import { readPlainWords, readWords } from '../../src/cli/words.js';
import fc from '../property.js';

const ALL = Object.entries(COMMANDS).map(([id, { flags, args }]) => ({
  id,
  definitions: { flags: { ...flags, ...WormholeCommand.baseFlags }, args } satisfies Definitions,
}));

function definitionsOf(id: string): Definitions {
  const found = ALL.find((command) => command.id === id);
  assert.ok(found !== undefined);
  return found.definitions;
}

/** Words of which most mean something to a command. */
function wordsFor({ flags }: Definitions): fc.Arbitrary<string[]> {
  const value = fc.constantFrom(
    'a',
    '0',
    '70000',
    '30s',
    'storage',
    'a=b',
    '',
    '-',
    '-5',
    '--',
    '--nope',
    '-x',
  );
  const flag = fc.constantFrom(...Object.keys(flags).map((name) => `--${name}`), '-f');
  const joined = fc.tuple(flag, value).map(([left, right]) => `${left}=${right}`);
  const pair = fc.tuple(flag, value);
  return fc
    .array(
      fc.oneof(
        pair,
        value.map((word) => [word]),
        flag.map((word) => [word]),
        joined.map((word) => [word]),
      ),
      {
        maxLength: 4,
      },
    )
    .map((parts) => parts.flat());
}

test('whatever is read without oclif, oclif reads in the same way', async () => {
  let plain = 0;
  for (const { id, definitions } of ALL) {
    await fc.assert(
      fc.asyncProperty(wordsFor(definitions), async (words) => {
        const given = await readPlainWords(words, definitions);
        if (given === undefined) return;
        plain++;
        const { flags, args } = await parse(
          [...words],
          definitions as unknown as Parameters<typeof parse>[1],
        );
        const absent = Object.entries(definitions.flags).filter(([, { type }]) => type === 'boolean');
        const falses = Object.fromEntries(absent.map(([name]) => [name, false]));
        assert.deepEqual(given, { flags: { ...falses, ...flags }, args }, `${id} ${words.join(' ')}`);
      }),
      { numRuns: 60 },
    );
  }
  assert.ok(plain > 200, `only ${plain} lines were plain`);
});

test('ordinary lines are read without oclif', async () => {
  const lines: [string, string[], Record<string, unknown>][] = [
    ['status', ['--json'], { json: true }],
    ['new', ['net', '/mnt', '--pod', 'a', '--port', '4747'], { pod: 'a', port: 4747, listen: '::' }],
    ['invite', ['--role=portal'], { role: 'portal', expires: '10m' }],
    ['up', ['-f', 'wormhole.yaml'], { file: 'wormhole.yaml', foreground: false }],
    ['leave', ['--abandon', '--abandon'], { abandon: true }],
  ];
  for (const [id, words, expected] of lines) {
    const given = await readPlainWords(words, definitionsOf(id));
    for (const [name, value] of Object.entries(expected))
      assert.equal(given?.flags[name], value, `${id} ${name}`);
  }
});

test('what is wrong with a line is said by oclif, which sets its exit code', async () => {
  const wrong: [string, string[], RegExp][] = [
    ['status', ['--nope'], /Nonexistent flag: --nope/],
    ['status', ['extra'], /Unexpected argument: extra/],
    ['resolve', ['--keep', 'mine'], /Missing 1 required arg/],
    ['resolve', ['/a'], /Missing required flag keep/],
    ['resolve', ['/a', '--keep', 'mine', '--keep', 'both'], /can only be specified once/],
    ['invite', ['--role', 'king'], /one of: storage, portal/],
    ['new', ['net', '--port', '65536'], /from 0 to 65535, not "65536"/],
    ['up', ['-f', 'a', '--foreground'], /cannot also be provided/],
  ];
  for (const [id, words, message] of wrong)
    await assert.rejects(readWords(words, definitionsOf(id)), message, id);
});
