/** Structured logs, one JSON object a line. */
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import type { LogLevel, Trace } from '../ports/trace.ts';

const FILE_DESCRIPTORS = { stdout: 1, stderr: 2 } as const;

/**
 * A trace that writes facts of `level` and above, each with the fields of `base`. Commands of the
 * CLI print their answer on stdout, so the log goes to stderr unless the caller says otherwise.
 */
export const pinoTrace = (
  level: LogLevel | 'silent',
  base: Readonly<Record<string, string>> = {},
  to: keyof typeof FILE_DESCRIPTORS | DestinationStream = 'stderr',
): Trace => {
  // Written at once: the last line before an exit is the one that matters.
  const stream =
    typeof to === 'string' ? pino.destination({ fd: FILE_DESCRIPTORS[to], sync: true }) : to;
  const logger = pino({ level, base }, stream);
  return { log: (at, event, facts = {}) => logger[at]({ event, ...facts }) };
};
