/**
 * One Kith per data folder. The lock is a file with the number of its holder
 * and what tells that process from a later one of the same number; a lock whose
 * holder is gone counts for nothing.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from './command.ts';

interface Holder {
  pid: number;
  identity: string;
  /** A command is soon over, so others wait for it; a start is not. */
  what: 'start' | 'command';
}

export interface Lock {
  release(): void;
}

/** How long a start waits for one that is just ending, as after Ctrl-C or kill -9 of npm. */
const WAIT_MS = { start: 6_000, command: 60_000 };

/**
 * Takes the lock, waiting for a holder that is about to end.
 *
 * @throws CommandError `already_running`
 */
export async function acquireLock(dataDir: string, what: Holder['what']): Promise<Lock> {
  const began = Date.now();
  for (;;) {
    const lock = tryLock(dataDir, what);
    if (lock) return lock;
    const holder = lockHolder(dataDir);
    if (holder && Date.now() - began > WAIT_MS[holder.what]) {
      throw new CommandError(
        'already_running',
        `Kith is already running on ${dataDir} (process ${holder.pid}). Stop that one first, or choose another folder with --data or KITH_DATA.`,
      );
    }
    await sleep(100);
  }
}

/** Takes the lock if nobody holds it. */
export function tryLock(dataDir: string, what: Holder['what']): Lock | undefined {
  const file = path.join(dataDir, 'lock');
  const mine = JSON.stringify({
    pid: process.pid,
    identity: identityOf(process.pid) ?? '',
    what,
  } satisfies Holder);
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, mine, { mode: 0o600 });
  try {
    // A link appears whole or not at all, and only one can make it.
    fs.linkSync(draft, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    if (lockHolder(dataDir)) return undefined;
    // Left behind by a killed process. Renamed, not removed: of two that come by, one gets it.
    try {
      fs.renameSync(file, `${draft}.stale`);
      fs.rmSync(`${draft}.stale`, { force: true });
    } catch {
      // The other one was quicker.
    }
    return undefined;
  } finally {
    fs.rmSync(draft, { force: true });
  }
  return {
    release() {
      if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === mine) fs.rmSync(file, { force: true });
    },
  };
}

/** The living process that holds the lock. */
export function lockHolder(dataDir: string): Holder | undefined {
  let holder: Holder;
  try {
    holder = JSON.parse(fs.readFileSync(path.join(dataDir, 'lock'), 'utf8')) as Holder;
  } catch {
    return undefined;
  }
  if (!Number.isInteger(holder.pid) || holder.pid <= 0) return undefined;
  return identityOf(holder.pid) === holder.identity ? holder : undefined;
}

/** When a process began, which its number alone does not say: numbers return, in containers at every start. */
function identityOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie holds nothing any more.
      if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
      return `${fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`;
    }
    process.kill(pid, 0);
    if (process.platform === 'win32') return 'alive';
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}
