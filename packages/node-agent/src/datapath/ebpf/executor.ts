/**
 * Carries out steps: runs of one kind go to the kernel as batches, the picture of the tables follows what was done, and
 * the event loop gets its turn between batches. A step that fails ends its change, and only that.
 */
import { nextTurn } from '@tombolo/shared/process/slices.ts';
import type { MapState } from './map-state.ts';
import { entryCount, firstEntries, type MapOperation, type PlannedOperation, type Step } from './operation.ts';

export interface MapWriter {
  /** Performs operations of one kind, in order, up to the first entry that fails; `done` counts entries. */
  write(operations: readonly MapOperation[]): { readonly done: number; readonly error: string | undefined };
  /** Until no program runs that began before. */
  grace(): Promise<void>;
}

/** Entries; some milliseconds of work. */
const BATCH = 512;

/** Returns the changes that failed, each with the reason. */
export async function carryOut(
  steps: readonly Step[],
  tables: MapState,
  writer: MapWriter,
): Promise<Map<number, string>> {
  const failed = new Map<number, string>();
  let written = 0;
  for (let from = 0; from < steps.length; ) {
    const kind = steps[from]?.operation.kind;
    if (kind === 'grace') {
      const retiring = tables.beginGrace();
      await writer.grace();
      tables.release(retiring);
      from += 1;
      continue;
    }
    const { to, entries } = endOfRun(steps, from);
    if (written > 0 && written + entries > BATCH) {
      await nextTurn();
      written = 0;
    }
    written += entries;
    writeRun(steps.slice(from, to), tables, writer, failed);
    from = to;
  }
  if (failed.size > 0) tables.retireStrays();
  return failed;
}

/** A run is of one kind, and as long as one batch takes. */
function endOfRun(steps: readonly Step[], from: number): { readonly to: number; readonly entries: number } {
  const kind = steps[from]?.operation.kind;
  let entries = 0;
  let to = from;
  for (; to < steps.length; to += 1) {
    const operation = steps[to]?.operation;
    if (!operation || operation.kind === 'grace' || operation.kind !== kind) break;
    const more = entryCount(operation);
    if (to > from && entries + more > BATCH) break;
    entries += more;
  }
  return { to, entries };
}

function writeRun(run: readonly Step[], tables: MapState, writer: MapWriter, failed: Map<number, string>): void {
  let left = run.filter((step) => isPossible(step, tables, failed));
  while (left.length > 0) {
    const operations = left.map(({ operation }) => operation as MapOperation);
    const { done, error } = writer.write(operations);
    const at = recordEntries(operations, done, tables);
    const culprit = left[at];
    if (!culprit) return;
    if (culprit.change >= 0) failed.set(culprit.change, error ?? 'the kernel did not say why');
    left = left.slice(at + 1).filter((step) => isPossible(step, tables, failed));
  }
}

/** Returns how many operations are done as a whole. */
function recordEntries(operations: readonly MapOperation[], done: number, tables: MapState): number {
  let left = done;
  for (const [at, operation] of operations.entries()) {
    const entries = entryCount(operation);
    if (entries > left) {
      if (left > 0) tables.record(firstEntries(operation, left));
      return at;
    }
    tables.record(operation);
    left -= entries;
  }
  return operations.length;
}

/** A backend that could not be stored serves many changes; each ends where it would point to it. */
function isPossible({ operation, change }: Step, tables: MapState, failed: Map<number, string>): boolean {
  if (failed.has(change)) return false;
  if (pointedTo(operation).every((backend) => tables.backends.has(backend))) return true;
  failed.set(change, 'one of its backends could not be stored');
  return false;
}

function pointedTo(operation: PlannedOperation): readonly number[] {
  if (operation.kind === 'put-slots' || operation.kind === 'put-members') return operation.backends;
  if (operation.kind === 'change-slot') return operation.backend === 0 ? [] : [operation.backend];
  return operation.kind === 'put-service' ? operation.inline : [];
}
