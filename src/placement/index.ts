/** Who should hold which chunk: plan, fetch, repair, scrub, evict, posture. */
export type { Checked } from './check.js';
export type { Freed } from './freeing.js';
export type { Inspection } from './inspect.js';
export { Layouts, type Placed, plainLayouts } from './layouts.js';
export { type Flow, FlowCount, planNetwork } from './network-plan.js';
export type { Notes } from './notes.js';
export type { Access } from './outlook.js';
export type { Peers } from './peers.js';
export { Placement, type PlacementOptions, type Work } from './placement.js';
export { type Action, belongsHere, plan } from './plan.js';
export { type Candidate, candidatesOf, holders, type Layout, layoutOf } from './rendezvous.js';
export type { Scrubbed } from './scrubber.js';
export type { CopiesReached } from './wait.js';
