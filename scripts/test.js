// Runs the compiled tests with node's own test runner: `node scripts/test.js [unit|system] [file-part …]`.
// Unit tests run side by side; system tests own mounts and network namespaces and run one after the other.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const [only, ...parts] = ['unit', 'system'].includes(process.argv[2])
  ? process.argv.slice(2)
  : ['', ...process.argv.slice(2)];
const root = join(import.meta.dirname, '..', 'dist', 'test');
const all = readdirSync(root, { recursive: true })
  .map(String)
  .filter(
    (file) => file.endsWith('.test.js') && (parts.length === 0 || parts.some((part) => file.includes(part))),
  )
  .map((file) => join(root, file))
  .sort();
const isSystem = (file) => file.includes(join('test', 'system'));

function run(name, files, concurrency) {
  if (files.length === 0) {
    console.log(`no ${name} test matches`);
    return parts.length > 0;
  }
  console.log(`${name}: ${files.length} files, Node ${process.version}`);
  const result = spawnSync(
    process.execPath,
    ['--enable-source-maps', '--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec', ...files],
    { stdio: 'inherit' },
  );
  return result.status === 0;
}

let ok = true;
if (only !== 'system')
  ok =
    run(
      'unit tests',
      all.filter((file) => !isSystem(file)),
      2,
    ) && ok;
if (only !== 'unit') ok = run('system tests', all.filter(isSystem), 1) && ok;
process.exit(ok ? 0 : 1);
