/** Turns `wormhole.yaml` into a checked, typed Config. */
export * from './network-config.js';
export * from './pod-config.js';
export { type Problem, type ProblemCode, pictureOf, positionOf, type Reading } from './problem.js';
export { formatSize, parseDuration, parseRate, parseSize } from './units.js';
