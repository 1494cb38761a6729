import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { entryMembers, resolvePath, viewNode } from '../../../src/tree/resolver/view.js';
import { type InodeId, ROOT } from '../../../src/tree/schema.js';
import { look } from './helpers.js';
import { Replica } from './replica.js';
import { type Entry, User } from './user.js';

// One worked example for each rule of what the user sees.

const LAPTOP = `0000000000${'aa'.repeat(5)}${Buffer.from('laptop').toString('hex')}`;
const DESK = `ffffffffff${'bb'.repeat(5)}${Buffer.from('desk').toString('hex')}`;
/** Short ids as in `shortId`: base32 of the pod ids above. */
const OF_LAPTOP = 'conflict, laptop aaaaaaaa';
const OF_DESK = 'conflict, desk 77777777';

class Pod {
  readonly replica: Replica;
  readonly user: User;

  constructor(actor: string) {
    this.replica = new Replica(actor);
    this.replica.watch = true;
    this.user = new User(this.replica);
  }

  at(path: string): Entry {
    const [parent, name] = this.place(path);
    const entry = this.user.entries().find((one) => one.parent === parent && one.name === name);
    assert.ok(entry !== undefined, `there is no ${path} in ${JSON.stringify(this.look())}`);
    return entry;
  }

  /** The folder's inode and the name in it. */
  place(path: string): [InodeId, string] {
    const cut = path.lastIndexOf('/');
    const folder = resolvePath(this.replica.tables, path.slice(0, cut));
    assert.ok(folder !== undefined, `there is no folder for ${path}`);
    return [folder.id, path.slice(cut + 1)];
  }

  file(path: string, content: string): void {
    this.user.make(...this.place(path), { kind: 'file', content });
  }

  folder(path: string): void {
    this.user.make(...this.place(path), { kind: 'directory', mode: 0o755 });
  }

  write(path: string, content: string): void {
    this.user.write(this.at(path), content);
  }

  rename(from: string, to: string): void {
    this.user.rename(this.at(from), ...this.place(to));
  }

  unlink(path: string): void {
    this.user.unlink(this.at(path));
  }

  rmdir(path: string): void {
    this.user.rmdir(this.at(path));
  }

  link(from: string, to: string): void {
    this.user.link(this.at(from), ...this.place(to));
  }

  look(): { [path: string]: string } {
    return look(this.replica.tables);
  }
}

/** Two pods that have the same tree. */
function two(prepare: (pod: Pod) => void = () => {}): [Pod, Pod] {
  const laptop = new Pod(LAPTOP);
  const desk = new Pod(DESK);
  prepare(laptop);
  desk.replica.receive(laptop.replica, 1_000, 1);
  return [laptop, desk];
}

/** Joins the two; both must see this. */
function assertMerged(a: Pod, b: Pod, expected: { [path: string]: string }): void {
  join(a, b);
  assert.deepEqual(a.look(), expected);
  assert.deepEqual(b.look(), expected);
  a.replica.watched.check();
}

function join(a: Pod, b: Pod): void {
  a.replica.receive(b.replica, 1_000, 1);
  b.replica.receive(a.replica, 1_000, 1_000);
}

