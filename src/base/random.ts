import { randomBytes } from 'node:crypto';

/** Randomness comes in through constructors, so that a simulation can replay it from a seed. */
export interface Random {
  bytes(length: number): Uint8Array;
}

export const systemRandom: Random = { bytes: (length) => randomBytes(length) };
