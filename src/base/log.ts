export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A logger with the part's name already filled in. Fields are plain values; never secrets or file contents. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
  /** A logger for a part of this part. */
  part(name: string): Log;
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A logger that writes one line an entry: `time level part message key=value …`. */
export function makeLog(write: (line: string) => void, level: LogLevel = 'info', part = ''): Log {
  const entry = (at: LogLevel) => (message: string, fields?: Record<string, unknown>) => {
    if (RANK[at] < RANK[level]) return;
    const rest =
      fields === undefined
        ? ''
        : Object.entries(fields)
            .map(([k, v]) => ` ${k}=${show(v)}`)
            .join('');
    write(`${new Date().toISOString()} ${at.padEnd(5)} ${part === '' ? '-' : part} ${message}${rest}\n`);
  };
  return {
    debug: entry('debug'),
    info: entry('info'),
    warn: entry('warn'),
    error: entry('error'),
    part: (name) => makeLog(write, level, part === '' ? name : `${part}.${name}`),
  };
}

export const silentLog: Log = makeLog(() => {});

function show(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === 'bigint') return value.toString();
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value)
    ? value
    : (JSON.stringify(value) ?? 'undefined');
}
