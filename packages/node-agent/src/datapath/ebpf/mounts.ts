/** What is mounted where: /proc/self/mountinfo, parsed; and from it the cgroup2 hierarchy. */
import { readFileSync } from 'node:fs';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';

export interface Mount {
  /** The directory inside the file system that is seen at `directory`. */
  readonly root: string;
  readonly directory: string;
  readonly type: string;
  /** What was named as the device. */
  readonly source: string;
}

export function parseMountinfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [mount = '', filesystem] = line.split(' - ');
    const [, , , root, directory] = mount.split(' ');
    const [type, source] = filesystem?.split(' ') ?? [];
    if (root === undefined || directory === undefined || type === undefined || source === undefined) return [];
    return [{ root: unescaped(root), directory: unescaped(directory), type, source: unescaped(source) }];
  });
}

/** Spaces and the like are written as three octal digits. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

const readMounts = (): readonly Mount[] => parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));

/** Where the cgroup2 hierarchy is mounted; on hosts that also have version 1 it is not at /sys/fs/cgroup. */
export function findCgroupRoot(mounts: readonly Mount[] = readMounts()): Result<string> {
  const found = mounts.filter(({ type }) => type === 'cgroup2');
  const whole = found.find(({ root }) => root === '/') ?? found[0];
  return whole ? ok(whole.directory) : fail('no cgroup2 file system is mounted');
}

/** The mount that was made last of those on this very directory. */
export const mountAt = (directory: string, mounts: readonly Mount[] = readMounts()): Mount | undefined =>
  mounts.findLast((mount) => mount.directory === directory);
