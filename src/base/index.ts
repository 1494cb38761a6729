/** What everything may use: clock, randomness, hash, errors, estimates, limits, log, single-flight, semaphores. */
// And cbor.js, which whoever needs it imports by itself: `wh` does not, and would load its package for nothing.
export * from './answer.js';
export * from './clock.js';
export * from './deadline.js';
export * from './disk-error.js';
export * from './emitter.js';
export * from './errors.js';
export * from './estimate.js';
export * from './files.js';
export * from './hash.js';
export * from './identifiers.js';
export * from './limits.js';
export * from './log.js';
export * from './pace.js';
export * from './random.js';
export * from './semaphore.js';
export * from './single-flight.js';
