/**
 * One error class with a closed set of codes. Programs decide by `code`, people read `message`, which says
 * what to do next; the kernel gets `errnoOf(code)`, the shell `exitCodeOf(code)`. Nobody matches on text.
 */
export const ERROR_CODES = {
  // code: [errno name for the kernel, exit code of `wh`]
  'not-found': ['ENOENT', 10],
  exists: ['EEXIST', 1],
  'not-empty': ['ENOTEMPTY', 1],
  'not-a-directory': ['ENOTDIR', 1],
  'is-a-directory': ['EISDIR', 1],
  invalid: ['EINVAL', 2],
  'name-too-long': ['ENAMETOOLONG', 1],
  'bad-name': ['EILSEQ', 1],
  'too-large': ['EFBIG', 1],
  'too-many-links': ['EMLINK', 1],
  'not-permitted': ['EPERM', 1],
  'read-only': ['EROFS', 1],
  'no-attribute': ['ENODATA', 1],
  'range-too-small': ['ERANGE', 1],
  'not-supported': ['ENOTSUP', 1],
  'bad-handle': ['EBADF', 1],
  busy: ['EBUSY', 1],
  full: ['ENOSPC', 1],
  io: ['EIO', 1],
  /** No holder of the bytes can be reached now. */
  unreachable: ['EIO', 3],
  corrupt: ['EIO', 1],
  /** The store was written by a newer version. */
  'newer-format': ['EIO', 1],
  interrupted: ['EINTR', 130],
  timeout: ['EIO', 3],
  usage: ['EINVAL', 2],
  config: ['EINVAL', 2],
  'no-network': ['ENOENT', 10],
  'no-pod': ['ENOENT', 10],
  locked: ['EBUSY', 11],
  'already-running': ['EBUSY', 11],
  'not-member': ['EACCES', 12],
  'invite-invalid': ['EACCES', 12],
  'port-busy': ['EBUSY', 1],
  'mount-point': ['EINVAL', 1],
  'no-fuse': ['ENODEV', 1],
  protocol: ['EIO', 1],
  closed: ['EIO', 1],
  internal: ['EIO', 1],
} as const satisfies Record<string, readonly [string, number]>;

export type ErrorCode = keyof typeof ERROR_CODES;

export class WormholeError extends Error {
  override readonly name = 'WormholeError';
  readonly code: ErrorCode;

  /** @param message one sentence for people that says what to do next */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The errno name (`ENOENT`) that the kernel is answered with for any thrown value. */
export function errnoOf(error: unknown): string {
  if (error instanceof WormholeError) return ERROR_CODES[error.code][0];
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return code;
  return 'EIO';
}

/** The exit code of `wh` for any thrown value (CLI.md: 0 1 2 3 10 11 12 130). */
export function exitCodeOf(error: unknown): number {
  return error instanceof WormholeError ? ERROR_CODES[error.code][1] : 1;
}

/** The sentence for people of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Rebuilds an error that crossed a thread, a socket or a link as `{code, message}`. */
export function errorFrom(plain: { code?: unknown; message?: unknown }): WormholeError {
  const code =
    typeof plain.code === 'string' && plain.code in ERROR_CODES ? (plain.code as ErrorCode) : 'internal';
  return new WormholeError(code, typeof plain.message === 'string' ? plain.message : 'unknown error');
}

/** The shape in which an error crosses a thread, a socket or a link. */
export function plainError(error: unknown): { code: ErrorCode; message: string } {
  return { code: error instanceof WormholeError ? error.code : 'internal', message: messageOf(error) };
}
