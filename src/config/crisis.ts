import { mapping, oneOf, oneOrMore, type Read, sequence, text } from './reader.js';
import { parseDuration } from './units.js';

/** Favourable: nothing lost and room to rebuild. Mixed: nothing lost, no room. Critical: files without a reachable
 *  copy, or fewer pods than a rule's `min-pods`. The worse come later. */
export const POSTURES = ['favourable', 'mixed', 'critical'] as const;
export type Posture = (typeof POSTURES)[number];

export const RESPONSES = ['continue', 'throttle', 'fewer-copies', 'read-only', 'stop'] as const;
/** What is done in a posture: nothing; repair slowly; make do with one copy less; refuse to write; refuse to open. */
export type Response = (typeof RESPONSES)[number];

export type CrisisResponses = Record<Posture, readonly Response[]>;

export interface Crisis extends CrisisResponses {
  /** Milliseconds for which a silent pod is asleep; then it is lost. */
  grace: number;
  /** Called when the posture changes: `exec:/absolute/path`, or a URL. */
  notify: readonly string[];
}

const response = oneOrMore('responses', oneOf(RESPONSES));

export const crisisKeys: Record<Posture, Read<readonly Response[]>> = {
  favourable: response,
  mixed: response,
  critical: response,
};

export const crisis = mapping<Crisis>({
  ...crisisKeys,
  grace: text('a duration', '15m', parseDuration),
  notify: sequence('commands and URLs', text('a command or URL', 'exec:/usr/local/bin/page-me', parseNotify)),
});

export function defaultCrisis(): Crisis {
  return {
    grace: 15 * 60_000,
    favourable: ['continue'],
    mixed: ['throttle'],
    critical: ['continue'],
    notify: [],
  };
}

function parseNotify(target: string): string | undefined {
  if (target.startsWith('exec:')) return target.startsWith('exec:/') ? target : undefined;
  return /^https?:\/\//.test(target) && URL.canParse(target) ? target : undefined;
}
