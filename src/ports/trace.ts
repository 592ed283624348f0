/** Where the house says what happens: structured facts, never value bytes, keys escaped. */
export type Trace = {
  log(level: LogLevel, event: string, facts?: TraceFacts): void;
};
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type TraceFacts = { readonly [name: string]: unknown };

/** `silent`: nothing at all. */
export type LogThreshold = LogLevel | 'silent';

/** How much is said, changeable while the node runs. */
export type LogLevels = {
  /** Of what nothing narrower is said of. */
  readonly general: LogThreshold;
  /** By subject: an actor (`handoff`), or the first word of an event (`peer` of `peer.linked`). */
  readonly subjects: ReadonlyMap<string, LogThreshold>;
  /** `inherited` forgets what was said of a subject. */
  set(level: LogThreshold | 'inherited', subject?: string): void;
};
