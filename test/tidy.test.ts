/** Reads the source and holds the rules of docs/architecture.md: who imports whom, one home per package. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const src = join(root, 'src');

/** Folder → the folders it may import; everyone may import `base`. */
const MAY_IMPORT: Record<string, string[]> = {
  base: [],
  config: [],
  store: [],
  net: [],
  content: ['store'],
  tree: ['store'],
  membership: ['net', 'store', 'config'],
  fs: ['tree', 'content'],
  sync: ['net', 'membership', 'tree', 'content'],
  placement: ['membership', 'config', 'tree', 'content'],
  mount: ['fs'],
  daemon: ['config', 'store', 'net', 'content', 'tree', 'membership', 'fs', 'sync', 'placement', 'mount'],
  cli: ['config'],
};
/** The control socket's types and client, and where a pod's files lie: all that `cli/` may see of the daemon. */
const CLI_MAY_IMPORT_FILES = ['daemon/client.ts', 'daemon/control.ts', 'daemon/home.ts', 'daemon/order.ts'];

/** Third-party package → its one home. */
const HOME: Record<string, string> = {
  '@automerge/automerge': 'tree',
  '@automerge/automerge-repo': 'membership',
  ws: 'net',
  'bonjour-service': 'net',
  yaml: 'config',
  lmdb: 'store',
  'lru-cache': 'content',
  '@oclif/core': 'cli',
  'cbor-x': 'base',
  uqr: 'cli',
  koffi: 'mount',
};

interface Import {
  file: string;
  target: string;
  typeOnly: boolean;
  /** Loaded when it is first used. */
  late: boolean;
}

const files = readdirSync(src, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.ts'));

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8');
  const found: Import[] = [];
  const pattern = /^\s*(import|export)(\s+type)?\s(?:[^'";]*?\sfrom\s)?\s*'([^']+)'|import\('([^']+)'\)/gm;
  for (const match of text.matchAll(pattern)) {
    found.push({
      file,
      target: match[3] ?? match[4] ?? '',
      typeOnly: match[2] !== undefined,
      late: match[4] !== undefined,
    });
  }
  return found;
}

const imports = files.flatMap(importsOf);

test('the reader of imports finds them', () => {
  assert.ok(imports.length > files.length, 'fewer imports than files: the pattern no longer matches');
});

test('imports go down only', () => {
  const wrong: string[] = [];
  for (const { file, target } of imports) {
    if (!target.startsWith('.')) continue;
    const to = normalize(join(dirname(file), target)).replace(/\.js$/, '.ts');
    const [from, into] = [file.split('/')[0] ?? '', to.split('/')[0] ?? ''];
    if (from === into || into === 'base') continue;
    if (from === 'cli' && CLI_MAY_IMPORT_FILES.includes(to)) continue;
    if (!(MAY_IMPORT[from] ?? []).includes(into)) wrong.push(`${file} imports ${to}`);
  }
  assert.deepEqual(wrong, []);
});

test('each third-party package has one home', () => {
  const wrong: string[] = [];
  for (const { file, target } of imports) {
    if (target.startsWith('.') || target.startsWith('node:')) continue;
    const name = target.startsWith('@')
      ? target.split('/').slice(0, 2).join('/')
      : (target.split('/')[0] ?? '');
    const home = HOME[name];
    if (home === undefined) wrong.push(`${file} imports ${name}, which has no home in this test`);
    else if (file.split('/')[0] !== home) wrong.push(`${file} imports ${name}, whose home is ${home}/`);
  }
  assert.deepEqual(wrong, []);
});

/** What is loaded together with a file: files of ours, and packages. */
function loadedWith(entry: string): Set<string> {
  const loaded = new Set([entry]);
  for (const file of loaded) {
    for (const { file: from, target, typeOnly, late } of imports) {
      if (from !== file || typeOnly || late || target.startsWith('node:')) continue;
      const isOurs = target.startsWith('.');
      loaded.add(isOurs ? normalize(join(dirname(file), target)).replace(/\.js$/, '.ts') : target);
    }
  }
  return loaded;
}

test('a command of wh loads no package and no other command: that would take longer than the command', () => {
  const commands = files.filter((file) => file.startsWith('cli/commands/'));
  assert.ok(commands.length > 30);
  const wrong = [...commands, 'cli/main.ts'].flatMap((command) =>
    [...loadedWith(command)]
      .filter((file) => !file.endsWith('.ts') || (commands.includes(file) && file !== command))
      .map((file) => `${command} loads ${file}`),
  );
  // Its code as a picture.
  assert.deepEqual(wrong, ['cli/commands/invite.ts loads uqr']);
});

test('every dependency is used and has its reason', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const reasons = readFileSync(join(root, 'docs', 'dependencies.md'), 'utf8');
  const names = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.optionalDependencies ?? {})];
  const all = [...names, ...Object.keys(manifest.devDependencies)];
  assert.deepEqual(
    names.filter((name) => !(name in HOME)),
    [],
    'without a home',
  );
  assert.deepEqual(
    all.filter((name) => !reasons.includes(`\`${name}\``)),
    [],
    'without a reason in docs/dependencies.md',
  );
});

test('no file is dead', () => {
  const entries = new Set(['cli/index.ts', 'cli/main.ts', 'daemon/main.ts']);
  const used = new Set<string>();
  for (const { file, target } of imports) {
    if (target.startsWith('.')) used.add(normalize(join(dirname(file), target)).replace(/\.js$/, '.ts'));
  }
  // Worker threads and helper processes are started by URL, not imported.
  for (const file of files) {
    for (const match of readFileSync(join(src, file), 'utf8').matchAll(
      /new URL\('([^']+)\.js', import\.meta\.url\)/g,
    )) {
      used.add(normalize(join(dirname(file), `${match[1]}.ts`)));
    }
  }
  assert.deepEqual(
    files.filter((file) => !used.has(file) && !entries.has(file) && !/^[^/]+\/index\.ts$/.test(file)),
    [],
  );
});

test('every folder of src begins with its sentence', () => {
  for (const folder of Object.keys(MAY_IMPORT)) {
    const index = join(src, folder, 'index.ts');
    assert.ok(existsSync(index), `${relative(root, index)} is missing`);
    assert.match(
      readFileSync(index, 'utf8'),
      /^\/\*\* [A-Z`]/,
      `${relative(root, index)} does not begin with its sentence`,
    );
  }
});

test('paths named in the docs exist', () => {
  const documents = [
    'README.md',
    ...readdirSync(join(root, 'docs'), { recursive: true }).map((file) => join('docs', String(file))),
  ];
  const missing: string[] = [];
  for (const document of documents.filter((name) => name.endsWith('.md'))) {
    for (const match of readFileSync(join(root, document), 'utf8').matchAll(
      /`((?:src|test|docs|bench|fixtures|scripts|bin)\/[\w./-]+)`/g,
    )) {
      if (!existsSync(join(root, match[1] ?? ''))) missing.push(`${document}: ${match[1]}`);
    }
  }
  assert.deepEqual(missing, []);
});
