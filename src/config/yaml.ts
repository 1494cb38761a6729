import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The parser, of 70 files. Most calls of `wh`, and daemons of pods for which nothing is declared, never need it. */
export function yaml(): typeof import('yaml') {
  return require('yaml');
}
