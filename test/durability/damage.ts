/** What a bad disk or a bad copy does to bytes that lay still. Pure: bytes in, bytes out. */

export const DAMAGES = ['flip', 'cut', 'zero', 'repeat'] as const;

export interface Damage {
  kind: (typeof DAMAGES)[number];
  /** Offset in the file. */
  at: number;
  /** Of `zero` and `repeat`: bytes. */
  length: number;
}

/** The bytes as the damage leaves them; the same bytes where it does nothing. */
export function damaged(bytes: Buffer, { kind, at, length }: Damage): Buffer {
  const end = Math.min(at + length, bytes.length);
  switch (kind) {
    case 'flip': {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      return changed;
    }
    case 'cut':
      return Buffer.from(bytes.subarray(0, at));
    case 'zero':
      return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(end - at), bytes.subarray(end)]);
    case 'repeat':
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
  }
}

export function describeDamage({ kind, at, length }: Damage): string {
  return kind === 'flip' || kind === 'cut' ? `${kind} at ${at}` : `${kind} ${length} bytes at ${at}`;
}
