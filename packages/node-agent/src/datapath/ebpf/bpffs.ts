/**
 * The directory of the pins: on a bpffs that is there, or on one that is mounted for it. A mount of ours carries our
 * name as its source, so that any later process knows which one it may take away.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { mountAt } from './mounts.ts';
import { errnoName, mountBpffs, unmount } from './syscall.ts';

const BPF_MAGIC = 0xcafe4a11;
const SOURCE = 'tombolo';
/** Where systemd mounts bpffs, and where the kernel keeps an empty directory for it. */
const STANDARD = '/sys/fs/bpf';
/** The kernel itself puts these into each new bpffs. */
const PRELOADED = ['maps.debug', 'progs.debug'];

const isBpffs = (directory: string): boolean => statfsSync(directory).type === BPF_MAGIC;

function nearestExisting(directory: string): string {
  return existsSync(directory) ? directory : nearestExisting(dirname(directory));
}

/** Makes `directory` exist on a bpffs. If there is none, one is mounted at `pinDir`, a directory at or above it. */
export function prepareBpffs(directory: string, pinDir: string): void {
  if (!isBpffs(nearestExisting(directory))) {
    const isStandard = pinDir === STANDARD || pinDir.startsWith(`${STANDARD}/`);
    const target = isStandard ? STANDARD : pinDir;
    if (!isStandard) mkdirSync(target, { recursive: true });
    const { errno } = mountBpffs(SOURCE, target);
    if (errno !== 0) throw new Error(`Cannot mount bpffs at ${target}: ${errnoName(errno)}`);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
}

/** Removes an empty `directory`, and the bpffs under it when it is ours and holds nothing else. */
export function releaseBpffs(directory: string): void {
  const target = [directory, STANDARD].find((candidate) => mountAt(candidate)?.source === SOURCE);
  if (target !== directory) removeEmpty(directory);
  if (target === undefined || readdirSync(target).some((name) => !PRELOADED.includes(name))) return;
  const { errno } = unmount(target);
  if (errno !== 0) throw new Error(`Cannot unmount ${target}: ${errnoName(errno)}`);
  if (target === directory) removeEmpty(directory);
}

function removeEmpty(directory: string): void {
  if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}
