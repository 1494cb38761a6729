/** `wormhole.yaml` to a checked, typed Config; two Configs to a list of differences. */
export * from './network-config.js';
export * from './pod-config.js';
export { type Problem, type ProblemCode, pictureOf, positionOf, type Reading } from './problem.js';
export { formatSize, parseDuration, parseRate, parseSize } from './units.js';
