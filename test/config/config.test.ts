import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WormholeError } from '../../src/base/index.js';
import {
  defaultNetworkConfig,
  effectivePodSettings,
  formatSize,
  parseDuration,
  parseNetworkConfig,
  parsePodConfig,
  parseRate,
  parseSize,
  positionOf,
  readNetworkConfig,
  type readPodConfig,
} from '../../src/config/index.js';
import fc from '../property.js';

/** Code, line and column of every problem. */
function problemsOf(text: string, read: typeof readNetworkConfig | typeof readPodConfig = readNetworkConfig) {
  return read(text).problems.map((problem) => {
    const { line, column } = positionOf(text, problem.start);
    return `${problem.code} ${line}:${column}`;
  });
}

test('the empty file is valid and means the defaults', () => {
  for (const text of ['', '\n', '# only a comment\n', '{}', 'pods:\n']) {
    const config = parseNetworkConfig(text);
    assert.equal(config.copies, 2);
    assert.equal(config.history, 30 * 24 * 3600 * 1000);
    assert.equal(config.join, 'invite');
    assert.equal(config.pods.size, 0);
  }
  assert.deepEqual(parseNetworkConfig(''), defaultNetworkConfig());
  assert.deepEqual(parsePodConfig(''), {});
});

test('what this version knows is read with its type', () => {
  const config = parseNetworkConfig(`version: 1
network: atelier
copies: 3
history: 12h
join: closed
seeds: ["nas.example.org:4747", "[fe80::1]:4747"]
pods:
  nas-1: { role: storage, zone: cellar, media: hdd, capacity: 4TB }
  laptop: { role: portal, cache: 20GiB }
  007:
`);
  assert.equal(config.network, 'atelier');
  assert.equal(config.copies, 3);
  assert.equal(config.history, 43_200_000);
  assert.equal(config.join, 'closed');
  assert.deepEqual(config.seeds, ['nas.example.org:4747', '[fe80::1]:4747']);
  assert.deepEqual(config.pods.get('nas-1'), {
    role: 'storage',
    zone: 'cellar',
    media: 'hdd',
    capacity: 4e12,
  });
  assert.deepEqual(config.pods.get('laptop'), { role: 'portal', cache: 20 * 2 ** 30 });
  assert.deepEqual(config.pods.get('007'), {});
});

test('every mistake is told with its place', () => {
  assert.deepEqual(problemsOf('copies: 0\n'), ['bad-value 1:9']);
  assert.deepEqual(problemsOf('copies: two\nhistory: 5\njoin: never\n'), [
    'bad-value 1:9',
    'bad-value 2:10',
    'bad-value 3:7',
  ]);
  assert.deepEqual(problemsOf('copy: 2\npods:\n  a: { rol: portal }\n'), [
    'unknown-key 1:1',
    'unknown-key 3:8',
  ]);
  assert.deepEqual(problemsOf('pods: [a]\n'), ['wrong-type 1:7']);
  assert.deepEqual(problemsOf('seeds: [nas, "a:99999"]\n'), ['bad-value 1:9', 'bad-value 1:14']);
  assert.deepEqual(problemsOf('copies: 2\ncopies: 3\n'), ['syntax 2:1']);
  assert.equal(problemsOf('a: [\n').length, 1);
  assert.deepEqual(problemsOf('{ network, pods }\n'), ['wrong-type 1:3']);
  assert.deepEqual(problemsOf('version: 2\n'), ['bad-value 1:10']);
  assert.deepEqual(problemsOf('pods: { "../x": {} }\n'), ['bad-value 1:9']);
  assert.deepEqual(problemsOf('a: &x 1\ncopies: *x\n'), ['unknown-key 1:1', 'bad-value 2:9']);
});

test('the error draws the line with a caret and says what was perhaps meant', () => {
  assert.throws(
    () => parseNetworkConfig('copies: 2\ncopise: 2\n'),
    (error: WormholeError) => {
      assert.ok(error instanceof WormholeError);
      assert.equal(error.code, 'config');
      assert.equal(
        error.message,
        [
          'wormhole.yaml:2:1: there is no key "copise" here; did you mean "copies"?',
          '  2 | copise: 2',
          '    | ^^^^^^',
        ].join('\n'),
      );
      return true;
    },
  );
});

test('sizes, durations and rates', () => {
  assert.equal(parseSize('64MB'), 64e6);
  assert.equal(parseSize('1.5TB'), 1.5e12);
  assert.equal(parseSize('2 gib'), 2 ** 31);
  for (const wrong of ['', '64', 'MB', '-1MB', '1e3MB', '9999999PB', '1 XB', '1MB/s']) {
    assert.equal(parseSize(wrong), undefined, wrong);
  }
  assert.equal(parseDuration('15m'), 900_000);
  assert.equal(parseDuration('0s'), 0);
  assert.equal(parseDuration('15M'), undefined);
  assert.equal(parseRate('20MB/s'), 20e6);
  assert.equal(parseRate('none'), Number.POSITIVE_INFINITY);
  assert.equal(parseRate('20MB'), undefined);
});

test('a size that was shown is read back within its last digit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 52 }), (bytes) => {
      const back = parseSize(formatSize(bytes));
      assert.ok(back !== undefined && Math.abs(back - bytes) <= Math.max(bytes * 0.051, 0.5));
    }),
  );
});

test("a pod's own file fills in, and lowers the capacity only", () => {
  const network = parseNetworkConfig('pods: { a: { capacity: 4TB, cache: 1GB } }');
  const own = parsePodConfig('capacity: 1TB\ncache: 9GB\nlisten: 0.0.0.0:4747\nbandwidth: { up: 5MB/s }\n');
  const bandwidth = { up: 5e6 };
  assert.deepEqual(effectivePodSettings(network, 'a', own), { capacity: 1e12, cache: 1e9, bandwidth });
  assert.deepEqual(effectivePodSettings(network, 'b', own), { capacity: 1e12, cache: 9e9, bandwidth });
  assert.deepEqual(effectivePodSettings(network, 'a', { capacity: 9e12 }), { capacity: 4e12, cache: 1e9 });
  const limited = parseNetworkConfig(
    'bandwidth: { up: 1MB/s }\npods: { a: { bandwidth: { up: 9MB/s }, pin: [/x] } }',
  );
  assert.deepEqual(effectivePodSettings(limited, 'a', own).bandwidth, { up: 9e6 }, 'its own line wins');
  assert.deepEqual(effectivePodSettings(limited, 'b', own).bandwidth, { up: 1e6 }, 'an owner may only lower');
  assert.deepEqual(effectivePodSettings(limited, 'a', { pin: ['/y', '/x'] }).pin, ['/x', '/y']);
});

test('no text makes the reader throw anything but its own error', () => {
  const piece = fc.constantFrom(
    'copies',
    ':',
    ' ',
    '\n',
    '-',
    '[',
    '{',
    '}',
    '*a',
    '&a',
    '!!x',
    '"',
    '2',
    'pods',
    '\t',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 30 }).map((p) => p.join('')),
      ),
      (text) => {
        const reading = readNetworkConfig(text);
        assert.equal(reading.value === undefined, reading.problems.length > 0);
      },
    ),
    { numRuns: 500 },
  );
});
