/** What is mounted where: /proc/self/mountinfo, parsed; and from it the cgroup2 hierarchy. */
import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
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

/**
 * Where the cgroup2 hierarchy is mounted, the whole one if that is; on hosts that also have version 1 it is not at
 * /sys/fs/cgroup.
 */
export function findCgroupRoot(
  mounts: readonly Mount[] = readMounts(),
  isWhole: (directory: string) => boolean = isWholeHierarchy,
): Result<string> {
  const found = mounts.filter(({ type }) => type === 'cgroup2');
  const best = found.find(({ directory }) => isWhole(directory)) ?? found.find(({ root }) => root === '/') ?? found[0];
  return best ? ok(best.directory) : fail('no cgroup2 file system is mounted');
}

/** In a container with a control group namespace of its own, what is mounted there begins at the container. */
export const isWholeHierarchy = (directory: string): boolean => existsSync(directory) && statSync(directory).ino === 1;

/**
 * `directory` itself when it is in a cgroup2 hierarchy. On hosts that have both versions what people name, and what a pod
 * can mount without knowing the host, is the directory above: then the hierarchy that is mounted below it.
 */
export function cgroupRootIn(
  directory: string,
  isCgroup2: (directory: string) => boolean = hasCgroup2Magic,
  mounts: readonly Mount[] = readMounts(),
): string {
  if (isCgroup2(directory)) return directory;
  const above = directory.endsWith('/') ? directory : `${directory}/`;
  return mounts.find((mount) => mount.type === 'cgroup2' && mount.directory.startsWith(above))?.directory ?? directory;
}

const CGROUP2_MAGIC = 0x63677270;
const hasCgroup2Magic = (directory: string): boolean =>
  existsSync(directory) && statfsSync(directory).type === CGROUP2_MAGIC;

/** The mount that was made last of those on this very directory. */
export const mountAt = (directory: string, mounts: readonly Mount[] = readMounts()): Mount | undefined =>
  mounts.findLast((mount) => mount.directory === directory);
