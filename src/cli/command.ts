import { exitCodeOf, plainError, WormholeError } from '../base/index.js';
import { callDaemon } from '../daemon/client.js';
import type { ControlCalls, ControlName } from '../daemon/control.js';
import { wormholeHome } from '../daemon/home.js';
import { type Definitions, Flags, type Values } from './definitions.js';
import { choosePod, type Pod } from './pods.js';
import { readWords } from './words.js';

type BaseFlags = typeof WormholeCommand.baseFlags;

/** What every command of `wh` shares: `--json`, `--network`, one shape of error, honest exit codes. */
export abstract class WormholeCommand {
  // What oclif shows as help.
  static summary: string;
  static description?: string;
  static examples: string[] = [];
  static flags: Definitions['flags'] = {};
  static args: Definitions['args'] = {};
  static baseFlags = {
    json: Flags.boolean({ description: 'print the result as JSON', helpGroup: 'GLOBAL' }),
    network: Flags.string({
      description: 'which network, where this machine is in several',
      helpValue: 'NAME',
      helpGroup: 'GLOBAL',
    }),
  };

  /** The words after the command's name. */
  protected readonly argv: readonly string[];
  private readonly cancelled = new AbortController();

  /** Does what the words say; how it ended is told by the process' exit code. */
  static async run(
    this: new (
      argv: readonly string[],
    ) => WormholeCommand,
    argv: readonly string[],
  ): Promise<void> {
    const command = new this(argv);
    try {
      await command.run();
    } catch (error) {
      command.report(error as Error);
    }
  }

  constructor(argv: readonly string[]) {
    this.argv = argv;
  }

  protected abstract run(): Promise<void>;

  /** What was given for the definitions of a command. @throws Error of oclif, with what is wrong */
  protected async parse<F extends Definitions['flags'], A extends Definitions['args']>(command: {
    flags: F;
    args: A;
  }): Promise<{ flags: Values<F> & Values<BaseFlags>; args: Values<A> }> {
    const { args } = command;
    const given = await readWords(this.argv, {
      flags: { ...command.flags, ...WormholeCommand.baseFlags },
      args,
    });
    return given as { flags: Values<F> & Values<BaseFlags>; args: Values<A> };
  }

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
  private report(error: Error & { oclif?: unknown }): void {
    const ofOclif = error.oclif !== undefined && !(error instanceof WormholeError);
    if (this.argv.includes('--json') && !ofOclif) {
      process.stdout.write(`${JSON.stringify({ error: plainError(error) }, undefined, 2)}\n`);
    }
    process.stderr.write(`wh: ${error.message}\n`);
    process.exitCode = ofOclif ? 2 : exitCodeOf(error);
  }
}
