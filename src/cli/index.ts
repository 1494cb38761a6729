/** `wh`: one file a command; asks the daemon, prints. */
export {};
