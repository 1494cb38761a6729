/** One pod's network part as a process of its own: `node net-pod.js KEYFILE NETWORK`. It admits everybody, writes
 *  a JSON line for each event, and answers `echo`. */
import { createInterface } from 'node:readline';
import type { PodId } from '../../src/base/index.js';
import { loadOrCreateIdentity, makeDiscovery, makeLinks } from '../../src/net/index.js';

const [keyFile = '', networkId = ''] = process.argv.slice(2);
const tell = (event: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(event)}\n`);

const identity = await loadOrCreateIdentity(keyFile);
const links = makeLinks({ identity, admit: () => true, discovery: makeDiscovery({ networkId }) });
links.handle('echo', (_link, body) => body);
links.events.on('up', (link) => tell({ event: 'up', peer: link.peer, address: link.address }));
links.events.on('down', ({ link, reason }) => tell({ event: 'down', peer: link.peer, reason }));
await links.start();
tell({ event: 'started', pod: identity.pod, port: links.port });

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, peer] = line.split(' ') as [string, PodId | undefined];
  if (verb === 'stop') break;
  const link = links.get(peer ?? '');
  if (link === undefined) tell({ event: 'no-link', peer });
  else {
    link
      .request('echo', line, { timeoutMs: 2_000 })
      .then((body) => tell({ event: 'echo', peer, body }))
      .catch((error) => tell({ event: 'failed', peer, code: error.code }));
  }
}
await links.stop();
