import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  CONFIG_TEMPLATE,
  defaultNetworkConfig,
  describeConfig,
  differencesOf,
  editConfig,
  formatDuration,
  Policies,
  parseDuration,
  parseNetworkConfig,
  parsePattern,
  parsePodConfig,
  shortfalls,
} from '../../src/config/index.js';
import fc from '../property.js';

const FIXTURES = join(import.meta.dirname, '..', '..', '..', 'fixtures', 'configs');
const stories = readdirSync(FIXTURES).filter((name) => name.endsWith('.yaml'));

function matching(pattern: string, ...paths: string[]): string[] {
  const parsed = parsePattern(pattern);
  assert.ok(parsed, pattern);
  return paths.filter((path) => parsed.matches(path));
}

test('patterns match a path and everything below it', () => {
  const paths = ['/', '/a', '/a/b', '/a/b/c.iso', '/ab', '/x/a/b'];
  assert.deepEqual(matching('/a/**', ...paths), ['/a', '/a/b', '/a/b/c.iso']);
  assert.deepEqual(matching('/a', ...paths), ['/a', '/a/b', '/a/b/c.iso']);
  assert.deepEqual(matching('/**', ...paths), paths);
  assert.deepEqual(matching('**/b/**', ...paths), ['/a/b', '/a/b/c.iso', '/x/a/b']);
  assert.deepEqual(matching('**/*.iso', ...paths), ['/a/b/c.iso']);
  assert.deepEqual(matching('/?', ...paths), ['/a', '/a/b', '/a/b/c.iso', '/x/a/b']);
  assert.deepEqual(matching('/a/**/c.iso', '/a/c.iso', '/a/b/d/c.iso', '/b/c.iso'), [
    '/a/c.iso',
    '/a/b/d/c.iso',
  ]);
  assert.deepEqual(matching('/a+(b)[c].d', '/a+(b)[c].d', '/aab[c].d'), ['/a+(b)[c].d']);
});

test('a pattern is quick on any path, and knows a path that it matches', () => {
  const name = fc.constantFrom('a', 'b', '*', '**', 'a*', '?', 'ab');
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 6 }), fc.string(), (names, tail) => {
      const pattern = parsePattern(`/${names.join('/')}`);
      assert.ok(pattern);
      assert.ok(pattern.matches(pattern.sample), `${pattern.text} ${pattern.sample}`);
      assert.ok(pattern.matches(`${pattern.sample === '/' ? '' : pattern.sample}/${tail}`));
    }),
  );
});

test('what holds in a folder is what holds for each path in it', () => {
  const name = fc.constantFrom('a', 'b', 'ab', 'a.b', 'x');
  const part = fc.constantFrom('a', 'b', '*', '**', 'a*', '?', 'ab', '*b');
  const pattern = fc.array(part, { minLength: 1, maxLength: 5 }).chain((parts) => {
    return fc.constantFrom(`/${parts.join('/')}`, `**/${parts.join('/')}`);
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(pattern, { maxLength: 4 }),
      fc.array(name, { maxLength: 4 }),
      name,
      (paths, folders, file) => {
        const rules = paths.map((path, i) => `  - { path: "${path}", copies: ${i + 1} }\n`);
        const policies = new Policies(
          parseNetworkConfig(rules.length === 0 ? '' : `rules:\n${rules.join('')}`),
        );
        const folder = folders.map((one) => `/${one}`).join('');
        assert.deepEqual(policies.inFolder(folder)(file), policies.of(`${folder}/${file}`));
      },
    ),
    { numRuns: 500 },
  );
});

test('the most specific rule wins, and what it leaves out comes from above', () => {
  const policies = new Policies(
    parseNetworkConfig(`copies: 2
rules:
  - { path: /a/b/**, zones: 2 }
  - { path: /a/**, copies: 3, history: 1d, crisis: { critical: read-only } }
  - { path: "**/node_modules/**", ignore: true }
  - { path: /a/b/c.txt, copies: 1, cache: no, crisis: { mixed: stop } }
`),
  );
  assert.equal(policies.of('/x').copies, 2);
  assert.deepEqual([policies.of('/a/x').copies, policies.of('/a/x').zones], [3, 1]);
  assert.deepEqual([policies.of('/a/b/x').copies, policies.of('/a/b/x').zones], [3, 2]);
  const exact = policies.of('/a/b/c.txt');
  assert.deepEqual([exact.copies, exact.zones, exact.cache, exact.history], [1, 1, false, 86_400_000]);
  assert.deepEqual(exact.crisis, { favourable: ['continue'], mixed: ['stop'], critical: ['read-only'] });
  assert.deepEqual(exact.rules, ['/a/**', '/a/b/**', '/a/b/c.txt']);
  const ignored = policies.of('/a/node_modules/x');
  assert.deepEqual([ignored.ignore, ignored.copies], [true, 1]);
  assert.equal(policies.of('/a/b/y'), policies.of('/a/b/x'), 'paths under the same rules share one object');
});

