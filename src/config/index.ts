/** Turns `wormhole.yaml` into a checked, typed Config. */
export {
  type Crisis,
  type CrisisResponses,
  POSTURES,
  type Posture,
  RESPONSES,
  type Response,
} from './crisis.js';
export {
  type Described,
  type Difference,
  describeConfig,
  describeLabels,
  differencesOf,
  settingsOf,
} from './describe.js';
export { editConfig } from './edit.js';
export { type Labelled, matchesLabels, type Shortfall, shortfalls } from './feasible.js';
export { isPodName, parseAddress } from './names.js';
export {
  type Bandwidth,
  defaultNetworkConfig,
  type NetworkConfig,
  type PodSettings,
  parseNetworkConfig,
  readNetworkConfig,
} from './network-config.js';
export { isWithin, type PathPattern, parsePattern } from './paths.js';
export * from './pod-config.js';
export { Policies, type Policy } from './policy.js';
export { type Problem, type ProblemCode, pictureOf, positionOf, type Reading } from './problem.js';
export { type Affinity, type Labels, ROLES, type Role, type Rule } from './rules.js';
export { CONFIG_TEMPLATE } from './template.js';
export { formatDuration, formatRate, formatSize, parseDuration, parseRate, parseSize } from './units.js';
