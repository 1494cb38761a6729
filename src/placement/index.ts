/** Who should hold which chunk: plan, fetch, repair, scrub, evict, posture. */
export type { Checked } from './check.js';
export type { Freed } from './freeing.js';
export type { Inspection } from './inspect.js';
export type { Notes } from './notes.js';
export type { Peers } from './peers.js';
export { Placement, type PlacementOptions, type Work } from './placement.js';
export { type Action, belongsHere, type Layout, plan } from './plan.js';
export { type Candidate, candidatesOf, holders } from './rendezvous.js';
export type { CopiesReached } from './wait.js';
