import type { Transferred } from '../daemon/control.js';

/** Columns as wide as their widest cell; `right` names the columns that hold numbers. */
export function formatTable(rows: string[][], right: number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const line = (row: string[]) =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

const COLOURS = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

/** Colour on a terminal, unless NO_COLOR asks for none. */
export function colour(name: keyof typeof COLOURS, text: string): string {
  if (!process.stdout.isTTY || (process.env['NO_COLOR'] ?? '') !== '') return text;
  return `\x1b[${COLOURS[name]}m${text}\x1b[0m`;
}

/** `-rw-r--r--` */
export function formatMode(kind: string, mode: number): string {
  const types: Record<string, string> = {
    directory: 'd',
    symlink: 'l',
    fifo: 'p',
    socket: 's',
    character: 'c',
    block: 'b',
  };
  const triple = (bits: number, special: boolean, letter: string) =>
    `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${special ? (bits & 1 ? letter : letter.toUpperCase()) : bits & 1 ? 'x' : '-'}`;
  return (
    (types[kind] ?? '-') +
    triple(mode >> 6, (mode & 0o4000) !== 0, 's') +
    triple(mode >> 3, (mode & 0o2000) !== 0, 's') +
    triple(mode, (mode & 0o1000) !== 0, 't')
  );
}

/** What a bulk copy came to, and what it left. */
export function formatTransfer(where: string, transfer: Transferred): string {
  const { files, folders, bytes, already, left, leftCount } = transfer;
  const there = already === 0 ? '' : `; ${already} files were there already`;
  const lines = [
    `${files} files, ${folders} folders and ${(bytes / 1e6).toFixed(1)} MB copied ${where}${there}.`,
  ];
  if (leftCount > 0) lines.push(`${leftCount} left as they are:`);
  for (const { path, reason } of left) lines.push(`  ${path}: ${reason}`);
  if (leftCount > left.length) lines.push(`  and ${leftCount - left.length} more`);
  return `${lines.join('\n')}\n`;
}
