import { readFileSync } from 'node:fs';
import { formatSeconds, messageOf, WormholeError } from '../base/index.js';
import { formatSize, type NetworkConfig, parseNetworkConfig } from '../config/index.js';
import type { ConfigPlan, SettingChange } from '../daemon/control.js';
import { formatTable } from './output.js';

/** Reads and checks a declaration. @throws WormholeError `usage` when there is none, `config` with pictures */
export function readDeclaration(file: string): { text: string; config: NetworkConfig } {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new WormholeError('usage', `${file} cannot be read: ${messageOf(error)}.`);
  }
  return { text, config: parseNetworkConfig(text, file) };
}

/** A plan as people read it. */
export function planText(plan: ConfigPlan): string {
  if (plan.changes.length === 0) return `Nothing changes.\n${unmetText(plan.unmet)}`;
  const { make, drop, seconds } = plan;
  const time = seconds === null ? '' : `, about ${formatSeconds(seconds)} at the present rate`;
  const moves =
    make.copies + drop.copies === 0
      ? 'No copy has to move.\n'
      : `${plan.files} files: ${make.copies} copies to make (${formatSize(make.bytes)}${time}), ${drop.copies} to drop (${formatSize(drop.bytes)})\n${podsText(plan)}`;
  return changesText(plan.changes) + moves + unmetText(plan.unmet);
}

export function changesText(changes: readonly SettingChange[]): string {
  return changes
    .map(({ setting, from, to }) => {
      if (from === null) return `+ ${setting}: ${to}\n`;
      if (to === null) return `- ${setting}: ${from}\n`;
      return `~ ${setting}: ${from} -> ${to}\n`;
    })
    .join('');
}

export function unmetText(unmet: readonly string[]): string {
  return unmet.map((sentence) => `! ${sentence}\n`).join('');
}

function podsText(plan: ConfigPlan): string {
  const rows = plan.pods.map(({ name, receive, drop, holds, capacity }) => [
    `  ${name}`,
    `+${formatSize(receive)}`,
    `-${formatSize(drop)}`,
    `then ${formatSize(holds)}`,
    capacity === null ? '' : `of ${formatSize(capacity)}`,
  ]);
  return formatTable(rows, [1, 2, 3]);
}
