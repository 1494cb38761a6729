import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** How connections fare from now on, also those that are there already. */
export interface Weather {
  /** What arrives is passed on so much later. */
  delayMs?: number;
  /** Bytes per second, each way. */
  bytesPerSecond?: number;
  /** A connection ends when so many bytes have passed. */
  cutAfterBytes?: number;
  /** Of the piece with which so many bytes would have passed only the first half does; then the connection ends. */
  halveAfterBytes?: number;
  /** What arrives this way is swallowed, while the connection stays. */
  swallow?: Way;
  /** What arrives this way waits for another weather, as behind a cable that is out for a moment. */
  hold?: Way;
  /** Connections wait until there are so many, or for a moment; then they get through one by one, the last first. */
  reorder?: number;
  /** All connections end now, and none is taken until the next weather. */
  down?: true;
}

/** From who dials to who listens, the other way, or both. */
export type Way = 'to' | 'from' | 'both';

/** Since the start. */
export interface Passed {
  connections: number;
  bytes: number;
  cuts: number;
  halves: number;
  swallowed: number;
  /** Bytes that had to wait for another weather. */
  held: number;
  /** Connections that got through before one that was there earlier. */
  overtook: number;
}

export interface LineOptions {
  listen: { host: string; port: number };
  /** `from`: the address that it seems to come from. */
  target: { host: string; port: number; from?: string };
  /** Lines that share one reorder connections among each other. */
  turnstile?: Turnstile;
}

const REORDER_WITHIN_MS = 400;
/** Long enough for a TLS handshake to be ahead of the next. */
const REORDER_STEP_MS = 30;

/** Lets connections through the last first. */
export class Turnstile {
  private readonly waiting: ((overtakes: boolean) => void)[] = [];

  /** Calls back when it is this connection's turn, which is once so many wait, or after a moment. */
  pass(count: number, through: (overtakes: boolean) => void): void {
    if (this.waiting.length === 0) setTimeout(() => this.open(), REORDER_WITHIN_MS);
    this.waiting.push(through);
    if (this.waiting.length >= count) this.open();
  }

  private open(): void {
    const turns = this.waiting.splice(0).reverse();
    for (const [index, through] of turns.entries())
      setTimeout(() => through(index < turns.length - 1), index * REORDER_STEP_MS);
  }
}

/** A TCP line to one address that does to connections what bad networks do. */
export class Line {
  readonly passed: Passed = {
    connections: 0,
    bytes: 0,
    cuts: 0,
    halves: 0,
    swallowed: 0,
    held: 0,
    overtook: 0,
  };
  private weather: Weather = {};
  private readonly options: LineOptions;
  private readonly turnstile: Turnstile;
  private readonly server: Server;
  private readonly cuts = new Set<() => void>();
  private readonly changes = new Set<() => void>();

  private constructor(options: LineOptions) {
    this.options = options;
    this.turnstile = options.turnstile ?? new Turnstile();
    this.server = createServer((client) => this.take(client));
  }

  static open(options: LineOptions): Promise<Line> {
    const line = new Line(options);
    return new Promise((resolve, reject) => {
      line.server.once('error', reject);
      line.server.listen(options.listen, () => resolve(line));
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  set(weather: Weather): void {
    this.weather = weather;
    if (weather.down) for (const cut of this.cuts) cut();
    for (const changed of [...this.changes]) changed();
  }

  close(): void {
    this.server.close();
    this.set({ down: true });
  }

  private take(client: Socket): void {
    client.on('error', () => client.destroy());
    const { reorder, down } = this.weather;
    if (down) {
      client.destroy();
      return;
    }
    this.passed.connections++;
    const drop = () => client.destroy();
    this.cuts.add(drop);
    client.on('close', () => this.cuts.delete(drop));
    if (reorder === undefined) {
      this.join(client);
      return;
    }
    client.pause();
    this.turnstile.pass(reorder, (overtakes) => {
      if (overtakes) this.passed.overtook++;
      this.join(client);
    });
  }

  private join(client: Socket): void {
    if (client.destroyed) return;
    const { host, port, from } = this.options.target;
    const upstream = connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) });
    const cut = () => {
      this.cuts.delete(cut);
      for (const socket of [client, upstream]) socket.destroy();
    };
    this.cuts.add(cut);
    const connection = { bytes: 0, cut };
    this.carry(client, upstream, 'to', connection);
    this.carry(upstream, client, 'from', connection);
    for (const socket of [client, upstream]) socket.on('error', cut).on('close', cut);
  }

  /** One direction, in order. */
  private carry(from: Socket, to: Socket, way: 'to' | 'from', connection: Connection): void {
    let order = Promise.resolve();
    from.on('data', (data) => {
      const { swallow, delayMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = this.weather;
      if (swallow === 'both' || swallow === way) {
        this.passed.swallowed += data.length;
        return;
      }
      const arrived = delay(delayMs);
      const patient = bytesPerSecond === Number.POSITIVE_INFINITY && !this.holds(way);
      order = order
        .then(() => delay((data.length / bytesPerSecond) * 1000))
        .then(() => arrived)
        .then(() => this.released(way, data.length))
        .then(() => {
          if (!to.destroyed) this.pass(data, to, connection);
        });
      if (patient) return;
      // What is throttled or held is not read on until what came has gone; what is delayed is.
      from.pause();
      order.then(() => from.resume());
    });
    from.resume();
  }

  private pass(data: Buffer, to: Socket, connection: Connection): void {
    const { cutAfterBytes, halveAfterBytes } = this.weather;
    const half = connection.bytes + data.length >= (halveAfterBytes ?? Number.POSITIVE_INFINITY);
    const piece = half ? data.subarray(0, data.length >> 1) : data;
    connection.bytes += piece.length;
    this.passed.bytes += piece.length;
    if (half) {
      this.passed.halves++;
      to.end(piece, () => connection.cut());
      return;
    }
    to.write(piece);
    if (connection.bytes < (cutAfterBytes ?? Number.POSITIVE_INFINITY)) return;
    this.passed.cuts++;
    connection.cut();
  }

  private holds(way: 'to' | 'from'): boolean {
    return this.weather.hold === 'both' || this.weather.hold === way;
  }

  private async released(way: 'to' | 'from', length: number): Promise<void> {
    if (this.holds(way)) this.passed.held += length;
    while (this.holds(way)) await this.changed();
  }

  private changed(): Promise<void> {
    return new Promise((resolve) => {
      const changed = () => {
        this.changes.delete(changed);
        resolve();
      };
      this.changes.add(changed);
    });
  }
}

interface Connection {
  /** Passed so far, both ways. */
  bytes: number;
  cut: () => void;
}

function delay(ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
