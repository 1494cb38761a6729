import { type Clock, LIMITS, type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import type { Link } from '../net/index.js';
import type { Tree } from '../tree/index.js';
import { MESSAGES, PART_BYTES, type Part } from './wire.js';

/**
 * Automerge's sync protocol with one peer: messages are taken in order, one at a time, and each may call forth
 * the next. A message may be larger than a frame, so it travels in pieces.
 */
export class TreeConversation {
  private readonly peer: PodId;
  private readonly tree: Tree;
  private readonly clock: Clock;
  private readonly log: Log;
  private link: Link | undefined;
  private pieces: Uint8Array[] = [];
  private piecesBytes = 0;
  private received: Uint8Array[] = [];
  private wantsToSpeak = false;
  private restarted = false;
  private running = false;
  private heardAtMs = Number.NEGATIVE_INFINITY;

  constructor(peer: PodId, tree: Tree, clock: Clock, log: Log) {
    this.peer = peer;
    this.tree = tree;
    this.clock = clock;
    this.log = log;
  }

  /** Milliseconds since the peer last said something here. */
  get silentMs(): number {
    return this.clock.monotonicMs() - this.heardAtMs;
  }

  /** True while there is something to say or to take in. */
  get busy(): boolean {
    return this.running;
  }

  /** Begins anew over a link, or ends when there is none. */
  restart(link: Link | undefined): void {
    this.link = link;
    this.pieces = [];
    this.piecesBytes = 0;
    this.received = [];
    this.wantsToSpeak = false;
    this.restarted = true;
    this.start();
  }

  /** Asks for what this pod lacks. */
  speak(): void {
    this.wantsToSpeak = true;
    this.start();
  }

  /** @throws WormholeError `protocol` when the message is too large */
  receive(part: Part): void {
    this.heardAtMs = this.clock.monotonicMs();
    this.piecesBytes += part.bytes.length;
    if (this.piecesBytes > LIMITS.treeMessageBytesMax) {
      throw new WormholeError('protocol', 'a peer sent a sync message that is too large');
    }
    this.pieces.push(Uint8Array.from(part.bytes));
    if (!part.last) return;
    this.received.push(
      this.pieces.length === 1 ? (this.pieces[0] as Uint8Array) : Buffer.concat(this.pieces),
    );
    this.pieces = [];
    this.piecesBytes = 0;
    this.start();
  }

  private start(): void {
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    try {
      await this.converse();
    } catch (error) {
      this.fail(error);
    }
  }

  private async converse(): Promise<void> {
    while (true) {
      if (this.restarted) {
        this.restarted = false;
        await this.tree.sync.disconnect(this.peer);
        continue;
      }
      const link = this.link;
      const nothing = this.received.length === 0 && !this.wantsToSpeak;
      if (link === undefined || nothing) {
        this.running = false;
        return;
      }
      const message = this.received.shift();
      if (message !== undefined) {
        await this.tree.sync.receive(this.peer, message);
        this.wantsToSpeak = true;
      } else {
        this.wantsToSpeak = false;
        const answer = await this.tree.sync.generate(this.peer);
        if (answer !== undefined && link === this.link) await this.send(link, answer);
      }
    }
  }

  private async send(link: Link, message: Uint8Array): Promise<void> {
    for (let at = 0; at < message.length; at += PART_BYTES) {
      // A long message goes with the bulk data's pace, so that the link's memory stays bounded.
      if (at > 0) await link.drained();
      if (!link.open || link !== this.link) return;
      const bytes = message.subarray(at, at + PART_BYTES);
      link.send(MESSAGES.sync, { bytes, last: at + PART_BYTES >= message.length });
    }
  }

  private fail(error: unknown): void {
    this.log.warn('a conversation about the tree broke off', { peer: this.peer, reason: messageOf(error) });
    const link = this.link;
    this.running = false;
    this.received = [];
    // The other side's state no longer fits ours: both begin anew, with a new link where the peer is to blame.
    if (error instanceof WormholeError && error.code === 'protocol') link?.close(messageOf(error));
    else this.restarted = true;
  }
}