describe('moves that form a cycle', () => {
  test('of two: the later move is undone, everything inside intact', () => {
    const [a, b] = two((pod) => {
      pod.folder('/x');
      pod.file('/x/in x', '1');
      pod.folder('/y');
      pod.file('/y/in y', '2');
    });
    a.rename('/x', '/y/x');
    b.file('/later', '3');
    b.rename('/y', '/x/y');
    assertMerged(a, b, { '/later': '3', '/y': '/', '/y/in y': '2', '/y/x': '/', '/y/x/in x': '1' });
  });

  test('a folder whose earlier place is in the cycle too stays: the other one moves back', () => {
    const [a, b] = two((pod) => {
      pod.folder('/x');
      pod.folder('/y');
    });
    a.rename('/x', '/y/x');
    a.rename('/y/x', '/y/z');
    b.rename('/y', '/x/y');
    assertMerged(a, b, { '/y': '/', '/y/z': '/' });
  });

  test('of three: one is undone, the two others hold', () => {
    const [a, b] = two((pod) => {
      pod.folder('/x');
      pod.folder('/y');
      pod.folder('/z');
    });
    const c = new Pod(`8888888888${'cc'.repeat(5)}`);
    c.replica.receive(a.replica, 1_000, 1);
    a.rename('/x', '/y/x');
    b.rename('/y', '/z/y');
    c.rename('/z', '/x/z');
    join(a, b);
    join(a, c);
    join(a, b);
    assertMerged(b, c, a.look());
    assert.equal(Object.keys(c.look()).length, 3);
    assert.equal(Object.keys(c.look()).filter((path) => path.split('/').length === 2).length, 1);
  });

  test('of five pods and five folders: one is undone, the others hold, nothing is lost', () => {
    const names = ['p', 'q', 'r', 's', 't'];
    const pods = names.map((_, n) => new Pod(`${n}${n}${'0'.repeat(8)}${'ab'.repeat(5)}`));
    const [first] = pods as [Pod];
    for (const name of names) {
      first.folder(`/${name}`);
      first.file(`/${name}/in ${name}`, name);
    }
    for (const pod of pods) pod.replica.receive(first.replica, 1_000, 1);
    for (const [n, pod] of pods.entries()) {
      const into = names[(n + 1) % names.length] ?? '';
      // The last one's move is the latest.
      for (let more = 0; more < n; more++) pod.user.chmod(pod.at(`/${names[n]}`), 0o700);
      pod.rename(`/${names[n]}`, `/${into}/${names[n]}`);
    }
    for (const to of pods) for (const from of pods) to.replica.receive(from.replica, 1_000, 1);
    for (const pod of pods) {
      pod.replica.watched.check();
      assert.deepEqual(
        Object.keys(pod.look()).filter((path) => pod.look()[path] === '/'),
        ['/t', '/t/s', '/t/s/r', '/t/s/r/q', '/t/s/r/q/p'],
      );
      assert.equal(Object.values(pod.look()).filter((content) => content !== '/').length, names.length);
    }
  });

  test('once one folder of it moves out again, the undone move holds', () => {
    const [a, b] = two((pod) => {
      pod.folder('/x');
      pod.folder('/y');
      pod.folder('/out');
    });
    a.rename('/x', '/y/x');
    b.file('/later', '3');
    b.rename('/y', '/x/y');
    join(a, b);
    a.rename('/y/x', '/out/x');
    assertMerged(a, b, { '/later': '3', '/out': '/', '/out/x': '/', '/out/x/y': '/' });
  });
});

describe('two files of the same name', () => {
  test('with equal bytes are one, and go as one', () => {
    const [a, b] = two();
    a.file('/a.txt', 'same');
    b.file('/a.txt', 'same');
    assertMerged(a, b, { '/a.txt': 'same' });
    assert.equal(entryMembers(a.replica.tables, ROOT, 'a.txt').length, 2);
    a.unlink('/a.txt');
    assertMerged(a, b, {});
  });

  test('with one content id but different lengths are two: somebody lies', () => {
    const [a, b] = two();
    a.user.make(ROOT, 'a', { kind: 'file', content: 'same', size: 1 });
    b.user.make(ROOT, 'a', { kind: 'file', content: 'same', size: 2 });
    assertMerged(a, b, { '/a': 'same', [`/a (${OF_DESK})`]: 'same' });
  });

  test('with equal bytes are edited as one', () => {
    const [a, b] = two();
    a.file('/a.txt', 'same');
    b.file('/a.txt', 'same');
    join(a, b);
    b.write('/a.txt', 'new');
    assertMerged(a, b, { '/a.txt': 'new' });
  });

  test('with different bytes: who was there first keeps the name', () => {
    const [a, b] = two((pod) => pod.file('/first', '0'));
    b.file('/a.txt', 'early');
    a.file('/some', '1');
    a.file('/a.txt', 'late');
    assertMerged(a, b, {
      '/first': '0',
      '/some': '1',
      '/a.txt': 'early',
      [`/a (${OF_LAPTOP}).txt`]: 'late',
    });
  });

  test('the conflict ends when the first is gone', () => {
    const [a, b] = two();
    a.file('/a.txt', '1');
    b.file('/a.txt', '2');
    join(a, b);
    b.unlink('/a.txt');
    assertMerged(a, b, { '/a.txt': '2' });
  });
});

