import { EventEmitter } from 'node:events';
import { Actor, onStage, type Stage } from './stage.js';

/** The thread that started another one, as that one sees it. */
export interface Port {
  on(event: 'message', listener: (message: never) => void): unknown;
  postMessage(message: unknown): void;
}

/** Runs a thread's program: what its file does when it is loaded in a thread. */
export type Program = (port: Port, settings: never, exit: (code: number) => void) => void;

/** A message to another thread takes so long, in milliseconds. */
const MESSAGE_MS = 0.05;

/** Programs of threads, by the end of their file's name. */
const programs = new Map<string, Program>();

export function addProgram(file: string, program: Program): void {
  programs.set(file, program);
}

/** A worker thread on the stage: an actor of its own that shares nothing but messages, which are copied. */
export class SimulatedThread extends EventEmitter {
  private readonly stage: Stage;
  private readonly owner: Actor;
  private readonly thread: Actor;
  private readonly inside = new EventEmitter();
  /** What came before the program began to listen. */
  private early: unknown[] | undefined = [];

  constructor(url: URL, options: { workerData: unknown }) {
    super();
    const here = onStage() as { stage: Stage; actor: Actor };
    const [file, program] = [...programs].find(([end]) => url.pathname.endsWith(end)) ?? [];
    if (file === undefined || program === undefined)
      throw new Error(`no program for the thread ${url.pathname}`);
    this.stage = here.stage;
    this.owner = here.actor;
    this.thread = new Actor(`${here.actor.name} ${file.split('/').at(-2)}`, here.actor.numbers, here.actor);
    const settings = structuredClone(options.workerData) as never;
    this.stage.after(this.thread, 1, () => {
      program(this.port(), settings, (code) => this.exit(code));
    });
  }

  postMessage(message: unknown): void {
    const copy = structuredClone(message);
    this.stage.after(this.thread, MESSAGE_MS, () => {
      if (this.early !== undefined) this.early.push(copy);
      else this.inside.emit('message', copy);
    });
  }

  unref(): void {}

  async terminate(): Promise<number> {
    this.exit(1);
    return 1;
  }

  private port(): Port {
    const port: Port = {
      on: (_, listener) => {
        this.inside.on('message', listener as (message: unknown) => void);
        this.stage.after(this.thread, 0, () => {
          const early = this.early ?? [];
          this.early = undefined;
          for (const message of early) this.inside.emit('message', message);
        });
        return port;
      },
      postMessage: (message) => {
        if (!this.thread.isAlive) return;
        const copy = structuredClone(message);
        this.stage.after(this.owner, MESSAGE_MS, () => this.emit('message', copy));
      },
    };
    return port;
  }

  private exit(code: number): void {
    if (!this.thread.isAlive) return;
    this.thread.end();
    this.stage.after(this.owner, MESSAGE_MS * 2, () => this.emit('exit', code));
  }
}
