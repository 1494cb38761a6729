import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Log, plainError, WormholeError } from '../base/index.js';
import { shortSocketPath } from './client.js';
import type { ControlCalls, ControlLine, ControlName } from './control.js';

export type ControlHandlers = {
  [Name in ControlName]: (
    args: ControlCalls[Name]['arguments'],
    context: { progress(line: string): void; signal: AbortSignal },
  ) => Promise<ControlCalls[Name]['result']> | ControlCalls[Name]['result'];
};

/** A declaration fits, as JSON. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

/** Listens on the control socket, mode 0600. The store's lock is held, so a socket that lies there is stale. */
export async function serveControl(socket: string, handlers: ControlHandlers, log: Log): Promise<Server> {
  rmSync(socket, { force: true });
  const server = createServer((request, response) => {
    answer(request, response, handlers).catch((error) => {
      log.error('a control call failed', { error });
      response.destroy();
    });
  });
  const short = shortSocketPath(socket);
  // Nobody else may connect in the moment between bind and chmod.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(short.path, resolve);
    });
  } finally {
    process.umask(before);
    short.done();
  }
  chmodSync(socket, 0o600);
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: ControlHandlers,
): Promise<void> {
  const abort = new AbortController();
  response.on('close', () => abort.abort(new WormholeError('interrupted', 'the caller went away')));
  const say = (line: ControlLine) => response.write(`${JSON.stringify(line)}\n`);
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  try {
    const name = (request.url ?? '').slice(1);
    if (!Object.hasOwn(handlers, name)) {
      throw new WormholeError(
        'usage',
        `this daemon does not know "${name}": it is of another version than this wh; restart it.`,
      );
    }
    const handler = handlers[name as ControlName] as (args: unknown, context: unknown) => unknown;
    const args = JSON.parse(await bodyOf(request));
    const result = await handler(args, {
      progress: (line: string) => say({ progress: line }),
      signal: abort.signal,
    });
    say({ result });
  } catch (error) {
    say({ error: plainError(error) });
  }
  response.end();
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) throw new WormholeError('usage', 'this call is too long.');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
