/** What a check found; a `problem` keeps a pod from working, a `warning` from working well. */
export interface Finding {
  check: string;
  state: 'ok' | 'warning' | 'problem';
  /** What is so, in one sentence. */
  found: string;
  /** What to do, or null when there is nothing to do. */
  cure: string | null;
}

export function ok(check: string, found: string): Finding {
  return { check, state: 'ok', found, cure: null };
}

export function warning(check: string, found: string, cure: string): Finding {
  return { check, state: 'warning', found, cure };
}

export function problem(check: string, found: string, cure: string): Finding {
  return { check, state: 'problem', found, cure };
}
