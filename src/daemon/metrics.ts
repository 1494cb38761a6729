import { readdirSync } from 'node:fs';
import type { Metric } from './control.js';
import type { LoopDelay } from './loop-delay.js';
import type { Pod } from './pod.js';
import { statusOf } from './status.js';

type Samples = Metric['samples'];

/** The figures of this pod, for Prometheus. Names end in their unit. */
export function metricsOf(pod: Pod, loopDelay: LoopDelay): Metric[] {
  const status = statusOf(pod);
  const usage = pod.content.usage();
  const { copied } = pod.placement;
  const { rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const others = status.pods.filter(({ link }) => link !== 'self');
  const ofPods = (value: (each: (typeof others)[number]) => number | undefined): Samples =>
    others.flatMap((each) => {
      const figure = value(each);
      return figure === undefined ? [] : [{ labels: { pod: each.name }, value: figure }];
    });
  return [
    gauge(
      'wormhole_running',
      'Whether the pod serves and nothing is amiss (1) or not (0).',
      Number(status.state === 'running'),
    ),
    gauge('wormhole_files', 'Files in the tree.', status.files),
    gauge('wormhole_bytes', 'Sizes of all files.', status.bytes),
    gauge('wormhole_conflicts', 'Files shown under a conflict name.', status.conflicts),
    gauge('wormhole_unpublished_files', 'Files written here that others cannot see yet.', status.unpublished),
    gauge('wormhole_under_replicated_files', 'Files on fewer pods than declared.', status.underReplicated),
    gauge(
      'wormhole_mass_deletions',
      'Mass deletions of late that were not undone.',
      status.massDeletions.length,
    ),
    gauge(
      'wormhole_pending_operations',
      'Changes that wait for the document.',
      pod.tree.counts().pendingOperations,
    ),
    gauge('wormhole_store_chunks', 'Chunks in the store.', usage.chunks),
    gauge('wormhole_store_bytes', 'Bytes of chunks in the store.', usage.bytes),
    gauge('wormhole_store_cached_bytes', 'Bytes of chunks that may be evicted.', usage.cachedBytes),
    gauge('wormhole_store_staged_bytes', 'Bytes written here and not published.', usage.stagedBytes),
    gauge('wormhole_store_free_bytes', 'Bytes free for the store.', usage.freeBytes),
    {
      ...gauge(
        'wormhole_copied_bytes_total',
        'Bytes that were copied here, by whether a posture throttled them.',
        0,
      ),
      type: 'counter',
      samples: [
        { labels: { throttled: 'no' }, value: copied.bytes - copied.heldBytes },
        { labels: { throttled: 'yes' }, value: copied.heldBytes },
      ],
    },
    {
      ...gauge('wormhole_pod_linked', 'Whether another pod is linked (1) or not (0).', 0),
      samples: ofPods(({ link }) => Number(link === 'up')),
    },
    {
      ...gauge('wormhole_pod_free_bytes', 'Free bytes of another pod, as last heard.', 0),
      samples: ofPods(({ free }) => free ?? undefined),
    },
    {
      ...gauge('wormhole_pod_round_trip_seconds', 'Round trip to another pod.', 0),
      samples: ofPods(({ id }) => secondsOf(pod.links.get(id)?.roundTripMs)),
    },
    {
      ...gauge(
        'wormhole_event_loop_delay_seconds',
        'How late the main thread is with what is due, since somebody first asked.',
        0,
      ),
      samples: [500, 990, 999].map((perMille) => ({
        labels: { quantile: String(perMille / 1000) },
        value: loopDelay.quantile(perMille),
      })),
    },
    gauge('process_open_fds', 'Open descriptors of the daemon.', readdirSync('/proc/self/fd').length),
    gauge(
      'nodejs_active_resources',
      'Timers, sockets and other things that the main thread waits for.',
      process.getActiveResourcesInfo().length,
    ),
    gauge('process_resident_memory_bytes', 'Resident memory of the daemon.', rss),
    {
      ...gauge('process_cpu_seconds_total', 'Processor time of the daemon.', (user + system) / 1e6),
      type: 'counter',
    },
    gauge(
      'process_start_time_seconds',
      'When the daemon started, since 1970.',
      Date.now() / 1000 - process.uptime(),
    ),
  ];
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, type: 'gauge', help, samples: [{ labels: {}, value }] };
}

function secondsOf(ms: number | null | undefined): number | undefined {
  return ms === null || ms === undefined ? undefined : ms / 1000;
}
