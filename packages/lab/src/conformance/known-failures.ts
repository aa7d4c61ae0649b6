/** Specs that do not pass, each with its cause. A run fails when another one fails, and when one of these passes. */
import type { SpecResult } from './results.ts';

export interface KnownFailure {
  /** As in the table of docs/conformance.md. */
  readonly spec: string;
  /** Names of settings. */
  readonly settings: readonly string[];
  readonly cause: string;
}

export const KNOWN_FAILURES: readonly KnownFailure[] = [];

/** One sentence for each result that is not as listed. */
export function surprises(
  setting: string,
  results: readonly SpecResult[],
  known: readonly KnownFailure[] = KNOWN_FAILURES,
): readonly string[] {
  return results.flatMap(({ name, outcome, reason }) => {
    const listed = known.some(({ spec, settings }) => spec === name && settings.includes(setting));
    if (outcome === 'failed' && !listed) return [`failed: ${name}: ${reason}`];
    if (outcome === 'passed' && listed) return [`passed, though it is listed as failing: ${name}`];
    return [];
  });
}
