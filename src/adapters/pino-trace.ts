/** Structured logs, one JSON object a line. */
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import type { LogLevels, LogThreshold, Trace } from '../ports/trace.ts';

const FILE_DESCRIPTORS = { stdout: 1, stderr: 2 } as const;
const RANKS: Readonly<Record<LogThreshold, number>> = {
  ...{ debug: 0, info: 1, warn: 2, error: 3, silent: 4 },
};

/**
 * A trace that writes facts of `level` and above, each with the fields of `base`. Commands of the
 * CLI print their answer on stdout, so the log goes to stderr unless the caller says otherwise.
 */
export const pinoTrace = (
  level: LogThreshold,
  base: Readonly<Record<string, string>> = {},
  to: keyof typeof FILE_DESCRIPTORS | DestinationStream = 'stderr',
): Trace & { readonly levels: LogLevels } => {
  // Written at once: the last line before an exit is the one that matters.
  const stream =
    typeof to === 'string' ? pino.destination({ fd: FILE_DESCRIPTORS[to], sync: true }) : to;
  const logger = pino({ level: 'debug', base }, stream);
  const subjects = new Map<string, LogThreshold>();
  let general = level;
  const levels: LogLevels = {
    get general() {
      return general;
    },
    subjects,
    set: (threshold, subject) => {
      if (subject === undefined) general = threshold === 'inherited' ? level : threshold;
      else if (threshold === 'inherited') subjects.delete(subject);
      else subjects.set(subject, threshold);
    },
  };
  return {
    levels,
    log: (at, event, facts = {}) => {
      const narrower = subjects.size === 0 ? undefined : subjects.get(subjectOf(event, facts));
      if (RANKS[at] >= RANKS[narrower ?? general]) logger[at]({ event, ...facts });
    },
  };
};

const subjectOf = (event: string, { actor }: Readonly<Record<string, unknown>>): string =>
  typeof actor === 'string' ? actor : event.slice(0, event.indexOf('.'));
