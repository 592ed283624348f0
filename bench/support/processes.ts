/** What the kernel knows of processes: CPU and memory. Linux only. */
import { readFileSync, readdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants, loadavg } from 'node:os';

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux of today. */
const TICKS = 100;

/** What `proc_pid_stat(5)` lists, from the state on. */
const statOf = (path: number | string): readonly string[] => {
  const stat = readFileSync(`/proc/${path}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
};

/** CPU seconds of a process, or of one of its threads (`PID/task/TID`), user and system. */
const cpuOf = (path: number | string): number => {
  const fields = statOf(path);
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
};

/** Pages of mapped files that processes had to wait for the disk for (major faults). */
export const diskReads = (pids: readonly number[]): number =>
  sum(pids.map((pid) => Number(statOf(pid)[9])));

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

export type Cpu = {
  readonly seconds: number;
  /** Of the first threads, which run the event loops; the others are LMDB's and the collector's. */
  readonly loopSeconds: number;
};

export const cpuSum = (a: Cpu, b: Cpu): Cpu => ({
  seconds: a.seconds + b.seconds,
  loopSeconds: a.loopSeconds + b.loopSeconds,
});

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

/** What of a mapped file a process has touched and the kernel has not dropped since, MB. */
export const mappedMb = (pid: number, file: string): number => {
  const maps = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const own = maps.filter((each) => each.split('\n', 1)[0]!.endsWith(file));
  return sum(own.map((each) => Number(/^Rss:\s+(\d+)/m.exec(each)?.[1] ?? 0))) / 1024;
};

/** The processors that this process may run on; undefined where taskset(1) is missing. */
export const processors = (): readonly number[] | undefined => {
  const { status, stdout } = spawnSync('taskset', ['-cp', String(process.pid)]);
  if (status !== 0) return undefined;
  const list = String(stdout).slice(String(stdout).lastIndexOf(':') + 1);
  return list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, i) => from! + i);
  });
};

/** All threads of a process, also those to come, on these processors. Throws what taskset(1) says. */
export const pin = (pid: number, cpus: readonly number[]): void => {
  const { status, stderr } = spawnSync('taskset', ['-acp', cpus.join(','), String(pid)]);
  if (status !== 0) throw new Error(`taskset: ${stderr}`);
};

/** Processes that want to run, in the mean of the last minute. */
export const loadAverage = (): number => loadavg()[0]!;

/** Open files, sockets and the like of a process. */
export const handles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

const cleanUps: (() => Promise<void>)[] = [];
let isEnding = false;

/** `timeout` says it twice: to the process, then to its group. */
const end = (signal: NodeJS.Signals): void => {
  if (isEnding) return;
  isEnding = true;
  void cleanAll().finally(() => process.exit(128 + constants.signals[signal]));
};

/** What was begun last goes first. */
const cleanAll = async (): Promise<void> => {
  for (const cleanUp of [...cleanUps].reverse()) await cleanUp().catch(() => undefined);
};

/** Ctrl-C, or an end asked for: `cleanUp` comes first, so that nothing stays. Returns its undoing. */
export const whenInterrupted = (cleanUp: () => Promise<void>): (() => void) => {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  if (cleanUps.length === 0) for (const signal of signals) process.on(signal, end);
  cleanUps.push(cleanUp);
  return () => {
    const at = cleanUps.indexOf(cleanUp);
    if (at < 0) return;
    cleanUps.splice(at, 1);
    if (cleanUps.length === 0) for (const signal of signals) process.off(signal, end);
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
