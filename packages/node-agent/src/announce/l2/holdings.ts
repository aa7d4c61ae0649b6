/**
 * What this node does for the addresses that are its own to answer for, one by one: sees that nobody has them, answers, and
 * says so. Decides only; the time and what was seen are handed in.
 *
 * H1. An address that no agent is known to have had before is asked for first, after RFC 5227 (shorter: `PROBES` times
 *     within 0.6 s). If a stranger has it, it is left to him and asked for again later.
 * H2. What another agent leaves is answered for, and said, at once. Where it fell silent, it is asked for once: an agent that
 *     is not heard and still answers keeps it.
 * H3. What is held is said again and again for a while, since frames are lost, and then once a minute, since switches forget.
 * H4. Whoever claims what is held is contradicted, at most every 10 s (RFC 5227, 2.4 c), and reported.
 * H5. A node of ours may have an address by another program than its agent, as by MetalLB's: who answers the last question
 *     still, when its agent has long heard of us, keeps it. What such a one claims is said again a little later if it is
 *     held still, since its agent may have been about to leave it to us, or we to it.
 */
import { familyOf, type IpAddress } from '@tombolo/shared/model/ip.ts';
import { type Asker, announcementsOf, type Mac, questionFor, solicitedNodeGroup } from './frames.ts';
import type { Claim, Watched } from './responder.ts';

/** An interface of this node at which an address is to be answered for. */
export interface Place extends Asker {
  readonly index: number;
}

/** Who had the address before: no agent that is known; one that leaves it; or one that is not heard any more. */
export type Former = 'nobody' | 'leaving' | 'silent';

export interface Held {
  readonly places: readonly Place[];
  readonly former: Former;
}

export interface FrameAt {
  readonly index: number;
  readonly frame: Buffer;
}

/** Somebody else says that an address of ours is his. */
export interface Conflict {
  readonly address: IpAddress;
  readonly mac: Mac;
  /** False where he had it before: it is left to him. */
  readonly isAnswered: boolean;
}

export interface Step {
  readonly answers: readonly Watched[];
  readonly frames: readonly FrameAt[];
  /** To be joined, at these interfaces; all others are to be left. */
  readonly groups: readonly { readonly index: number; readonly group: IpAddress }[];
  readonly conflicts: readonly Conflict[];
}

const PROBES = 3;
const PROBE_MS = 200;
/** After so long an agent has asked for what it was given, and either holds it or leaves it. */
export const ASKING_MS = 3 * PROBES * PROBE_MS;
/** One answer takes far less, on a segment. */
const CHECK_MS = 100;
/** Until what was left to somebody is asked for again. */
const AGAIN_MS = { stranger: 10_000, node: 1_000 };
const REPEATS = 5;
const REPEAT_MS = 1_100;
const REMIND_MS = 60_000;
const DEFEND_MS = 10_000;
/** A claim that was not heard again for so long is over. */
const CLAIM_MS = 60_000;

type Phase = 'asking' | 'checking' | 'left' | 'held';

const FIRST_PHASES: Readonly<Record<Former, Phase>> = { nobody: 'asking', leaving: 'held', silent: 'checking' };

interface State {
  readonly place: Place;
  phase: Phase;
  /** How it was found out that it is somebody else's. */
  asked: 'asking' | 'checking';
  since: number;
  /** Of what is sent in this phase: how often it was, and when it is next. */
  sent: number;
  nextAt: number;
  defendedAt: number;
  /** What another node of ours said last, and was answered. */
  remindedOf: number;
  claim: { readonly mac: Mac; readonly at: number; readonly isFriend: boolean } | undefined;
}

export class Holdings {
  readonly #states = new Map<IpAddress, Map<number, State>>();

