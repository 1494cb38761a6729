import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../src/base/index.js';
import type { OpenContent } from '../../src/content/content.js';
import { openStore, temporaryFolder } from './helpers.js';
import type { Said } from './writer-process.js';

const ROUNDS = 2;

/** Runs the writer, kills it after some of its promises, and returns all that it made. */
async function runAndKill(folder: string, seed: number, promises: number): Promise<Said[]> {
  const path = fileURLToPath(new URL('./writer-process.js', import.meta.url));
  const child = spawn(process.execPath, [path, folder, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.split('\n').length > promises) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.on('close', resolve));
  assert.equal(child.signalCode, 'SIGKILL', 'it ended by itself');
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Said);
}

test('what save() and publish() promised survives kill -9', async (t) => {
  const folder = temporaryFolder(t);
  const published = new Map<string, Said>();
  let staged = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const said = await runAndKill(folder, round, 20 + round * 47);
    assert.ok(said.length >= 20, 'it was killed before it promised anything');
    const { store, close } = await openStore(t, folder);
    const found = new Map(store.recovered().map(({ key, content }) => [key, content]));
    for (const one of said.filter(({ what }) => what === 'published')) published.set(one.key, one);
    for (const one of said.filter(({ key }) => !published.has(key))) {
      const content = found.get(one.key);
      assert.ok(content !== undefined, `${one.key} is staged no more`);
      assert.equal(content.dirty, true);
      assert.equal(await hashOf(content, one.size), one.hash);
      staged++;
    }
    for (const [key, content] of found) {
      const { content: name, size } = await content.publish();
      const hash = await hashOf(content, size);
      if (said.some((one) => one.key === key))
        published.set(key, { what: 'published', key, hash, size, content: name });
      await content.close();
    }
    for (const { content: name, size, hash } of published.values()) {
      assert.equal(store.presence(name as string), 'here');
      assert.equal(await hashOf(store.open('reader', name as string, size), size), hash);
    }
    await close();
    assert.deepEqual(readdirSync(join(folder, 'content', 'temporary')), [], 'temporary files are gone');
    assert.deepEqual(readdirSync(join(folder, 'content', 'staging')), [], 'staging files are gone');
  }
  assert.ok(published.size > 20 && staged > 0, `${published.size} published, ${staged} staged`);
});

async function hashOf(content: OpenContent, size: number): Promise<string> {
  return sha256(await content.read(0, size + 1));
}
