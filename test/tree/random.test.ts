/** Random operations on two pods: what the overlay shows is what the document makes of it, and after talking to
 *  each other both show the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WormholeError } from '../../src/base/index.js';
import { type Node, ROOT, type Tree } from '../../src/tree/index.js';
import { DIRECTORY, exchange, file, lines, withTrees } from './fixture.js';

const ROUNDS = 12;
const OPERATIONS = 25;
const NAMES = ['a', 'b', 'c', 'd.txt', 'e'];

/** A small generator of numbers, so that a failing seed can be run again. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Player {
  readonly tree: Tree;
  readonly done: string[] = [];
  private readonly below: (below: number) => number;
  private contents = 0;
  private readonly name: string;

  constructor(name: string, tree: Tree, seed: number) {
    this.name = name;
    this.tree = tree;
    this.below = generator(seed);
  }

  /** One operation; what POSIX forbids is refused with its code, and anything else is a fault. */
  act(): void {
    const step = this.step();
    try {
      step.act();
      this.done.push(step.what);
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code === 'internal') {
        throw new Error(`${this.done.join('\n')}\n${step.what}`, { cause: error });
      }
    }
  }

  private step(): { what: string; act: () => void } {
    const { tree } = this;
    const [folder, name, toFolder, toName] = [this.folder(), this.nameIn(), this.folder(), this.nameIn()];
    const at = `${tree.pathOf(folder)}/${name(folder)}`;
    const from = name(folder);
    const to = toName(toFolder);
    const content = `c${this.name}${++this.contents}`;
    const node = tree.lookup(folder, from);
    switch (this.below(12)) {
      case 0:
      case 1:
        return { what: `create ${at} ${content}`, act: () => tree.create(folder, from, file(content), {}) };
      case 2:
        return { what: `mkdir ${at}`, act: () => tree.create(folder, from, DIRECTORY, {}) };
      case 3:
        return { what: `unlink ${at}`, act: () => tree.unlink(folder, from) };
      case 4:
        return { what: `rmdir ${at}`, act: () => tree.rmdir(folder, from) };
      case 5:
      case 6:
        return { what: `write ${at} ${content}`, act: () => this.write(node, content) };
      case 7:
        return {
          what: `link ${at} ${tree.pathOf(toFolder)}/${to}`,
          act: () => this.link(node, toFolder, to),
        };
      case 8:
        return {
          what: `chmod ${at}`,
          act: () => node && tree.setAttributes(node.id, { mode: this.below(0o777) }),
        };
      default: {
        const flags = { exchange: this.below(6) === 0, noreplace: this.below(6) === 0 };
        const what = `rename ${at} ${tree.pathOf(toFolder)}/${to} ${JSON.stringify(flags)}`;
        return { what, act: () => tree.rename(folder, from, toFolder, to, flags) };
      }
    }
  }

  private write(node: Node | undefined, content: string): void {
    if (node?.kind !== 'file') return;
    this.tree.setData(node.id, { size: content.length, mtime: 1n, content }, node.versions);
  }

  private link(node: Node | undefined, folder: string, name: string): void {
    if (node !== undefined) this.tree.link(node.id, folder, name);
  }

  private folder(): string {
    let id = ROOT;
    while (this.below(3) > 0) {
      const folders = this.tree.list(id, undefined, 100).filter(({ kind }) => kind === 'directory');
      const next = folders[this.below(folders.length)];
      if (next === undefined) break;
      id = next.inode;
    }
    return id;
  }

  /** A name that may be there, now and then one that is (conflict names among them). */
  private nameIn(): (folder: string) => string {
    const [fresh, which] = [this.below(3) === 0, this.below(1_000)];
    return (folder) => {
      const there = this.tree.list(folder, undefined, 100).map(({ name }) => name);
      const names = fresh || there.length === 0 ? NAMES : there;
      return names[which % names.length] ?? 'a';
    };
  }
}

/** Which of several losing values has the shortest conflict name, and whether one stayed where a file was that
 *  moved on, may change once a group of operations is in the document; that each is there does not. */
function withoutMarks(tree: Tree): string[] {
  return lines(tree)
    .map((line) => line.replace(/^.*\/[^/]*\(conflict, [^)]*\)[^/ ]*/, '(conflict)'))
    .sort();
}

for (const seed of [1, 2]) {
  test(`seed ${seed}: overlay, document and peers agree`, () =>
    withTrees(async (folder, open) => {
      const players = [
        new Player('a', await open(`${folder}/a`, 'a'), seed * 2),
        new Player('b', await open(`${folder}/b`, 'b'), seed * 2 + 1),
      ] as const;
      const [a, b] = players;
      await a.tree.commit();
      await exchange(a.tree, b.tree);
      for (let round = 0; round < ROUNDS; round++) {
        for (const { tree, done, act } of players.map((player) => ({ ...player, act: () => player.act() }))) {
          done.push(`-- round ${round}`);
          for (let n = 0; n < OPERATIONS; n++) act();
          const [shown, counts] = [withoutMarks(tree), tree.counts()];
          await tree.commit();
          assert.deepEqual(
            withoutMarks(tree),
            shown,
            `the overlay showed something else:\n${done.join('\n')}`,
          );
          assert.deepEqual({ ...tree.counts(), pendingOperations: 0 }, { ...counts, pendingOperations: 0 });
        }
        await exchange(a.tree, b.tree);
        await Promise.all(players.map(({ tree }) => tree.commit()));
        assert.deepEqual(lines(b.tree), lines(a.tree), `${a.done.join('\n')}\n== b\n${b.done.join('\n')}`);
        assert.deepEqual(b.tree.counts(), a.tree.counts());
      }
      assert.ok(a.tree.counts().files > 0, 'the test did nothing');
    }));
}

test('operations while the peers talk: both end equal, and what is held in memory is what is stored', () =>
  withTrees(async (folder, open) => {
    const players = [
      new Player('a', await open(`${folder}/a`, 'a'), 77),
      new Player('b', await open(`${folder}/b`, 'b'), 78),
    ] as const;
    const [a, b] = [players[0].tree, players[1].tree];
    await a.commit();
    await exchange(a, b);
    let done = false;
    const talking = (async () => {
      while (!done) {
        await exchange(a, b);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    for (let n = 0; n < 400; n++) {
      for (const player of players) player.act();
      if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, n % 3));
    }
    done = true;
    await talking;
    await Promise.all([a.commit(), b.commit()]);
    await exchange(a, b);
    await Promise.all([a.commit(), b.commit()]);
    const shown = lines(a);
    assert.deepEqual(lines(b), shown);
    assert.deepEqual(b.counts(), a.counts());
    const counts = a.counts();
    await a.close();
    const again = await open(`${folder}/a`, 'a');
    assert.deepEqual(lines(again), shown);
    assert.deepEqual(again.counts(), counts);
  }));
