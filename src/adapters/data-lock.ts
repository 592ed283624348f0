/**
 * One process per data directory: a socket in the abstract of the file system that dies with its
 * holder, so that a crash never leaves the directory locked.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The directory is in use, or its files are not ours to open; the process exits with 3. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
}

/**
 * Locks `dataDir`, creating it if need be; the result unlocks. Throws DataDirectoryError that names
 * the directory and the process that holds it.
 */
export const lockDataDirectory = (dataDir: string): (() => void) => {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, 'LOCK');
  const mine = `${process.pid} ${startOf(process.pid) ?? ''}\n`;
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = holderOf(path);
      if (holder !== undefined) {
        throw new DataDirectoryError(`${dataDir} is in use by process ${holder}`);
      }
      rmSync(path, { force: true });
    }
  }
  throw new DataDirectoryError(`${dataDir} is being taken by another process`);
};

/** The living process that wrote the lock; a pid that was given to another program is not it. */
const holderOf = (path: string): number | undefined => {
  const [pid, start] = existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ') : [];
  const holder = Number(pid);
  if (!Number.isInteger(holder) || holder <= 0) return undefined;
  try {
    process.kill(holder, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  return (startOf(holder) ?? '') === (start ?? '') ? holder : undefined;
};

/** When a process started, where the system tells (Linux); pids are reused, this pair is not. */
const startOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
};
