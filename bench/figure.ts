/** One measured figure, with what it is held against. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** What the issue asks for, as a person reads it, and whether it is met. */
  target?: { text: string; met: boolean };
  /** The same measured on something real in the same run. */
  beside?: { name: string; value: number; ratio: number };
  note?: string;
}

export interface ScenarioOptions {
  /** Size of the tree, where the scenario is about that. */
  files?: number;
  /** The sizes of the targets, where the usual ones are smaller because a peer takes many minutes for them. */
  full?: boolean;
}

export interface Scenario {
  name: string;
  run(options: ScenarioOptions): Promise<Figure[]>;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function atLeast(limit: number, value: number, unit: string): NonNullable<Figure['target']> {
  return { text: `>= ${limit} ${unit}`, met: value >= limit };
}

export function atMost(limit: number, value: number, unit: string): NonNullable<Figure['target']> {
  return { text: `<= ${limit} ${unit}`, met: value <= limit };
}

export function formatFigures(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${round(figure.value)} ${figure.unit}`,
    figure.target === undefined ? '' : `${figure.target.text} ${figure.target.met ? 'met' : 'MISSED'}`,
    figure.beside === undefined
      ? ''
      : `${round(figure.beside.ratio)}x of ${figure.beside.name} (${round(figure.beside.value)})`,
    figure.note ?? '',
  ]);
  const all = [['figure', 'value', 'target', 'beside', ''], ...rows];
  const widths = [0, 1, 2, 3].map((i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function round(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
