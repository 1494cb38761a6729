/** What the kernel remembers and must forget, and what happens while it waits. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { cannotMount, type Served, serve, until } from '../mount/serve.js';
import { python } from '../posix/case.js';

const MINUTE = 60_000;
const PAGE = 4096;

describe('changes from elsewhere', { skip: cannotMount() ?? false }, () => {
  let served: Served;
  const path = (name: string) => join(served.mountPoint, name);
  const read = (name: string) => fs.readFileSync(path(name), 'utf8');
  const write = (name: string, text: string, invalidate = true) =>
    served.command({ do: 'write', path: name, text, invalidate });

  before(async () => {
    // So long that only an invalidation can explain that something new is seen.
    served = await serve({ timeouts: { entryMs: MINUTE, attributesMs: MINUTE, negativeMs: MINUTE } });
  });
  after(() => served?.stop());

  test('without an invalidation the kernel keeps what it has (or the other tests show nothing)', async () => {
    fs.writeFileSync(path('kept'), 'first');
    assert.equal(read('kept'), 'first');
    assert.equal(fs.existsSync(path('hidden')), false);
    await write('kept', 'other', false);
    await write('hidden', 'x', false);
    await delay(100);
    assert.equal(read('kept'), 'first');
    assert.equal(fs.existsSync(path('hidden')), false);
  });

  test('a new content is seen, of equal size or not', async () => {
    fs.writeFileSync(path('f'), 'one');
    assert.equal(read('f'), 'one');
    for (const text of ['two', 'three', '', 'x'.repeat(3 * PAGE)]) {
      await write('f', text);
      await until('the new content', () => read('f') === text);
      assert.equal(fs.statSync(path('f')).size, text.length);
    }
  });

  test('a new content is seen through a descriptor that was open before', async () => {
    fs.writeFileSync(path('g'), 'one');
    const fd = fs.openSync(path('g'), 'r');
    const look = () => {
      const bytes = Buffer.alloc(10);
      return bytes.toString('utf8', 0, fs.readSync(fd, bytes, 0, 10, 0));
    };
    assert.equal(look(), 'one');
    await write('g', 'two');
    await until('the new content', () => look() === 'two');
    fs.closeSync(fd);
  });

  test('a new content is seen in a mapping', async () => {
    fs.writeFileSync(path('m'), 'one');
    const script = `
import mmap, os, sys, time
m = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 0, prot=mmap.PROT_READ)
print(m[0:3], flush=True)
for i in range(500):
    if m[0:3] == b'two': break
    time.sleep(0.01)
print(m[0:3], flush=True)
`;
    const python = spawn('python3', ['-c', script, path('m')], { cwd: '/' });
    let seen = '';
    python.stdout.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
    });
    await until('the old content', () => seen.includes("b'one'"));
    await write('m', 'two');
    await once(python, 'close');
    assert.equal(seen, "b'one'\nb'two'\n");
  });

  test('a name that did not exist appears, one that did disappears', async () => {
    assert.equal(fs.existsSync(path('new')), false);
    await write('new', 'x');
    await until('the new name', () => fs.existsSync(path('new')));
    await served.command({ do: 'remove', path: 'new', invalidate: true });
    await until('the name is gone', () => !fs.existsSync(path('new')));
  });

  test('O_CREAT of a name that came meanwhile opens it', async () => {
    assert.equal(fs.existsSync(path('came')), false);
    await write('came', 'from elsewhere', false);
    const fd = fs.openSync(path('came'), 'a+');
    assert.equal(fs.fstatSync(fd).size, 14);
    fs.closeSync(fd);
    assert.equal(fs.existsSync(path('came-exclusive')), false);
    await write('came-exclusive', 'x', false);
    assert.throws(() => fs.openSync(path('came-exclusive'), 'wx'), { code: 'EEXIST' });
  });

  test('a file that was replaced behind the kernel is found again by its name', async () => {
    fs.writeFileSync(path('replaced'), 'old');
    fs.statSync(path('replaced'));
    await served.command({ do: 'remove', path: 'replaced', invalidate: false });
    await write('replaced', 'new', false);
    assert.equal(read('replaced'), 'new');
  });

  test('any number of invalidations during work ends', async () => {
    const work = Array.from({ length: 8 }, async (_, worker) => {
      for (let index = 0; index < 150; index++) {
        const name = path(`file-${worker * 150 + index}`);
        await fs.promises.writeFile(name, 'x');
        await fs.promises.rename(name, `${name}-renamed`);
        await fs.promises.unlink(`${name}-renamed`);
      }
    });
    const storm = (async () => {
      for (let round = 0; round < 10; round++) await served.command({ do: 'invalidate-many', count: 2_000 });
    })();
    const late = delay(30_000, undefined, { ref: false }).then(() => assert.fail('it does not end'));
    await Promise.race([Promise.all([...work, storm]), late]);
    assert.equal(fs.readdirSync(served.mountPoint).filter((name) => name.startsWith('file-')).length, 0);
  });

  test('too many changes at once: the kernel forgets every name', async (t) => {
    const [major = 0, minor = 0] = os.release().split('.').map(Number);
    if (major < 6 || (major === 6 && minor < 16)) return t.skip(`Linux ${os.release()} cannot be told so`);
    fs.writeFileSync(path('goes'), 'x');
    assert.deepEqual([fs.existsSync(path('comes')), fs.existsSync(path('goes'))], [false, true]);
    await write('comes', 'x', false);
    await served.command({ do: 'remove', path: 'goes', invalidate: false });
    assert.deepEqual([fs.existsSync(path('comes')), fs.existsSync(path('goes'))], [false, true]);
    await served.command({ do: 'invalidate-many', count: 20_000 });
    await until(
      'both are looked up anew',
      () => fs.existsSync(path('comes')) && !fs.existsSync(path('goes')),
    );
  });

  test('re-reading what did not change asks nothing of us', async () => {
    const data = 'x'.repeat(50 * PAGE);
    fs.writeFileSync(path('cached'), data);
    assert.equal(read('cached'), data);
    const before = (await served.command({ do: 'count' })).reads;
    for (let round = 0; round < 10; round++) assert.equal(read('cached'), data);
    assert.equal((await served.command({ do: 'count' })).reads, before);
    await write('cached', 'new');
    await until('the new content', () => read('cached') === 'new');
    assert.ok((await served.command({ do: 'count' })).reads > before);
  });
});

describe('answers that take their time', { skip: cannotMount() ?? false }, () => {
  let served: Served;
  const path = (name: string) => join(served.mountPoint, name);
  const make = (name: string, text: string) =>
    served.command({ do: 'write', path: name, text: text.padEnd(PAGE), invalidate: true });

  before(async () => {
    // So long that only an invalidation can explain that something new is seen.
    served = await serve({ timeouts: { entryMs: MINUTE, attributesMs: MINUTE, negativeMs: MINUTE } });
    await make('never', 'never');
    await make('slow', 'slow');
    await make('throws', 'throws');
  });
  after(() => served?.stop());

  /** Reads without the page cache, so that a signal reaches the request itself; prints the result. */
  const direct = (name: string, prelude: string) => {
    const script = `
import ctypes, mmap, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
m = mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(m))
${prelude}
print('reading', flush=True)
n = libc.read(fd, ctypes.c_void_p(at), ctypes.c_size_t(4096))
print(n, ctypes.get_errno() if n < 0 else 0, flush=True)
`;
    const python = spawn('python3', ['-c', script, path(name)], { cwd: '/' });
    const reader = { python, seen: '' };
    python.stdout.setEncoding('utf8').on('data', (text: string) => {
      reader.seen += text;
    });
    return reader;
  };

  test('a slow read holds up nobody else', async () => {
    const order: string[] = [];
    const slow = fs.promises.readFile(path('slow'), 'utf8').finally(() => order.push('slow'));
    await fs.promises.writeFile(path('quick'), 'x').finally(() => order.push('quick'));
    assert.match(await slow, /^slow/);
    assert.deepEqual(order, ['quick', 'slow']);
  });

  test('a fault of the file system is an EIO', () => {
    assert.throws(() => fs.readFileSync(path('throws')), { code: 'EIO' });
    fs.writeFileSync(path('afterwards'), 'x');
  });

  test('a signal that a program handles does not interrupt its read', async () => {
    const reader = direct(
      'slow',
      'signal.signal(signal.SIGALRM, lambda *_: None); signal.siginterrupt(signal.SIGALRM, True); signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)',
    );
    await once(reader.python, 'close');
    assert.equal(reader.seen, 'reading\n4096 0\n');
  });

  test('a signal that ends a program ends its read, and the file system learns of it', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const { aborts } = await served.command({ do: 'count' });
      const reader = direct('never', '');
      await until('it reads', () => reader.seen.includes('reading'));
      await delay(200);
      const exited = once(reader.python, 'exit');
      reader.python.kill(signal);
      const late = delay(30_000, undefined, { ref: false }).then(() =>
        assert.fail(`it still waits after ${signal}`),
      );
      await Promise.race([exited, late]);
      assert.equal((await served.command({ do: 'count' })).aborts, aborts + 1);
    }
  });

  test('who reads by the page cache can be killed', async () => {
    const reader = spawn('cat', [path('never')], { cwd: '/' });
    await delay(300);
    reader.kill('SIGKILL');
    const late = delay(30_000, undefined, { ref: false }).then(() => assert.fail('it still waits'));
    await Promise.race([once(reader, 'exit'), late]);
  });

  test('an inode whose read does not end does not keep others from being invalidated', async () => {
    fs.writeFileSync(path('other'), 'one');
    assert.equal(fs.readFileSync(path('other'), 'utf8'), 'one');
    await make('never', 'never mind');
    await served.command({ do: 'write', path: 'other', text: 'two', invalidate: true });
    await until('the other is seen', () => fs.readFileSync(path('other'), 'utf8') === 'two');
  });
});

