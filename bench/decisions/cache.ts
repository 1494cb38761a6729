// For decision 18: how a working set fares in the cache when somebody walks over everything, under plain LRU and
// under the segmented one. `npm run build && node dist/bench/decisions/cache.js`
import { LRUCache } from 'lru-cache';
import { SegmentedLru } from '../../src/content/cache/segmented-lru.js';

const CHUNKS = 20_000;
const CHUNK_BYTES = 1_000_000;
/** A tenth of everything. */
const CACHE_BYTES = (CHUNKS / 10) * CHUNK_BYTES;
const READS = 200_000;
/** After the walk: how soon what is wanted is back. */
const AFTER_READS = 2_000;

interface Cache {
  /** @returns whether it was there; it is afterwards */
  read(id: string): boolean;
}

function plain(): Cache {
  const lru = new LRUCache<string, number>({ maxSize: CACHE_BYTES, sizeCalculation: (length) => length });
  return {
    read: (id) => {
      if (lru.get(id) !== undefined) return true;
      lru.set(id, CHUNK_BYTES);
      return false;
    },
  };
}

function segmented(): Cache {
  const lru = new SegmentedLru({ bytesMax: CACHE_BYTES, countMax: CHUNKS, evicted: () => {} });
  return {
    read: (id) => {
      if (lru.use(id)) return true;
      lru.set(id, CHUNK_BYTES);
      return false;
    },
  };
}

/** Numbers below `count` with Zipf's distribution (exponent 1), the same for the same seed. */
function zipf(count: number, seed: number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += 1 / (i + 1);
    sums[i] = sum;
  }
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const at = ((state >>> 0) / 2 ** 32) * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) > at) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

for (const [name, cache] of [
  ['plain LRU', plain()],
  ['segmented LRU', segmented()],
] as const) {
  const next = zipf(CHUNKS, 7);
  const rate = (reads: number) => {
    let hits = 0;
    for (let i = 0; i < reads; i++) if (cache.read(`c${next()}`)) hits++;
    return `${((100 * hits) / reads).toFixed(1)} %`;
  };
  rate(READS);
  const before = rate(READS);
  for (let i = 0; i < CHUNKS; i++) cache.read(`c${i}`);
  console.log(
    `${name.padEnd(14)} hits before a walk ${before}, in the ${AFTER_READS} reads after it ${rate(AFTER_READS)}`,
  );
}
