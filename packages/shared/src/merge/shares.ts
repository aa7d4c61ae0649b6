/**
 * Weights of clusters → how many shares each of their backends has of the connections. A cluster's backends are alike,
 * however many there are; its weight says what part of all connections they get together. Pure.
 */
import { MOST_BACKENDS } from '../model/routes.ts';

export interface WeightedCluster {
  /** Above 0. */
  readonly weight: number;
  /** Above 0. */
  readonly backends: number;
}

/** How far a cluster's part may be from what its weight says, as a part of that. */
const TOLERANCE = 0.01;
/** Shares of all together that are tried for that: at least so many, and so many for each backend. */
const SHARES = 4_096;
const SHARES_EACH = 8;

/** Shares of one backend of each cluster, in the same order, each at least 1: the fewest that come near enough, or nearest. */
export function sharesOf(clusters: readonly WeightedCluster[]): readonly number[] {
  const backends = sum(clusters.map((each) => each.backends));
  const most = Math.min(MOST_BACKENDS, Math.max(SHARES, SHARES_EACH * backends));
  const ratios = clusters.map((each) => each.weight / each.backends);
  const least = Math.min(...ratios);
  let best: { readonly shares: readonly number[]; readonly error: number } | undefined;
  for (let unit = 1; unit * backends <= most; unit += 1) {
    const shares = ratios.map((ratio) => Math.round((unit * ratio) / least));
    if (total(clusters, shares) > most) break;
    const error = errorOf(clusters, shares);
    if (error < (best?.error ?? Number.POSITIVE_INFINITY)) best = { shares, error };
    if (error <= TOLERANCE) break;
  }
  return best?.shares ?? fitted(clusters, most - backends);
}

/** Where even one share of the lightest backend is too much. */
function fitted(clusters: readonly WeightedCluster[], room: number): readonly number[] {
  const weights = sum(clusters.map(({ weight }) => weight));
  return clusters.map(({ weight, backends }) => Math.max(1, Math.floor((room * weight) / weights / backends)));
}

/** The largest deviation of a cluster's part, as a part of what it should be. */
function errorOf(clusters: readonly WeightedCluster[], shares: readonly number[]): number {
  const [all, weights] = [total(clusters, shares), sum(clusters.map(({ weight }) => weight))];
  const errors = clusters.map(({ weight, backends }, i) =>
    Math.abs((backends * (shares[i] ?? 0)) / all / (weight / weights) - 1),
  );
  return Math.max(...errors);
}

const total = (clusters: readonly WeightedCluster[], shares: readonly number[]): number =>
  sum(clusters.map(({ backends }, i) => backends * (shares[i] ?? 0)));

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);
