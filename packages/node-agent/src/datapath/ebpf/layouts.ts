/**
 * The directories of pins: one for each layout of the maps, below the one that is asked for. An agent of another version
 * leaves another layout behind, whose programs go on until ours know everything; then its directory goes. So it is with
 * maps of other sizes than are asked for: what an agent left is set aside, under the name of its layout and a number.
 */
import { closeSync, constants, existsSync, openSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { mapInfo, openPinned } from './bpf-calls.ts';
import { LAYOUT_VERSION, READABLE_LAYOUT } from './layout.ts';
import { removePins } from './programs.ts';
import { lockFile } from './syscall.ts';

/** Where the pins of this layout are. */
export const layoutDirectory = (pinDir: string, layout = LAYOUT_VERSION): string => `${pinDir}/v${layout}`;

/** Those that exist, of every layout. */
export const layoutDirectories = (pinDir: string): readonly string[] =>
  existsSync(pinDir)
    ? readdirSync(pinDir)
        .filter((name) => /^v\d+(-\d+)?$/.test(name))
        .map((name) => `${pinDir}/${name}`)
    : [];

/** Those whose tables can be read: of this layout, with those that were set aside, then of a former one. */
export const readableDirectories = (pinDir: string, layout = LAYOUT_VERSION): readonly string[] => {
  const own = layoutDirectory(pinDir, layout);
  const former = layoutDirectory(pinDir, READABLE_LAYOUT);
  const isOf = (name: string) => (directory: string) => directory === name || directory.startsWith(`${name}-`);
  const present = layoutDirectories(pinDir);
  return [...present.filter(isOf(own)), ...(layout === LAYOUT_VERSION ? present.filter(isOf(former)) : [])];
};

/** Makes way for maps of these sizes, by name, where those that are pinned have others. Returns what their sizes are. */
export function setAside(
  directory: string,
  wanted: ReadonlyMap<string, number>,
): Readonly<Record<string, number>> | undefined {
  const found = [...wanted.keys()].flatMap((name) => entriesAt(directory, name));
  if (found.every(([name, entries]) => wanted.get(name) === entries)) return undefined;
  let number = 1;
  while (existsSync(`${directory}-${number}`)) number += 1;
  renameSync(directory, `${directory}-${number}`);
  return Object.fromEntries(found);
}

function entriesAt(directory: string, name: string): [name: string, entries: number][] {
  const fd = openPinned(`${directory}/${name}`);
  if (fd === undefined) return [];
  const { maxEntries } = mapInfo(fd);
  closeSync(fd);
  return [[name, maxEntries]];
}

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
