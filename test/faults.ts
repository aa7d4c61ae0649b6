/**
 * What tests have seen of faults, for the table in the docs: a line of JSON for each trial, appended to the file that
 * TOMBOLO_FAULTS names. Without it nothing is kept.
 */
import { appendFileSync } from 'node:fs';

export interface FaultTrial {
  /** As a row of the table is called. */
  readonly fault: string;
  readonly way: 'ARP' | 'NDP' | 'BGP';
  /** From the fault until the network leads the address where it should be; absent where nothing is to move. */
  readonly tookMs?: number;
  /** Of requests that went on all the while. */
  readonly requests?: { readonly sent: number; readonly failed: number; readonly slowestMs?: number };
}

export function recordFault(trial: FaultTrial): void {
  const file = process.env['TOMBOLO_FAULTS'];
  if (file) appendFileSync(file, `${JSON.stringify(trial)}\n`);
}

/** Milliseconds from now on. */
export function stopwatch(): () => number {
  const start = performance.now();
  return () => Math.round(performance.now() - start);
}