test('the stories and the template are valid and say what they do', () => {
  assert.deepEqual(stories, ['company.yaml', 'family.yaml', 'lab.yaml', 'web.yaml']);
  for (const name of stories) parseNetworkConfig(readFileSync(join(FIXTURES, name), 'utf8'), name);
  assert.deepEqual(parseNetworkConfig(CONFIG_TEMPLATE), defaultNetworkConfig());
  // Every key that is only shown works once its mark is taken away.
  const keys = CONFIG_TEMPLATE.slice(CONFIG_TEMPLATE.indexOf('\nversion: 1'));
  const all = keys.replace(/^( *)# (?=[a-z-]+:| {2})/gm, '$1');
  assert.equal(parseNetworkConfig(all).rules.length, 5);
  assert.equal(parseNetworkConfig(all).crisis.notify.length, 2);
});

test('the difference names each setting that changes, and nothing for what means the same', () => {
  const before = parseNetworkConfig('copies: 2\npods: { a: { zone: x } }\nrules: [{ path: /r, copies: 3 }]');
  const same = parseNetworkConfig(
    '# other words\nrules:\n  - copies: 3\n    path: /r\npods:\n  a:\n    zone: "x"\n',
  );
  assert.deepEqual(differencesOf(before, same), []);
  const after = parseNetworkConfig('copies: 3\npods: { a: { zone: y }, b: }\nhistory: 90m');
  assert.deepEqual(differencesOf(before, after), [
    { setting: 'copies', from: '2', to: '3' },
    { setting: 'history', from: '30d', to: '90m' },
    { setting: 'pods.a.zone', from: 'x', to: 'y' },
    { setting: 'pods.b', from: null, to: 'listed' },
    { setting: 'rules[/r]', from: 'listed', to: null },
    { setting: 'rules[/r].copies', from: '3', to: null },
  ]);
});

test('every setting says who set it', () => {
  const config = parseNetworkConfig('copies: 3\npods: { a: { capacity: 4TB } }');
  const own = parsePodConfig('capacity: 1TB\ncache: 2GB\nowners: squash');
  const found = new Map(
    describeConfig(config, 'a', own).map(({ setting, value, from }) => [setting, `${value} ${from}`]),
  );
  assert.equal(found.get('copies'), '3 wormhole.yaml');
  assert.equal(found.get('history'), '30d default');
  assert.equal(found.get('pods.a.capacity'), '1 TB pod.yaml');
  assert.equal(found.get('pods.a.cache'), '2 GB pod.yaml');
  assert.equal(found.get('pods.a.owners'), 'squash pod.yaml');
});

test('an edit keeps comments and everything else', () => {
  const source = '# ours\ncopies: 2 # enough\npods:\n  # the box\n  nas-1: { zone: cellar } # old\n';
  const drained = editConfig(source, ['pods', 'nas-1', 'capacity'], '0B');
  for (const comment of ['# ours', '# enough', '# the box', '# old'])
    assert.ok(drained.includes(comment), drained);
  assert.equal(parseNetworkConfig(drained).pods.get('nas-1')?.capacity, 0);
  assert.deepEqual(
    parseNetworkConfig(editConfig(drained, ['pods', 'nas-1', 'capacity'], undefined)),
    parseNetworkConfig(source),
  );
  assert.equal(parseNetworkConfig(editConfig('', ['frozen'], true)).frozen, true);
  assert.equal(
    parseNetworkConfig(editConfig('pods:\n', ['pods', 'x', 'capacity'], '0B')).pods.get('x')?.capacity,
    0,
  );
  assert.equal(editConfig('# only\n', ['frozen'], undefined), '# only\n');
});

test('rules that these pods cannot keep are told', () => {
  const config = parseNetworkConfig(`copies: 2
rules:
  - { path: /a/**, copies: 3, zones: 2 }
  - { path: /b/**, require: { media: ssd }, pin: [gone] }
`);
  const pods = [
    { name: 'x', role: 'storage' as const, zone: 'cellar', media: 'ssd' },
    { name: 'y', role: 'storage' as const, zone: 'cellar' },
  ];
  const found = shortfalls(config, pods);
  assert.deepEqual(
    found.map(({ path }) => path),
    ['/a/**', '/a/**', '/b/**', '/b/**'],
  );
  assert.match(found[0]?.message ?? '', /on 3 pods, and there are 2/);
  assert.match(found[1]?.message ?? '', /in 2 zones, and its pods are in 1/);
  assert.match(found[2]?.message ?? '', /on 2 pods with media ssd, and there is 1/);
  assert.match(found[3]?.message ?? '', /pinned on gone/);
  assert.deepEqual(shortfalls(defaultNetworkConfig(), pods), []);
});

test('a duration that was shown is read back', () => {
  fc.assert(fc.property(fc.nat(), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
});
