/**
 * Reads the clustermesh directory and follows it. The contents of files are compared, so that a Secret mount that swaps
 * its symlinks for the same contents changes nothing. Change notifications make it quick; a look every few seconds makes
 * it certain, also where the mount does not notify.
 *
 * D1. A directory that cannot be read tells nothing about its files: they stay as they were known. So does a file that
 *     configured a cluster and was emptied, as happens between the opening and the writing of a new version.
 * D2. A file is gone only when two looks in a row did not find it: replacing a file may take it away for a moment.
 * D3. A file that configured a cluster before this start, and says nothing now, counts as one of D1.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, sleep } from '@tombolo/shared/process/clock.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { isClusterFile } from './clustermesh-file.ts';

export type Look =
  | { readonly kind: 'unreadable'; readonly reason: string }
  | {
      readonly kind: 'listed';
      /** File name → content, of those that configure a cluster. */
      readonly files: ReadonlyMap<string, string>;
      /** File name → why nothing can be said about it. */
      readonly unreadable: ReadonlyMap<string, string>;
    };

export interface DirectoryChanges {
  /** Contents; `undefined` for a file that is gone. */
  readonly changed: ReadonlyMap<string, string | undefined>;
  /** Files that were not there now, but at the last look. */
  readonly missing: ReadonlySet<string>;
}

/** Pure: what a look means, given what was known and what the look before had missed. */
export function compareLook(
  known: ReadonlyMap<string, string>,
  missedBefore: ReadonlySet<string>,
  { files, unreadable }: Pick<Look & { kind: 'listed' }, 'files' | 'unreadable'>,
): DirectoryChanges {
  const changed = new Map<string, string | undefined>();
  const missing = new Set<string>();
  for (const [name, content] of files) if (known.get(name) !== content) changed.set(name, content);
  for (const name of known.keys()) {
    if (files.has(name) || unreadable.has(name)) continue;
    if (missedBefore.has(name)) changed.set(name, undefined);
    else missing.add(name);
  }
  return { changed, missing };
}

const MAX_FILE_BYTES = 1024 * 1024;

/** `known`: names of files that configured a cluster before. */
export async function lookAt(directory: string, known: { has(name: string): boolean } = new Set()): Promise<Look> {
  try {
    const files = new Map<string, string>();
    const unreadable = new Map<string, string>();
    for (const name of (await readdir(directory)).sort()) {
      const content = await readSmallFile(join(directory, name)).catch((error: unknown) => ({ reason: codeOf(error) }));
      if (typeof content === 'object') unreadable.set(name, content.reason);
      else if (content !== undefined && isClusterFile(content)) files.set(name, content);
      else if (content !== undefined && known.has(name))
        unreadable.set(name, 'expected endpoints: it has none any more');
    }
    return { kind: 'listed', files, unreadable };
  } catch (error) {
    return { kind: 'unreadable', reason: `Cannot read clustermesh directory ${directory}: ${codeOf(error)}` };
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

/** Undefined for what is no regular file (through symlinks) or has vanished; empty for what is too large for a file of ours. */
async function readSmallFile(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path);
    if (!found.isFile()) return undefined;
    return found.size > MAX_FILE_BYTES ? '' : await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export interface DirectoryOptions {
  readonly directory: string;
  /** Names of files that configured a cluster before this start. */
  readonly remembered: ReadonlySet<string>;
  readonly clock: Clock;
  readonly pollMs: number;
  /** Between missing a file and looking again. */
  readonly confirmMs: number;
  /**
   * Called after every readable look that changed something, and after the first; awaited before the next look.
   * `unreadable`: why nothing can be said about these, which are there.
   */
  readonly changed: (
    changes: DirectoryChanges['changed'],
    unreadable: (Look & { kind: 'listed' })['unreadable'],
  ) => Promise<void>;
  /** Called after every look; empty when all could be read. */
  readonly problem: (reason: string) => void;
}

/** Resolves when the signal aborts. */
export async function followDirectory(options: DirectoryOptions, signal: AbortSignal): Promise<void> {
  const notified = new Notifier();
  const known = new Map<string, string>();
  let missed: ReadonlySet<string> = new Set();
  let first = true;
  let watcher: FSWatcher | undefined;
  while (!signal.aborted) {
    watcher ??= watchQuietly(options.directory, () => notified.notify());
    const seen = notified.version;
    const look = await lookAt(options.directory, first ? options.remembered : known);
    if (first && look.kind === 'listed') {
      for (const name of options.remembered) if (look.unreadable.has(name)) known.set(name, '');
    }
    if (signal.aborted) break;
    if (look.kind === 'unreadable') {
      watcher?.close();
      watcher = undefined;
      options.problem(look.reason);
    } else {
      const { changed, missing } = compareLook(known, missed, look);
      options.problem(describeUnreadable(look.unreadable));
      missed = missing;
      for (const [name, content] of changed) {
        if (content === undefined) known.delete(name);
        else known.set(name, content);
      }
      if (first || changed.size > 0) await options.changed(changed, look.unreadable);
      first = false;
    }
    // A notification ends the waiting, except for a missed file, which needs its time.
    if (missed.size > 0) await sleep(options.clock, options.confirmMs, signal);
    else await notified.changedWithin(seen, options.pollMs, options.clock, signal);
  }
  watcher?.close();
}

const describeUnreadable = (files: ReadonlyMap<string, string>): string =>
  [...files].map(([name, reason]) => `Cannot read clustermesh file ${name}: ${reason}`).join('; ');

/** Undefined where the directory cannot be watched; the regular look remains. */
function watchQuietly(directory: string, notify: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, notify);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
