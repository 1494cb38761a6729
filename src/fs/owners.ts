import { WormholeError } from '../base/index.js';
import type { Stat } from './filesystem.js';

/** Whose pod this is: the user that runs the daemon. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * In the tree the number 0 is the owner of a pod: root where root mounts, and where an ordinary user does, that user.
 * Else the user could not even write to the top folder of the own tree. All other numbers are what they are, or, squashed,
 * are shown as the owner's and stay what they are.
 */
export class Owners {
  private readonly owner: Owner;
  private readonly squashes: boolean;

  constructor(owner: Owner, squashes = false) {
    this.owner = owner;
    this.squashes = squashes;
  }

  /** As the kernel is to see it; changes the stat. */
  show(stat: Stat): Stat {
    if (stat.uid === 0 || this.squashes) stat.uid = this.owner.uid;
    if (stat.gid === 0 || this.squashes) stat.gid = this.owner.gid;
    return stat;
  }

  /** As the tree has it of a new file. */
  uid(uid: number): number {
    return uid === this.owner.uid || this.squashes ? 0 : uid;
  }

  gid(gid: number): number {
    return gid === this.owner.gid || this.squashes ? 0 : gid;
  }

  /** What chown changes in the tree.
   *  @throws WormholeError `not-permitted` when all files are to be the owner's */
  changed({ uid, gid }: { uid?: number; gid?: number }): { uid?: number; gid?: number } {
    if (!this.squashes)
      return {
        ...(uid === undefined ? {} : { uid: this.uid(uid) }),
        ...(gid === undefined ? {} : { gid: this.gid(gid) }),
      };
    const isOwner = (uid ?? this.owner.uid) === this.owner.uid && (gid ?? this.owner.gid) === this.owner.gid;
    if (isOwner) return {};
    throw new WormholeError(
      'not-permitted',
      'here all files are those of the pod\u2019s owner: see `owners` in pod.yaml',
    );
  }
}
