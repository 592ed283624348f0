/** Where the house says what happens: structured facts, never value bytes, keys escaped. */
export type Trace = {
  log(level: LogLevel, event: string, facts?: TraceFacts): void;
};
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type TraceFacts = { readonly [name: string]: unknown };