describe('two folders of the same name', () => {
  const prepare = (): [Pod, Pod] => {
    const [a, b] = two();
    for (const [pod, content] of [
      [a, '1'],
      [b, '2'],
    ] as const) {
      pod.folder('/d');
      pod.folder('/d/sub');
      pod.file(`/d/sub/of ${content}`, content);
      pod.file('/d/both', 'same');
    }
    return [a, b];
  };
  const MERGED = { '/d': '/', '/d/both': 'same', '/d/sub': '/', '/d/sub/of 1': '1', '/d/sub/of 2': '2' };

  test('are merged, recursively', () => {
    const [a, b] = prepare();
    assertMerged(a, b, MERGED);
  });

  test('are renamed as one', () => {
    const [a, b] = prepare();
    join(a, b);
    b.rename('/d', '/e');
    const renamed = Object.entries(MERGED).map(([path, content]) => [path.replace('/d', '/e'), content]);
    assertMerged(a, b, Object.fromEntries(renamed));
  });

  test('are removed as one', () => {
    const [a, b] = prepare();
    join(a, b);
    for (const path of ['/d/sub/of 1', '/d/sub/of 2', '/d/both']) a.unlink(path);
    a.rmdir('/d/sub');
    a.rmdir('/d');
    assertMerged(a, b, {});
  });

  test('whoever still holds a member sees the whole', () => {
    const [a, b] = prepare();
    const [own] = [a.at('/d').node.id, b.at('/d').node.id].sort().reverse();
    join(a, b);
    assert.equal(viewNode(a.replica.tables, own!)?.id, a.at('/d').node.id);
  });
});

test('a file and a folder of the same name: the folder keeps it', () => {
  const [a, b] = two();
  a.file('/n.d', 'file');
  b.folder('/n.d');
  b.file('/n.d/x', '1');
  assertMerged(a, b, { '/n.d': '/', '/n.d/x': '1', [`/n (${OF_LAPTOP}).d`]: 'file' });
});

describe('rename and move', () => {
  test('of one file: both are kept', () => {
    const [a, b] = two((pod) => {
      pod.folder('/to');
      pod.file('/a', '1');
    });
    a.rename('/a', '/b');
    b.rename('/a', '/to/a');
    assertMerged(a, b, { '/to': '/', '/to/b': '1' });
  });

  test('of one file, the rename later: both are kept', () => {
    const [a, b] = two((pod) => {
      pod.folder('/to');
      pod.file('/a', '1');
    });
    b.rename('/a', '/to/a');
    a.file('/x', '2');
    a.rename('/a', '/b');
    assertMerged(a, b, { '/to': '/', '/to/b': '1', '/x': '2' });
  });

  test('a rename and then a move stay together against another rename', () => {
    const [a, b] = two((pod) => {
      pod.folder('/to');
      pod.file('/a', '1');
    });
    b.rename('/a', '/c');
    a.rename('/a', '/b');
    a.rename('/b', '/to/b');
    assertMerged(a, b, { '/to': '/', '/to/b': '1' });
  });

  test('rename and rename: the later wins', () => {
    const [a, b] = two((pod) => pod.file('/a', '1'));
    a.rename('/a', '/b');
    b.file('/x', '2');
    b.rename('/a', '/c');
    assertMerged(a, b, { '/c': '1', '/x': '2' });
  });
});

describe('delete', () => {
  test('and edit: the file stays', () => {
    const [a, b] = two((pod) => pod.file('/a', '1'));
    a.unlink('/a');
    b.write('/a', '2');
    assertMerged(a, b, { '/a': '2' });
  });

  test('and rename: the file stays', () => {
    const [a, b] = two((pod) => pod.file('/a', '1'));
    a.unlink('/a');
    b.rename('/a', '/b');
    assertMerged(a, b, { '/b': '1' });
  });

  test('and delete: it is gone', () => {
    const [a, b] = two((pod) => pod.file('/a', '1'));
    a.unlink('/a');
    b.unlink('/a');
    assertMerged(a, b, {});
  });

  test('of a whole folder, and a create, a move or an edit inside: the folder again, with only those', () => {
    const [a, b] = two((pod) => {
      pod.folder('/d');
      pod.folder('/d/e');
      pod.file('/d/e/old', '1');
      pod.file('/d/edited', '2');
      pod.file('/out', '3');
    });
    a.unlink('/d/e/old');
    a.rmdir('/d/e');
    a.unlink('/d/edited');
    a.rmdir('/d');
    b.file('/d/e/new', '4');
    b.write('/d/edited', '5');
    b.rename('/out', '/d/moved');
    assertMerged(a, b, { '/d': '/', '/d/e': '/', '/d/e/new': '4', '/d/edited': '5', '/d/moved': '3' });
    b.unlink('/d/e/new');
    assert.equal(b.look()['/d/e'], undefined, 'what lived by its child goes with it');
  });
});

