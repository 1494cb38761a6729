import type { Stat } from './filesystem.js';

/** Whose pod this is: the user that runs the daemon. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * In the tree the number 0 is the owner of a pod: root where root mounts, and where an ordinary user does, that user.
 * Else the user could not even write to the top folder of the own tree. All other numbers are what they are.
 */
export class Owners {
  private readonly owner: Owner;

  constructor(owner: Owner) {
    this.owner = owner;
  }

  /** As the kernel is to see it; changes the stat. */
  show(stat: Stat): Stat {
    if (stat.uid === 0) stat.uid = this.owner.uid;
    if (stat.gid === 0) stat.gid = this.owner.gid;
    return stat;
  }

  /** As the tree has it. */
  uid(uid: number): number {
    return uid === this.owner.uid ? 0 : uid;
  }

  gid(gid: number): number {
    return gid === this.owner.gid ? 0 : gid;
  }
}
