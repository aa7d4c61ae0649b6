/**
 * Which pools may be for a Service, without a look at each: a pool that is reserved by names of namespaces, or by values of
 * labels, is found by those alone. What is found is still to be asked (`isFor`); what is not is for others.
 */
import type { AddressPool, PoolReservation } from '@tombolo/shared/model/address-pool.ts';
import type { AddressRequest } from '@tombolo/shared/model/address-request.ts';
import type { LabelSelector } from '@tombolo/shared/model/label-selector.ts';
import { splitServiceKey } from '@tombolo/shared/model/service.ts';

export class OpenPools {
  readonly #pools: readonly AddressPool[];
  /** Places of those that anybody might have. */
  readonly #anybodys: readonly number[];
  /** Places of the others, by marks of which a Service must bear one. */
  readonly #marked = new Map<string, number[]>();

  constructor(pools: readonly AddressPool[]) {
    this.#pools = pools;
    this.#anybodys = pools.flatMap((pool, place) => {
      const marks = marksOf(pool);
      for (const mark of marks ?? []) {
        const places = this.#marked.get(mark);
        if (places) places.push(place);
        else this.#marked.set(mark, [place]);
      }
      return marks ? [] : [place];
    });
  }

  get size(): number {
    return this.#pools.length;
  }

  /** In the order in which they were given. */
  *for({ key, labels }: Pick<AddressRequest, 'key' | 'labels'>): Generator<AddressPool> {
    const { namespace, name } = splitServiceKey(key);
    // Labels that hide real ones for Cilium; for MetalLB they do not exist.
    const pseudo = { [NAMESPACE]: namespace, [NAME]: name };
    const borne = [...Object.entries(labels), ...Object.entries(pseudo), ['', namespace] as const];
    const marked = borne.flatMap(([label, value]) => this.#marked.get(mark(label, value)) ?? []);
    const places = marked.length === 0 ? this.#anybodys : [...new Set([...this.#anybodys, ...marked])].sort(ascending);
    for (const place of places) {
      const pool = this.#pools[place];
      if (pool) yield pool;
    }
  }
}

const NAMESPACE = 'io.kubernetes.service.namespace';
const NAME = 'io.kubernetes.service.name';

const ascending = (a: number, b: number): number => a - b;
const mark = (label: string, value: string): string => `${label}=${value}`;

/** Undefined: nothing that can be looked up tells for whom it is. */
function marksOf({ reservation }: AddressPool): readonly string[] | undefined {
  if (!reservation) return undefined;
  return byNamespace(reservation) ?? byLabel(reservation.services);
}

const byNamespace = ({ namespaces, namespaceLabels }: PoolReservation): readonly string[] | undefined =>
  namespaces.length > 0 && namespaceLabels.length === 0
    ? [...new Set(namespaces)].map((namespace) => mark('', namespace))
    : undefined;

/** One requirement of each selector will do: all of them must hold. */
function byLabel(selectors: readonly LabelSelector[]): readonly string[] | undefined {
  const found = selectors.map((selector) => selector.find(({ operator }) => operator === 'In'));
  if (found.length === 0 || found.includes(undefined)) return undefined;
  return [...new Set(found.flatMap((each) => each?.values.map((value) => mark(each.key, value)) ?? []))];
}
