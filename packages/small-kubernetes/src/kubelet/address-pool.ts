/**
 * The addresses of one node's pods. Goes round, so that an address that was given back rests as long as possible before
 * another pod answers there.
 */
export interface PodAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

const FIRST = 2;
const LAST = 254;

export class AddressPool {
  readonly #prefix4: string;
  readonly #prefix6: string;
  readonly #taken = new Set<number>();
  #next = FIRST;

  /** A /24 and a /64. */
  constructor(cidr4: string, cidr6: string) {
    this.#prefix4 = cidr4.replace(/0\/24$/, '');
    this.#prefix6 = cidr6.replace(/\/64$/, '');
  }

  take(): PodAddresses {
    for (let tries = FIRST; tries <= LAST; tries++) {
      const host = this.#next;
      this.#next = host === LAST ? FIRST : host + 1;
      if (this.#taken.has(host)) continue;
      this.#taken.add(host);
      return this.#addresses(host);
    }
    throw new Error(`Cannot give a pod an address: all ${LAST - FIRST + 1} of ${this.#prefix4}0/24 are taken`);
  }

  release({ ipv4 }: PodAddresses): void {
    this.#taken.delete(Number(ipv4.split('.')[3]));
  }

  #addresses(host: number): PodAddresses {
    return { ipv4: `${this.#prefix4}${host}`, ipv6: `${this.#prefix6}${host.toString(16)}` };
  }
}
