import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace, systemClock } from '../../src/base/index.js';
import { Outbox } from '../../src/net/outbox.js';

const fail = () => assert.fail('the peer was cut off');

test('bulk waits for its pace, and control does not wait for bulk', async () => {
  const sent: string[] = [];
  const sink = {
    bufferedBytes: 0,
    send: (frame: Uint8Array, written: () => void) => {
      sent.push(Buffer.from(frame).toString('latin1', 0, 5));
      queueMicrotask(written);
    },
  };
  const frame = (name: string, bytes: number) => Buffer.concat([Buffer.from(name), Buffer.alloc(bytes)]);
  const outbox = new Outbox(sink, new Pace(systemClock, 1_000_000), fail);
  for (const name of ['bulk1', 'bulk2', 'bulk3']) outbox.push(frame(name, 350_000), 'bulk');
  outbox.push(frame('first', 100), 'control');
  assert.deepEqual(sent, ['bulk1', 'first']);
  await outbox.drained();
  outbox.push(frame('later', 100), 'control');
  assert.deepEqual(sent, ['bulk1', 'first', 'bulk2', 'bulk3', 'later']);
  outbox.close();
});
