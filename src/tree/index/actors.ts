import type { Batch, Database, Table } from '../../store/index.js';

const TABLE = 'index-actors';

/** An actor's long id appears in every operation id of every row: rows hold a small number instead. */
export class ActorNumbers {
  private readonly table: Table;
  private readonly names = new Map<number, string>();
  private readonly numbers = new Map<string, number>();
  private unsaved: number[] = [];

  constructor(database: Database) {
    this.table = database.table(TABLE);
    this.load();
  }

  /** @throws RangeError for a number that no row of this index can hold */
  nameOf(number: number): string {
    let name = this.names.get(number);
    if (name === undefined) {
      this.load();
      name = this.names.get(number);
      if (name === undefined) throw new RangeError(`the index names the unknown actor ${number}`);
    }
    return name;
  }

  /** The actor's number; a new actor gets the next one, which `save` must write before or with the first row. */
  numberOf(name: string): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const number = this.names.size;
    this.remember(number, name);
    this.unsaved.push(number);
    return number;
  }

  save(batch: Batch): void {
    const table = batch.table(TABLE);
    for (const number of this.unsaved) {
      table.put(keyOf(number), Buffer.from(this.names.get(number) ?? '', 'utf8'));
    }
  }

  /** The batch of `save` is committed. */
  saved(): void {
    this.unsaved = [];
  }

  private load(): void {
    for (const { key, value } of this.table.range({ start: keyOf(this.names.size) })) {
      this.remember(Number.parseInt(key, 16), Buffer.from(value).toString('utf8'));
    }
  }

  private remember(number: number, name: string): void {
    this.names.set(number, name);
    this.numbers.set(name, number);
  }
}

function keyOf(number: number): string {
  return number.toString(16).padStart(8, '0');
}