describe('edit and edit', () => {
  const prepare = (): [Pod, Pod] => {
    const [a, b] = two((pod) => pod.file('/f.txt', '0'));
    a.write('/f.txt', 'mine');
    b.file('/x', '');
    b.write('/f.txt', 'theirs');
    return [a, b];
  };
  const LOSER = `/f (${OF_LAPTOP}).txt`;

  test('the later keeps the name, the other is beside it', () => {
    const [a, b] = prepare();
    assertMerged(a, b, { '/x': '', '/f.txt': 'theirs', [LOSER]: 'mine' });
    const node = a.at(LOSER).node;
    assert.equal(node.conflictOf, a.at('/f.txt').node.id);
    assert.equal(node.versions.length, 1);
    assert.equal(a.replica.watched.counts.conflicts, 1);
  });

  test('the same bytes are no conflict', () => {
    const [a, b] = two((pod) => pod.file('/f', '0'));
    a.write('/f', 'same');
    b.write('/f', 'same');
    assertMerged(a, b, { '/f': 'same' });
    assert.equal(a.at('/f').node.versions.length, 2);
  });

  test('the loser has the attributes of the file, and tells when they change', () => {
    const [a, b] = prepare();
    join(a, b);
    a.user.chmod(a.at('/f.txt'), 0o600);
    join(a, b);
    assert.equal(b.at(LOSER).node.mode, 0o600);
  });

  test('whoever writes one of them leaves the other', () => {
    const [a, b] = prepare();
    join(a, b);
    a.write('/f.txt', 'more');
    assertMerged(a, b, { '/x': '', '/f.txt': 'more', [LOSER]: 'mine' });
    b.write(LOSER, 'again');
    assertMerged(a, b, { '/x': '', '/f.txt': 'more', [LOSER]: 'again' });
  });

  test('whoever removes one of them leaves the other', () => {
    const [a, b] = prepare();
    join(a, b);
    a.unlink(LOSER);
    assertMerged(a, b, { '/x': '', '/f.txt': 'theirs' });
    const [c, d] = prepare();
    join(c, d);
    c.unlink('/f.txt');
    assertMerged(c, d, { '/x': '', [LOSER]: 'mine' });
  });

  test('the loser can be called something else', () => {
    const [a, b] = prepare();
    join(a, b);
    a.rename(LOSER, '/mine.txt');
    assertMerged(a, b, { '/x': '', '/f.txt': 'theirs', '/mine.txt': 'mine' });
  });

  test('two who settle it at the same time do not make two of it', () => {
    const [a, b] = prepare();
    join(a, b);
    a.write('/f.txt', 'a');
    b.write('/f.txt', 'b');
    const seen = { '/x': '', [LOSER]: 'mine', '/f.txt': 'b' };
    join(a, b);
    const merged = a.look();
    assert.equal(Object.values(merged).filter((content) => content === 'mine').length, 1);
    assertMerged(a, b, { ...merged, ...seen });
  });
});

test('a symbolic link and a file of the same name: who was there first keeps it', () => {
  const [a, b] = two(() => {});
  a.user.make(...a.place('/x'), { kind: 'symlink', content: 'target' });
  b.file('/later', '1');
  b.file('/x', '2');
  assertMerged(a, b, { '/later': '1', '/x': 'target', [`/x (${OF_DESK})`]: '2' });
});

test('names that differ only in case, or only in Unicode form, are names of their own', () => {
  const [a, b] = two(() => {});
  a.file('/Read me', '1');
  a.file('/caf\u00e9', '2');
  a.folder('/Photos');
  b.file('/read me', '3');
  b.file('/cafe\u0301', '4');
  b.folder('/photos');
  const names = { '/Read me': '1', '/read me': '3', '/caf\u00e9': '2', '/cafe\u0301': '4' };
  assertMerged(a, b, { ...names, '/Photos': '/', '/photos': '/' });
});

test('save by rename over: a concurrent rename carries the new content', () => {
  const [a, b] = two((pod) => pod.file('/doc', 'old'));
  a.file('/doc.tmp', 'new');
  a.rename('/doc.tmp', '/doc');
  b.rename('/doc', '/paper');
  assertMerged(a, b, { '/paper': 'new' });
});

