/** The inspector of one node, composed: recorder, desk and feed. */
import type { NodeId } from '../core/ids.ts';
import type { Node } from '../node/node.ts';
import type { AdminSocket, AdminSocketEvents } from '../ports/admin.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { Desk } from './desk.ts';
import type { FaultDesk } from './desk.ts';
import { Feed } from './feed.ts';
import { Recorder } from './recorder.ts';
import type { RecorderLimits } from './recorder.ts';
import { StatelyFeed } from './stately.ts';

export type InspectorParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether pages may see value bytes. */
  readonly values: 'shown' | 'hidden';
  /** Present where pages may break things on purpose, and write. */
  readonly faults?: FaultDesk;
  readonly limits?: Partial<RecorderLimits>;
};

export type Inspector = {
  /** The node's watch, from its birth on. */
  readonly recorder: Recorder;
  /** Once the node is there: takes viewers from then on. */
  attach(node: Node): {
    /** By path: the pages' feed, and what Stately's receivers read. */
    readonly sockets: ReadonlyMap<string, (socket: AdminSocket) => AdminSocketEvents>;
    close(): void;
  };
};

export const createInspector = (parts: InspectorParts): Inspector => {
  const { self, clock, limits, values, faults } = parts;
  const recorder = new Recorder({ self, clock, ...(limits === undefined ? {} : { limits }) });
  return {
    recorder,
    attach: (node) => {
      const desk = new Desk({ ...parts, node, recorder });
      const shown = { mayFault: faults !== undefined, valuesShown: values === 'shown' };
      const feed = new Feed({ self, clock, node, desk, ...shown });
      const stately = new StatelyFeed({ self, clock, desk });
      recorder.receive = (from, message) => feed.receive(from, message);
      return {
        sockets: new Map([
          ['/inspector/feed', feed.accept],
          ['/inspector/stately', stately.accept],
        ]),
        close: () => {
          stately.close();
          feed.close();
          desk.close();
        },
      };
    },
  };
};
