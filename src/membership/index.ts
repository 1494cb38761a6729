/** The network's shared notebook: members and their keys, declared configuration, presence. */
export type { Fact, Signer, Statement } from './fact.js';
export { callTheRoll, type Declaration, type Member, type Roll } from './members.js';
export {
  createMembership,
  joinMembership,
  Membership,
  type MembershipEvents,
  type MembershipOptions,
  openMembership,
  tableOfSavedMembership,
  type Welcome,
} from './membership.js';
export type { Presence, Status } from './presence.js';
