/**
 * The feed of the pages this node serves: one socket for each viewer, who sees every node of the
 * cluster through this one. A viewer has credit: it says how many records it has drawn, and what goes
 * beyond a window is dropped and counted, so that a slow or hostile one costs bounded memory.
 */
import type { NodeId } from '../core/ids.ts';
import type { Node } from '../node/node.ts';
import type { AdminSocket, AdminSocketEvents } from '../ports/admin.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import type { Desk } from './desk.ts';
import type { Ask, FeedMessage, PageMessage, Tell } from './records.ts';

export type FeedParts = {
  readonly self: NodeId;
  readonly node: Node;
  readonly desk: Desk;
  readonly clock: Clock;
  readonly mayFault: boolean;
  readonly valuesShown: boolean;
};

type Viewer = {
  readonly name: string;
  readonly socket: AdminSocket;
  sampleEvery: number;
  /** Records sent and not yet said to be drawn. */
  owed: number;
  dropped: number;
  /** Questions it may still ask in this second. */
  asksLeft: number;
};

const LEASE_RENEWAL_MS = 1000;
/** Records under way to one viewer; a page draws this many in about a second. */
const WINDOW_RECORDS = 6000;
const SOCKET_BYTES_MAX = 4 * 1024 * 1024;
const VIEWERS_MAX = 16;
const ASKS_PER_SECOND_MAX = 200;
export const FEED_CLOSE = { malformed: 1008, tooMany: 1013, flood: 4429 } as const;

export class Feed {
  readonly #parts: FeedParts;
  readonly #viewers = new Map<string, Viewer>();
  #timer: Timer | undefined;
  #named = 0;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** A page opened its socket. */
  readonly accept = (socket: AdminSocket): AdminSocketEvents => {
    const { self, mayFault, valuesShown, clock } = this.#parts;
    if (this.#viewers.size >= VIEWERS_MAX) {
      socket.close(FEED_CLOSE.tooMany, `${VIEWERS_MAX} viewers are connected already`);
      return { received: () => undefined, closed: () => undefined };
    }
    // Unlike any of a former life of this node: its leases may still be in force elsewhere.
    const name = `${self} ${clock.wallMs()} ${++this.#named}`;
    const viewer: Viewer = {
      ...{ name, socket, sampleEvery: 100, owed: 0, dropped: 0, asksLeft: ASKS_PER_SECOND_MAX },
    };
    this.#viewers.set(name, viewer);
    send(viewer, { type: 'welcome', node: self, mayFault, valuesShown });
    this.#renew(viewer);
    this.#timer ??= this.#renewLater();
    return {
      received: (text) => this.#received(viewer, text),
      closed: () => this.#leave(viewer),
    };
  };

  /** What another node's desk asks or tells. */
  receive(from: NodeId, message: PeerMessage): void {
    const { desk, node } = this.#parts;
    if (message.type === 'inspect.ask') {
      const { viewer } = message;
      desk.ask(viewer, message.ask as Ask, (tell) =>
        node.sendTo(from, { type: 'inspect.tell', viewer, tell }),
      );
    } else if (message.type === 'inspect.tell') {
      const viewer = this.#viewers.get(message.viewer);
      if (viewer !== undefined) this.#tell(viewer, from, message.tell as Tell);
    }
  }

  close(): void {
    if (this.#timer !== undefined) this.#parts.clock.clearTimeout(this.#timer);
    this.#viewers.clear();
  }

  #received(viewer: Viewer, text: string): void {
    if (--viewer.asksLeft < 0) {
      viewer.socket.close(FEED_CLOSE.flood, 'too many questions');
      return;
    }
    let message: PageMessage;
    try {
      message = JSON.parse(text) as PageMessage;
      this.#obey(viewer, message);
    } catch {
      viewer.socket.close(FEED_CLOSE.malformed, 'not a message of the inspector');
    }
  }

  #obey(viewer: Viewer, message: PageMessage): void {
    switch (message.type) {
      case 'watch':
        viewer.sampleEvery = message.sampleEvery;
        this.#renew(viewer);
        return;
      case 'taken':
        viewer.owed = Math.max(0, viewer.owed - Math.max(0, message.records));
        return;
      case 'ask':
        this.#ask(viewer, message.node as NodeId, message.ask);
        return;
      default:
        throw new RangeError('no such message');
    }
  }

  #ask(viewer: Viewer, to: NodeId, ask: Ask): void {
    const { self, desk, node } = this.#parts;
    const { name } = viewer;
    if (to === self) desk.ask(name, ask, (tell) => this.#tell(viewer, self, tell));
    else node.sendTo(to, { type: 'inspect.ask', viewer: name, ask });
  }

  #renew(viewer: Viewer): void {
    viewer.asksLeft = ASKS_PER_SECOND_MAX;
    const { nodes } = this.#parts.node.status();
    const free = Math.max(0, WINDOW_RECORDS - viewer.owed);
    const recordsMax = Math.ceil(free / Math.max(1, nodes.length));
    const { sampleEvery } = viewer;
    for (const { id } of nodes) this.#ask(viewer, id, { type: 'lease', sampleEvery, recordsMax });
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer.name);
    for (const { id } of this.#parts.node.status().nodes) this.#ask(viewer, id, { type: 'leave' });
  }

  #renewLater(): Timer {
    return this.#parts.clock.setTimeout(() => {
      this.#timer = undefined;
      for (const viewer of this.#viewers.values()) this.#renew(viewer);
      if (this.#viewers.size > 0) this.#timer = this.#renewLater();
    }, LEASE_RENEWAL_MS);
  }

  #tell(viewer: Viewer, node: NodeId, tell: Tell): void {
    const full = viewer.socket.bufferedBytes() > SOCKET_BYTES_MAX;
    if (tell.type === 'gauges' && full) return;
    if (tell.type !== 'records') return send(viewer, { type: 'tell', node, tell });
    if (full || viewer.owed + tell.records.length > WINDOW_RECORDS) {
      viewer.dropped += tell.records.length + tell.dropped;
      return;
    }
    viewer.owed += tell.records.length;
    const dropped = tell.dropped + viewer.dropped;
    viewer.dropped = 0;
    send(viewer, { type: 'tell', node, tell: { ...tell, dropped } });
  }
}

const send = ({ socket }: Viewer, message: FeedMessage): void =>
  socket.send(JSON.stringify(message));
