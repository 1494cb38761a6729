import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { systemLogDisk } from '../../../src/store/index.js';
import { openJournal } from '../../../src/tree/index/journal.js';
import { type Operation, ROOT } from '../../../src/tree/schema.js';
import { data, withFolder } from './fixture.js';

function operation(seq: number, bytes = 0): Operation {
  const xattrs = { 'user.a': Uint8Array.of(1, 2, 3), 'user.pad': new Uint8Array(bytes) };
  return {
    seq,
    seen: seq - 1,
    time: 1_700_000_000_000_000_000n + BigInt(seq),
    writes: [
      {
        inode: 'b/00',
        l: { parent: ROOT, name: 'ä', previous: { parent: ROOT, name: 'b' } },
        d: data('file', 'c1'),
      },
      { inode: 'b/01', a: { mode: 0o600, mtime: 7n, xattrs }, replaces: ['1@aa'] },
      { inode: 'b/02', x: { saw: ['1@aa', '2@bb'] } },
    ],
  };
}

test('operations come back as they were, from any number on', () =>
  withFolder(async (folder) => {
    const path = `${folder}/journal`;
    const { journal } = await openJournal(path);
    assert.equal(journal.next, 1);
    for (let seq = 1; seq <= 5; seq++) journal.append(operation(seq));
    assert.deepEqual([...journal.from(4)], [operation(4), operation(5)]);
    await journal.close();
    const again = await openJournal(path);
    assert.deepEqual([...again.journal.from(0)].length, 5);
    assert.deepEqual([...again.journal.from(5)], [operation(5)]);
    assert.equal(again.journal.next, 6);
    assert.throws(() => again.journal.append(operation(9)), { code: 'internal' });
    await again.journal.close();
  }));

test('what the document has goes, and numbers never come again', () =>
  withFolder(async (folder) => {
    const { journal } = await openJournal(`${folder}/journal`);
    for (let seq = 1; seq <= 20; seq++) journal.append(operation(seq, 100_000));
    await journal.drop(15);
    assert.deepEqual(
      [...journal.from(16)].map(({ seq }) => seq),
      [16, 17, 18, 19, 20],
    );
    await journal.drop(20);
    assert.deepEqual([...journal.from(0)], []);
    await journal.close();
    const again = await openJournal(`${folder}/journal`);
    assert.equal(again.journal.next, 21);
    await again.journal.close();
  }));

test('on a full disk there is space for what removes, and for nothing else', () =>
  withFolder(async (folder) => {
    const reserve = `${folder}/journal.reserve`;
    let full = false;
    const disk: typeof systemLogDisk = {
      ...systemLogDisk,
      write: (...what) => {
        // As the disk is once everything is used up but what the reserve gave back.
        if (full && existsSync(reserve)) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        return systemLogDisk.write(...what);
      },
    };
    const { journal } = await openJournal(`${folder}/journal`, undefined, { disk });
    journal.append(operation(1));
    assert.ok(existsSync(reserve));
    full = true;
    assert.throws(() => journal.append(operation(2)), { code: 'full' });
    journal.append(operation(2), true);
    assert.equal(existsSync(reserve), false);
    full = false;
    await journal.drop(1);
    assert.ok(existsSync(reserve), 'the space is taken again');
    full = true;
    await rm(reserve);
    assert.deepEqual([...journal.from(1)], [operation(1), operation(2)]);
    await journal.close();
  }));

test('an operation whose contents did not survive is cut off with all that follow, and nothing before', () =>
  withFolder(async (folder) => {
    const at = (next: number, log = 'contents') => ({ log, next });
    const path = `${folder}/journal`;
    const { journal } = await openJournal(path);
    for (let seq = 1; seq <= 6; seq++) journal.append(operation(seq), false, at(seq * 10));
    await journal.close();
    // A log of contents that is not the one that was written to tells nothing.
    for (const survived of [undefined, at(60), at(0, 'another')]) {
      const { journal: whole, condition } = await openJournal(path, survived);
      assert.deepEqual([whole.next, condition.tornBytes], [7, 0]);
      await whole.close();
    }
    const { journal: cut, condition } = await openJournal(path, at(39));
    assert.deepEqual(
      [...cut.from(0)].map(({ seq }) => seq),
      [1, 2, 3],
    );
    assert.ok(condition.tornBytes > 0 && condition.damagedAt === undefined);
    cut.append(operation(4), false, at(39));
    await cut.sync();
    await cut.close();
    const { journal: again } = await openJournal(path, at(39));
    assert.deepEqual([...again.from(4)], [operation(4)]);
    await again.close();
  }));
