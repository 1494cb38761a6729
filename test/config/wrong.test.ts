/** Every section of fixtures/configs/wrong.txt: a wrong configuration, and exactly what is said about it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pictureOf, readNetworkConfig } from '../../src/config/index.js';

const FIXTURES = join(import.meta.dirname, '..', '..', '..', 'fixtures', 'configs', 'wrong.txt');

function sections(): { name: string; source: string; said: string }[] {
  return readFileSync(FIXTURES, 'utf8')
    .split(/^=== /m)
    .slice(1)
    .map((section) => {
      const [head = '', said = ''] = section.split(/^--- said\n/m);
      const end = head.indexOf('\n');
      return { name: head.slice(0, end), source: head.slice(end + 1), said };
    });
}

function saidOf(source: string): string {
  const { problems } = readNetworkConfig(source);
  return problems.map((problem) => `${pictureOf('wormhole.yaml', source, problem)}\n`).join('');
}

test('wrong configurations are told apart with line, column, caret and what was perhaps meant', () => {
  const all = sections();
  assert.ok(all.length >= 40, `only ${all.length} wrong configurations`);
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length, 'two of one name');
  for (const { name, source, said } of all) assert.equal(saidOf(source), said, name);
});
