/**
 * A small pod with some of everything, for `fixtures/stores`: what a release wrote, later ones must read.
 * `node dist/test/system/sample-store.js VERSION` makes one of the present formats.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, must, TestPod } from './pods.js';

export const STORES = fileURLToPath(new URL('../../../fixtures/stores', import.meta.url));

/** What a sample is compared with: every path with its size and SHA-256. */
export interface Sample {
  version: string;
  tree: string[];
}

export function archiveOf(version: string): string {
  return join(STORES, `store-${version}.tar.gz`);
}

export function sampleOf(version: string): string {
  return join(STORES, `store-${version}.json`);
}

/** Versions of which there is a sample. */
export function sampleVersions(): string[] {
  return readdirSync(STORES).flatMap((name) => /^store-(.+)\.json$/.exec(name)?.[1] ?? []);
}

async function fill(pod: TestPod): Promise<void> {
  await mkdir(pod.path('docs', 'inner'), { recursive: true });
  for (let n = 0; n < 10; n++) await writeFile(pod.path('docs', `note-${n}`), `note ${n}\n`);
  await writeFile(pod.path('docs', 'inner', 'Überschrift'), 'not ASCII\n');
  // Above 64 KiB, and so cut by the content's thread; with a hole.
  await writeFile(pod.path('large'), 'a line of many\n'.repeat(10_000));
  await writeFile(pod.path('sparse'), 'x');
  await truncate(pod.path('sparse'), 8 * 1024 * 1024);
  await symlink('docs/note-1', pod.path('link'));
  await pod.ok('sync', '--wait', '--timeout', '30s');
  await writeFile(pod.path('docs', 'note-1'), 'note 1, again\n');
  await rename(pod.path('docs', 'note-2'), pod.path('moved'));
  await rm(pod.path('docs', 'note-3'));
  await pod.ok('sync', '--wait', '--timeout', '30s');
}

async function make(version: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-sample-'));
  const pod = new TestPod(undefined, 'sample', folder);
  try {
    await pod.create('sample');
    await fill(pod);
    const sample: Sample = { version, tree: fingerprint(pod.mount) };
    await pod.ok('down');
    mkdirSync(STORES, { recursive: true });
    // What is held back for a full disk comes back by itself.
    const left = ['--exclude=reserve', '--exclude=*.reserve', '--exclude=daemon.log*'];
    await must(undefined, ['tar', '-C', pod.home, '-czf', archiveOf(version), ...left, '.']);
    writeFileSync(sampleOf(version), `${JSON.stringify(sample, undefined, 2)}\n`);
  } finally {
    await pod.wh('down');
    rmSync(folder, { recursive: true, force: true });
  }
}

const [, program, version] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  if (version === undefined) throw new Error('which version?');
  await make(version);
}
