import { Command, Flags } from '@oclif/core';
import { exitCodeOf, plainError, WormholeError } from '../base/index.js';
import { callDaemon } from '../daemon/client.js';
import type { ControlCalls, ControlName } from '../daemon/control.js';
import { wormholeHome } from '../daemon/home.js';
import { choosePod, type Pod } from './pods.js';

/** What every command of `wh` shares: `--json`, `--network`, one shape of error, honest exit codes. */
export abstract class WormholeCommand extends Command {
  static override enableJsonFlag = false;

  static override baseFlags = {
    json: Flags.boolean({ description: 'print the result as JSON', helpGroup: 'GLOBAL' }),
    network: Flags.string({
      description: 'which network, where this machine is in several',
      helpValue: 'NAME',
      helpGroup: 'GLOBAL',
    }),
  };

  private readonly cancelled = new AbortController();

  /** The pod that a command is about. @throws WormholeError `no-network` | `usage` */
  protected pod(network: string | undefined, path?: string): Pod {
    return choosePod(wormholeHome(), network, path);
  }

  /** Asks the pod's daemon; lines of progress go to standard error; Ctrl-C cancels. */
  protected ask<Name extends ControlName>(
    pod: Pod,
    name: Name,
    args: ControlCalls[Name]['arguments'],
  ): Promise<ControlCalls[Name]['result']> {
    const cancel = () => this.cancelled.abort(new WormholeError('interrupted', 'cancelled.'));
    process.once('SIGINT', cancel);
    const onProgress = (line: string) => {
      process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
    };
    return callDaemon(pod.paths.socket, name, args, { onProgress, signal: this.cancelled.signal }).finally(
      () => {
        process.removeListener('SIGINT', cancel);
        if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      },
    );
  }

  /** Prints the same data as JSON or as text. */
  protected show(json: boolean, data: unknown, text: () => string): void {
    process.stdout.write(json ? `${JSON.stringify(data, undefined, 2)}\n` : text());
  }

  /** One sentence on standard error (and the code, in JSON); the exit code tells programs. */
  protected override async catch(error: Error & { oclif?: unknown }): Promise<void> {
    const json = this.argv.includes('--json');
    if (error.oclif !== undefined && !(error instanceof WormholeError)) {
      // Help and version end by such an error too, with exit code 0.
      const exit = (error.oclif as { exit?: number }).exit ?? 2;
      if (exit === 0) return;
      process.stderr.write(`wh: ${error.message}\n`);
      process.exitCode = 2;
      return;
    }
    if (json) process.stdout.write(`${JSON.stringify({ error: plainError(error) }, undefined, 2)}\n`);
    process.stderr.write(`wh: ${error.message}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
