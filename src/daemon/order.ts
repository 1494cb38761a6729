import type { Role } from './control.js';

/** Environment variable with the number of the descriptor on which a daemon says that it serves. */
export const READY_DESCRIPTOR = 'WORMHOLE_READY_DESCRIPTOR';

/** What `wh` tells a daemon that it starts: serve a pod, and, at the first start, how the pod comes to be. */
export interface DaemonOrder {
  /** Folder of the pod; for `join` a temporary one, renamed to the network's name once that is known. */
  folder: string;
  origin?:
    | { kind: 'new'; network: string; pod: string; mount: string; port: number; listen: string }
    | {
        kind: 'join';
        code: string;
        pod: string;
        /** Where to mount, or null for the default of the network's name. */
        mount: string | null;
        port: number;
        listen: string;
        address: string | null;
        /** The home that the pod's folder belongs in. */
        home: string;
      };
}

/** What a daemon answers when it serves. */
export interface DaemonReady {
  pid: number;
  network: string;
  pod: string;
  id: string;
  mount: string;
  port: number;
  role: Role;
}
