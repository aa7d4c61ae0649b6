/** What is pinned where, and putting it back. */
import { closeSync, existsSync, unlinkSync } from 'node:fs';
import { mapInfo, openPinned, pinObject } from './bpf-calls.ts';

/** The kernel's number for what a descriptor stands for. */
export type IdOf = (fd: number) => number;

export const mapId: IdOf = (fd) => mapInfo(fd).id;

/** Undefined where nothing of ours is. */
export function pinnedId(path: string, idOf: IdOf): number | undefined {
  let fd: number | undefined;
  try {
    fd = openPinned(path);
    return fd === undefined ? undefined : idOf(fd);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** In place of whatever else is there. */
export function putPin(path: string, fd: number, idOf: IdOf): void {
  if (pinnedId(path, idOf) === idOf(fd)) return;
  if (existsSync(path)) unlinkSync(path);
  pinObject(fd, path);
}
