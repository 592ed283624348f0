/**
 * One process per data directory. LMDB does not notice a second opener, and two nodes on one set of
 * files would both mint dots.
 *
 * Two things say who has a directory:
 *
 *     a socket in Linux's abstract namespace,   taken and tested in one step by the kernel and gone
 *     named after device and inode              with its process, however that ends
 *     the file LOCK: pid and start time         names the holder, and stands in where there is no
 *                                               such socket (other systems, another network namespace)
 */
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';

/** Why a data directory cannot be used; nothing in it was changed. */
export type DataDirectoryProblem =
  /** `pid` is undefined where the holder cannot be named. */
  | { readonly type: 'locked'; readonly path: string; readonly pid: number | undefined }
  /** The data file is damaged, cut short, or no LMDB file of this format. */
  | { readonly type: 'corrupt'; readonly path: string; readonly found: string }
  /** The system refused: permissions, a full disk, too many files. */
  | { readonly type: 'unusable'; readonly path: string; readonly reason: string };

/** The directory is in use, or its files are not ours to open; the process exits with 3. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly problem: DataDirectoryProblem;

  constructor(problem: DataDirectoryProblem) {
    super(describe(problem));
    this.problem = problem;
  }
}

const describe = (problem: DataDirectoryProblem): string => {
  const { path } = problem;
  if (problem.type === 'corrupt') return `${path} is damaged, left untouched: ${problem.found}`;
  if (problem.type === 'unusable') return `${path} cannot be used: ${problem.reason}`;
  const holder = problem.pid === undefined ? 'another process' : `process ${problem.pid}`;
  return `${path} is in use by ${holder}`;
};

/**
 * Locks `dataDir`, creating it if need be; the result unlocks and may be called again. Throws
 * DataDirectoryError naming the directory and the process that holds it. A holder that died in
 * whatever way holds nothing.
 */
export const lockDataDirectory = (dataDir: string): (() => void) => {
  const path = join(dataDir, 'LOCK');
  const locked = (pid: number | undefined) =>
    new DataDirectoryError({ type: 'locked', path: dataDir, pid });
  try {
    mkdirSync(dataDir, { recursive: true });
    const socket = takeSocket(dataDir);
    if (socket === 'taken') throw locked(holderOf(path));
    try {
      const mine = claim(path, locked);
      return once(() => {
        // Only our own: an operator may have removed it and let somebody else in.
        if (readOr(path) === mine) rmSync(path, { force: true });
        socket?.close();
      });
    } catch (error) {
      socket?.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof DataDirectoryError) throw error;
    throw new DataDirectoryError({ type: 'unusable', path: dataDir, reason: String(error) });
  }
};

/** `undefined` on systems without abstract sockets. */
const takeSocket = (dataDir: string): Server | 'taken' | undefined => {
  if (process.platform !== 'linux') return undefined;
  // Device and inode, so that a symbolic link is no second door to the same files.
  const { dev, ino } = statSync(dataDir);
  const server = createServer((stranger) => stranger.destroy());
  // The event comes a turn late; `listening` already tells.
  server.on('error', () => undefined);
  server.listen({ path: `\0coterie/${dev}/${ino}`, exclusive: true });
  server.unref();
  return server.listening ? server : 'taken';
};

/** Writes the LOCK file and returns its text. */
const claim = (path: string, locked: (pid: number | undefined) => Error): string => {
  const mine = `${process.pid} ${startOf(process.pid) ?? ''}\n`;
  const draft = `${path}.${process.pid}`;
  // Linked into place, so that nobody ever reads a half-written LOCK and takes it for a stale one.
  writeFileSync(draft, mine);
  try {
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        linkSync(draft, path);
        return mine;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const pid = holderOf(path);
        if (pid !== undefined) throw locked(pid);
        rmSync(path, { force: true });
      }
    }
    throw locked(holderOf(path));
  } finally {
    rmSync(draft, { force: true });
  }
};

/** The living process that wrote the lock; a pid that was given to another program is not it. */
const holderOf = (path: string): number | undefined => {
  const [pid, start] = (readOr(path) ?? '').trim().split(' ');
  const holder = Number(pid);
  if (!Number.isInteger(holder) || holder <= 0) return undefined;
  try {
    process.kill(holder, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  return (startOf(holder) ?? '') === (start ?? '') ? holder : undefined;
};

/** When a process started, where the system tells (Linux): pids are reused, this pair is not. */
const startOf = (pid: number): string | undefined => {
  const stat = readOr(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has let go of everything, though its pid still answers.
  return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : fields[19];
};

const readOr = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

const once = (task: () => void): (() => void) => {
  let done = false;
  return () => {
    if (!done) task();
    done = true;
  };
};
