// Looks at the memory of another Node process by its inspector, which SIGUSR1 starts: `heap-look PID`. Has garbage
// collected on all of its threads, then prints what is used of their heaps: `{main, threads: {program: bytes}}`.
// Runs in the network namespace of that process, since the inspector listens on its loopback.
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';

const INSPECTOR = 'http://127.0.0.1:9229/json/list';
const STARTS_WITHIN_MS = 10_000;

interface Message {
  id?: number;
  method?: string;
  params?: { sessionId?: string; message?: string; workerInfo?: { url: string } };
  result?: unknown;
}

/** Asks one isolate; `send` carries a message to it. */
class Isolate {
  private readonly waiting = new Map<number, (result: unknown) => void>();
  private readonly send: (message: string) => void;
  private next = 1;

  constructor(send: (message: string) => void) {
    this.send = send;
  }

  ask(method: string, params: object = {}): Promise<unknown> {
    const id = this.next++;
    const answer = new Promise((resolve) => this.waiting.set(id, resolve));
    this.send(JSON.stringify({ id, method, params }));
    return answer;
  }

  take(message: Message): void {
    if (message.id !== undefined) this.waiting.get(message.id)?.(message.result);
  }

  async used(): Promise<number> {
    await this.ask('HeapProfiler.collectGarbage');
    return ((await this.ask('Runtime.getHeapUsage')) as { usedSize: number }).usedSize;
  }
}

async function inspectorOf(pid: number): Promise<string> {
  process.kill(pid, 'SIGUSR1');
  const end = performance.now() + STARTS_WITHIN_MS;
  for (;;) {
    try {
      const [target] = (await (await fetch(INSPECTOR)).json()) as { webSocketDebuggerUrl: string }[];
      if (target !== undefined) return target.webSocketDebuggerUrl;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await delay(100);
  }
}

async function look(pid: number): Promise<{ main: number; threads: Record<string, number> }> {
  const socket = new WebSocket(await inspectorOf(pid));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const main = new Isolate((message) => socket.send(message));
  const threads = new Map<string, { title: string; isolate: Isolate }>();
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as Message;
    const { sessionId = '', workerInfo, message: inner = '' } = message.params ?? {};
    if (message.method === 'NodeWorker.attachedToWorker' && workerInfo !== undefined) {
      const send = (text: string) =>
        void main.ask('NodeWorker.sendMessageToWorker', { sessionId, message: text });
      const title = workerInfo.url.split('/').slice(-2).join('/');
      threads.set(sessionId, { title, isolate: new Isolate(send) });
    } else if (message.method === 'NodeWorker.receivedMessageFromWorker') {
      threads.get(sessionId)?.isolate.take(JSON.parse(inner) as Message);
    } else main.take(message);
  });
  // It is answered once those that run were told of.
  await main.ask('NodeWorker.enable', { waitForDebuggerOnStart: false });
  const used: Record<string, number> = {};
  for (const { title, isolate } of threads.values()) used[title] = await isolate.used();
  const result = { main: await main.used(), threads: used };
  await main.ask('NodeWorker.disable');
  socket.terminate();
  return result;
}

writeSync(1, `${JSON.stringify(await look(Number(process.argv[2])))}\n`);
process.exit(0);
