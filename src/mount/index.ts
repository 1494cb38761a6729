/** The kernel's view: FUSE protocol, drivers, cache invalidation. */
export {};
