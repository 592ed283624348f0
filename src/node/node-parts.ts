/** What a node is handed: the ports, who it is, whom it trusts. */
import type { NodeId } from '../core/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { Digest } from '../ports/digest.ts';
import type { Links } from '../ports/links.ts';
import type { Random } from '../ports/random.ts';
import type { Storage } from '../ports/storage.ts';
import type { LogLevels, Trace } from '../ports/trace.ts';
import type { Watch } from '../inspector/watch.ts';
import type { AdminCommands } from './operators/admin-commands.ts';
import type { Founding } from './store/book-store.ts';
import type { Admission } from './clients/client-access.ts';
import type { Config } from './config.ts';
import type { ActorHost } from './requests/nursery.ts';
import type { KeyDisplay } from './operators/meters.ts';
import type { PeerTrust } from './peers/peer-greeting.ts';
import type { PrefixDefaults } from './requests/prefix-defaults.ts';

export type NodeParts = {
  readonly self: NodeId;
  /** Its own: live limits are changed in place. */
  readonly config: Config;
  readonly clock: Clock;
  /** How long this process's event loop has been at work, ms, from an arbitrary start. */
  readonly busyMs?: () => number;
  readonly random: Random;
  readonly digest: Digest;
  readonly storage: Storage;
  readonly links: Links;
  readonly trace: Trace;
  /** The levels of that trace, if they may be changed while it runs. */
  readonly logLevels?: LogLevels;
  /** Where others reach this node, `ws://host:port`. */
  readonly advertise: string;
  readonly seeds: readonly string[];
  /** Of requests that do not say, by key prefix; by default none. */
  readonly prefixDefaults?: PrefixDefaults;
  /** Only for a founder's first start; ignored once the storage knows a history. */
  readonly founding?: Founding;
  /** What operators may ask of it beyond what every node answers. */
  readonly commands?: AdminCommands;
  /** Whoever inspects this node. */
  readonly watch?: Watch;
  /** What unwatched coordinators and the write buffer run in: `light` unless said otherwise. */
  readonly actorHost?: ActorHost;
  /** `hand-over`: a stopping node first delivers the hints it can. */
  readonly stopping?: 'at-once' | 'hand-over';
  /** How keys stand in the log; by default escaped. */
  readonly logKeys?: KeyDisplay;
  /** Who may ask what; by default everyone everything. */
  readonly admit?: Admission;
  /** Whom it takes for a node of its cluster; by default whoever says so. */
  readonly peerTrust?: PeerTrust;
  /** The node ended by itself, why in words: an unrecoverable failure, or its cluster is done with it. */
  readonly failed: (reason: string, end: 'failed' | 'retired') => void;
};
