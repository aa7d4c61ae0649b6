/** The benchmarks by name: what `scripts/bench NAME` can run. */
import { connect } from './connect.ts';
import { propagation } from './propagation.ts';
import type { Bench } from './results.ts';

export const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ['connect', connect],
  ['propagation', propagation],
]);
