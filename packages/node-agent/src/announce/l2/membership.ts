/**
 * Which agents of the cluster are alive, as far as can be told here, from the heartbeats that were heard. Pure but for what
 * it remembers: the time is handed in.
 *
 * M1. Alive is who was heard within `DEAD_MS`, by this agent or by one that it hears: a path that is lost between two
 *     changes nothing as long as others hear both.
 * M2. Nothing of what one agent says counts unless it shows that it hears us: it repeats our number as long as it does.
 *     Who only speaks, and is deaf, is dead: he would not hear who asks him for an address either.
 * M3. Who was deaf for a while, since his own program stood still, gives the others the time to be heard again before he
 *     calls anybody dead.
 */
import { bitReader, bitsOf, type Heartbeat, nodesDigest, type SpeakerLink } from './heartbeat.ts';

/** Between two heartbeats. */
export const INTERVAL_MS = 125;
/** Who was not heard for so long is dead. */
export const DEAD_MS = 500;
/** Who could not listen for longer than this was deaf. */
const DEAF_MS = 2 * INTERVAL_MS;
/** Of one node, that are remembered. */
const FORMER_STARTS = 64;
/** How long an agent listens before it takes part: by then it has heard whoever is there. */
export const LISTEN_MS = 2 * DEAD_MS;

export interface Member {
  readonly isReady: boolean;
  /** Undefined where only others have heard it, and nobody told. */
  readonly links: readonly SpeakerLink[] | undefined;
  /** It is heard here, not only by others. */
  readonly isHeard: boolean;
}

interface Peer {
  /** Of what it said last that showed that it hears us; undefined until then. */
  last: { readonly at: number; readonly heartbeat: Heartbeat } | undefined;
  /** Numbers of its earlier starts that had shown it: whatever bears one is old. */
  readonly former: string[];
  /** Of what it said since then: its number is repeated to it, and counts for nothing else. It may be old. */
  greeting: { readonly at: number; readonly boot: string } | undefined;
}

export class Membership {
  readonly #me: string;
  readonly #boot: string;
  readonly #peers = new Map<string, Peer>();
  #names: readonly string[] = [];
  #digest = nodesDigest([]);
  #sequence = 0;
  #judgedAt: number | undefined;
  /** Until then, who was alive at that time is. */
  #patience = { until: Number.NEGATIVE_INFINITY, with: 0 };
  #isDeaf = false;

  /** `boot`: 16 hex digits that no earlier run of anybody had. */
  constructor(me: string, boot: string) {
    this.#me = me;
    this.#boot = boot;
  }

  /** All nodes that there are; what was said by others is forgotten. */
  setNodes(names: Iterable<string>): void {
    this.#names = [...names].sort();
    this.#digest = nodesDigest(this.#names);
    const known = new Set(this.#names);
    for (const name of this.#peers.keys()) if (!known.has(name)) this.#peers.delete(name);
  }

  /** Returns why it does not count; undefined where it does. */
  heard(heartbeat: Heartbeat, at: number): string | undefined {
    const { from, to, boot, echo, sequence } = heartbeat;
    if (to !== this.#me) return `it is for node ${to}`;
    if (from === this.#me) return 'another agent runs under the name of this node';
    if (!this.#names.includes(from)) return `there is no node ${from}`;
    const peer: Peer = this.#peers.get(from) ?? { last: undefined, former: [], greeting: undefined };
    const before = peer.last?.heartbeat;
    const isNew = before?.boot !== boot;
    if (isNew ? peer.former.includes(boot) : sequence <= before.sequence) return 'it was heard before';
    this.#peers.set(from, peer);
    if (echo !== this.#boot) {
      const isAlive = peer.last !== undefined && at - peer.last.at < DEAD_MS;
      if (!isAlive) peer.greeting = { at, boot };
      return undefined;
    }
    // It was sent to us since we started, and can only be newer.
    if (isNew && before) peer.former.push(before.boot);
    if (peer.former.length > FORMER_STARTS) peer.former.shift();
    peer.last = { at, heartbeat };
    peer.greeting = undefined;
    return undefined;
  }

  /** Who is alive at this time, but for ourselves. To be called every `INTERVAL_MS`. */
  judge(at: number): ReadonlyMap<string, Member> {
    this.#isDeaf = this.#judgedAt !== undefined && at - this.#judgedAt > DEAF_MS;
    if (this.#isDeaf) this.#patience = { until: at + DEAF_MS, with: this.#judgedAt ?? at };
    this.#judgedAt = at;
    const members = new Map<string, Member>();
    const heard = this.#heardAt(at);
    for (const [name, { links, isReady }] of heard) members.set(name, { isReady, links, isHeard: true });
    // In most turns nobody: all that is heard here need not be looked for in what all others say.
    const missing = [...this.#names.entries()].filter(([, name]) => name !== this.#me && !heard.has(name));
    if (missing.length === 0) return members;
    for (const { nodes, hears, hearsReady } of heard.values()) {
      if (nodes !== this.#digest) continue;
      const [isHeard, isReady] = [bitReader(hears), bitReader(hearsReady)];
      for (const [i, name] of missing) {
        if (!isHeard(i) || members.has(name)) continue;
        const links = this.#peers.get(name)?.last?.heartbeat.links;
        members.set(name, { isReady: isReady(i), links, isHeard: false });
      }
    }
    return members;
  }

  /** Whether this agent itself stood still before the last `judge`, so that others may have taken it for dead. */
  get wasDeaf(): boolean {
    return this.#isDeaf;
  }

  /** Whom this agent hears now, as all others are told. */
  hearsay(at: number): Pick<Heartbeat, 'nodes' | 'hears' | 'hearsReady'> {
    const heard = this.#heardAt(at);
    return {
      nodes: this.#digest,
      hears: bitsOf(this.#names, (name) => heard.has(name)),
      hearsReady: bitsOf(this.#names, (name) => heard.get(name)?.isReady ?? false),
    };
  }

  /** What goes before that in a heartbeat for this node; each is for one datagram. */
  addressed(to: string, at: number): Pick<Heartbeat, 'from' | 'to' | 'boot' | 'echo' | 'sequence'> {
    this.#sequence += 1;
    const { greeting, last } = this.#peers.get(to) ?? {};
    const then = this.#listenedAt(at);
    const isHeard = (said: { readonly at: number } | undefined) => said !== undefined && then - said.at < DEAD_MS;
    const echo = isHeard(greeting) ? greeting?.boot : isHeard(last) ? last?.heartbeat.boot : undefined;
    return { from: this.#me, to, boot: this.#boot, echo: echo ?? '', sequence: this.#sequence };
  }

  #heardAt(at: number): ReadonlyMap<string, Heartbeat> {
    const then = this.#listenedAt(at);
    const heard = new Map<string, Heartbeat>();
    for (const [name, { last }] of this.#peers) if (last && then - last.at < DEAD_MS) heard.set(name, last.heartbeat);
    return heard;
  }

  #listenedAt(at: number): number {
    return at < this.#patience.until ? this.#patience.with : at;
  }
}
