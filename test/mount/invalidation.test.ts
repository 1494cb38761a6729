import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { silentLog } from '../../src/base/index.js';
import type { Stat } from '../../src/fs/index.js';
import { KernelInvalidator, type Notified } from '../../src/mount/invalidation.js';
import { NodeTable } from '../../src/mount/nodes.js';
import {
  encodeIncrementEpoch,
  encodeInvalidateEntry,
  encodeInvalidateInode,
} from '../../src/mount/protocol/replies.js';

/** A kernel that takes its time, and notes what it was told. */
function makeKernel() {
  const told: Uint8Array[] = [];
  let under = 0;
  let most = 0;
  const kernel: Notified = {
    async notify(bytes) {
      most = Math.max(most, ++under);
      told.push(bytes);
      await delay(1);
      under--;
    },
  };
  return { kernel, told, most: () => most };
}

function setUp() {
  const nodes = new NodeTable('root');
  const node = (inode: string) => nodes.remember({ inode } as Stat, 1);
  const invalidator = new KernelInvalidator(silentLog);
  const { kernel, told, most } = makeKernel();
  const settled = async () => {
    for (let quiet = 0; quiet < 3; quiet = invalidator.waiting === 0 ? quiet + 1 : 0) await delay(3);
  };
  return { nodes, node, invalidator, kernel, told, most, settled };
}

test('before the mount and after it nothing is told, and nothing fails', async () => {
  const { nodes, node, invalidator, kernel, told, settled } = setUp();
  node('a');
  invalidator.inode('a');
  invalidator.entry('root', 'x');
  await settled();
  invalidator.attach(nodes, kernel);
  await settled();
  assert.deepEqual(told, []);
  invalidator.detach();
  invalidator.inode('a');
  await settled();
  assert.deepEqual(told, []);
});

test('what the kernel does not know is not told', async () => {
  const { nodes, invalidator, kernel, told, settled } = setUp();
  invalidator.attach(nodes, kernel);
  invalidator.inode('unknown');
  invalidator.entry('unknown', 'x');
  await settled();
  assert.deepEqual(told, []);
});

test('nothing is told within the same tick, and one thing at a time', async () => {
  const { nodes, node, invalidator, kernel, told, most, settled } = setUp();
  invalidator.attach(nodes, kernel);
  const { number } = node('a');
  invalidator.inode('a');
  invalidator.entry('root', 'x');
  invalidator.entry('a', 'y');
  assert.deepEqual(told, []);
  await settled();
  assert.equal(most(), 1);
  const expected = [
    encodeInvalidateEntry(1, 'x'),
    encodeInvalidateEntry(number, 'y'),
    encodeInvalidateInode(number, true),
  ];
  assert.deepEqual(told, expected);
});

test('what is asked many times is told once', async () => {
  const { nodes, node, invalidator, kernel, told, settled } = setUp();
  invalidator.attach(nodes, kernel);
  node('a');
  for (let index = 0; index < 1_000; index++) {
    invalidator.inode('a');
    invalidator.entry('root', 'x');
  }
  await settled();
  assert.equal(told.length, 2);
});

test('the pages of an inode are stale from the call on, not from its notification', () => {
  const { nodes, node, invalidator, kernel } = setUp();
  invalidator.attach(nodes, kernel);
  const a = node('a');
  assert.equal(a.stale, false);
  invalidator.inode('a');
  assert.equal(a.stale, true);
});

test('of an inode that is being read the attributes are told at once, the pages later, the others meanwhile', async () => {
  const { nodes, node, invalidator, kernel, told, settled } = setUp();
  invalidator.attach(nodes, kernel);
  const [a, b] = [node('a'), node('b')];
  a.pendingReads = 1;
  invalidator.inode('a');
  invalidator.inode('b');
  await delay(50);
  assert.deepEqual(told, [encodeInvalidateInode(a.number, false), encodeInvalidateInode(b.number, true)]);
  a.pendingReads = 0;
  await settled();
  assert.deepEqual(told[2], encodeInvalidateInode(a.number, true));
});

test('a folder that is being changed is told later, the others meanwhile', async () => {
  const { nodes, node, invalidator, kernel, told, settled } = setUp();
  invalidator.attach(nodes, kernel);
  const [a, b] = [node('a'), node('b')];
  a.pendingChanges = 1;
  invalidator.entry('a', 'x');
  invalidator.entry('b', 'x');
  await delay(50);
  assert.deepEqual(told, [encodeInvalidateEntry(b.number, 'x')]);
  a.pendingChanges = 0;
  await settled();
  assert.deepEqual(told[1], encodeInvalidateEntry(a.number, 'x'));
});

test('an inode that the kernel may not have taken up yet is told twice, one that it has once', async () => {
  const { nodes, node, invalidator, kernel, told } = setUp();
  invalidator.attach(nodes, kernel);
  const [fresh, known] = [node('fresh'), node('known')];
  known.foundMs = -60_000;
  invalidator.inode('fresh');
  invalidator.inode('known');
  const isToldTwice = () =>
    told.filter((bytes) => encodeInvalidateInode(fresh.number, true).equals(bytes)).length === 2;
  for (let looks = 0; looks < 3_000 && !isToldTwice(); looks++) await delay(10);
  assert.ok(isToldTwice());
  assert.equal(told.filter((bytes) => encodeInvalidateInode(known.number, true).equals(bytes)).length, 1);
  invalidator.detach();
});

test('when anything may have changed, every name and every inode is told', async () => {
  const { nodes, node, invalidator, kernel, told, settled } = setUp();
  invalidator.attach(nodes, kernel);
  const [a, b] = [node('a'), node('b')];
  invalidator.entry('a', 'x');
  invalidator.everything();
  await settled();
  const inodes = [1, a.number, b.number].map((number) => encodeInvalidateInode(number, true));
  assert.deepEqual(told, [encodeIncrementEpoch(), ...inodes]);
  assert.ok(a.stale && b.stale);
  invalidator.detach();
});

test('there is a bound to the entries that wait, and all inodes are told', async () => {
  const { nodes, node, invalidator, kernel } = setUp();
  invalidator.attach(nodes, kernel);
  node('a');
  for (let index = 0; index < 100_000; index++) invalidator.entry('root', `name-${index}`);
  invalidator.inode('a');
  assert.ok(invalidator.waiting < 20_000, String(invalidator.waiting));
  invalidator.detach();
  await turn();
  assert.equal(invalidator.waiting, 0);
});

test('of too many entries at once the kernel is told to forget every name', async () => {
  const { nodes, invalidator, kernel, told, settled } = setUp();
  invalidator.attach(nodes, kernel);
  for (let i = 0; i < 16_400; i++) invalidator.entry('root', `name-${i}`);
  await settled();
  assert.deepEqual(told[0], encodeIncrementEpoch());
  assert.ok(told.length < 100, `${told.length} notifications`);
});
