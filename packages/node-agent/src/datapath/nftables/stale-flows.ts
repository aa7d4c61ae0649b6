/**
 * Which tracked UDP flows contradict what is served now. UDP has no end of a connection: a client that keeps its port is
 * sent where its first datagram was for as long as it sends. Pure.
 *
 * A flow at one of our frontends must lead to one of its backends, whoever translated it, and however long ago. One that
 * began before the frontend had backends, and so leads nowhere else than it asked, is begun anew.
 */
import { familyOf, type IpAddress, type IpFamily, ip } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import type { ConntrackEntry } from './conntrack-messages.ts';
import { outsideId, type Served } from './slots.ts';

export const UDP = 17;
const EVERY_ADDRESS: Readonly<Record<IpFamily, IpAddress>> = { 4: ip('0.0.0.0'), 6: ip('::') };

/** By `servedId`. */
type ServedById = ReadonlyMap<string, Pick<Served, 'backends'>>;

/** `gone`: frontends that were served until now. */
export class FlowJudge {
  readonly #served: ServedById;
  readonly #gone: ServedById;
  /** Backends as text, by frontend, of those that were asked about. */
  readonly #backends = new Map<string, ReadonlySet<string>>();

  constructor(served: ServedById, gone: ServedById = new Map()) {
    this.#served = served;
    this.#gone = gone;
  }

  isStale({ family, original, reply }: ConntrackEntry): boolean {
    if (original.protocol !== UDP) return false;
    const { destination, destinationPort: port } = original;
    // A NodePort comes after a frontend that has this very address.
    const ids = [destination, EVERY_ADDRESS[family]].map((address) => frontendId({ address, port, protocol: 'UDP' }));
    const answering = nameOf({ address: reply.source, port: reply.sourcePort });
    const isTranslated = reply.source !== destination || reply.sourcePort !== port;
    const id = ids.find((each) => this.#served.has(each));
    if (id !== undefined) {
      const backends = this.#backendsOf(this.#served, id);
      if (isTranslated) return !backends.has(answering);
      // Where its source was not translated either, ending it loses nothing, though it may be none of ours.
      return (
        backends.size > 0 && reply.destination === original.source && reply.destinationPort === original.sourcePort
      );
    }
    const last = ids.find((each) => this.#gone.has(each));
    return last !== undefined && isTranslated && this.#backendsOf(this.#gone, last).has(answering);
  }

  #backendsOf(from: ServedById, id: string): ReadonlySet<string> {
    const known = this.#backends.get(id);
    if (known) return known;
    const found = new Set([id, outsideId(id)].flatMap((part) => from.get(part)?.backends ?? []).map(nameOf));
    this.#backends.set(id, found);
    return found;
  }
}

const nameOf = ({ address, port }: Pick<RouteBackend, 'address' | 'port'>): string => `${address} ${port}`;

/** Where the flows are that a change can have made stale. */
export interface FlowPlace {
  readonly family: IpFamily;
  /** Undefined: any. */
  readonly address: IpAddress | undefined;
  readonly port: number;
}

/** The places of UDP frontends that lost a backend, or have their first; and what was served at those that are gone. */
export function changedFlows(
  before: ReadonlyMap<string, Served>,
  changes: ReadonlyMap<string, Served | undefined>,
): { readonly places: readonly FlowPlace[]; readonly gone: ReadonlyMap<string, Served> } {
  const places = new Map<string, FlowPlace>();
  const gone = new Map<string, Served>();
  for (const [id, after] of changes) {
    const old = before.get(id);
    const frontend = (after ?? old)?.frontend;
    if (frontend?.protocol !== 'UDP') continue;
    if (old !== undefined && after === undefined) gone.set(id, old);
    const kept = new Set((after?.backends ?? []).map(nameOf));
    const hasLost = old?.backends.some((backend) => !kept.has(nameOf(backend)));
    const isFirst = kept.size > 0 && (old === undefined || old.backends.length === 0);
    if (!hasLost && !isFirst) continue;
    const address = frontend.kind === 'NodePort' ? undefined : frontend.address;
    places.set(frontendId(frontend), { family: familyOf(frontend.address), address, port: frontend.port });
  }
  return { places: [...places.values()], gone };
}
