/** Why another system could not hold a name that is fine here. */
export type NameProblem =
  /** Differs from another one in the folder by nothing but case, or by Unicode form. */
  | 'case'
  | 'unicode'
  /** A character, an end or a name that Windows keeps for itself. */
  | 'characters'
  | 'ending'
  | 'reserved';

export interface NameReport {
  name: string;
  problem: NameProblem;
  /** The other name, for `case` and `unicode`. */
  like?: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what other systems refuse
const CHARACTERS = /[\u0000-\u001f<>:"\\|?*]/;
const ENDING = /[. ]$/;
const RESERVED = /^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)/i;

/** The names of one folder that macOS or Windows could not hold, or not beside each other. Here they are all kept
 *  apart, byte by byte. */
export function unportableNames(names: readonly string[]): NameReport[] {
  const found: NameReport[] = [];
  const forms = new Map<string, string>();
  const cases = new Map<string, string>();
  for (const name of names) {
    if (CHARACTERS.test(name)) found.push({ name, problem: 'characters' });
    else if (ENDING.test(name)) found.push({ name, problem: 'ending' });
    else if (RESERVED.test(name)) found.push({ name, problem: 'reserved' });
    const form = name.normalize('NFC');
    const folded = form.toLowerCase();
    const [sameForm, sameCase] = [forms.get(form), cases.get(folded)];
    if (sameForm !== undefined) found.push({ name, problem: 'unicode', like: sameForm });
    else if (sameCase !== undefined) found.push({ name, problem: 'case', like: sameCase });
    if (sameForm === undefined) forms.set(form, name);
    if (sameCase === undefined) cases.set(folded, name);
  }
  return found;
}
