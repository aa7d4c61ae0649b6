/** The benchmarks by name: what `scripts/bench NAME` can run. */
import { announce } from './announce.ts';
import { churn } from './churn.ts';
import { connect, throughput } from './connect.ts';
import { idle } from './idle.ts';
import { local } from './local.ts';
import { pools } from './pools.ts';
import { bulk, update } from './programming.ts';
import { propagation } from './propagation.ts';
import type { Bench } from './results.ts';
import { sync } from './sync.ts';

export const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ['connect', connect],
  ['throughput', throughput],
  ['bulk', bulk],
  ['update', update],
  ['propagation', propagation],
  ['sync', sync],
  ['churn', churn],
  ['local', local],
  ['idle', idle],
  ['announce', announce],
  ['pools', pools],
]);
