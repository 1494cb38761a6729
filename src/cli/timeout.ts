import { WormholeError } from '../base/index.js';
import { parseDuration } from '../config/index.js';
import { Flags } from './definitions.js';

export const timeoutFlag = Flags.string({
  description: 'give up after this long, with exit code 3',
  helpValue: '30s',
});

/** Milliseconds, or null without the flag. @throws WormholeError `usage` */
export function timeoutMsOf(flag: string | undefined): number | null {
  if (flag === undefined) return null;
  const timeoutMs = parseDuration(flag);
  if (timeoutMs !== undefined) return timeoutMs;
  throw new WormholeError('usage', `--timeout ${flag} is not a duration: write 30s or 5m.`);
}
