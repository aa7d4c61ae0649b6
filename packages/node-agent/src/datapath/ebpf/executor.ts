/**
 * Carries out steps: runs of one kind go to the kernel as batches, the picture of the tables follows what was done, and
 * the event loop gets its turn between batches. A step that fails ends its change, and only that.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KernelTables } from './kernel-tables.ts';
import type { MapOperation, Operation, OperationKind, Step } from './operation.ts';

export interface MapWriter {
  /** Performs operations of one kind, in order, up to the first that fails. */
  write(operations: readonly MapOperation[]): { readonly done: number; readonly error: string | undefined };
  /** Until no program runs that began before. */
  grace(): Promise<void>;
}

/** About 2 ms of work. */
const BATCH = 2048;

/** Returns the changes that failed, each with the reason. */
export async function carryOut(
  steps: readonly Step[],
  tables: KernelTables,
  writer: MapWriter,
): Promise<Map<number, string>> {
  const failed = new Map<number, string>();
  for (let from = 0; from < steps.length; ) {
    if (from > 0 && from % BATCH === 0) await nextTurn();
    const kind = steps[from]?.operation.kind;
    if (kind === 'grace') {
      const retiring = tables.beginGrace();
      await writer.grace();
      tables.release(retiring);
      from += 1;
      continue;
    }
    const to = endOfRun(steps, from, kind);
    writeRun(steps.slice(from, to), tables, writer, failed);
    from = to;
  }
  if (failed.size > 0) tables.retireStrays();
  return failed;
}

/** Runs end at multiples of `BATCH`, so that a turn is given there. */
function endOfRun(steps: readonly Step[], from: number, kind: OperationKind | undefined): number {
  const limit = Math.min(steps.length, (Math.floor(from / BATCH) + 1) * BATCH);
  let to = from;
  while (to < limit && steps[to]?.operation.kind === kind) to += 1;
  return to;
}

function writeRun(run: readonly Step[], tables: KernelTables, writer: MapWriter, failed: Map<number, string>): void {
  let left = run.filter((step) => isPossible(step, tables, failed));
  while (left.length > 0) {
    const operations = left.map(({ operation }) => operation as MapOperation);
    const { done, error } = writer.write(operations);
    for (const operation of operations.slice(0, done)) tables.record(operation);
    const culprit = left[done];
    if (!culprit) return;
    if (culprit.change >= 0) failed.set(culprit.change, error ?? 'the kernel did not say why');
    left = left.slice(done + 1).filter((step) => isPossible(step, tables, failed));
  }
}

/** A backend that could not be stored serves many changes; each ends where it would point to it. */
function isPossible({ operation, change }: Step, tables: KernelTables, failed: Map<number, string>): boolean {
  if (failed.has(change)) return false;
  if (pointedTo(operation).every((backend) => tables.backends.has(backend))) return true;
  failed.set(change, 'one of its backends could not be stored');
  return false;
}

function pointedTo(operation: Operation): readonly number[] {
  if (operation.kind === 'put-slot') return [operation.backend];
  return operation.kind === 'put-service' ? operation.inline : [];
}
