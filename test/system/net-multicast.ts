/** Listens to multicast DNS and writes each packet's names and texts as a JSON line; sends garbage, and what it
 *  heard with some bytes changed. */
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';

const [GROUP, PORT] = ['224.0.0.251', 5353];
const [A, PTR, TXT, AAAA, SRV] = [1, 12, 16, 28, 33];
const sent = new Set<string>();
const heard: Buffer[] = [];
const socket = createSocket({ type: 'udp4', reuseAddr: true });

socket.on('message', (packet) => {
  if (sent.has(packet.toString('hex'))) return;
  heard.push(packet);
  if (!packet.includes('_wormhole')) return;
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

/** All names and texts of a DNS message (RFC 1035); of addresses nothing, of anything else its bytes. */
function texts(packet: Buffer): string[] {
  const found: string[] = [];
  let at = 12;
  const text = (length: number) => found.push(packet.subarray(at, at + length).toString('latin1'));
  const name = () => {
    for (let length = packet[at++] ?? 0; length > 0; length = packet[at++] ?? 0) {
      if (length >= 0xc0) {
        at++; // a pointer to a name that was read already
        return;
      }
      text(length);
      at += length;
    }
  };
  for (let questions = packet.readUInt16BE(4); questions > 0; questions--) {
    name();
    at += 4;
  }
  const records = packet.readUInt16BE(6) + packet.readUInt16BE(8) + packet.readUInt16BE(10);
  for (let count = 0; count < records; count++) {
    name();
    const type = packet.readUInt16BE(at);
    const end = at + 10 + packet.readUInt16BE(at + 8);
    at += 10;
    if (type === PTR) name();
    else if (type === SRV) {
      at += 6;
      name();
    } else if (type === TXT) {
      for (let length = packet[at++] ?? 0; at + length <= end; length = packet[at++] ?? 0) {
        text(length);
        at += length;
      }
    } else if (type !== A && type !== AAAA) text(end - at);
    at = end;
  }
  return found;
}
