/** One pod's network part as a process of its own. It admits everybody, writes a JSON line for each event, and takes
 *  commands from its input: `echo PEER`, `invite`, `stop`.
 *    node net-pod.js KEYFILE NETWORK       runs
 *    node net-pod.js KEYFILE join CODE     joins the network of whoever made the code, and ends */
import { createInterface } from 'node:readline';
import { messageOf, type PodId } from '../../src/base/index.js';
import {
  joinNetwork,
  loadOrCreateIdentity,
  makeDiscovery,
  makeInvites,
  makeLinks,
  searchPods,
} from '../../src/net/index.js';

const [keyFile = '', networkId = '', code = ''] = process.argv.slice(2);
const tell = (event: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(event)}\n`);
const identity = await loadOrCreateIdentity(keyFile);
if (networkId === 'join') await join();
else await run();

async function join(): Promise<void> {
  tell({ event: 'started', pod: identity.pod });
  try {
    tell({ event: 'joined', ...(await joinNetwork({ code, name: 'test', identity, search: searchPods() })) });
  } catch (error) {
    tell({ event: 'failed', body: messageOf(error) });
  }
}

async function run(): Promise<void> {
  const invites = makeInvites({
    inviter: identity.pod,
    welcome: async (_joiner, { name }) => `welcome ${name}`,
  });
  const links = makeLinks({ identity, admit: () => true, discovery: makeDiscovery({ networkId }), invites });
  links.handle('echo', (_link, body) => body);
  links.events.on('up', (link) => tell({ event: 'up', peer: link.peer, address: link.address }));
  links.events.on('down', ({ link, reason }) => tell({ event: 'down', peer: link.peer, reason }));
  await links.start();
  tell({ event: 'started', pod: identity.pod, port: links.port });
  const echo = async (peer: PodId) => {
    const body = await links.get(peer)?.request('echo', peer, { timeoutMs: 2_000 });
    tell({ event: body === undefined ? 'no-link' : 'echo', peer, body });
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, peer = ''] = line.split(' ');
    if (verb === 'stop') break;
    if (verb === 'invite') tell({ event: 'invited', body: invites.create({ role: 'storage' }).code });
    if (verb === 'echo') echo(peer).catch((error) => tell({ event: 'failed', peer, body: messageOf(error) }));
  }
  await links.stop();
}
