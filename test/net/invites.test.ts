import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { LIMITS, systemClock, systemRandom, WormholeError } from '../../src/base/index.js';
import {
  type InvitesOptions,
  joinNetwork,
  makeInvites,
  makeLinks,
  temporaryIdentity,
} from '../../src/net/index.js';
import { formatInviteCode, newInviteSecret, parseInviteCode } from '../../src/net/invite-code.js';
import { clientTls } from '../../src/net/tls.js';
import fc from '../property.js';

type Welcome = InvitesOptions['welcome'];

/** A pod that invites, and whom it welcomed. */
async function inviter(options: { welcome?: Welcome; clock?: InvitesOptions['clock'] } = {}) {
  const identity = temporaryIdentity();
  const welcomed: { pod: string; name: string; role: string; address: string }[] = [];
  const invites = makeInvites({
    inviter: identity.pod,
    welcome: async (pod, about) => {
      const body = await options.welcome?.(pod, about);
      welcomed.push({ pod, name: about.name, role: about.role, address: about.address });
      return body ?? { members: [identity.pod] };
    },
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  const links = makeLinks({ identity, host: '127.0.0.1', admit: () => false, invites });
  await links.start();
  const address = `127.0.0.1:${links.port}`;
  return { identity, invites, links, welcomed, address, stop: () => links.stop() };
}

test('a code lets one pod in, and tells both who the other is', async () => {
  const host = await inviter();
  const { code, expiresAtMs } = host.invites.create({ role: 'portal' });
  assert.match(code, /^wh1(-[a-z2-7]{6}){4}$/);
  assert.ok(Math.abs(expiresAtMs - Date.now() - LIMITS.inviteLifetimeMs) < 2_000);
  const identity = temporaryIdentity();
  const joined = await joinNetwork({ code, name: 'laptop', identity, address: host.address, port: 4747 });
  assert.deepEqual(joined, {
    inviter: host.identity.pod,
    address: host.address,
    body: { members: [host.identity.pod] },
  });
  assert.deepEqual(host.welcomed, [
    { pod: identity.pod, name: 'laptop', role: 'portal', address: '127.0.0.1:4747' },
  ]);
  await host.stop();
});

test('wrong, used, expired and mistyped codes each have their sentence', async () => {
  let jump = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + jump };
  const host = await inviter({ clock });
  const { code } = host.invites.create({ role: 'storage' });
  const stale = host.invites.create({ role: 'storage', lifetimeMs: 60_000 }).code;
  const join = (what: string, identity = temporaryIdentity()) =>
    joinNetwork({ code: what, name: 'x', identity, address: host.address });
  const first = temporaryIdentity();
  await join(code, first);
  await assert.rejects(join(code), { code: 'invite-invalid', message: /already used/ });
  await join(code, first); // its answer may have been lost
  const wrong = formatInviteCode(newInviteSecret(systemRandom));
  await assert.rejects(join(wrong), { code: 'invite-invalid', message: /does not know this code/ });
  const mistyped = code.endsWith('a') ? `${code.slice(0, -1)}b` : `${code.slice(0, -1)}a`;
  await assert.rejects(join(mistyped), { code: 'invite-invalid', message: /typing error/ });
  jump = 61_000;
  await assert.rejects(join(stale), { code: 'invite-invalid', message: /expired/ });
  jump += LIMITS.inviteLifetimeMs + LIMITS.inviteRememberedMs;
  assert.equal(host.invites.open, false);
  await assert.rejects(join(stale), { code: 'invite-invalid' });
  await host.stop();
  await assert.rejects(join(code), { code: 'unreachable' });
  assert.equal(host.welcomed.length, 2);
});

test('of many joins with one code at once, exactly one pod gets in', async () => {
  const host = await inviter({ welcome: () => sleep(30) });
  for (let round = 0; round < 5; round++) {
    const { code } = host.invites.create({ role: 'storage' });
    const before = host.welcomed.length;
    const joins = Array.from({ length: 8 }, (_, index) =>
      joinNetwork({ code, name: `pod ${index}`, identity: temporaryIdentity(), address: host.address }),
    );
    const results = await Promise.allSettled(joins);
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
    for (const result of results) {
      if (result.status === 'rejected') assert.equal((result.reason as WormholeError).code, 'invite-invalid');
    }
    assert.equal(host.welcomed.length, before + 1);
  }
  await host.stop();
});

test('a code is spent by becoming a member, not by a failure before', async () => {
  let full = true;
  const host = await inviter({
    welcome: async () => {
      if (full) throw new WormholeError('full', 'the disk is full');
    },
  });
  const { code } = host.invites.create({ role: 'storage' });
  const join = () => joinNetwork({ code, name: 'x', identity: temporaryIdentity(), address: host.address });
  await assert.rejects(join(), { code: 'full', message: 'the disk is full' });
  full = false;
  await sleep(700); // the failed connection has to be gone
  await join();
  await assert.rejects(join(), { message: /already used/ });
  await host.stop();
});

test('a pod that does not know the code is not believed to be the inviter', async () => {
  const host = await inviter();
  const impostor = temporaryIdentity();
  const heard: unknown[] = [];
  const links = makeLinks({
    identity: impostor,
    host: '127.0.0.1',
    admit: () => false,
    invites: {
      open: true,
      receive: () => ({
        headers: { 'wormhole-proof': 'f'.repeat(64) },
        upgraded: () => assert.fail('told more'),
      }),
    },
  });
  await links.start();
  const { code } = host.invites.create({ role: 'storage' });
  const identity = temporaryIdentity();
  const address = `127.0.0.1:${links.port}`;
  await assert.rejects(joinNetwork({ code, name: 'x', identity, address }), { code: 'invite-invalid' });
  // Searching, it is passed over and the true one is found.
  const search = (found: (addresses: string[]) => void) => {
    found([address, '127.0.0.1:1', 'nonsense']);
    setTimeout(() => found([address, host.address]), 50);
    return { stop: async () => {} };
  };
  const joined = await joinNetwork({ code, name: 'x', identity, search });
  assert.equal(joined.inviter, host.identity.pod);
  assert.deepEqual(heard, [], 'the impostor was told something');
  await links.stop();
  await host.stop();
});

test('a proof is worth nothing on another connection', async () => {
  const host = await inviter();
  const { code } = host.invites.create({ role: 'storage' });
  // A man in the middle that plays the joiner's headers on a connection of its own.
  let stolen: Record<string, string | undefined> = {};
  const middle = makeLinks({
    identity: temporaryIdentity(),
    host: '127.0.0.1',
    admit: () => false,
    invites: {
      open: true,
      receive: (caller) => {
        stolen = { id: caller.header('wormhole-invite'), proof: caller.header('wormhole-proof') };
        return { refused: 'unknown-invite' };
      },
    },
  });
  await middle.start();
  const victim = temporaryIdentity();
  const address = `127.0.0.1:${middle.port}`;
  await assert.rejects(joinNetwork({ code, name: 'x', identity: victim, address }), {
    code: 'invite-invalid',
  });
  assert.match(stolen['proof'] ?? '', /^[0-9a-f]{64}$/);
  const answer = await rawRequest(host.links.port, [
    'GET /join HTTP/1.1',
    'Host: pod',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    `wormhole-invite: ${stolen['id']}`,
    `wormhole-proof: ${stolen['proof']}`,
  ]);
  assert.match(answer, /^HTTP\/1.1 403 .*unknown-invite/s);
  await middle.stop();
  await host.stop();
});

test('without an invitation nothing of a stranger is read', async () => {
  const host = await inviter();
  const answer = await rawRequest(host.links.port, []);
  assert.match(answer, /^HTTP\/1.1 403 .*not-member/s, 'the refusal must not wait for a request');
  const { code } = host.invites.create({ role: 'storage' });
  const link = await rawRequest(host.links.port, [
    'GET /link HTTP/1.1',
    'Host: pod',
    'Connection: Upgrade',
    'Upgrade: websocket',
  ]);
  assert.match(link, /not-member/);
  assert.ok(code);
  await host.stop();
});

test('nobody found is told with the way out', async () => {
  const search = () => ({ stop: async () => {} });
  const code = formatInviteCode(newInviteSecret(systemRandom));
  const joining = joinNetwork({ code, name: 'x', identity: temporaryIdentity(), search, searchMs: 50 });
  await assert.rejects(joining, { code: 'unreachable', message: /--address/ });
  const address = '127.0.0.1:1';
  await assert.rejects(joinNetwork({ code, name: 'x', identity: temporaryIdentity(), address }), {
    code: 'unreachable',
  });
});

test('codes survive how people pass them on, and no single slip goes unseen', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 13, maxLength: 13 }),
      fc.nat(),
      fc.nat(30),
      (secret, place, step) => {
        const code = formatInviteCode(secret);
        assert.deepEqual(
          new Uint8Array(parseInviteCode(` ${code.toUpperCase().replaceAll('-', ' ')} `)),
          secret,
        );
        const digits = 'abcdefghijklmnopqrstuvwxyz234567';
        const body = code.slice(4).replaceAll('-', '');
        const at = place % body.length;
        const other = digits[(digits.indexOf(body[at] ?? '') + 1 + step) % 32];
        assert.throws(() => parseInviteCode(`wh1-${body.slice(0, at)}${other}${body.slice(at + 1)}`), {
          code: 'invite-invalid',
        });
      },
    ),
  );
  for (const nothing of ['', 'wh1', 'wh1-', 'hello', 'wh2-aaaaaa-aaaaaa-aaaaaa-aaaaaa']) {
    assert.throws(() => parseInviteCode(nothing), { code: 'invite-invalid' });
  }
});

/** Connects with a fresh key, sends these lines as one request, and returns all that comes back. */
function rawRequest(port: number, lines: string[]): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket: TLSSocket = connect({ ...clientTls(temporaryIdentity()), host: '127.0.0.1', port }, () => {
      if (lines.length > 0) socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    });
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}
