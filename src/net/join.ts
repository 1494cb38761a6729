import { timingSafeEqual } from 'node:crypto';
import {
  type Clock,
  LIMITS,
  type Log,
  messageOf,
  type PodId,
  silentLog,
  systemClock,
  WormholeError,
} from '../base/index.js';
import { type Dialled, dial, Refused } from './dialler.js';
import type { Identity } from './identity.js';
import {
  EXPORTER_BYTES,
  EXPORTER_LABEL,
  INVITE_HEADER,
  type InviteSecret,
  inviteIdOf,
  inviteProof,
  JOIN_MESSAGE,
  PROOF_HEADER,
  parseInviteCode,
} from './invite-code.js';
import { PeerLink } from './peer-link.js';
import { JOIN_PATH, PORT_HEADER, parseAddress } from './websocket.js';

/** Looks for pods on the local network until `stop`; `found` may name an address again. */
export type Search = (found: (addresses: string[]) => void) => { stop(): Promise<void> };

export interface JoinOptions {
  /** As `wh invite` printed it. */
  code: string;
  /** The name that this pod wants to have. */
  name: string;
  identity: Identity;
  /** `host:port` of the inviter; without it, it is searched for. */
  address?: string;
  search?: Search;
  /** Where this pod listens or will listen, for the inviter to call back. */
  port?: number;
  searchMs?: number;
  clock?: Clock;
  log?: Log;
}

export interface Joined {
  /** Proved by the code and by its key. */
  inviter: PodId;
  /** Where the inviter answered, `host:port`. */
  address: string;
  /** What the inviter's `welcome` returned; to be checked by whoever knows its shape. */
  body: unknown;
}

interface Answer extends Dialled {
  address: string;
}

/**
 * Finds the pod that made the code and asks it for membership. Either end proves to the other that it knows
 * the code before anything of the network is told.
 * @throws WormholeError `invite-invalid` | `unreachable` | what the inviter's `welcome` threw
 */
export async function joinNetwork(options: JoinOptions): Promise<Joined> {
  const secret = parseInviteCode(options.code);
  const answer =
    options.address === undefined
      ? await searchInviter(secret, options)
      : await askOne(secret, options, options.address);
  return introduce(answer, options);
}

async function askOne(secret: InviteSecret, options: JoinOptions, address: string): Promise<Answer> {
  try {
    return await call(secret, options, address, undefined);
  } catch (error) {
    if (error instanceof Refused)
      throw refusal(error.reason, `the pod at ${address} does not know this code`);
    throw error;
  }
}

/** Every address found is called once at a time; the first that proves to be the inviter is taken. */
async function searchInviter(secret: InviteSecret, options: JoinOptions): Promise<Answer> {
  const { clock = systemClock, log = silentLog, search, searchMs = LIMITS.inviteSearchMs } = options;
  if (search === undefined)
    throw new WormholeError('usage', 'say where the inviter is with --address HOST:PORT');
  const ended = new AbortController();
  const calling = new Set<string>();
  const strangers = new Set<PodId>();
  return new Promise<Answer>((resolve, reject) => {
    const finish = (settle: () => void) => {
      if (ended.signal.aborted) return;
      ended.abort();
      searching.stop().catch((error) => log.debug('the search did not end well', { error }));
      settle();
    };
    const tryOne = async (address: string) => {
      try {
        const answer = await call(secret, options, address, ended.signal);
        if (ended.signal.aborted) answer.transport.destroy();
        else finish(() => resolve(answer));
      } catch (error) {
        log.debug('not the inviter', { address, reason: messageOf(error) });
        if (!(error instanceof Refused)) return;
        strangers.add(error.peer);
        if (SPENT.has(error.reason)) finish(() => reject(refusal(error.reason, '')));
      }
    };
    const found = (addresses: string[]) => {
      for (const address of addresses) {
        if (ended.signal.aborted || calling.has(address) || calling.size >= LIMITS.dialsMax) continue;
        calling.add(address);
        tryOne(address).finally(() => calling.delete(address));
      }
    };
    const searching = search(found);
    clock
      .sleep(searchMs, ended.signal)
      .then(() => finish(() => reject(notFound(strangers.size))))
      .catch(() => {});
  });
}

/** One connection on which both ends have proved that they know the code. */
async function call(
  secret: InviteSecret,
  options: JoinOptions,
  address: string,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const { identity } = options;
  const where = parseAddress(address);
  if (where === undefined) {
    throw new WormholeError('invalid', `${address} is not an address: write HOST:PORT or [IPv6]:PORT`);
  }
  let expected = '';
  const dialled = await dial({
    identity,
    ...where,
    path: JOIN_PATH,
    ...(signal === undefined ? {} : { signal }),
    greet: (inviter, socket) => {
      const exporter = socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
      const connection = { exporter, joiner: identity.pod, inviter };
      expected = inviteProof(secret, 'inviter', connection);
      return {
        [INVITE_HEADER]: inviteIdOf(secret),
        [PROOF_HEADER]: inviteProof(secret, 'joiner', connection),
        ...(options.port === undefined ? {} : { [PORT_HEADER]: String(options.port) }),
      };
    },
  });
  const proof = Buffer.from(String(dialled.headers[PROOF_HEADER] ?? ''), 'latin1');
  if (proof.length !== expected.length || !timingSafeEqual(proof, Buffer.from(expected))) {
    dialled.transport.destroy();
    throw new Refused(dialled.peer, 'impostor');
  }
  return { ...dialled, address };
}

async function introduce(answer: Answer, options: JoinOptions): Promise<Joined> {
  const { peer, address, socket, transport } = answer;
  const { clock = systemClock, log = silentLog } = options;
  const link = new PeerLink({
    peer,
    address,
    socket,
    transport,
    handlers: new Map(),
    clock,
    log,
    onClosed: () => {},
  });
  try {
    const body = await link.request(
      JOIN_MESSAGE,
      { name: options.name },
      { timeoutMs: LIMITS.joinTimeoutMs },
    );
    return { inviter: peer, address, body };
  } finally {
    link.close('joined');
  }
}

const SPENT = new Set(['used-invite', 'expired-invite']);

function refusal(reason: string, otherwise: string): WormholeError {
  const again = 'ask for a new one with wh invite';
  if (reason === 'used-invite') {
    return new WormholeError('invite-invalid', `this code was already used by another pod: ${again}`);
  }
  if (reason === 'expired-invite')
    return new WormholeError('invite-invalid', `this code has expired: ${again}`);
  const cause = 'it may be of another network, or its pod was restarted since';
  return new WormholeError('invite-invalid', `${otherwise} (${cause}): ${again}`);
}

function notFound(strangers: number): WormholeError {
  if (strangers === 0) {
    const cure = 'check that both are on it and that wh up runs there, or give --address HOST:PORT';
    return new WormholeError('unreachable', `no pod was found on the local network: ${cure}`);
  }
  return refusal('unknown', `none of the ${strangers} pods found on the local network knows this code`);
}
