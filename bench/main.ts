// `npm run bench [-- scenario … --files N --full]` (repair at its full size: `-- repair --files 20000`): every performance claim comes from here, as a table and as JSON.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Figure, formatFigures, type Scenario } from './figure.js';
import { content } from './scenarios/content.js';
import { creates } from './scenarios/creates.js';
import { largeRead } from './scenarios/large-read.js';
import { largeTree } from './scenarios/large-tree.js';
import { latency } from './scenarios/latency.js';
import { mount } from './scenarios/mount.js';
import { plan } from './scenarios/plan.js';
import { repair } from './scenarios/repair.js';
import { treeCopy } from './scenarios/tree-copy.js';
import { treeScale } from './scenarios/tree-scale.js';
import { versusSyncthing } from './scenarios/versus-syncthing.js';

const SCENARIOS: Scenario[] = [
  latency,
  creates,
  treeCopy,
  largeRead,
  content,
  largeTree,
  treeScale,
  mount,
  versusSyncthing,
  plan,
  repair,
];

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { files: { type: 'string' }, full: { type: 'boolean', default: false } },
});
const files = Number(values.files ?? Number.NaN);
const unknown = wanted.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown.length > 0) {
  console.error(
    `no scenario ${unknown.join(', ')}; there are ${SCENARIOS.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}

const all: { scenario: string; figures: Figure[] }[] = [];
for (const scenario of SCENARIOS) {
  if (wanted.length > 0 && !wanted.includes(scenario.name)) continue;
  const started = performance.now();
  console.error(`${scenario.name} …`);
  const figures = await scenario.run({
    ...(Number.isSafeInteger(files) && files > 0 ? { files } : {}),
    full: values.full,
  });
  all.push({ scenario: scenario.name, figures });
  console.log(
    `\n${scenario.name} (${Math.round((performance.now() - started) / 1000)} s)\n${formatFigures(figures)}`,
  );
}

const results = join(import.meta.dirname, '..', '..', 'bench', 'results');
mkdirSync(results, { recursive: true });
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
writeFileSync(
  join(results, 'latest.json'),
  `${JSON.stringify({ machine, at: new Date().toISOString(), scenarios: all }, undefined, 2)}\n`,
);
const missed = all.flatMap(({ figures }) => figures.filter((figure) => figure.target?.met === false));
console.log(missed.length === 0 ? 'all targets met' : `missed: ${missed.map(({ name }) => name).join('; ')}`);
process.exitCode = missed.length === 0 ? 0 : 3;
