/**
 * Writes what the next agent should know (`table/saved-state.ts`) into a file, and reads what the last one left. A file
 * is whole or not there; only its owner may read it. What does not change is not worked out again.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
import { type Clock, sleep, systemClock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { inSlices } from '@tombolo/shared/process/slices.ts';
import type { MeshFacts } from './table/mesh-facts.ts';
import { type Author, headLine, parseState, type SavedState, serviceLine } from './table/saved-state.ts';
import type { ServiceTable } from './table/service-table.ts';

export interface StateFileOptions {
  readonly path: string;
  readonly author: Author;
  readonly table: Pick<ServiceTable, 'services' | 'routes' | 'onChange'>;
  readonly facts: Pick<MeshFacts, 'clusterIds' | 'onChange'>;
  readonly log: Logger;
  readonly report: (health: Health) => void;
  readonly clock?: Clock | undefined;
}

/** Between a change and its writing, in ms; longer where writing takes long, so that it never takes more than 2 %. */
const SOON_MS = 15_000;
const SHARE = 50;

/** Undefined when there is none, or none that can be used. */
export async function readStateFile(path: string, author: Author, log: Logger): Promise<SavedState | undefined> {
  try {
    const state = parseState(await readFile(path, 'utf8'), author);
    if (state.ok) return state.value;
    log.info({ path, reason: state.error }, 'What an earlier agent saved is of no use here');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
      log.warn({ path, reason: reasonOf(error) }, 'Cannot read what an earlier agent saved; the kernel says enough');
    }
  }
  return undefined;
}

export class StateFile {
  readonly #options: StateFileOptions;
  readonly #changed = new Notifier();
  readonly #lines = new Map<ServiceKey, { readonly facts: ServiceFacts; readonly line: string | undefined }>();
  #complained = false;

  constructor(options: StateFileOptions) {
    this.#options = options;
  }

  /** Writes until `signal` aborts, and once more at the end. */
  async run(signal: AbortSignal): Promise<void> {
    const { table, facts, clock = systemClock } = this.#options;
    const changed = (): void => this.#changed.notify();
    let ids = facts.clusterIds;
    const idsChanged = (): void => {
      if (facts.clusterIds !== ids) changed();
      ids = facts.clusterIds;
    };
    const stops = [table.onChange(changed), facts.onChange(idsChanged)];
    let [seen, took] = [0, 0];
    while (!signal.aborted) {
      await this.#changed.changed(seen, signal);
      await sleep(clock, Math.max(SOON_MS, took * SHARE), signal);
      seen = this.#changed.version;
      const started = clock.now();
      await this.#write();
      took = clock.now() - started;
    }
    if (this.#changed.version > seen) await this.#write();
    for (const stop of stops) stop();
  }

  async #write(): Promise<void> {
    const { path, log, report } = this.#options;
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(`${path}.new`, await this.#text(), { mode: 0o600 });
      await rename(`${path}.new`, path);
      this.#complained = false;
      report({ kind: 'ok' });
    } catch (error) {
      const reason = reasonOf(error);
      if (!this.#complained) log.warn({ path, reason }, 'Cannot save what the next agent should know');
      this.#complained = true;
      report({ kind: 'degraded', reason: `cannot save what the next agent should know in ${path}: ${reason}` });
    }
  }

  async #text(): Promise<string> {
    const {
      table,
      author,
      facts: { clusterIds },
    } = this.#options;
    for (const key of this.#lines.keys()) if (!table.services.has(key)) this.#lines.delete(key);
    const lines = [headLine(author, clusterIds)];
    await inSlices([...table.services], ([key, facts]) => {
      const known = this.#lines.get(key);
      const line = known?.facts === facts ? known.line : serviceLine(facts, table.routes);
      if (known?.facts !== facts) this.#lines.set(key, { facts, line });
      if (line !== undefined) lines.push(line);
    });
    return lines.join('\n');
  }
}
