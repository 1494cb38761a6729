/** What the scenario asks of a pod in a process of its own, and the answers. */
export interface Requests {
  open: { ask: { founder: boolean; name: string; folder: string }; answer: { entries: number } };
  /** Resolves when document and index are there. */
  loaded: { ask: Record<string, never>; answer: { heads: number; files: number } };
  create: { ask: { count: number; apart: boolean }; answer: { processorMs: number; mainMs: number } };
  rename: { ask: Record<string, never>; answer: { shownMs: number; durableMs: number } };
  diverge: { ask: { count: number; side: number }; answer: { seconds: number } };
  /** Writes the document for a joiner into a file, where there is one to be written. */
  snapshot: { ask: { path: string }; answer: { written: boolean } };
  /** Reads it part by part, as it would come from a peer. */
  adopt: { ask: { path: string }; answer: { files: number } };
  generate: { ask: Record<string, never>; answer: Uint8Array | undefined };
  receive: { ask: Uint8Array; answer: { heads: readonly string[] } };
  /** Takes pushed changes; answers how long it took until readers saw them. */
  push: { ask: Uint8Array[]; answer: { ms: number } };
  /** One change here, as its peers get it. */
  change: { ask: { name: string }; answer: Uint8Array[] };
  /** Begins to watch the event loop, and tells what it saw since the last time. */
  loop: { ask: Record<string, never>; answer: { longestMs: number; processorMs: number } };
  fingerprint: {
    ask: Record<string, never>;
    answer: { heads: readonly string[]; files: number; conflicts: number };
  };
  /** Plans from one declaration, given as text, to another, for a network of five pods. */
  plan: {
    ask: { before: string; after: string };
    /** Memory is what is anonymous of this process, at most, beyond what it was before. */
    answer: { seconds: number; processorSeconds: number; megabytes: number; copies: number };
  };
  close: { ask: Record<string, never>; answer: Record<string, never> };
}

export type RequestName = keyof Requests;
export type Ask = { id: number; name: RequestName; ask: unknown };
export type Answer = { id: number; answer: unknown } | { id: number; error: string };
