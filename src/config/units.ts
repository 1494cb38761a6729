/** Sizes, durations and rates as people write them. Pure: text in, number out, `undefined` when it is none. */

/** Bytes. */
const SIZE_UNITS: { readonly [unit: string]: number } = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
};

/** Milliseconds. */
const DURATION_UNITS: { readonly [unit: string]: number } = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `64MB`, `1.5TB`, `512 MiB` as bytes. The case of the unit does not matter. */
export function parseSize(text: string): number | undefined {
  return measure(text, SIZE_UNITS, true);
}

/** `30s`, `15m`, `12h`, `30d` as milliseconds. Units are lower case: `m` is minutes. */
export function parseDuration(text: string): number | undefined {
  return measure(text, DURATION_UNITS, false);
}

/** `20MB/s` as bytes per second; `none` is Infinity. */
export function parseRate(text: string): number | undefined {
  if (text.trim() === 'none') return Number.POSITIVE_INFINITY;
  const match = /^(.*)\/\s*s$/.exec(text.trim());
  return match === null ? undefined : parseSize(match[1] ?? '');
}

/** Milliseconds as `90s`, `15m`, `30d`: the largest unit that leaves nothing over. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  const units = ['d', 'h', 'm', 's', 'ms'];
  const unit = units.find((name) => ms % (DURATION_UNITS[name] ?? 1) === 0) ?? 'ms';
  return `${ms / (DURATION_UNITS[unit] ?? 1)}${unit}`;
}

/** Bytes per second as `20 MB/s`; no limit is `none`. */
export function formatRate(bytes: number): string {
  return Number.isFinite(bytes) ? `${formatSize(bytes)}/s` : 'none';
}

/** Bytes as `1.5 TB`, with powers of ten. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  // 999.95 would be shown as 1000.0 of the smaller unit.
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

function measure(
  text: string,
  units: { readonly [unit: string]: number },
  anyCase: boolean,
): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  if (match === null) return undefined;
  const wanted = match[2] ?? '';
  const unit = Object.keys(units).find(
    (name) => name === wanted || (anyCase && name.toLowerCase() === wanted.toLowerCase()),
  );
  if (unit === undefined) return undefined;
  const value = Math.round(Number(match[1]) * (units[unit] ?? 0));
  return Number.isSafeInteger(value) ? value : undefined;
}
