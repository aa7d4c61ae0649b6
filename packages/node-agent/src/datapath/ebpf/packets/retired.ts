/**
 * Packet programs that an earlier agent left and that are not wanted any more: they begin no flows, go on with those that
 * they know, which nobody else does, and are taken away when there are none.
 */
import { closeSync, existsSync } from 'node:fs';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { openPinned } from '../bpf-calls.ts';
import { FLOW_MAP_NAMES, hasLiveFlow } from './flow-entry.ts';
import { removePacketPath, setAccepts } from './packet-path.ts';

const LOOK_MS = 10_000;

export class RetiredPackets {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #lookMs: number;
  #isRetired = false;
  #isGone = false;
  #lookAt = 0;

  constructor(directory: string, log: Logger, lookMs = LOOK_MS) {
    this.#directory = directory;
    this.#log = log;
    this.#lookMs = lookMs;
  }

  /** Once whoever comes after them knows everything, and again now and then. */
  sync(): void {
    if (this.#isGone || performance.now() < this.#lookAt) return;
    this.#lookAt = performance.now() + this.#lookMs;
    if (!existsSync(this.#directory)) {
      this.#isGone = true;
      return;
    }
    if (!this.#isRetired) {
      setAccepts(this.#directory, false);
      this.#isRetired = true;
      this.#log.info({ directory: this.#directory }, 'Packet programs of an earlier agent go on with what they know');
    }
    if (FLOW_MAP_NAMES.some((name) => isBusy(`${this.#directory}/${name}`))) return;
    removePacketPath(this.#directory);
    this.#isGone = true;
    this.#log.info({ directory: this.#directory }, 'Removed packet programs of an earlier agent');
  }
}

function isBusy(path: string): boolean {
  const flows = openPinned(path);
  if (flows === undefined) return false;
  try {
    return hasLiveFlow(flows);
  } finally {
    closeSync(flows);
  }
}
