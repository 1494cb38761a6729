/** The four stories of docs/stories.md: their files, on a network that is made up here. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import { type NetworkConfig, Policies, parseNetworkConfig, shortfalls } from '../../src/config/index.js';
import type { Member } from '../../src/membership/index.js';
import { candidatesOf, FlowCount, holders, plainLayouts } from '../../src/placement/index.js';
import { judge } from '../../src/placement/posture.js';

const FIXTURES = join(import.meta.dirname, '..', '..', '..', 'fixtures', 'configs');
const FILES = 400;
const SIZE = 1000;
const YEAR_MS = 365 * 86_400_000;

function story(name: string) {
  const config = parseNetworkConfig(readFileSync(join(FIXTURES, `${name}.yaml`), 'utf8'), name);
  const names = [...config.pods.keys()];
  const members = names.map(
    (pod): Member => ({ id: sha256(Buffer.from(pod)), name: pod, role: 'storage', addedBy: '', addedAt: 0 }),
  );
  const nameOf = new Map(members.map((member) => [member.id, member.name]));
  const without = (...gone: string[]) => {
    const lost = (id: string) => gone.includes(nameOf.get(id) ?? '');
    return plainLayouts(members[0]?.id ?? '', candidatesOf(members, config, lost), config);
  };
  const at = (path: string, file: number, ageMs = 0) =>
    holders(chunkOf(file), without().of({ path, ageMs })).map((id) => nameOf.get(id) ?? '');
  const posture = (...gone: string[]) =>
    judge({
      policies: new Policies(config),
      candidates: candidatesOf(members, config),
      gone: new Set(members.filter((member) => gone.includes(member.name)).map((member) => member.id)),
      alone: false,
      missing: 0,
      free: 1e15,
      needed: 0,
    });
  const idOf = (pod: string) => members.find((member) => member.name === pod)?.id ?? '';
  return { config, without, at, posture, idOf };
}

const chunkOf = (i: number): string => sha256(Buffer.from(`file ${i}`));
const files = Array.from({ length: FILES }, (_, i) => i);
const zonesOf = (config: NetworkConfig, pods: readonly string[]) =>
  new Set(pods.map((pod) => config.pods.get(pod)?.zone)).size;

/** Bytes that have to move when these pods go, and who gets them. */
function flowWithout({ without }: ReturnType<typeof story>, path: string, gone: string) {
  const [before, after] = [without().of({ path, ageMs: 0 }), without(gone).of({ path, ageMs: 0 })];
  const count = new FlowCount();
  for (const i of files) count.add({ content: `c${chunkOf(i)}`, size: SIZE }, before, after);
  return count.flow;
}

test('every story can be kept by the pods that its file names', () => {
  for (const name of ['company', 'lab', 'web', 'family']) {
    const { config, without } = story(name);
    assert.deepEqual(shortfalls(config, without().candidates), [], name);
  }
});

test('the company: accounts survive a fire in the office, and are read-only on one box', () => {
  const { config, at, posture } = story('company');
  for (const i of files) {
    assert.deepEqual(at('/accounts/2026.ods', i).sort(), ['nas-1', 'nas-2', 'nas-3']);
    assert.equal(at('/letters/a.odt', i).length, 2);
    assert.deepEqual(at('/scans/a.pdf', i).sort(), ['nas-1', 'nas-2']);
  }
  assert.equal(config.join, 'approve');
  const accounts = new Policies(config).of('/accounts/x');
  assert.equal(accounts.history, YEAR_MS);
  const one = posture('nas-2');
  assert.equal(one.posture, 'mixed');
  const judged = posture('nas-2', 'nas-3');
  assert.equal(judged.posture, 'critical');
  const policies = new Policies(config);
  assert.ok(policies.of('/archive/x').readOnly);
});

test('the lab: one copy on ssd, results on two, and all of it thrown away', () => {
  const { config, at } = story('lab');
  for (const i of files) {
    assert.equal(at('/data/x', i).length, 1);
    assert.notEqual(at('/data/x', i)[0], 'bench-4');
    assert.equal(at('/results/x', i).length, 2);
    assert.deepEqual(at('/data/tmp/x', i), []);
  }
  assert.equal(config.history, 0);
});

test('the web service: three places, ssd while young, hdd when old, and a lost machine moves only what it held', () => {
  const web = story('web');
  for (const i of files) {
    const young = web.at('/posts/a.md', i);
    assert.equal(zonesOf(web.config, young), 3);
    assert.deepEqual([...young].sort(), ['east-1', 'north-1', 'west-1']);
    assert.deepEqual(web.at('/posts/a.md', i, YEAR_MS).sort(), ['east-2', 'north-2', 'west-2']);
    assert.equal(zonesOf(web.config, web.at('/thumbnails/a.png', i)), 2);
    assert.equal(web.config.pods.get(web.at('/logs/a', i)[0] ?? '')?.media, 'hdd');
  }
  const flow = flowWithout(web, '/posts/a.md', 'east-1');
  assert.equal(flow.make.copies, FILES, 'each had one copy there');
  assert.deepEqual(
    [...flow.pods].filter(([, pod]) => pod.receive > 0).map(([id]) => id),
    [web.idOf('east-2')],
  );
  assert.equal(flow.make.bytes, FILES * SIZE);
});

test('the family: photos are never only at home, and a stolen laptop was never a copy', () => {
  const family = story('family');
  for (const i of files) {
    const photos = family.at('/photos/a.jpg', i);
    assert.ok(photos.includes('cellar') && photos.includes('grandparents'));
    assert.deepEqual(family.at('/papers/a.pdf', i).sort(), ['cellar', 'grandparents', 'mother']);
  }
  assert.equal(flowWithout(family, '/photos/a.jpg', 'father').make.bytes, 0);
  assert.equal(family.posture('father').posture, 'favourable');
  assert.equal(family.posture('mother').posture, 'mixed', 'papers ask for three');
});
