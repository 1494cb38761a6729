/** The one process: builds all of the above, starts and stops it, answers the control socket. */
export {};
