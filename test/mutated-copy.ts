import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The compiled program. */
export const DIST = join(import.meta.dirname, '..');
const CHILD_TIMEOUT_MS = 120_000;

/** A fault that is planted on purpose. */
export interface Mutation {
  /** Of the compiled program. */
  file: string;
  from: RegExp;
  to: string;
}

/** A copy of the compiled program in which faults are planted, one after the other. */
export class MutatedCopy {
  readonly folder: string;

  /** @param parts folders of the compiled program that are run */
  constructor(parts: readonly string[]) {
    this.folder = mkdtempSync(join(DIST, 'mutants-'));
    for (const part of [...parts, join('test', 'property.js')])
      cpSync(join(DIST, part), join(this.folder, part), { recursive: true });
  }

  /** Runs a compiled file with its arguments in the copy as the mutations make it.
   *  @returns what it printed, and whether it was well */
  run(mutations: readonly Mutation[], args: readonly string[], env = {}): { ok: boolean; said: string } {
    const before = new Map<string, string>();
    try {
      for (const { file, from, to } of mutations) {
        const path = join(this.folder, file);
        const text = readFileSync(path, 'utf8');
        if (!before.has(path)) before.set(path, text);
        const mutated = text.replace(from, () => to);
        assert.notEqual(mutated, text, `${from} is no longer in ${file}: say how the fault is planted now`);
        writeFileSync(path, mutated);
      }
      const program = args.map((arg) => (arg.startsWith('test/') ? join(this.folder, arg) : arg));
      // Without it, the children of this test would take themselves for parts of it.
      const { NODE_TEST_CONTEXT: _, ...own } = process.env;
      const options = { env: { ...own, ...env }, timeout: CHILD_TIMEOUT_MS, encoding: 'utf8' } as const;
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...process.execArgv, ...program],
        options,
      );
      return { ok: status === 0, said: `${stdout}${stderr}`.slice(-6_000) };
    } finally {
      for (const [path, text] of before) writeFileSync(path, text);
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @throws AssertionError when a run in which a fault is planted was well, or failed of something else */
export function assertNoticed({ ok, said }: { ok: boolean; said: string }): void {
  assert.ok(!ok, `nothing failed:\n${said}`);
  assert.doesNotMatch(said, /SyntaxError|ReferenceError|ERR_MODULE_NOT_FOUND/, 'it failed of something else');
}
