/** The kernel's view: FUSE protocol, drivers, cache invalidation. */
export type { Ended, Way } from './device.js';
export { KernelInvalidator } from './invalidation.js';
export { prepareMountPoint } from './mount-point.js';
export type { Mounter } from './mounter.js';
export { systemMounter } from './mounter.js';
export { type Mount, type MountOptions, mountFileSystem, type UnmountOptions } from './mounting.js';
export type { Timeouts } from './protocol/replies.js';
export { Watching } from './watching/watching.js';
