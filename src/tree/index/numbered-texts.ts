import type { Batch, Database, Table } from '../../store/index.js';

const MISSES_MAX = 1_000;

/** Long texts that appear in every row (actors, the starts of inode ids) and have small numbers there instead. */
export class NumberedTexts {
  private readonly tableName: string;
  private readonly table: Table;
  private readonly texts: string[] = [];
  private readonly numbers = new Map<string, number>();
  private saved = 0;
  /** Texts that the table did not have when it was last looked at: a new start's files ask for theirs by the thousand. */
  private readonly misses = new Set<string>();

  constructor(database: Database, tableName: string) {
    this.tableName = tableName;
    this.table = database.table(tableName);
    this.load();
  }

  /** @throws WormholeError `corrupt` for a number that some row holds and this table has lost */
  textOf(number: number): string {
    if (number >= this.texts.length) this.load();
    const text = this.texts[number];
    if (text === undefined) throw this.table.damaged(keyOf(number));
    return text;
  }

  /** The text's number; a new text gets the next one, which `save` must write before or with the first row. */
  numberOf(text: string): number {
    return this.numbers.get(text) ?? this.remember(text);
  }

  /** The number of a text that some row may name. */
  knownNumberOf(text: string): number | undefined {
    const known = this.numbers.get(text);
    if (known !== undefined || this.misses.has(text)) return known;
    this.load();
    const found = this.numbers.get(text);
    if (found === undefined && this.misses.size < MISSES_MAX) this.misses.add(text);
    return found;
  }

  /** Another thread has written to the table perhaps. */
  refresh(): void {
    this.misses.clear();
  }

  save(batch: Batch): void {
    const table = batch.table(this.tableName);
    for (let number = this.saved; number < this.texts.length; number++) {
      table.put(keyOf(number), Buffer.from(this.texts[number] ?? '', 'utf8'));
    }
  }

  /** The batch of `save` is committed. */
  committed(): void {
    this.saved = this.texts.length;
  }

  private load(): void {
    // What this side has given out itself is not written by anybody else: there is one writer.
    if (this.saved < this.texts.length) return;
    for (const { key, value } of this.table.range({ start: keyOf(this.texts.length) })) {
      // Without a row that was lost, all later ones would be taken for others.
      if (key !== keyOf(this.texts.length)) throw this.table.damaged(keyOf(this.texts.length));
      this.remember(Buffer.from(value).toString('utf8'));
    }
    this.saved = this.texts.length;
  }

  private remember(text: string): number {
    this.misses.delete(text);
    this.numbers.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }
}

function keyOf(number: number): string {
  return number.toString(16).padStart(8, '0');
}
