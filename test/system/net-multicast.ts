/** Listens to multicast DNS and writes each packet's names and texts as a JSON line; sends garbage, and what it
 *  heard with some bytes changed. */
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';

const [GROUP, PORT] = ['224.0.0.251', 5353];
const sent = new Set<string>();
const heard: Buffer[] = [];
const socket = createSocket({ type: 'udp4', reuseAddr: true });

socket.on('message', (packet) => {
  if (sent.has(packet.toString('hex'))) return;
  heard.push(packet);
  process.stdout.write(`${JSON.stringify({ texts: texts(packet) })}\n`);
});
socket.bind(PORT, () => {
  socket.addMembership(GROUP);
  setInterval(() => {
    for (let count = 0; count < 20; count++) send(garbage());
  }, 20);
});

function send(packet: Buffer): void {
  sent.add(packet.toString('hex'));
  socket.send(packet, PORT, GROUP);
}

function garbage(): Buffer {
  const original = heard[randomInt(heard.length + 1)];
  if (original === undefined) return randomBytes(randomInt(1, 600));
  const packet = Buffer.from(original);
  for (let count = randomInt(1, 4); count > 0; count--) packet[randomInt(12, packet.length)] = randomInt(256);
  return packet.subarray(0, randomInt(4) === 0 ? randomInt(1, packet.length) : packet.length);
}

/** Runs of at least three printable characters, without the length byte that precedes them. */
function texts(packet: Buffer): string[] {
  return (packet.toString('latin1').match(/[\x21-\x7e]{3,}/g) ?? []).map((text) =>
    text.replace(/^[^\w]/, ''),
  );
}
