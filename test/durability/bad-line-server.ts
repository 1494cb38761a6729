/**
 * A TCP proxy that does to connections what bad networks do. A process of its own on a host between two others; obeys
 * {@link Weather} by IPC, and answers each with what it has done so far.
 */
import { connect, createServer, type Socket } from 'node:net';

/** How connections fare from now on. */
export interface Weather {
  /** What arrives is passed on so much later. */
  delayMs?: number;
  /** Bytes per second, each way. */
  bytesPerSecond?: number;
  /** A connection is reset when so many bytes have passed. */
  cutAfterBytes?: number;
  /** What arrives this way is swallowed, while the connection stays. */
  swallow?: 'to' | 'from' | 'both';
  /** All connections end now, and none is taken until the next weather. */
  down?: true;
}

/** Since the start. */
export interface Passed {
  connections: number;
  bytes: number;
  cuts: number;
  swallowed: number;
}

const [port = '', target = '', targetPort = ''] = process.argv.slice(2);
const passed: Passed = { connections: 0, bytes: 0, cuts: 0, swallowed: 0 };
const pairs = new Set<() => void>();
let weather: Weather = {};

const server = createServer((client) => {
  if (weather.down) return void client.resetAndDestroy();
  passed.connections++;
  const upstream = connect(Number(targetPort), target);
  let bytes = 0;
  const cut = () => {
    pairs.delete(cut);
    for (const socket of [client, upstream]) socket.resetAndDestroy();
  };
  pairs.add(cut);
  const count = (length: number) => {
    bytes += length;
    passed.bytes += length;
    if (bytes < (weather.cutAfterBytes ?? Number.POSITIVE_INFINITY)) return;
    passed.cuts++;
    cut();
  };
  pass(client, upstream, 'to', count);
  pass(upstream, client, 'from', count);
  for (const socket of [client, upstream]) socket.on('error', cut).on('close', cut);
});
server.listen(Number(port), '0.0.0.0', () => process.send?.(passed));

/** One direction, in order. */
function pass(from: Socket, to: Socket, way: 'to' | 'from', count: (length: number) => void): void {
  let order = Promise.resolve();
  from.on('data', (data) => {
    if (weather.swallow === 'both' || weather.swallow === way) {
      passed.swallowed += data.length;
      return;
    }
    const { delayMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = weather;
    const arrived = new Promise((resolve) => setTimeout(resolve, delayMs));
    from.pause();
    order = order
      .then(() => new Promise((resolve) => setTimeout(resolve, (data.length / bytesPerSecond) * 1000)))
      .then(() => arrived)
      .then(() => {
        if (to.destroyed) return;
        to.write(data);
        count(data.length);
      });
    // Throttled ones are not read on until what came has gone; delayed ones are.
    (bytesPerSecond === Number.POSITIVE_INFINITY ? Promise.resolve() : order).then(() => from.resume());
  });
}

process.on('message', (next: Weather) => {
  weather = next;
  if (weather.down) for (const cut of pairs) cut();
  process.send?.(passed);
});
process.on('disconnect', () => process.exit(0));
