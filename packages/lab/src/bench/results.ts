/**
 * What a benchmark answers, and how it is shown: a table for people, one JSON object for machines. A benchmark measures
 * each case against a baseline in the same run, in pairs, and reports medians of the pairs.
 */
import { median } from './statistics.ts';

export interface BenchResult {
  readonly case: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline: number;
  /** Above 1 is better: value to baseline for rates, baseline to value for times. */
  readonly ratio: number;
}

/** A case that could not be measured, and why. It has no place in the JSON results; people are told. */
export interface BenchSkip {
  readonly case: string;
  readonly reason: string;
}

export interface BenchReport {
  readonly bench: string;
  readonly results: readonly BenchResult[];
  readonly skipped: readonly BenchSkip[];
  /** What a reader must know to judge the figures: sentences for people. */
  readonly notes: readonly string[];
}

export interface BenchOptions {
  /** Empty: all of them. */
  readonly cases: readonly string[];
  /** Paired runs of each case; undefined: what the benchmark finds right. */
  readonly runs: number | undefined;
  /** Says how far it is; goes to standard error. */
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What a file of this folder exports to become `scripts/bench NAME`. It cleans up also when `signal` aborts. */
export type Bench = (options: BenchOptions) => Promise<BenchReport>;

/** One paired run: the case and its baseline, measured next to each other. */
export interface Pair {
  readonly value: number;
  readonly baseline: number;
}

export type Better = 'higher' | 'lower';

/** Medians of paired runs. The ratio is the median of the pairs' ratios, so a slow minute hits both sides of a pair. */
export function summarise(name: string, unit: string, better: Better, pairs: readonly Pair[]): BenchResult {
  const ratios = pairs.map((pair) => (better === 'higher' ? pair.value / pair.baseline : pair.baseline / pair.value));
  return {
    case: name,
    value: round(median(pairs.map((pair) => pair.value))),
    unit,
    baseline: round(median(pairs.map((pair) => pair.baseline))),
    ratio: Math.round(median(ratios) * 1000) / 1000,
  };
}

/** Of a case that was measured in several ways, the one with the lowest ratio. */
export const worst = (ways: readonly BenchResult[]): BenchResult =>
  ways.reduce((low, each) => (each.ratio < low.ratio ? each : low));

/** Those that were asked for, in the order in which the benchmark has them; none asked for: all. */
export function chosen<Case extends string>(asked: readonly string[], all: readonly Case[]): ReadonlySet<Case> {
  const unknown = asked.find((name) => !all.some((each) => each === name));
  if (unknown !== undefined)
    throw new Error(`Cannot measure case ${JSON.stringify(unknown)}: expected ${all.join(', ')}`);
  return new Set(all.filter((each) => asked.length === 0 || asked.includes(each)));
}

/** Three decimals for small figures, none for large ones: nobody reads the microseconds of a minute. */
const round = (value: number): number => (value >= 1000 ? Math.round(value) : Math.round(value * 1000) / 1000);

/** Exactly one object, on one line. */
export function formatJson(report: BenchReport): string {
  return JSON.stringify({ bench: report.bench, results: report.results });
}

export function formatTable(report: BenchReport): string {
  const head = ['case', 'value', 'unit', 'baseline', 'ratio'];
  const rows = report.results.map((r) => [r.case, String(r.value), r.unit, String(r.baseline), r.ratio.toFixed(2)]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 || i === 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ');
  return [
    ...[head, ...rows].map((row) => line(row).trimEnd()),
    ...report.skipped.map((skip) => `${skip.case}: not measured: ${skip.reason}`),
    ...report.notes.map((note) => `- ${note}`),
  ].join('\n');
}
