/**
 * Which tracked UDP flows contradict what is served now. UDP has no end of a connection: a client that keeps its port is
 * sent where its first datagram was for as long as it sends. Pure.
 *
 * A flow at one of our frontends must lead to one of its backends, whoever translated it, and however long ago. One that
 * began before the frontend had backends, and so leads nowhere else than it asked, is begun anew.
 */
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import type { ConntrackEntry, Tuple } from './conntrack-messages.ts';
import { FROM_OUTSIDE, type Served } from './slots.ts';

const UDP = 17;
const EVERY_ADDRESS = { 4: '0.0.0.0', 6: '::' } as const;

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
    const { destination, destinationPort } = original;
    const exact = `${destination}:${destinationPort}/UDP`;
    const nodePort = `${EVERY_ADDRESS[family]}:${destinationPort}/UDP`;
    const isTranslated = reply.source !== destination || reply.sourcePort !== destinationPort;
    const id = [exact, nodePort].find((each) => this.#served.has(each));
    if (id !== undefined) {
      const backends = this.#backendsOf(this.#served, id);
      if (isTranslated) return !backends.has(textOf(reply));
      // Where its source was not translated either, ending it loses nothing, though it may be none of ours.
      return (
        backends.size > 0 && reply.destination === original.source && reply.destinationPort === original.sourcePort
      );
    }
    const last = [exact, nodePort].find((each) => this.#gone.has(each));
    return last !== undefined && isTranslated && this.#backendsOf(this.#gone, last).has(textOf(reply));
  }

  #backendsOf(from: ServedById, id: string): ReadonlySet<string> {
    const known = this.#backends.get(id);
    if (known) return known;
    const parts = [id, `${id}${FROM_OUTSIDE}`].flatMap((part) => from.get(part)?.backends ?? []);
    const found = new Set(parts.map(({ address, port }) => `${address} ${port}`));
    this.#backends.set(id, found);
    return found;
  }
}

const textOf = ({ source, sourcePort }: Tuple): string => `${source} ${sourcePort}`;

/** Where the flows are that a change can have made stale. */
export interface FlowPlace {
  readonly family: 4 | 6;
  /** Undefined: any. */
  readonly address: string | undefined;
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
    const kept = new Set((after?.backends ?? []).map(({ address, port }) => `${address} ${port}`));
    const hasLost = old?.backends.some(({ address, port }) => !kept.has(`${address} ${port}`));
    const isFirst = kept.size > 0 && (old === undefined || old.backends.length === 0);
    if (!hasLost && !isFirst) continue;
    const address = frontend.kind === 'NodePort' ? undefined : frontend.address;
    places.set(frontendId(frontend), { family: frontend.address.includes(':') ? 6 : 4, address, port: frontend.port });
  }
  return { places: [...places.values()], gone };
}
