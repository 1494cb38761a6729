import { WormholeError } from '../base/index.js';
import type { ChunkId } from './content.js';

/** No pod that can be reached has a chunk. */
export class MissingChunk extends WormholeError {
  readonly chunk: ChunkId;

  /** @param message one sentence that says what to do next */
  constructor(chunk: ChunkId, message: string, cause: unknown) {
    super('unreachable', message, { cause });
    this.chunk = chunk;
  }
}
