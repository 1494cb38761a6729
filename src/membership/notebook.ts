import {
  type BinaryDocumentId,
  type DocHandle,
  type DocumentId,
  type PeerId,
  parseAutomergeUrl,
  Repo,
  stringifyAutomergeUrl,
} from '@automerge/automerge-repo';
import {
  type Clock,
  type Log,
  messageOf,
  type PodId,
  type Sha256,
  sha256,
  sha256Bytes,
} from '../base/index.js';
import type { Links } from '../net/index.js';
import type { Database, Write } from '../store/index.js';
import { LinksNetwork } from './network-adapter.js';
import { DatabaseStorage, snapshotWrite } from './storage-adapter.js';

/** The shared document: facts by their hash, and where pods can be reached. Its content may be anybody's. */
interface Shared {
  v: number;
  facts: { [hash: Sha256]: Uint8Array };
  addresses: { [pod: PodId]: string[] };
}

export interface NotebookOptions {
  network: Sha256;
  self: PodId;
  database: Database;
  clock: Clock;
  log: Log;
  isMember: (pod: PodId) => boolean;
  /** Something in the document changed, by anyone. */
  changed: () => void;
}

/** The automerge-repo document that members share, read with suspicion. */
export class Notebook {
  private readonly handle: DocHandle<Shared>;
  private readonly repo: Repo;
  private readonly storage: DatabaseStorage;
  private readonly adapter: LinksNetwork;

  /** A document that was lost with damaged rows is begun anew: the others have it, and facts are put back. */
  static async open(options: NotebookOptions): Promise<Notebook> {
    try {
      return await Notebook.find(options);
    } catch (error) {
      options.log.error('the members document is lost here and begun anew', { reason: messageOf(error) });
      const { table, key, value } = notebookWrite(options.network, await emptyNotebook());
      await options.database.write([{ table, key, ...(value === undefined ? {} : { value }) }]);
      return Notebook.find(options);
    }
  }

  private static async find(options: NotebookOptions): Promise<Notebook> {
    const document = documentIdOf(options.network);
    const storage = new DatabaseStorage(options);
    const adapter = new LinksNetwork({ document, isMember: options.isMember, log: options.log });
    const mayHave = async (peer: string, id?: string) => id === document && options.isMember(peer);
    const repo = new Repo({
      peerId: options.self as PeerId,
      storage,
      network: [adapter],
      shareConfig: { announce: mayHave, access: mayHave },
    });
    const handle = await repo.find<Shared>(document);
    return new Notebook(handle, repo, storage, adapter, options);
  }

  private constructor(
    handle: DocHandle<Shared>,
    repo: Repo,
    storage: DatabaseStorage,
    adapter: LinksNetwork,
    options: NotebookOptions,
  ) {
    this.handle = handle;
    this.repo = repo;
    this.storage = storage;
    this.adapter = adapter;
    // What a listener throws would surface in the repo's state machine as an uncaught exception.
    handle.on('change', () => {
      try {
        options.changed();
      } catch (error) {
        options.log.error('the members document could not be read', { reason: messageOf(error) });
      }
    });
  }

  /** The facts by hash, unverified. Values of other types are not there. */
  facts(): [Sha256, Uint8Array][] {
    return entriesOf(this.shared().facts).filter(isBytesEntry);
  }

  /** The addresses that pods are said to have, unverified. */
  addresses(): [PodId, string[]][] {
    return entriesOf(this.shared().addresses).flatMap(([pod, list]) => {
      const texts = Array.isArray(list) ? list.filter((text) => typeof text === 'string') : [];
      return texts.length > 0 ? [[pod, texts]] : [];
    });
  }

  addFacts(facts: readonly Uint8Array[]): void {
    if (facts.length === 0) return;
    this.handle.change((shared) => {
      if (!isPlain(shared.facts)) shared.facts = {};
      for (const fact of facts) shared.facts[sha256(fact)] = Uint8Array.from(fact);
    });
  }

  setAddresses(pod: PodId, addresses: readonly string[]): void {
    this.handle.change((shared) => {
      if (!isPlain(shared.addresses)) shared.addresses = {};
      shared.addresses[pod] = [...addresses];
    });
  }

  /** The document as bytes, for a pod that joins. */
  async snapshot(): Promise<Uint8Array> {
    const bytes = await this.repo.export(this.handle.url);
    if (bytes === undefined) throw new Error('the members document is not loaded');
    return bytes;
  }

  attach(links: Links): void {
    this.adapter.attach(links);
  }

  /** Links and shares are judged again. */
  membersChanged(): void {
    this.adapter.membersChanged();
    this.repo.shareConfigChanged();
  }

  /** Resolves when the document is durable; the disk may be full for long, so that does not hold up a stop. */
  async close(giveUp: Promise<unknown>): Promise<void> {
    this.adapter.disconnect();
    await Promise.race([this.repo.flush(), giveUp]);
    this.storage.close();
  }

  private shared(): Partial<Shared> {
    return this.handle.doc() as Partial<Shared>;
  }
}

/** What must be written, in one batch with the rest, for {@link Notebook.open} to find a document. */
export function notebookWrite(network: Sha256, snapshot: Uint8Array): Write {
  return snapshotWrite(documentIdOf(network), snapshot, sha256(snapshot));
}

/** A new document with nothing in it but its shape. */
export async function emptyNotebook(): Promise<Uint8Array> {
  const repo = new Repo({});
  const handle = repo.create<Shared>({ v: 1, facts: {}, addresses: {} });
  const bytes = await repo.export(handle.url);
  if (bytes === undefined) throw new Error('automerge-repo did not export a document it just made');
  return bytes;
}

/** The document's name follows from the network's: nobody has to be told. */
function documentIdOf(network: Sha256): DocumentId {
  const bytes = sha256Bytes(Buffer.from(`wormhole/members-document/1\0${network}`)).slice(0, 16);
  return parseAutomergeUrl(stringifyAutomergeUrl(bytes as BinaryDocumentId)).documentId;
}

function entriesOf(value: unknown): [string, unknown][] {
  return isPlain(value) ? Object.entries(value) : [];
}

function isPlain(value: unknown): value is { [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function isBytesEntry(entry: [string, unknown]): entry is [string, Uint8Array] {
  return entry[1] instanceof Uint8Array;
}
