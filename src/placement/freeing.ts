import type { ChunkId, ContentStore } from '../content/index.js';
import type { FileContent } from './content-source.js';

/** What came of freeing the space of some files here. */
export interface Freed {
  files: number;
  /** Chunks that were deleted here, and their bytes. */
  chunks: number;
  bytes: number;
  /** Bytes that stay: of chunks that belong here, or that too few other pods keep as yet. */
  keptBytes: number;
  /** Files that stay since they are pinned. */
  pinned: number;
}

export interface FreeingOptions {
  content: Pick<ContentStore, 'has' | 'chunksOf' | 'presence' | 'evict'>;
  isPinned: (file: FileContent) => boolean;
  /** Makes evictable what others keep and does not belong here. */
  letGo: (ids: readonly ChunkId[]) => Promise<void>;
}

/** Deletes here what need not be here of these files: nothing that is staged, pinned, placed here or unconfirmed. */
export async function freeFiles(
  files: AsyncIterable<FileContent>,
  { content, isPinned, letGo }: FreeingOptions,
): Promise<Freed> {
  const freed: Freed = { files: 0, chunks: 0, bytes: 0, keptBytes: 0, pinned: 0 };
  for await (const file of files) {
    freed.files++;
    if (isPinned(file)) {
      freed.pinned++;
      continue;
    }
    // What is not here, with the list of its chunks, has nothing to be freed.
    if (content.presence(file.content) === 'remote') continue;
    const chunks = (await content.chunksOf(file.content, file.size)).filter(({ id }) => content.has(id));
    await letGo(chunks.map(({ id }) => id));
    // The list of chunks goes last: without it nothing could be said about the others.
    for (const { id, length } of chunks.reverse()) {
      if (await content.evict(id)) {
        freed.chunks++;
        freed.bytes += length;
      } else if (content.has(id)) freed.keptBytes += length;
    }
  }
  return freed;
}