  /** Exactly these are ours from now on. */
  set(held: ReadonlyMap<IpAddress, Held>, now: number): void {
    for (const address of this.#states.keys()) if (!held.has(address)) this.#states.delete(address);
    for (const [address, { places, former }] of held) {
      const states = this.#states.get(address) ?? new Map<number, State>();
      this.#states.set(address, states);
      const indices = new Set(places.map(({ index }) => index));
      for (const index of states.keys()) if (!indices.has(index)) states.delete(index);
      const isHeld = [...states.values()].some(({ phase }) => phase === 'held');
      for (const place of places) {
        if (states.get(place.index)?.place.mac === place.mac) continue;
        states.set(place.index, newState(place, isHeld ? 'held' : FIRST_PHASES[former], now));
      }
    }
  }

  has(address: IpAddress): boolean {
    return [...(this.#states.get(address)?.values() ?? [])].some(({ phase }) => phase === 'held');
  }

  /** Others may have answered meanwhile: all that is held is said anew. */
  repeat(now: number): void {
    for (const state of this.#all()) if (state.phase === 'held') Object.assign(state, { sent: 0, nextAt: now });
  }

  /**
   * `friends`: the link-layer addresses of all agents, at all interfaces. `room`: for about so many frames; what does not
   * fit waits, and what depends on its having been sent waits too.
   */
  step(now: number, claims: readonly Claim[], friends: ReadonlySet<Mac>, room: number): Step {
    for (const claim of claims) {
      const state = this.#states.get(claim.address)?.get(claim.index);
      if (!state || claim.seenAt < state.since || claim.seenAt <= (state.claim?.at ?? Number.NEGATIVE_INFINITY))
        continue;
      const isFriend = friends.has(claim.mac);
      if (!isFriend || isKept(state, claim.seenAt)) state.claim = { mac: claim.mac, at: claim.seenAt, isFriend };
      else if (claim.mac !== state.place.mac) remind(state, now, claim.seenAt);
    }
    const frames = this.#frames(now, room);
    const conflicts = new Map<IpAddress, Conflict>();
    const answers: Watched[] = [];
    const groups: { index: number; group: IpAddress }[] = [];
    for (const [address, states] of this.#states) {
      for (const state of states.values()) {
        const { place, phase, claim } = state;
        const isAnswered = phase === 'held';
        answers.push({ ...place, address, answers: isAnswered });
        if (claim) conflicts.set(address, { address, mac: claim.mac, isAnswered });
        if (familyOf(address) === 6) groups.push({ index: place.index, group: solicitedNodeGroup(address) });
      }
    }
    return { answers, frames, groups, conflicts: [...conflicts.values()] };
  }

  /** What is asked, or said for the first time, goes before what is said again. */
  #frames(now: number, room: number): readonly FrameAt[] {
    const frames: FrameAt[] = [];
    for (const isFirst of [true, false]) {
      for (const [address, states] of this.#states)
        for (const state of states.values())
          if (isFirst === (state.phase !== 'held' || state.sent === 0))
            frames.push(...advance(address, state, now, frames.length < room));
    }
    return frames;
  }

  *#all(): Generator<State> {
    for (const states of this.#states.values()) yield* states.values();
  }
}

const newState = (place: Place, phase: Phase, now: number): State => ({
  ...{ place, phase, asked: phase === 'checking' ? 'checking' : 'asking', since: now, sent: 0, nextAt: now },
  ...{ defendedAt: Number.NEGATIVE_INFINITY, remindedOf: Number.NEGATIVE_INFINITY, claim: undefined },
});

/** What another node of ours says is taken for true: it is not heard, or it should have left the address by then. */
const isKept = ({ phase, sent, nextAt }: State, at: number): boolean =>
  phase === 'checking' || (phase === 'asking' && sent === PROBES && at >= nextAt - PROBE_MS);

function remind(state: State, now: number, of: number): void {
  if (state.phase !== 'held' || of <= state.remindedOf || now - state.defendedAt < DEFEND_MS) return;
  state.remindedOf = of;
  state.defendedAt = now;
  state.nextAt = Math.min(state.nextAt, now + REPEAT_MS);
}

/** What is to be sent now; nothing where there is no room. */
function advance(address: IpAddress, state: State, now: number, hasRoom: boolean): readonly FrameAt[] {
  if (state.phase === 'left' && now >= state.nextAt) Object.assign(state, newState(state.place, state.asked, now));
  if (state.phase === 'left') return [];
  return state.phase === 'held' ? say(address, state, now, hasRoom) : ask(address, state, now, hasRoom);
}

function ask(address: IpAddress, state: State, now: number, hasRoom: boolean): readonly FrameAt[] {
  const { place, asked } = state;
  if (state.claim) {
    const isOfNode = state.claim.isFriend || asked === 'checking';
    Object.assign(state, { phase: 'left', nextAt: now + (isOfNode ? AGAIN_MS.node : AGAIN_MS.stranger) });
    return [];
  }
  if (now < state.nextAt) return [];
  if (state.sent === (asked === 'checking' ? 1 : PROBES)) {
    Object.assign(state, newState(place, 'held', now));
    return say(address, state, now, hasRoom);
  }
  if (!hasRoom) return [];
  state.sent += 1;
  state.nextAt = now + (asked === 'checking' ? CHECK_MS : PROBE_MS);
  return [{ index: place.index, frame: questionFor(address, place) }];
}

function say(address: IpAddress, state: State, now: number, hasRoom: boolean): readonly FrameAt[] {
  const { place } = state;
  if (state.claim && now - state.claim.at > CLAIM_MS) state.claim = undefined;
  const { claim } = state;
  const isDefended = claim !== undefined && claim.at > state.defendedAt && now - state.defendedAt >= DEFEND_MS;
  if (!hasRoom || (now < state.nextAt && !isDefended)) return [];
  if (isDefended) state.defendedAt = now;
  if (now >= state.nextAt) {
    state.sent += 1;
    state.nextAt = now + (state.sent <= REPEATS ? REPEAT_MS : REMIND_MS);
  }
  return announcementsOf(address, place.mac).map((frame) => ({ index: place.index, frame }));
}
