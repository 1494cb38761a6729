/** Who should hold which chunk: plan, fetch, repair, evict. */
export {};
