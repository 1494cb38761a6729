import { readFileSync } from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/base/index.js';
import { decodeHeader } from '../../src/store/record-frame.js';
import { scanSegment } from '../../src/store/record-scan.js';
import { type Damage, damaged, describeDamage } from './damage.js';
import type { Sample } from './damaged-pod.js';
import type { Answer } from './look-inside.js';
import type { Looker } from './looker.js';

/** What came of a damage: nothing, as the pod served all the same; it said what is wrong; or it refused to start. */
export type Outcome = 'unharmed' | 'served' | 'told' | 'refused';

export interface Verdict {
  outcome: Outcome;
  complaints: string[];
}

/** Codes with which a pod may refuse to start, each with a sentence that names what is wrong. */
const REFUSALS = new Set(['corrupt', 'newer-format']);

/** What a log says that is worth a look, without times and figures. */
function wordsOf(log: string): string[] {
  return log
    .split('\n')
    .flatMap((line) => /^\S+ (?:warn|error) +(.*)/.exec(line)?.[1]?.replace(/ \w+=.*/, '') ?? []);
}

/** Opens a copy of the sample of which one file is damaged, and judges what becomes of what was acknowledged. */
export async function lookAt(
  sample: Sample,
  file: string,
  damage: Damage,
  { looker, scratch }: { looker: Looker; scratch: string },
): Promise<Verdict> {
  const whole = readFileSync(join(sample.folder, file));
  const bytes = damaged(whole, damage);
  if (bytes.equals(whole)) return { outcome: 'unharmed', complaints: [] };
  const folder = join(scratch, 'damaged');
  await rm(folder, { recursive: true, force: true });
  await cp(sample.folder, folder, { recursive: true });
  await writeFile(join(folder, file), bytes);
  const verdict = await judge(sample, folder, looker, async () => writeFile(join(folder, file), whole));
  // A log that ends between two records is one in which they were not written yet: no log can tell.
  if (damage.kind === 'cut' && endsBetweenRecords(file, bytes)) verdict.complaints = [];
  const where = `${file}, ${describeDamage(damage)}`;
  return { ...verdict, complaints: verdict.complaints.map((complaint) => `${where}: ${complaint}`) };
}

function endsBetweenRecords(file: string, bytes: Buffer): boolean {
  const first = /(\d{16})\.log$/.exec(file)?.[1];
  const header = decodeHeader(bytes);
  if (first === undefined || header === undefined) return first !== undefined && bytes.length === 0;
  return scanSegment(bytes, header.tag, Number(first))?.whole === true;
}

async function judge(
  sample: Sample,
  folder: string,
  looker: Looker,
  restore: () => Promise<void>,
): Promise<Verdict> {
  const paths = [...sample.files.keys()];
  const question = { folder, paths, whole: true, ailing: true };
  let answer: Answer;
  try {
    answer = await looker.ask(question);
  } catch (error) {
    return { outcome: 'refused', complaints: [messageOf(error)] };
  }
  if (answer.failed === undefined) return judgeServed(sample, answer);
  const { code = '', message = '' } = answer.refusal ?? {};
  if (!REFUSALS.has(code) || message.length < 20) {
    return { outcome: 'refused', complaints: [`no clear word: ${answer.failed}\n${answer.log}`] };
  }
  // Whoever puts the file back has lost nothing.
  await restore();
  const again = await looker.ask(question);
  const lost = judgeServed(sample, again);
  const left =
    again.failed !== undefined || lost.outcome === 'told'
      ? [`not as before once it is put back: ${again.failed ?? again.log}`]
      : [];
  return { outcome: 'refused', complaints: [...left, ...lost.complaints] };
}

function judgeServed({ files, usual }: Sample, answer: Answer): Verdict {
  const complaints: string[] = [];
  let gone = 0;
  for (const [index, [path, bytes]] of [...files].entries()) {
    const seen = answer.seen[index];
    if (seen !== undefined && 'failed' in seen) {
      gone++;
    } else if (seen === undefined || !seen.equals(bytes)) {
      gone++;
      if (seen !== undefined && !isEarlier(path, seen))
        complaints.push(`wrong bytes in ${path} (${seen.length})`);
    }
  }
  const told = wordsOf(answer.log).some((words) => !usual.has(words)) || answer.troubles.length > 0;
  if (gone > 0 && !told)
    complaints.push(`${gone} files are gone or cannot be read, and nothing is said: ${answer.log}`);
  return { outcome: gone > 0 || told ? 'told' : 'served', complaints };
}

/** Made and not written yet, or as it was before: what a journal shows that ends earlier. */
function isEarlier(path: string, seen: Buffer): boolean {
  return seen.length === 0 || (path === 'replaced' && seen.length === 500);
}
