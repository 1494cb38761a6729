import { type Answer, then, WormholeError } from '../../base/index.js';
import type { ContentId } from '../content.js';
import type { Layout } from '../layout.js';
import type { ChunkReader } from './chunk-reader.js';
import type { Layouts } from './layouts.js';
import { ReadAhead, type ReadAheadBudget } from './read-ahead.js';

export interface Reading {
  reader: Pick<ChunkReader, 'isNear' | 'read'>;
  layouts: Layouts;
  budget: ReadAheadBudget;
  isLocal(id: string): boolean;
}

const NOTHING = new Uint8Array(0);

/** A content as it was published, for one reader: slices of its chunks, with read-ahead. */
export class PublishedContent {
  readonly content: ContentId;
  readonly size: number;
  private readonly reading: Reading;
  /** Made when there is more than one chunk to read. */
  private ahead: ReadAhead | undefined;
  private layout: Layout | undefined;

  constructor(content: ContentId, size: number, reading: Reading) {
    this.content = content;
    this.size = size;
    this.reading = reading;
  }

  /** Bytes at an offset, shorter only at the end; a view into a chunk where one chunk has them all.
   *  @throws WormholeError `unreachable` | `corrupt` | `io` | `interrupted` */
  read(offset: number, length: number, signal?: AbortSignal): Answer<Uint8Array> {
    return then(this.readParts(offset, length, signal), ([first = NOTHING, ...rest]) =>
      rest.length === 0 ? first : Buffer.concat([first, ...rest]),
    );
  }

  /** As {@link PublishedContent.read}, in views into the chunks that have them, one after the other. */
  readParts(offset: number, length: number, signal?: AbortSignal): Answer<readonly Uint8Array[]> {
    const end = Math.min(offset + length, this.size);
    if (offset >= end) return [];
    return then(this.loadLayout(signal), (layout) => this.readFrom(layout, offset, end, signal));
  }

  /** @throws WormholeError `corrupt` when the content does not have the size it is said to have */
  loadLayout(signal?: AbortSignal): Answer<Layout> {
    if (this.layout !== undefined) return this.layout;
    return then(this.reading.layouts.get(this.content, this.size, signal), (layout) => {
      this.layout = layout;
      return layout;
    });
  }

  /** Another content, for the same readers. */
  other(content: ContentId, size: number): PublishedContent {
    return new PublishedContent(content, size, this.reading);
  }

  /** Stops reading ahead. */
  close(): void {
    this.ahead?.close();
  }

  private readFrom(
    layout: Layout,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Answer<readonly Uint8Array[]> {
    const first = layout.find(offset);
    const last = end <= layout.end(first) ? first : layout.find(end - 1);
    if (first === last) {
      const slice = this.slice(layout, first, offset, end, signal);
      if (layout.count > 1) this.noteRead(layout, offset, end, last);
      return then(slice, (bytes) => [bytes]);
    }
    const slices: Answer<Uint8Array>[] = [];
    for (let i = first; i <= last; i++) {
      const from = Math.max(offset, layout.start(i));
      try {
        slices.push(this.slice(layout, i, from, Math.min(end, layout.end(i)), signal));
      } catch (error) {
        // Among the others, so that none of them fails unheard.
        slices.push(Promise.reject(error));
      }
    }
    this.noteRead(layout, offset, end, last);
    return slices.every((slice) => slice instanceof Uint8Array) ? slices : Promise.all(slices);
  }

  private noteRead(layout: Layout, offset: number, end: number, last: number): void {
    this.ahead ??= new ReadAhead(this.reading.reader, this.reading.budget, this.reading.isLocal);
    this.ahead.note(layout, offset, end, last);
  }

  private slice(
    layout: Layout,
    index: number,
    offset: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Answer<Uint8Array> {
    const { id, length } = layout.entry(index);
    if (id === '') return Buffer.alloc(end - offset);
    const start = layout.start(index);
    return then(this.reading.reader.read(id, { urgent: true, length, signal }), (bytes) => {
      if (bytes.length !== length) throw wrongLength(id, bytes.length, length);
      return bytes.subarray(offset - start, end - start);
    });
  }
}

function wrongLength(id: string, is: number, said: number): WormholeError {
  return new WormholeError('corrupt', `chunk ${id} has ${is} bytes where its file says ${said}`);
}
