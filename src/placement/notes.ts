/** A few texts that outlive a restart; the daemon hands them in. */
export interface Notes {
  read(key: string): string | undefined;
  /** All with keys that begin so. */
  list(prefix: string): { key: string; value: string }[];
  /** A missing value takes the note away. Resolves when they survive the death of the process. */
  write(notes: readonly { key: string; value?: string }[]): Promise<void>;
}
