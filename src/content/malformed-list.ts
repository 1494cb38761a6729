import { WormholeError } from '../base/index.js';

/** What is said to be a list of chunks is none, and never will be: its bytes are what its name says. */
export class MalformedList extends WormholeError {
  /** @param message one sentence that says what to do next */
  constructor(message: string) {
    super('corrupt', message);
  }
}
