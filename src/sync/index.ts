/** What two linked pods say to each other about the tree and about chunks. */
export {};
