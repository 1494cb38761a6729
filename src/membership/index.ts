/** The network's shared notebook: members and their keys, declared configuration, presence. */
export {};
