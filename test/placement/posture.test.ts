import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Policies, parseNetworkConfig } from '../../src/config/index.js';
import { Absence } from '../../src/placement/absence.js';
import type { Candidate } from '../../src/placement/index.js';
import { judge, type Situation } from '../../src/placement/posture.js';

const pod = (name: string, zone = 'x'): Candidate => ({ id: name, name, role: 'storage', weight: 1, zone });

function situation(text: string, change: Partial<Situation> = {}): Situation {
  return {
    policies: new Policies(parseNetworkConfig(text)),
    candidates: [pod('a'), pod('b'), pod('c')],
    gone: new Set(),
    alone: false,
    missing: 0,
    free: 1e12,
    needed: 0,
    ...change,
  };
}

const DECLARED = `copies: 2
rules:
  - { path: /accounts/**, copies: 3, min-pods: 2, crisis: { critical: read-only } }
  - { path: /three/**, copies: 3 }
crisis: { favourable: continue, mixed: throttle, critical: [throttle, fewer-copies] }
`;

test('nothing lost is favourable; lost with room stays so, without room is mixed', () => {
  const two = 'copies: 2';
  assert.equal(judge(situation(two)).posture, 'favourable');
  assert.equal(judge(situation(two, { gone: new Set(['c']) })).posture, 'favourable');
  assert.equal(judge(situation(two, { gone: new Set(['b', 'c']) })).posture, 'mixed');
  assert.equal(judge(situation(two, { gone: new Set(['c']), needed: 2e12 })).posture, 'mixed');
  assert.equal(judge(situation('copies: 5')).posture, 'favourable', 'never met, but nothing is lost');
  const judged = judge(situation(DECLARED, { gone: new Set(['c']) }));
  assert.equal(judged.posture, 'mixed');
  assert.match(judged.reason ?? '', /c is lost, and too few pods/);
});

test('files that nobody has are critical, and so is a rule with too few pods', () => {
  const lost = judge(situation('copies: 2', { gone: new Set(['c']), missing: 3 }));
  assert.equal(lost.posture, 'critical');
  assert.match(lost.reason ?? '', /3 files have no copy/);
  assert.equal(
    judge(situation('copies: 2', { missing: 3 })).posture,
    'favourable',
    'its holder is only asleep',
  );
  const below = situation(DECLARED, { gone: new Set(['b', 'c']) });
  const judged = judge(below);
  assert.equal(judged.posture, 'critical');
  const { policies } = below;
  assert.deepEqual(judged.responses(policies.of('/accounts/x')), ['read-only']);
  assert.deepEqual(judged.responses(policies.of('/elsewhere')), ['throttle'], 'elsewhere it is mixed');
});

test('a laptop alone on a train is in no crisis, unless its rule says so', () => {
  const alone = { alone: true, gone: new Set(['b', 'c']), missing: 7, needed: 9e12 };
  assert.equal(judge(situation('copies: 2', alone)).posture, 'favourable');
  const judged = situation(DECLARED, alone);
  assert.equal(judge(judged).posture, 'critical');
  assert.deepEqual(judge(judged).responses(judged.policies.of('/elsewhere')), ['continue']);
});

test('a silent pod is asleep for the grace time, then gone, and back at once', () => {
  const absence = new Absence('a');
  const members = ['a', 'b', 'c'];
  absence.look(members, ['b', 'c'], 0);
  absence.look(members, ['b'], 1_000);
  assert.deepEqual(absence.gone(60_999, 60_000), []);
  assert.deepEqual(absence.gone(61_000, 60_000), ['c']);
  absence.look(members, ['b', 'c'], 70_000);
  assert.deepEqual(absence.gone(999_000, 60_000), []);
  absence.look(['a', 'b'], [], 80_000);
  assert.deepEqual(absence.gone(140_000, 60_000), ['b'], 'who is no member any more is nobody');
});
