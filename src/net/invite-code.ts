import { createHmac } from 'node:crypto';
import { base32, type PodId, parseBase32, type Random, sha256Bytes, WormholeError } from '../base/index.js';

/** 104 bits: nobody guesses them in the minutes that an invitation lives, nor afterwards. */
const SECRET_BYTES = 13;
const CHECK_BYTES = 2;
const PREFIX = 'wh1-';

/** What an invitation's code holds; both ends compute everything else from it. */
export type InviteSecret = Uint8Array;

export function newInviteSecret(random: Random): InviteSecret {
  return random.bytes(SECRET_BYTES);
}

/** The code as people pass it on: `wh1-` and four groups of six characters, the last ones a checksum. */
export function formatInviteCode(secret: InviteSecret): string {
  const digits = base32(Buffer.concat([secret, checksumOf(secret)]));
  return PREFIX + (digits.match(/.{6}/g) ?? []).join('-');
}

/** Reads a code in any case, with or without hyphens and spaces.
 *  @throws WormholeError `invite-invalid` for a typing error */
export function parseInviteCode(code: string): InviteSecret {
  const digits = code.toLowerCase().replace(/[\s-]/g, '');
  const bytes = digits.startsWith('wh1') ? parseBase32(digits.slice(3)) : undefined;
  const secret = bytes?.subarray(0, SECRET_BYTES);
  if (
    bytes?.length !== SECRET_BYTES + CHECK_BYTES ||
    secret === undefined ||
    !checksumOf(secret).equals(bytes.subarray(SECRET_BYTES))
  ) {
    throw new WormholeError(
      'invite-invalid',
      'the code has a typing error: compare it with what wh invite printed',
    );
  }
  return secret;
}

/** Names an invitation without giving its secret away: 32 hexadecimal digits. */
export function inviteIdOf(secret: InviteSecret): string {
  return digest('id', secret).toString('hex').slice(0, 32);
}

/**
 * Proves to the other end of one TLS connection that its sender knows the secret. It is worth nothing on
 * any other connection (`exporter`, RFC 8446 7.5), for any other pair of keys, or in the other direction.
 */
export function inviteProof(
  secret: InviteSecret,
  from: 'joiner' | 'inviter',
  connection: { exporter: Uint8Array; joiner: PodId; inviter: PodId },
): string {
  const { exporter, joiner, inviter } = connection;
  return createHmac('sha256', secret).update(`${from} ${joiner} ${inviter} `).update(exporter).digest('hex');
}

export const EXPORTER_LABEL = 'EXPORTER-wormhole-invite';
export const EXPORTER_BYTES = 32;
export const INVITE_HEADER = 'wormhole-invite';
export const PROOF_HEADER = 'wormhole-proof';
/** The one request on a connection for joining. */
export const JOIN_MESSAGE = 'join';

function checksumOf(secret: InviteSecret): Buffer {
  return digest('checksum', secret).subarray(0, CHECK_BYTES);
}

function digest(purpose: string, secret: InviteSecret): Buffer {
  return Buffer.from(sha256Bytes(Buffer.concat([Buffer.from(`wormhole invite ${purpose} `), secret])));
}
