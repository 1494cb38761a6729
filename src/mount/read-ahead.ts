import { writeFile } from 'node:fs/promises';
import { type Log, messageOf } from '../base/index.js';
import { WRITE_BYTES_MAX } from './driver.js';

/**
 * Has the kernel ask for as much as one answer holds when somebody reads on and on. Its default for FUSE is an eighth
 * of that, and only root may change it; where that is refused reading costs more requests.
 * @param device `major:minor` of the mount
 */
export async function widenReadAhead(device: string, log: Log): Promise<void> {
  try {
    await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, String(WRITE_BYTES_MAX / 1024));
  } catch (error) {
    log.debug('the kernel keeps its small read-ahead for this mount', { reason: messageOf(error) });
  }
}
