import { messageOf } from '../base/index.js';
import { effectivePodSettings } from '../config/index.js';
import { listenAddress, ownAddresses } from './addresses.js';
import { notify } from './notify.js';
import type { Pod } from './pod.js';

type Stop = () => void;

/** What a pod does by itself as long as it runs, beside what its parts do. */
export function startBackground(pod: Pod): Stop {
  const stops = [
    tellPresence(pod),
    tellAddresses(pod),
    forgetHistory(pod),
    watchPosture(pod),
    followDeclaration(pod),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

const PRESENCE_INTERVAL_MS = 10_000;

/** Tells the linked pods now and then how this one is. */
function tellPresence(pod: Pod): Stop {
  const tell = () => {
    const { missing, isFull } = pod.placement;
    const free = pod.content.usage().freeBytes;
    const hot = pod.placement.hotFiles();
    pod.membership.tell({
      free,
      state: pod.engine.state,
      missing,
      full: isFull,
      ...(hot.length > 0 ? { hot } : {}),
    });
  };
  tell();
  const timer = setInterval(tell, PRESENCE_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

const ADDRESSES_INTERVAL_MS = 5_000;

/** Tells the members where this pod is, now and whenever that is no longer so: those that it cannot call hear of it from
 *  others, and call it there. */
function tellAddresses(pod: Pod): Stop {
  const { host } = listenAddress(pod.record, pod.settings);
  const tell = () => {
    const addresses = ownAddresses(host, pod.links.port);
    // A machine that has none for the moment comes back, most likely to where it was.
    if (addresses.length > 0) pod.membership.announce(addresses);
  };
  tell();
  const timer = setInterval(tell, ADDRESSES_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** What is declared anew holds at once, as far as the parts do not ask for it themselves. */
function followDeclaration(pod: Pod): Stop {
  const { membership, links, paces, content, record, settings } = pod;
  let known = pod.config;
  return membership.events.on('changed', () => {
    const { config } = pod;
    if (config === known) return;
    known = config;
    const { bandwidth, cache } = effectivePodSettings(config, record.pod, settings);
    content.resizeCache(cache);
    paces.up.set(bandwidth?.up);
    paces.down.set(bandwidth?.down);
    for (const address of config.seeds) links.dial(address);
  });
}

const FORGET_FIRST_MS = 5 * 60 * 1000;
const FORGET_INTERVAL_MS = 60 * 60 * 1000;

/** Lists what was overwritten and deleted for as long as the network's history reaches. */
function forgetHistory(pod: Pod): Stop {
  const { tree, log } = pod;
  const forget = () => {
    tree
      .forgetHistory(pod.placement.historyMs)
      .catch((error) => log.warn('old history is forgotten later', { reason: messageOf(error) }));
  };
  // A pod that never runs for an hour forgets too.
  const timers = [setTimeout(forget, FORGET_FIRST_MS), setInterval(forget, FORGET_INTERVAL_MS)];
  for (const timer of timers) timer.unref();
  return () => {
    for (const timer of timers) clearTimeout(timer);
  };
}

/** Says in the log, and to whom the declaration names, that the network is in another posture. */
function watchPosture(pod: Pod): Stop {
  const log = pod.log.part('posture');
  return pod.placement.events.on('posture', ({ posture, before, reason = 'nothing is lost' }) => {
    log.warn('the posture changed', { posture, before, reason });
    const { network, pod: name } = pod.record;
    notify(pod.config.crisis.notify, { network, pod: name, posture, before, reason }, log);
  });
}
