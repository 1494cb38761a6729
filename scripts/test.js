// Runs the compiled tests with node's own test runner: `node scripts/test.js [unit|search|system] [file-part …]`.
// Unit tests run side by side, then system tests, which own mounts and network namespaces under names of their own. Both
// often wait; searches (simulations by seeds, planted faults), which never do, take what processor time is left meanwhile,
// and say at the end what they found. A file that hangs is ended.
// What tests draw is the same in every run, so that a failure is of the change; WORMHOLE_SEED=n draws something else,
// WORMHOLE_SEED=random something new.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';

const [only, ...parts] = ['unit', 'search', 'system'].includes(process.argv[2])
  ? process.argv.slice(2)
  : ['', ...process.argv.slice(2)];
const root = join(import.meta.dirname, '..', 'dist', 'test');
/** Begun first: whoever begins the longest last waits for it alone. */
const LONGEST = [
  'power-cut',
  'simulation.test',
  'simulation-rest',
  'posix-pod',
  'stories',
  'crash',
  'bad-disk',
  'stressors',
];
const isLong = (file) => LONGEST.some((part) => file.includes(part));
const all = readdirSync(root, { recursive: true })
  .map(String)
  .filter(
    (file) => file.endsWith('.test.js') && (parts.length === 0 || parts.some((part) => file.includes(part))),
  )
  .map((file) => join(root, file))
  .sort((left, right) => isLong(right) - isLong(left) || left.localeCompare(right));
const SEARCHES = ['simulation', join('tree', 'simulation'), join('tree', 'mutants')];
function kindOf(file) {
  if (file.includes(join('test', 'system'))) return 'system';
  return SEARCHES.some((folder) => file.includes(join('test', folder))) ? 'search' : 'unit';
}

// Tests do a little of everything: to compile it anew as it becomes hot takes more processor time than it saves.
const FLAGS = ['--wasm-tiering-budget=13000000'];
// Searches take one core each: garbage is not collected by several threads.
const SEARCH_FLAGS = [
  ...FLAGS,
  '--interrupt-budget=600000',
  '--single-threaded-gc',
  '--min-semi-space-size=32',
  '--max-semi-space-size=64',
];
/** Those of V8's options that this Node knows. */
function known(flags) {
  const { stdout } = spawnSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  return flags.filter((flag) => stdout.includes(`  ${flag.split('=')[0]} `));
}

const seed = process.env.WORMHOLE_SEED ?? '5';
process.env.WORMHOLE_SEED = seed === 'random' ? String(Math.floor(Math.random() * 1_000_000)) : seed;
console.log(`WORMHOLE_SEED=${process.env.WORMHOLE_SEED}`);

const FILE_TIMEOUT_MS = 8 * 60_000;
const LOWEST_PRIORITY = 19;

/** How each kind is run; what runs behind others has the lowest priority and longer time, and is shown at its end. */
const KINDS = {
  unit: { concurrency: 4, flags: FLAGS },
  system: { concurrency: 4, flags: FLAGS },
  search: { concurrency: 2, flags: SEARCH_FLAGS },
};

async function run(kind, isBehind = false) {
  if (only !== '' && only !== kind) return true;
  const files = all.filter((file) => kindOf(file) === kind);
  if (files.length === 0) {
    console.log(`no ${kind} tests match`);
    return parts.length > 0;
  }
  const { concurrency, flags } = KINDS[kind];
  const title = `${kind} tests: ${files.length} files, Node ${process.version}`;
  if (!isBehind) console.log(title);
  const child = spawn(
    process.execPath,
    [
      '--enable-source-maps',
      ...known(flags),
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${isBehind ? 2 * FILE_TIMEOUT_MS : FILE_TIMEOUT_MS}`,
      '--test-reporter=spec',
      ...files,
    ],
    { stdio: isBehind ? ['ignore', 'pipe', 'inherit'] : 'inherit' },
  );
  const said = [title, '\n'];
  if (isBehind) {
    setPriority(child.pid, LOWEST_PRIORITY);
    child.stdout.setEncoding('utf8').on('data', (text) => said.push(text));
  }
  const [code] = await once(child, 'close');
  if (isBehind) process.stdout.write(said.join(''));
  return code === 0;
}

const searched = run('search', only === '');
const ok = [await run('unit'), await run('system'), await searched];
process.exitCode = ok.every(Boolean) ? 0 : 1;
