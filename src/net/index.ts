/** Peers by their key: identity, invites, discovery, encrypted links, frames. */
export {
  type Discovery,
  type DiscoveryEvents,
  type DiscoveryOptions,
  makeDiscovery,
  searchPods,
} from './discovery.js';
export { type Identity, loadOrCreateIdentity, temporaryIdentity, verifySignature } from './identity.js';
export { type Door, type Invites, type InvitesOptions, type Joiner, makeInvites } from './invites.js';
export { type Joined, type JoinOptions, joinNetwork, type Search } from './join.js';
export type * from './link.js';
export { type LinksOptions, makeLinks } from './links.js';
export { formatPodId, isPublicKey, parsePodId, podIdOf } from './pod-id.js';
