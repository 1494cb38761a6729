import type { Mutation } from '../mutated-copy.js';

/** Faults of one line of the compiled program, each of which breaks something that is promised. */
export const FAULTS: readonly (Mutation & { fault: string })[] = [
  {
    fault: 'a chunk is let go of before others have said that they keep it',
    file: 'src/placement/collection.js',
    from: /meant\.every\(\(pod\) => answers\.get\(pod\)\?\.\[i\] === true\)/,
    to: 'true',
  },
  {
    fault: 'an fsync does nothing',
    file: 'src/store/open-record-log.js',
    from: /fdatasyncInBackground\(fd\),/,
    to: 'Promise.resolve(),',
  },
  {
    fault: 'an operation is acknowledged before its journal is flushed',
    file: 'src/tree/index/journal.js',
    from: /return this\.log\.sync\(\);/,
    to: 'return Promise.resolve();',
  },
  {
    fault: 'small contents are acknowledged before their log is flushed',
    file: 'src/content/chunks/small-chunks.js',
    from: /return this\.log\.sync\(\);/,
    to: 'return Promise.resolve();',
  },
  {
    fault: 'a failed fsync is taken for a good one',
    file: 'src/store/segmented-log.js',
    from: /(next time: nothing here counts any more\.\s+)throw this\.refuse\(cause\);/,
    to: 'void cause;',
  },
  {
    fault: 'collection ignores the history',
    file: 'src/content/collection/round.js',
    from: /uptime\.now\(\) - since >= historyMs/,
    to: 'true',
  },
  {
    fault: 'collection ignores what is open',
    file: 'src/content/store.js',
    from: /const inUse = \(\) => contentsInUse\(this\.parts\);/,
    to: 'const inUse = () => [];',
  },
  {
    fault: 'the last part of a publication is dropped',
    file: 'src/content/publishing/job.js',
    from: /Buffer\.concat\(this\.parts\)/,
    to: 'Buffer.concat(this.parts.slice(0, Math.max(1, this.parts.length - 1)))',
  },
  {
    fault: 'a pod says that it holds its share before that is durable',
    file: 'src/placement/settlement.js',
    from: /await content\.flush\(\);/,
    to: '',
  },
  {
    fault: 'a pod counts for what it has not said that it holds',
    file: 'src/placement/testimony.js',
    from: /return sameHeads\(heads, tree\.heads\(\)\);/,
    to: 'return true;',
  },
  {
    fault: 'bytes are not compared with their hash',
    file: 'src/content/chunks/verified-chunks.js',
    from: /return sha256\(bytes\) === id;/,
    to: 'return true;',
  },
  {
    fault: 'the log of changes is cut although the snapshot was not written',
    file: 'src/base/files.js',
    from: /await write\(handle\);\s+await handle\.sync\(\);/,
    to: 'await write(handle);',
  },
  {
    fault: 'the log of small contents is cut before they are in the database',
    file: 'src/content/chunks/small-chunks.js',
    from: /await this\.rows\.flush\(\);/,
    to: '',
  },
  {
    fault: 'a content is named before its chunks are durable',
    file: 'src/tree/publisher.js',
    from: /contents\.length > 0 \? this\.options\.beforePublish\(contents\) : undefined/,
    to: 'undefined',
  },
];
