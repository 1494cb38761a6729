import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Passed, Weather } from '../net/line.js';
import type { Host } from '../system/namespaces.js';

const PROGRAM = fileURLToPath(new URL('./bad-line-server.js', import.meta.url));

/** A bad network between others and one address; see bad-line-server.ts. Goes with the host that it runs on. */
export class BadLine {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  /** @param target the address that it stands for, and its port */
  static async start(host: Host, port: number, target: { address: string; port: number }): Promise<BadLine> {
    const child = host.spawn(process.execPath, [PROGRAM, `${port}`, target.address, `${target.port}`], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    return new BadLine(child);
  }

  /** @returns what it has done so far */
  async set(weather: Weather): Promise<Passed> {
    const answer = once(this.child, 'message');
    this.child.send(weather);
    const [passed] = (await answer) as [Passed];
    return passed;
  }

  close(): void {
    if (this.child.connected) this.child.disconnect();
  }
}