describe('attributes that are the kernel\u2019s own', { skip: cannotMount() ?? false }, () => {
  test('are refused as not supported, and the others are kept', async () => {
    const served = await serve();
    try {
      const script = `
import errno, os, sys
path = sys.argv[1]
open(path, 'w').close()
for name in ('system.posix_acl_access', 'security.capability', 'security.selinux', 'trusted.mine', 'user.mine'):
    try:
        os.setxattr(path, name, b'\\x01')
        print(name, os.getxattr(path, name))
    except OSError as e:
        print(name, errno.errorcode[e.errno])
`;
      const names = ['system.posix_acl_access', 'security.capability', 'security.selinux'];
      const refused = names.map((name) => `${name} (EOPNOTSUPP|ENOTSUP|EINVAL)\n`).join('');
      const kept = "trusted.mine b'\\\\x01'\nuser.mine b'\\\\x01'\n";
      assert.match(python(script, join(served.mountPoint, 'f')), new RegExp(`^${refused}${kept}$`));
    } finally {
      await served.stop();
    }
  });
});

describe('names that are not UTF-8', { skip: cannotMount() ?? false }, () => {
  test('cannot be made, and do not exist', async () => {
    const served = await serve();
    try {
      const bad = Buffer.concat([Buffer.from(`${served.mountPoint}/caf`), Buffer.from([0xe9])]);
      assert.throws(() => fs.writeFileSync(bad, 'x'), { code: 'EILSEQ' });
      assert.throws(() => fs.mkdirSync(bad), { code: 'EILSEQ' });
      assert.throws(() => fs.statSync(bad), { code: 'ENOENT' });
      fs.writeFileSync(join(served.mountPoint, 'f'), 'x');
      assert.throws(() => fs.renameSync(join(served.mountPoint, 'f'), bad), { code: 'EILSEQ' });
      assert.throws(() => fs.symlinkSync(Buffer.from([0xff]), join(served.mountPoint, 'l')), {
        code: 'EILSEQ',
      });
      assert.deepEqual(fs.readdirSync(served.mountPoint), ['f']);
    } finally {
      await served.stop();
    }
  });
});
