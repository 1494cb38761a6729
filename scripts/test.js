// Runs the compiled tests with node's own test runner: `node scripts/test.js [unit|search|system] [file-part …]`.
// Unit tests run side by side; searches (simulations by seeds, planted faults) are slow and the same on every Node;
// system tests own mounts and network namespaces under names of their own, and often wait. A file that hangs is ended.
// What tests draw is the same in every run, so that a failure is of the change; WORMHOLE_SEED=n draws something else,
// WORMHOLE_SEED=random something new.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
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
// Searches have both cores to themselves: garbage is not collected by several threads.
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

function run(name, files, concurrency, flags) {
  if (files.length === 0) {
    console.log(`no ${name} match`);
    return parts.length > 0;
  }
  console.log(`${name}: ${files.length} files, Node ${process.version}`);
  const result = spawnSync(
    process.execPath,
    [
      '--enable-source-maps',
      ...flags,
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${FILE_TIMEOUT_MS}`,
      '--test-reporter=spec',
      ...files,
    ],
    { stdio: 'inherit' },
  );
  return result.status === 0;
}

const CONCURRENCY = { unit: 4, search: 2, system: 4 };
let ok = true;
for (const [kind, concurrency] of Object.entries(CONCURRENCY)) {
  if (only !== '' && only !== kind) continue;
  const files = all.filter((file) => kindOf(file) === kind);
  ok = run(`${kind} tests`, files, concurrency, known(kind === 'search' ? SEARCH_FLAGS : FLAGS)) && ok;
}
process.exit(ok ? 0 : 1);
