import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Doubts } from '../../src/placement/doubts.js';

test('who has said that it holds all is settled, until something new is made', () => {
  const doubts = new Doubts();
  assert.ok(!doubts.isSettled('a'), 'nothing is known of it');
  doubts.settle('a');
  assert.ok(doubts.isSettled('a'));
  doubts.raise(['c1']);
  assert.ok(!doubts.isSettled('a'));
  doubts.settle('a');
  assert.ok(doubts.isSettled('a'));
});

test('who has said so of what there was then is in doubt about the rest', () => {
  const doubts = new Doubts();
  doubts.settle('a');
  doubts.raise(['c1']);
  const { stamp } = doubts;
  doubts.raise(['c2'], true);
  assert.ok(doubts.doubts('a', stamp));
  doubts.settle('a', stamp);
  assert.ok(!doubts.doubts('a', stamp));
  assert.ok(!doubts.isSettled('a'));
  assert.ok(!doubts.isHandedOver('a'), 'what was made here is not there yet');
  doubts.settle('a');
  assert.ok(doubts.isSettled('a'));
  assert.ok(doubts.isHandedOver('a'));
});
