/**
 * Sees to it that the network believes who owns an address: the node that would be next asks for it now and then, as any
 * neighbour would, and looks who answers. Decides only; the time and what was seen are handed in.
 */
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { type Mac, questionFor } from './frames.ts';
import type { FrameAt, Place } from './holdings.ts';
import type { Claim } from './responder.ts';

/** An address that this node looks after. */
export interface Witnessed {
  readonly owner: string;
  /** Of the owner, at all its interfaces; undefined where they are not known. */
  readonly macs: ReadonlySet<Mac> | undefined;
  /** Interfaces of this node at the same segments. */
  readonly places: readonly Place[];
}

export interface Finding {
  readonly address: IpAddress;
  readonly owner: string;
  /** Nobody: nobody answered. */
  readonly answeredBy: readonly Mac[];
}

const EVERY_MS = 10_000;
const ANSWER_MS = 1_000;
/** A frame may be lost, and an address may just be moving. */
const TIMES = 2;

interface State {
  readonly seen: Witnessed;
  nextAt: number;
  askedAt: number | undefined;
  wrong: number;
  finding: Finding | undefined;
}

export class Witness {
  readonly #states = new Map<IpAddress, State>();

  set(addresses: ReadonlyMap<IpAddress, Witnessed>, now: number): void {
    for (const address of this.#states.keys()) if (!addresses.has(address)) this.#states.delete(address);
    let spread = 0;
    for (const [address, seen] of addresses) {
      const before = this.#states.get(address);
      // One after the other, not all at once.
      spread = (spread + 97) % EVERY_MS;
      const isSame = before?.seen.owner === seen.owner;
      const kept = isSame ? before : { nextAt: now + spread, askedAt: undefined, wrong: 0, finding: undefined };
      this.#states.set(address, { ...kept, seen });
    }
  }

  /** `room`: for about so many frames; what does not fit waits. */
  step(
    now: number,
    claims: readonly Claim[],
    room: number,
  ): { readonly frames: readonly FrameAt[]; readonly findings: readonly Finding[] } {
    const claimsOf = Map.groupBy(claims, ({ address }) => address);
    const frames: FrameAt[] = [];
    for (const [address, state] of this.#states) {
      if (state.askedAt !== undefined && now >= state.askedAt + ANSWER_MS)
        judge(address, state, claimsOf.get(address) ?? []);
      if (now < state.nextAt || frames.length >= room) continue;
      state.nextAt = now + EVERY_MS;
      state.askedAt = now;
      for (const place of state.seen.places) frames.push({ index: place.index, frame: questionFor(address, place) });
    }
    return { frames, findings: [...this.#states.values()].flatMap(({ finding }) => finding ?? []) };
  }
}

function judge(address: IpAddress, state: State, claims: readonly Claim[]): void {
  const { owner, macs } = state.seen;
  const answers = claims.filter(({ seenAt }) => seenAt >= (state.askedAt ?? 0)).map(({ mac }) => mac);
  const answeredBy = [...new Set(answers)].sort();
  state.askedAt = undefined;
  const isRight = answeredBy.length > 0 && (macs ? answeredBy.every((mac) => macs.has(mac)) : answeredBy.length === 1);
  state.wrong = isRight ? 0 : state.wrong + 1;
  state.finding = state.wrong >= TIMES ? { address, owner, answeredBy } : undefined;
}
