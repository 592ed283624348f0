/** Structured logs, one JSON object a line, on stderr: stdout belongs to command output. */
import { pino } from 'pino';
import type { LogLevel, Trace } from '../ports/trace.ts';

export const pinoTrace = (
  level: LogLevel | 'silent',
  base: Readonly<Record<string, string>>,
): Trace => {
  const logger = pino({ level, base }, pino.destination({ fd: 2, sync: true }));
  return { log: (at, event, facts = {}) => logger[at]({ event, ...facts }) };
};
