/** A name for a pod, a network or a zone: it appears in file names, so it is short and plain. */
export function isPodName(name: string): boolean {
  return /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,62}$/u.test(name);
}

/** `host:port`, with IPv6 in brackets. */
export function parseAddress(address: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.%\w]+\]|[^\s:[\]/]+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  return match !== null && port >= 1 && port <= 65_535 ? address : undefined;
}
