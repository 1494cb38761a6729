import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS, Pace, systemClock } from '../../src/base/index.js';
import { FrameParts } from '../../src/net/frame-parts.js';
import { decodeFrame, encodeFrame } from '../../src/net/frames.js';
import { Line } from '../../src/net/line.js';
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
  const pace = new Pace(systemClock, 100_000);
  const outbox = new Outbox({
    sink,
    pace,
    line: new Line(),
    clock: systemClock,
    probe: () => {},
    overflow: fail,
  });
  for (const name of ['bulk1', 'bulk2', 'bulk3']) outbox.push(frame(name, 35_000), 'bulk');
  outbox.push(frame('first', 100), 'control');
  assert.deepEqual(sent, ['bulk1', 'first']);
  await outbox.drained();
  outbox.push(frame('later', 100), 'control');
  assert.deepEqual(sent, ['bulk1', 'first', 'bulk2', 'bulk3', 'later']);
  outbox.close();
});

/** A line of a rate and a delay, in its own time, with buffers in it that hold all that is sent. */
class SimulatedLine {
  nowMs = 0;
  /** Bytes of bulk frames that came whole. */
  wholeBytes = 0;
  parts = 0;
  readonly outbox: Outbox;
  /** May change, as when a laptop leaves the office. */
  bytesPerMs: number;
  private readonly delayMs: number;
  private busyUntilMs = 0;
  private readonly events: { atMs: number; run: () => void }[] = [];
  private readonly assembled = new FrameParts();
  private nextPing = 1;

  constructor(bytesPerMs: number, delayMs: number) {
    this.bytesPerMs = bytesPerMs;
    this.delayMs = delayMs;
    const line = new Line();
    const clock = { ...systemClock, monotonicMs: () => this.nowMs };
    const sink = {
      bufferedBytes: 0,
      send: (bytes: Uint8Array, written: () => void) => {
        this.carry(bytes.length, () => this.received(bytes));
        this.at(this.nowMs, written);
      },
    };
    const probe = () => {
      const id = this.nextPing++;
      line.probed(id, this.nowMs, this.outbox.full);
      this.carry(10, () =>
        this.at(this.nowMs + this.delayMs, () => {
          line.answered(id, this.nowMs);
          this.outbox.pump();
        }),
      );
    };
    this.outbox = new Outbox({ sink, pace: new Pace(clock), line, clock, probe, overflow: fail });
  }

  /** Milliseconds that a small message takes that is sent now; bulk goes on meanwhile. */
  controlMs(): number {
    const sentAt = this.nowMs;
    let takenMs: number | undefined;
    this.carry(200, () => {
      takenMs = this.nowMs - sentAt;
    });
    while (takenMs === undefined) this.step();
    return takenMs;
  }

  runUntil(done: () => boolean): void {
    while (!done()) this.step();
  }

  private step(): void {
    const first = this.events.reduce((a, b) => (b.atMs < a.atMs ? b : a));
    this.events.splice(this.events.indexOf(first), 1);
    this.nowMs = Math.max(this.nowMs, first.atMs);
    first.run();
  }

  private carry(bytes: number, arrived: () => void): void {
    this.busyUntilMs = Math.max(this.busyUntilMs, this.nowMs) + bytes / this.bytesPerMs;
    this.at(this.busyUntilMs + this.delayMs, arrived);
  }

  private at(atMs: number, run: () => void): void {
    this.events.push({ atMs, run });
  }

  private received(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes);
    if (frame.kind === 'part') this.parts++;
    const whole = frame.kind === 'part' ? this.assembled.add(frame) : bytes;
    if (whole === undefined) return;
    assert.equal(decodeFrame(whole).kind, 'answer');
    this.wholeBytes += whole.length;
  }
}

const CHUNK = encodeFrame({ kind: 'answer', id: 1, body: Buffer.alloc(1024 * 1024) });

for (const [name, bytesPerMs, delayMs] of [
  ['a slow line', 500, 10],
  ['a very slow line', 60, 40],
  ['a slow line over half the world', 1_000, 150],
] as const) {
  test(`${name}: what is urgent overtakes bulk that is long under way, and the line stays full`, () => {
    const line = new SimulatedLine(bytesPerMs, delayMs);
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 2; j++) line.outbox.push(CHUNK, 'bulk');
      const whole = line.wholeBytes + CHUNK.length;
      line.runUntil(() => line.wholeBytes >= whole);
      times.push(line.controlMs());
    }
    const least = LIMITS.lineWindowBytesMin / bytesPerMs;
    const most = delayMs + 3 * Math.max(least, LIMITS.lineQueueMs);
    assert.ok(Math.max(...times.slice(1)) < most, `${times.map(Math.round)} ms, at most ${most} are wanted`);
    assert.ok(line.parts > 100, `${line.parts} parts`);
    const share = line.wholeBytes / bytesPerMs / line.nowMs;
    assert.ok(share > 0.65, `it was in use for ${share} of the time`);
  });
}

test('a quick line: frames go whole, and none waits for the peer', () => {
  const line = new SimulatedLine(150_000, 0.5);
  for (let i = 0; i < 64; i++) line.outbox.push(CHUNK, 'bulk');
  line.runUntil(() => line.wholeBytes === 64 * CHUNK.length);
  assert.ok(line.parts < 40, `${line.parts} parts`);
  const share = line.wholeBytes / 150_000 / line.nowMs;
  assert.ok(share > 0.9, `it was in use for ${share} of the time`);
});

test('a quick line that has become slow is noticed by how long an answer takes, although nothing waits here', () => {
  const line = new SimulatedLine(50_000, 1);
  for (let i = 0; i < 32; i++) line.outbox.push(CHUNK, 'bulk');
  line.runUntil(() => line.wholeBytes === 32 * CHUNK.length);
  line.bytesPerMs = 200;
  const before = line.wholeBytes;
  for (let i = 0; i < 6; i++) line.outbox.push(CHUNK, 'bulk');
  line.runUntil(() => line.wholeBytes === before + 6 * CHUNK.length);
  for (let i = 0; i < 8; i++) line.outbox.push(CHUNK, 'bulk');
  const least = LIMITS.lineWindowBytesMin / line.bytesPerMs;
  assert.ok(line.controlMs() < 3 * Math.max(least, LIMITS.lineQueueMs));
});
