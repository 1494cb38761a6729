import { createWriteStream, fstatSync, readFileSync, type WriteStream, writeSync } from 'node:fs';
import { makeLog, messageOf, plainError } from '../base/index.js';
import { LogFile } from './log-file.js';
import { type DaemonOrder, type DaemonReady, READY_DESCRIPTOR } from './order.js';
import { establish } from './origin.js';
import { type RunningPod, startPod } from './pod.js';

// The process of one pod. `wh` gives it its order on standard input (an invite's code is nobody else's business,
// and arguments can be read by everyone) and reads one line from it: that the pod serves, or why it cannot.

const STDOUT_IS_FILE = fstatSync(process.stdout.fd).isFile();
// Whoever reads may be gone; libraries that complain on a full disk must not end the process.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
let logFile: LogFile | undefined;
const log = makeLog(
  (line) => {
    print(line);
    logFile?.written(line.length);
  },
  process.env['WH_LOG'] === 'debug' ? 'debug' : 'info',
);
const report = openReport();
let pod: RunningPod | undefined;
let stopping: Promise<void> | undefined;

// A broken invariant ends the process with its reason (contract D23); the journal and the watchdog see to it
// that nothing acknowledged is lost and no dead mount stays behind.
process.on('uncaughtException', (error) => {
  log.error('a broken invariant ends this daemon', { error, stack: error.stack });
  process.exit(70);
});

function stop(reason: string): Promise<void> {
  stopping ??= (async () => {
    log.info('stopping', { reason });
    await pod?.stop();
    log.info('stopped');
  })();
  return stopping;
}

function stopAndExit(reason: string): void {
  stop(reason).then(
    () => process.exit(0),
    (error) => {
      log.error('stopping failed', { error });
      process.exit(1);
    },
  );
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stopAndExit(signal));

try {
  const order = JSON.parse(readFileSync(0, 'utf8')) as DaemonOrder;
  const paths = await establish(order, log);
  logFile = new LogFile(paths.log);
  pod = await startPod(paths, log, stopAndExit);
  const ready: DaemonReady = pod.ready;
  log.info('serving', { ...ready });
  report?.end(`${JSON.stringify({ ready })}\n`);
} catch (error) {
  log.error('cannot start', {
    reason: messageOf(error),
    stack: error instanceof Error ? error.stack : undefined,
  });
  const line = `${JSON.stringify({ error: plainError(error) })}\n`;
  if (report === undefined) process.exit(1);
  report.end(line, () => process.exit(1));
}

/** To the log's file, or to whoever reads. A disk without room for it costs the line, and nothing else. */
function print(line: string): void {
  if (!STDOUT_IS_FILE) {
    process.stdout.write(line);
    return;
  }
  try {
    writeSync(process.stdout.fd, line);
  } catch {
    // The next one may find room.
  }
}

/** The descriptor on which whoever started this daemon listens, if somebody does. */
function openReport(): WriteStream | undefined {
  const descriptor = Number(process.env[READY_DESCRIPTOR] ?? '');
  if (!Number.isInteger(descriptor) || descriptor < 3) return undefined;
  const stream = createWriteStream('', { fd: descriptor });
  // Whoever listened may be gone; that is no reason to stop serving.
  stream.on('error', () => {});
  return stream;
}
