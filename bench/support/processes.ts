/** What the kernel knows of processes: CPU and memory. Linux only. */
import { readFileSync, readdirSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux of today. */
const TICKS = 100;

/** CPU seconds of a process, or of one of its threads (`PID/task/TID`), user and system. */
const cpuOf = (path: number | string): number => {
  const stat = readFileSync(`/proc/${path}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
};

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

export type Cpu = {
  readonly seconds: number;
  /** Of the first threads, which run the event loops; the others are LMDB's and the collector's. */
  readonly loopSeconds: number;
};

/** Processes that have ended count for nothing. */
export const cpuSoFar = (pids: readonly number[]): Cpu => {
  const of = (path: (pid: number) => number | string): number =>
    sum(
      pids.map((pid) => {
        try {
          return cpuOf(path(pid));
        } catch {
          return 0;
        }
      }),
    );
  return { seconds: of((pid) => pid), loopSeconds: of((pid) => `${pid}/task/${pid}`) };
};

const memoryMb = (pid: number, field: 'RssAnon' | 'VmRSS'): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
};

/** Anonymous resident memory of a process, MB: its own, without the pages of LMDB's file. */
export const anonymousMb = (pid: number): number => memoryMb(pid, 'RssAnon');

/** All resident memory of a process, MB: of LMDB's file, what the kernel has not dropped yet. */
export const residentMb = (pid: number): number => memoryMb(pid, 'VmRSS');

/** Open files, sockets and the like of a process. */
export const handles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Ctrl-C, or an end asked for: `cleanUp` comes first, so that nothing stays. Returns its undoing. */
export const whenInterrupted = (cleanUp: () => Promise<void>): (() => void) => {
  let isEnding = false;
  // `timeout` says it twice: to the process, then to its group.
  const end = (signal: NodeJS.Signals): void => {
    if (isEnding) return;
    isEnding = true;
    void cleanUp().finally(() => process.exit(128 + constants.signals[signal]));
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, end);
  return () => {
    for (const signal of signals) process.off(signal, end);
  };
};

/** Asks a child to end; forces it after some seconds. */
export const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.once('exit', () => {
      clearTimeout(force);
      resolve();
    });
    child.kill('SIGTERM');
  });

export const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

export const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
