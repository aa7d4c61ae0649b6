/**
 * The directories of pins: one for each layout of the maps, below the one that is asked for. An agent of another version
 * leaves another layout behind, whose programs go on until ours know everything; then its directory goes.
 */
import { closeSync, constants, existsSync, openSync, readdirSync, rmdirSync } from 'node:fs';
import { LAYOUT_VERSION } from './layout.ts';
import { removePins } from './programs.ts';
import { lockFile } from './syscall.ts';

/** Where the pins of this layout are. */
export const layoutDirectory = (pinDir: string, layout = LAYOUT_VERSION): string => `${pinDir}/v${layout}`;

/** Those that exist, of every layout. */
export const layoutDirectories = (pinDir: string): readonly string[] =>
  existsSync(pinDir)
    ? readdirSync(pinDir)
        .filter((name) => /^v\d+$/.test(name))
        .map((name) => `${pinDir}/${name}`)
    : [];

/** Two agents that write the same maps would undo each other's work. Throws while another process has it. */
export function lockDirectory(directory: string): number {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  const { errno } = lockFile(fd);
  if (errno === 0) return fd;
  closeSync(fd);
  throw new Error(`Cannot open the eBPF datapath: another process holds ${directory}`);
}

/**
 * Detaches what is attached by the pins of a directory, of whatever version, but for these programs, and removes it. Not
 * while another process has it.
 */
export function removeLayout(directory: string, but?: ReadonlySet<number>): void {
  const lock = lockDirectory(directory);
  try {
    removePins(directory, readdirSync(directory), but);
  } finally {
    closeSync(lock);
  }
  rmdirSync(directory);
}
