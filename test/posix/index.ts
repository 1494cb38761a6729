/** What a local folder does, as functions of a folder: run on a plain one (which tests the tests) and on mounts. */
import type { PosixCase } from './case.js';
import { attributeCases } from './cases/attributes.js';
import { directoryCases } from './cases/directories.js';
import { extraCases } from './cases/extras.js';
import { fileCases } from './cases/files.js';
import { linkCases } from './cases/links.js';
import { nameCases } from './cases/names.js';
import { pathErrorCases } from './cases/path-errors.js';
import { renameCases } from './cases/renames.js';
import { spaceAndLockCases } from './cases/space-and-locks.js';

export { missing, type PosixCase, runCase } from './case.js';
export { compareFolders, stepsOf } from './differential.js';
export { type Call, type Outcome, SystemCalls } from './system-calls.js';

/** What the kernel decides for the most part: one run a file system is enough. */
export const matrixCases: PosixCase[] = [...renameCases, ...pathErrorCases, ...spaceAndLockCases];

export const posixCases: PosixCase[] = [
  ...fileCases,
  ...nameCases,
  ...directoryCases,
  ...linkCases,
  ...attributeCases,
  ...extraCases,
];
