import { Flags } from './definitions.js';

/** What `wh new` and `wh join` ask of the pod that this machine becomes. */
export const POD_FLAGS = {
  pod: Flags.string({
    description: "this machine's name in the network (default: its host name)",
    helpValue: 'NAME',
  }),
  port: Flags.integer({
    description: 'TCP port to listen on (default: a free one)',
    default: 0,
    min: 0,
    max: 65535,
  }),
  listen: Flags.string({ description: 'address to listen on', default: '::', helpValue: 'ADDR' }),
};
