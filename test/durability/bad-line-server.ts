/**
 * A {@link Line} as a process of its own on a host between two others: obeys a weather by IPC, and answers each with what
 * has passed so far.
 */
import { Line, type Weather } from '../net/line.js';

const [port = '', host = '', targetPort = ''] = process.argv.slice(2);
const line = await Line.open({
  listen: { host: '0.0.0.0', port: Number(port) },
  target: { host, port: Number(targetPort) },
});

process.on('message', (next: Weather) => {
  line.set(next);
  process.send?.(line.passed);
});
process.on('disconnect', () => process.exit(0));
process.send?.(line.passed);
