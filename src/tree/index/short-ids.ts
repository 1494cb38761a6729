import type { InodeId } from '../schema.js';
import type { NumberedTexts } from './numbered-texts.js';

/** Pod and start in an inode id: what all inodes of one start have in common. */
const START_CHARACTERS = 16;
const RADIX = 26;
const FIRST_LETTER = 65;

/**
 * The form of inode ids in the tables: their first sixteen characters, which all inodes of one pod's start have
 * in common, become a number in capital letters, which no id contains. Ids of any other form stay as they are.
 */
export class ShortIds {
  private readonly starts: NumberedTexts;

  constructor(starts: NumberedTexts) {
    this.starts = starts;
  }

  /** For writing. */
  shorten(id: InodeId): string {
    if (!isLong(id)) return id;
    return (
      lettersOf(this.starts.numberOf(id.slice(0, START_CHARACTERS))) + scattered(id.slice(START_CHARACTERS))
    );
  }

  /** For looking up; undefined when nothing can be stored under it. */
  find(id: InodeId): string | undefined {
    if (!isLong(id)) return id;
    const number = this.starts.knownNumberOf(id.slice(0, START_CHARACTERS));
    return number === undefined ? undefined : lettersOf(number) + scattered(id.slice(START_CHARACTERS));
  }

  restore(short: string): InodeId {
    let number = 0;
    let length = 0;
    for (; isLetter(short.charCodeAt(length)); length++) {
      number = number * RADIX + short.charCodeAt(length) - FIRST_LETTER + 1;
    }
    return length === 0 ? short : this.starts.textOf(number - 1) + scattered(short.slice(length));
  }
}

/** The two digits of the index change places, and back: keys that only ever rise leave LMDB's pages half empty. */
function scattered(rest: string): string {
  const at = rest.length - 2;
  return rest[at - 1] === '/' ? `${rest.slice(0, at)}${rest[at + 1]}${rest[at]}` : rest;
}

function isLong(id: InodeId): boolean {
  return id.length > START_CHARACTERS && id.indexOf('/') >= START_CHARACTERS;
}

function isLetter(code: number): boolean {
  return code >= FIRST_LETTER && code < FIRST_LETTER + RADIX;
}

/** A, B … Z, AA, AB … */
function lettersOf(number: number): string {
  let text = '';
  for (let rest = number + 1; rest > 0; rest = Math.floor((rest - 1) / RADIX)) {
    text = String.fromCharCode(FIRST_LETTER + ((rest - 1) % RADIX)) + text;
  }
  return text;
}