describe('hard links', () => {
  const linked = () =>
    two((pod) => {
      pod.file('/a', '1');
      pod.link('/a', '/b');
    });

  test('show one inode under both names', () => {
    const [a, b] = linked();
    assertMerged(a, b, { '/a': '1', '/b': '1' });
    assert.equal(b.at('/b').node.id, b.at('/a').node.id);
    assert.equal(b.at('/b').node.nlink, 2);
    assert.deepEqual(a.replica.watched.counts, {
      files: 1,
      directories: 0,
      bytes: 1,
      conflicts: 0,
      ignored: 0,
    });
  });

  test('the inode outlives its first name, which edits do not bring back', () => {
    const [a, b] = linked();
    a.unlink('/a');
    b.write('/a', '2');
    assertMerged(a, b, { '/b': '2' });
    const { nlink, name } = a.at('/b').node;
    assert.deepEqual({ nlink, name }, { nlink: 1, name: 'b' });
    a.unlink('/b');
    assertMerged(a, b, {});
  });

  test('when both names go at different places, the file is gone', () => {
    const [a, b] = linked();
    a.unlink('/a');
    b.unlink('/b');
    assertMerged(a, b, {});
  });

  test('an edit that the last deletion did not see brings the first name back', () => {
    const [a, b] = linked();
    a.unlink('/a');
    a.unlink('/b');
    b.write('/b', '2');
    assertMerged(a, b, { '/a': '2' });
  });

  test('a link made while the file was deleted keeps it', () => {
    const [a, b] = two((pod) => pod.file('/a', '1'));
    a.unlink('/a');
    b.link('/a', '/b');
    assertMerged(a, b, { '/b': '1' });
  });

  test('losing values show once, beside the first name that is left', () => {
    const [a, b] = linked();
    a.write('/a', 'mine');
    b.file('/x', '');
    b.write('/b', 'theirs');
    assertMerged(a, b, { '/x': '', '/a': 'theirs', '/b': 'theirs', [`/a (${OF_LAPTOP})`]: 'mine' });
  });
});

describe('places that cannot be', () => {
  const data = { kind: 'file', size: 1, mtime: 0n, content: '1', mode: 0o644 } as const;
  const stray = (pod: Pod, inode: InodeId, parent: InodeId, name: string) =>
    pod.replica.commit(() => {
      pod.replica.put(inode, 'l', { parent, name });
      pod.replica.put(inode, 'd', data);
    });

  test('an unknown parent: lost+found, until it is known', () => {
    const [a, b] = two();
    stray(a, 'z/1', 'z/0', 'stray');
    assertMerged(a, b, { '/lost+found': '/', '/lost+found/stray': '1' });
    assert.deepEqual(a.replica.watched.counts, {
      files: 1,
      directories: 0,
      bytes: 1,
      conflicts: 0,
      ignored: 0,
    });
    a.replica.commit(() => {
      a.replica.put('z/0', 'l', { parent: ROOT, name: 'd' });
      a.replica.put('z/0', 'd', { ...data, kind: 'directory' });
    });
    assertMerged(a, b, { '/d': '/', '/d/stray': '1' });
  });

  test('a parent that is a file: lost+found', () => {
    const [a, b] = two((pod) => pod.file('/f', '0'));
    stray(a, 'z/1', a.at('/f').node.id, 'stray');
    assertMerged(a, b, { '/f': '0', '/lost+found': '/', '/lost+found/stray': '1' });
  });

  test('a folder that the user called lost+found keeps its inode and shows what is lost as well', () => {
    const [a, b] = two((pod) => pod.folder('/lost+found'));
    const before = a.at('/lost+found').node.id;
    stray(a, 'z/1', 'z/0', 'stray');
    assertMerged(a, b, { '/lost+found': '/', '/lost+found/stray': '1' });
    assert.equal(a.at('/lost+found').node.id, before);
  });

  test('a file that the user called lost+found gives way while something is lost', () => {
    const [a, b] = two((pod) => pod.file('/lost+found', '0'));
    stray(a, 'z/1', 'z/0', 'stray');
    assertMerged(a, b, {
      [`/lost+found (${OF_LAPTOP})`]: '0',
      '/lost+found': '/',
      '/lost+found/stray': '1',
    });
    a.rename('/lost+found/stray', '/found');
    assertMerged(a, b, { '/lost+found': '0', '/found': '1' });
  });

  test('names that no file system can show are shown under others', () => {
    const [a, b] = two();
    const names = ['', '.', '..', '../../etc/passwd', 'nul\0', '\ud800', 'é'.repeat(200)];
    names.forEach((name, i) => {
      stray(a, `z/${i}`, ROOT, name);
    });
    join(a, b);
    const shown = Object.keys(b.look()).map((path) => path.slice(1));
    assert.equal(shown.length, names.length);
    for (const name of shown) {
      assert.ok(name !== '' && name !== '.' && name !== '..', name);
      assert.ok(!name.includes('/') && !name.includes('\0') && name.isWellFormed(), name);
      assert.ok(Buffer.byteLength(name) <= 255, name);
    }
    assertMerged(a, b, a.look());
  });

  test('an inode without data is counted, and nothing else', () => {
    const [a, b] = two();
    a.replica.commit(() => a.replica.put('z/0', 'l', { parent: ROOT, name: 'nothing' }));
    assertMerged(a, b, {});
    assert.equal(b.replica.watched.counts.ignored, 1);
  });

  test('an inode without a location is in lost+found', () => {
    const [a, b] = two();
    a.replica.commit(() => a.replica.put('z/0', 'd', data));
    assertMerged(a, b, { '/lost+found': '/', '/lost+found/z-0': '1' });
  });
});

