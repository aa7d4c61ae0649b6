/**
 * The network namespaces of this node, and opening a socket in one of them. The kernel keeps the namespace by thread, and a
 * socket stays where it was opened: so this thread goes there and back within one call, in which nothing else runs.
 */
import { closeSync, constants, openSync, readdirSync, statSync } from 'node:fs';
import koffi from 'koffi';
import { errnoName } from '../ebpf/syscall.ts';

const OWN = '/proc/thread-self/ns/net';
const CLONE_NEWNET = 0x4000_0000;

let setns: ((fd: number, type: number) => number) | undefined;

function enter(fd: number): number {
  setns ??= koffi.load(null).func('int setns(int fd, int type)') as (fd: number, type: number) => number;
  return setns(fd, CLONE_NEWNET) === 0 ? 0 : koffi.errno();
}

/**
 * Files that stand for namespaces, each of these once and at most `most` of them: those below `directory`, where container
 * runtimes keep those of pods. This process' own is not among them.
 */
export function namespacesIn(directory: string, most: number): readonly string[] {
  const own = statSync(OWN);
  const known = new Set([own.ino]);
  const found: string[] = [];
  for (const name of namesIn(directory)) {
    const path = `${directory}/${name}`;
    const ino = namespaceId(path, own.dev);
    if (ino === undefined || known.has(ino)) continue;
    known.add(ino);
    found.push(path);
    if (found.length === most) break;
  }
  return found;
}

/** What is left of one that is gone is an ordinary file, or none. */
export const isNamespace = (path: string): boolean => namespaceId(path, statSync(OWN).dev) !== undefined;

/** All namespaces are of one device. */
function namespaceId(path: string, device: number): number | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.dev === device ? stats.ino : undefined;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** What `open` answers there. Throws a sentence when this process may not go there. */
export function inNamespace<T>(path: string, open: () => T): T {
  const own = openSync(OWN, constants.O_RDONLY);
  try {
    const there = openSync(path, constants.O_RDONLY);
    try {
      const errno = enter(there);
      if (errno !== 0) throw new Error(`Cannot enter network namespace ${path}: ${errnoName(errno)}`);
    } finally {
      closeSync(there);
    }
    try {
      return open();
    } finally {
      // Nothing that this thread does would be right from here on.
      if (enter(own) !== 0) process.abort();
    }
  } finally {
    closeSync(own);
  }
}
