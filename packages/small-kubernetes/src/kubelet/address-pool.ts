/** The addresses of one node's pods. One that was given back rests until all others have been given out. */
export interface PodAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

const FIRST = 2;
const LAST = 254;

export class AddressPool {
  readonly #prefix4: string;
  readonly #prefix6: string;
  readonly #free = Array.from({ length: LAST - FIRST + 1 }, (_, at) => FIRST + at);

  /** A /24 and a /64. */
  constructor(cidr4: string, cidr6: string) {
    this.#prefix4 = cidr4.replace(/0\/24$/, '');
    this.#prefix6 = cidr6.replace(/\/64$/, '');
  }

  take(): PodAddresses {
    const host = this.#free.shift();
    if (host !== undefined) return { ipv4: `${this.#prefix4}${host}`, ipv6: `${this.#prefix6}${host.toString(16)}` };
    throw new Error(`Cannot give a pod an address: all ${LAST - FIRST + 1} of ${this.#prefix4}0/24 are taken`);
  }

  release({ ipv4 }: PodAddresses): void {
    this.#free.push(Number(ipv4.split('.')[3]));
  }
}