describe('names of conflicts', () => {
  const conflict = (name: string): string => {
    const [a, b] = two();
    a.file(`/${name}`, '1');
    b.file(`/${name}`, '2');
    join(a, b);
    assert.deepEqual(a.look(), b.look());
    const [, other] = Object.entries(a.look()).find(([path]) => path !== `/${name}`) ?? [];
    assert.equal(other, '2');
    return Object.keys(a.look())
      .find((path) => path !== `/${name}`)!
      .slice(1);
  };

  test('keep the extension', () => {
    assert.equal(conflict('a.txt'), `a (${OF_DESK}).txt`);
    assert.equal(conflict('a.tar.gz'), `a (${OF_DESK}).tar.gz`);
    assert.equal(conflict('.bashrc'), `.bashrc (${OF_DESK})`);
    assert.equal(conflict('.config.json'), `.config (${OF_DESK}).json`);
    assert.equal(conflict('README'), `README (${OF_DESK})`);
    assert.equal(conflict('end.'), `end. (${OF_DESK})`);
    assert.equal(conflict('a. b'), `a. b (${OF_DESK})`);
  });

  test('fit a file system, cut between characters', () => {
    for (const name of ['x'.repeat(255), `${'ü'.repeat(120)}.txt`, `${'😀'.repeat(60)}.tar.gz`]) {
      const shown = conflict(name);
      assert.ok(Buffer.byteLength(shown) <= 255 && shown.isWellFormed(), shown);
      assert.ok(
        shown.includes(OF_DESK) && shown.endsWith(name.includes('.') ? name.slice(name.indexOf('.')) : ')'),
      );
    }
  });

  test('of long names that begin alike differ', () => {
    const [one, two] = [conflict(`${'x'.repeat(250)}1`), conflict(`${'x'.repeat(250)}2`)];
    assert.notEqual(one, two);
  });

  test('give way to real names, and come back', () => {
    const [a, b] = two();
    a.file('/a', '1');
    b.file('/a', '2');
    join(a, b);
    const shown = `/a (${OF_DESK})`;
    a.rename(shown, '/free');
    a.file(shown, 'real');
    assertMerged(a, b, { '/a': '1', [shown]: 'real', '/free': '2' });
    b.file('/c', '1');
    a.file('/c', '2');
    b.file(`/c (${OF_DESK})`, 'real');
    a.file(`/c (${OF_LAPTOP})`, 'real');
    join(a, b);
    const loser = Object.keys(a.look()).filter(
      (path) => path.startsWith('/c (') && a.look()[path] !== 'real',
    );
    assert.equal(loser.length, 1);
    assert.match(loser[0]!, /^\/c \(conflict, (laptop|desk) \w{8} \d+\)$/);
    a.unlink(`/c (${OF_DESK})`);
    a.unlink(`/c (${OF_LAPTOP})`);
    join(a, b);
    assert.ok(Object.keys(a.look()).some((path) => /^\/c \(conflict, (laptop|desk) \w{8}\)$/.test(path)));
    a.replica.watched.check();
  });

  test('stay when something else changes', () => {
    const [a, b] = two();
    a.file('/a', '1');
    b.file('/a', '2');
    join(a, b);
    const before = a.look();
    a.file('/b', '3');
    a.write('/a', '4');
    b.folder('/c');
    assertMerged(a, b, { ...before, '/a': '4', '/b': '3', '/c': '/' });
  });
});
