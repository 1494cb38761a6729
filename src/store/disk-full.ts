/** Whether the system refused bytes because the disk, or somebody's share of it, is full. */
export function isFull(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | null)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
