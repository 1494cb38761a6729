import { type DocumentId, type Message, NetworkAdapter, type PeerId } from '@automerge/automerge-repo';
import type { Log, PodId } from '../base/index.js';
import type { Link, Links } from '../net/index.js';

const MESSAGE = 'membership';
const TYPES = ['sync', 'request', 'doc-unavailable'];
/** The document holds some hundred bytes a member. */
const MESSAGE_BYTES_MAX = 2 * 1024 * 1024;

/**
 * automerge-repo's network over the links. A peer is who its link's handshake proved, never who a message
 * claims to be; only members are peers, and only the one document is ever spoken of.
 */
export class LinksNetwork extends NetworkAdapter {
  private readonly document: DocumentId;
  private readonly isMember: (pod: PodId) => boolean;
  private readonly log: Log;
  private links: Links | undefined;
  private readonly peers = new Set<PodId>();
  private readonly detach: (() => void)[] = [];

  constructor(options: { document: DocumentId; isMember: (pod: PodId) => boolean; log: Log }) {
    super();
    this.document = options.document;
    this.isMember = options.isMember;
    this.log = options.log;
  }

  /** Call before the links are started. */
  attach(links: Links): void {
    this.links = links;
    links.handle(MESSAGE, (link, body) => this.receive(link, body));
    this.detach.push(
      links.events.on('up', () => this.membersChanged()),
      links.events.on('down', () => this.membersChanged()),
    );
    this.membersChanged();
  }

  /** Makes the peers those that are linked and members. */
  membersChanged(): void {
    const wanted = new Set((this.links?.list() ?? []).map((link) => link.peer).filter(this.isMember));
    for (const peer of this.peers) {
      if (wanted.has(peer)) continue;
      this.peers.delete(peer);
      this.emit('peer-disconnected', { peerId: peer as PeerId });
    }
    for (const peer of wanted) {
      if (this.peers.has(peer)) continue;
      this.peers.add(peer);
      this.emit('peer-candidate', { peerId: peer as PeerId, peerMetadata: { isEphemeral: true } });
    }
  }

  isReady(): boolean {
    return true;
  }

  async whenReady(): Promise<void> {}

  connect(peerId: PeerId): void {
    this.peerId = peerId;
  }

  send(message: Message): void {
    if (message.documentId !== this.document || !TYPES.includes(message.type)) return;
    this.links?.get(message.targetId)?.send(MESSAGE, { type: message.type, data: message.data ?? null });
  }

  disconnect(): void {
    for (const detach of this.detach.splice(0)) detach();
    this.links = undefined;
    this.membersChanged();
  }

  private receive(link: Link, body: unknown): void {
    if (!this.peers.has(link.peer)) return;
    const message = parseMessage(body);
    if (message === undefined) {
      this.log.warn('a membership message made no sense', { peer: link.peer });
      link.close('its membership messages make no sense');
      return;
    }
    this.emit('message', {
      type: message.type,
      senderId: link.peer as PeerId,
      targetId: this.peerId as PeerId,
      documentId: this.document,
      ...(message.data === undefined ? {} : { data: message.data }),
    });
  }
}

function parseMessage(body: unknown): { type: string; data?: Uint8Array } | undefined {
  const { type, data } = (body ?? {}) as { type?: unknown; data?: unknown };
  if (typeof type !== 'string' || !TYPES.includes(type)) return undefined;
  if (type === 'doc-unavailable') return { type };
  // Automerge's sync messages begin with their type: 0x42, or 0x43 for the second version.
  if (!(data instanceof Uint8Array) || data.length > MESSAGE_BYTES_MAX) return undefined;
  return data[0] === 0x42 || data[0] === 0x43 ? { type, data: Uint8Array.from(data) } : undefined;
}
