import { setImmediate as turn } from 'node:timers/promises';
import type { FileSystem } from '../../src/fs/index.js';

/** The same file system, every answer of which comes a turn of the event loop later. Data is copied late, to show
 *  whether the driver keeps it until then. */
export function later(fileSystem: FileSystem): FileSystem {
  return new Proxy(fileSystem, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return async (...parameters: unknown[]) => {
        await turn();
        return value.apply(target, parameters);
      };
    },
  });
}
