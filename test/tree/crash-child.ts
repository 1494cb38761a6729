/**
 * A tree that works until it is killed: `node crash-child.js FOLDER MODE`. It prints the tree as it stands at once
 * and (unless MODE is `early`) once the document has everything, reads the number of the first operation to do,
 * and prints a line for each operation that returned. MODE `check` ends there.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { ROOT, type Tree } from '../../src/tree/index.js';
import { file, lines, open } from './fixture.js';

const [folder = '', mode = 'work'] = process.argv.slice(2);

function print(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

/** Operation number `n`: what it does follows from the number alone. */
function act(tree: Tree, n: number): void {
  const step = n % 6;
  if (step === 0) tree.create(ROOT, `f${n}`, file(`c${n}`), {});
  else if (step === 1) write(tree, n);
  else if (step === 2) tree.rename(ROOT, `f${n - 2}`, ROOT, `g${n}`);
  else if (step === 3) tree.create(ROOT, 'temporary', file(`c${n}`), {});
  else if (step === 4) tree.rename(ROOT, 'temporary', ROOT, 'saved');
  else if (n > 40) tree.unlink(ROOT, `g${n - 39}`);
  else tree.create(ROOT, `keep${n}`, file(`c${n}`), {});
}

function write(tree: Tree, n: number): void {
  const node = tree.lookup(ROOT, 'counter');
  if (node === undefined) tree.create(ROOT, 'counter', file(`c${n}`), {});
  else tree.setData(node.id, { size: n, mtime: BigInt(n), content: `c${n}` }, node.versions);
}

const tree = await open(folder);
print({ state: lines(tree) });
if (mode !== 'early') {
  await tree.commit();
  print({ state: lines(tree) });
}
if (mode === 'check') {
  await tree.close();
  process.exit(0);
}
const input = createInterface({ input: process.stdin });
for (let n = Number(await input.question('')); ; n++) {
  act(tree, n);
  print(n);
  if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
}
