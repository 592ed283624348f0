/** What a node says of itself, gathered from its parts: its status for people, its metrics for machines. */
import type { NodeParts } from '../node-parts.ts';
import type { Organs } from '../organs.ts';
import { statusOf } from '../status.ts';
import type { NodeState, Status } from '../status.ts';
import type { Meters } from './meters.ts';
import { metricsOf } from './metrics.ts';
import type { Metric } from './metrics.ts';

export type ReportHooks = {
  readonly meters: Meters;
  readonly state: () => NodeState;
  /** Connections of clients now open. */
  readonly sessions: () => number;
};

export type Reports = {
  readonly status: () => Status;
  /** Asks the peers how late it is there, for the next time. */
  readonly metrics: () => readonly Metric[];
};

export const composeReports = (parts: NodeParts, organs: Organs, hooks: ReportHooks): Reports => {
  const { self, storage, clock } = parts;
  const { map, reaping, admission, nursery, peers, clocks, store, router } = organs;
  const status = (): Status =>
    statusOf({
      ...organs,
      self,
      state: hooks.state(),
      cluster: map.cluster,
      reaping: reaping.report(),
      admission: admission.report(),
      coordinators: nursery.alive,
      sessions: hooks.sessions(),
      dropped: peers.dropped,
      announcements: map.book.announcements,
    });
  const metrics = (): readonly Metric[] => {
    for (const peer of peers.linked) peers.send(peer, clocks.question());
    return metricsOf({
      ...{ status: status(), state: hooks.state(), meters: hooks.meters },
      hints: store.hints.gauges(),
      usage: storage.usage(),
      wallMs: clock.wallMs(),
      clockOffsets: clocks.offsets(peers.linked),
      pages: storage.pages?.() ?? [],
      waiting: router.waiting,
      room: router.room,
    });
  };
  return { status, metrics };
};
