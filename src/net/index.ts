/** Peers by their key: identity, invites, discovery, encrypted links, frames. */
export type * from './link.js';
