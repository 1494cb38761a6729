import { timingSafeEqual } from 'node:crypto';
import type { WebSocket } from 'ws';
import {
  type Clock,
  LIMITS,
  type Log,
  type PodId,
  type Random,
  silentLog,
  systemClock,
  systemRandom,
  WormholeError,
} from '../base/index.js';
import {
  EXPORTER_BYTES,
  EXPORTER_LABEL,
  formatInviteCode,
  INVITE_HEADER,
  type InviteSecret,
  inviteIdOf,
  inviteProof,
  JOIN_MESSAGE,
  newInviteSecret,
  PROOF_HEADER,
} from './invite-code.js';
import type { Caller, Reception } from './listener.js';
import { PeerLink } from './peer-link.js';

/** Whoever showed a live invitation, as its key and its own words say. */
export interface Joiner {
  publicKey: Uint8Array;
  /** The name it wants, not yet checked against the members'. */
  name: string;
  /** As the invitation grants it. */
  role: string;
  /** `host:port` where it can be reached, as seen from here; its port is its own claim. */
  address: string;
}

/** What links need of invitations: strangers come only through here. */
export interface Door {
  /** True while an invitation lives, or was ended so recently that its holder should be told why. */
  readonly open: boolean;
  receive(caller: Caller): Reception;
}

export interface Invites extends Door {
  /** A one-time code. @throws WormholeError `busy` when too many are alive */
  create(options: { role: string; lifetimeMs?: number }): { code: string; expiresAtMs: number };
}

export interface InvitesOptions {
  inviter: PodId;
  /** Makes the joiner a member, durably, and returns what it needs to know. It may be called again for the
   *  same pod when the answer was lost on its way. */
  welcome: (joiner: PodId, about: Joiner) => Promise<unknown>;
  clock?: Clock;
  random?: Random;
  log?: Log;
}

interface Invite {
  readonly secret: InviteSecret;
  readonly role: string;
  /** On the monotonic clock. */
  readonly expiresAtMs: number;
  /** The one pod that it is for, from the moment at which it showed the code. */
  claimedBy: PodId | undefined;
  /** Connections of that pod. */
  claims: number;
  /** From then on it is spent. */
  welcomed: boolean;
}

/** The inviting side. Invitations live in memory only: a restart of the daemon voids them. */
export function makeInvites(options: InvitesOptions): Invites {
  return new PodInvites(options);
}

class PodInvites implements Invites {
  private readonly options: InvitesOptions;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly invites = new Map<string, Invite>();

  constructor(options: InvitesOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.log = options.log ?? silentLog;
  }

  get open(): boolean {
    this.forgetOld();
    return this.invites.size > 0;
  }

  create({ role, lifetimeMs = LIMITS.inviteLifetimeMs }: { role: string; lifetimeMs?: number }) {
    this.forgetOld();
    if (this.invites.size >= LIMITS.invitesMax) {
      throw new WormholeError('busy', 'there are too many invitations: wait until some have expired');
    }
    const secret = newInviteSecret(this.options.random ?? systemRandom);
    const expiresAtMs = this.clock.monotonicMs() + lifetimeMs;
    const fresh = { claimedBy: undefined, claims: 0, welcomed: false };
    this.invites.set(inviteIdOf(secret), { secret, role, expiresAtMs, ...fresh });
    return {
      code: formatInviteCode(secret),
      expiresAtMs: Number(this.clock.wallNs() / 1_000_000n) + lifetimeMs,
    };
  }

  receive(caller: Caller): Reception {
    const { pod, socket } = caller;
    const invite = this.invites.get(caller.header(INVITE_HEADER) ?? '');
    if (invite === undefined) return { refused: 'unknown-invite' };
    const exporter = socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
    const connection = { exporter, joiner: pod, inviter: this.options.inviter };
    const expected = inviteProof(invite.secret, 'joiner', connection);
    if (!equal(expected, caller.header(PROOF_HEADER))) return { refused: 'unknown-invite' };
    // From here on the caller knows the code and may be told what became of it.
    if (invite.claimedBy !== undefined && invite.claimedBy !== pod) return { refused: 'used-invite' };
    if (invite.expiresAtMs <= this.clock.monotonicMs()) return { refused: 'expired-invite' };
    this.claim(invite, caller);
    return {
      headers: { [PROOF_HEADER]: inviteProof(invite.secret, 'inviter', connection) },
      upgraded: (upgraded) => this.serve(invite, caller, upgraded),
    };
  }

  /** In the same turn as the check: of two joins at once, the second finds it taken. A connection that ends
   *  before anybody was made a member gives it back. */
  private claim(invite: Invite, { pod, socket }: Caller): void {
    invite.claimedBy = pod;
    invite.claims++;
    socket.once('close', () => {
      invite.claims--;
      if (invite.claims === 0 && !invite.welcomed) invite.claimedBy = undefined;
    });
  }

  private serve(invite: Invite, caller: Caller, socket: WebSocket): void {
    const { pod, publicKey, address } = caller;
    let asked = false;
    const join = async (body: unknown) => {
      if (asked) throw new WormholeError('protocol', 'a pod joins once');
      asked = true;
      const name = nameIn(body);
      const before = invite.welcomed;
      invite.welcomed = true;
      try {
        return await this.options.welcome(pod, { publicKey, name, role: invite.role, address });
      } catch (error) {
        invite.welcomed = before;
        throw error;
      }
    };
    const ended = new AbortController();
    const link = new PeerLink({
      peer: pod,
      address,
      socket,
      transport: caller.socket,
      handlers: new Map([[JOIN_MESSAGE, (_link, body) => join(body)]]),
      clock: this.clock,
      log: this.log,
      onClosed: () => ended.abort(),
    });
    this.clock
      .sleep(LIMITS.joinTimeoutMs, ended.signal)
      .then(() => link.close('joining took too long'))
      .catch(() => {});
  }

  private forgetOld(): void {
    const now = this.clock.monotonicMs();
    for (const [id, invite] of this.invites) {
      if (invite.expiresAtMs + LIMITS.inviteRememberedMs <= now) this.invites.delete(id);
    }
  }
}

function nameIn(body: unknown): string {
  const name = (body as { name?: unknown } | null)?.name;
  if (typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= LIMITS.podNameBytesMax)
    return name;
  throw new WormholeError('invalid', 'the name of a pod is a text of 1 to 255 bytes');
}

function equal(expected: string, given: string | undefined): boolean {
  return (
    given?.length === expected.length && timingSafeEqual(Buffer.from(given, 'latin1'), Buffer.from(expected))
  );
}
