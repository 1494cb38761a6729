/** What the helper process is asked and answers, one JSON value a line. */
export type Order =
  /** Which inode numbers of a file system somebody watches; `device` as `sdev` in /proc/PID/fdinfo. */
  | { do: 'scan'; device: string }
  | ({ mountPoint: string; device: number; path: string } & (
      | { do: 'create'; kind: string; size: number }
      | { do: 'remove'; kind: string }
      | { do: 'modify'; size: number }
      | { do: 'touch' }
      | { do: 'rename'; to: string }
    ));

export interface Result {
  /** Inode numbers. */
  watched?: number[];
  /** Name of an errno. */
  error?: string;
}
