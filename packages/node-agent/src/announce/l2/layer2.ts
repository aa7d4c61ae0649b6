/**
 * Announcing by ARP and NDP: this node's part of it. It decides, several times a second, from what all nodes know, which
 * addresses are its own, and makes the kernel answer for them.
 *
 * L1. It answers for nothing before it has listened for others, and before the datapath has what the table says.
 * L2. What the kernel answers runs out (`LEASE_MS`) before others may take this agent for dead: of two that do not hear
 *     each other, one that stopped does not answer any more.
 * L3. Who leaves says so first; the others answer at once.
 */
import { isDeepStrictEqual } from 'node:util';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { fitsInterface, type L2Advertisement } from '@tombolo/shared/model/l2-advertisement.ts';
import type { Labels } from '@tombolo/shared/model/label-selector.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { ServiceAddress } from '../service-address.ts';
import type { ServiceAddresses } from '../service-addresses.ts';
import type { Told } from '../status-plan.ts';
import { answersAt, type Election, electAll, isAtEvery, Ranks, type SharedAddresses } from './elections.ts';
import type { Mac } from './frames.ts';
import { MOST_LINKS, type SpeakerLink } from './heartbeat.ts';
import { ASKING_MS, type Conflict, type Former, type Held, Holdings, type Place } from './holdings.ts';
import { type Link, Links, toldLinks } from './links.ts';
import { DEAD_MS, LISTEN_MS, type Member } from './membership.ts';
import { type Claim, Responder, type Watched } from './responder.ts';
import { SegmentSocket } from './segment-socket.ts';
import { Speakers } from './speakers.ts';
import { type Finding, Witness, type Witnessed } from './witness.ts';

export interface Layer2Node {
  readonly name: string;
  readonly labels: Labels;
  readonly isExcluded: boolean;
  /** Where its agent is heard; undefined where the Node has no address. */
  readonly address: IpAddress | undefined;
}

export interface Layer2Options {
  readonly me: string;
  /** Where this agent is heard. */
  readonly address: IpAddress;
  readonly port: number;
  readonly key: Buffer;
  readonly addresses: ServiceAddresses;
  /** Whether the datapath of this node does its work. */
  readonly isServing: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What this node knows of one address. */
export interface AddressStatus {
  readonly address: IpAddress;
  readonly services: readonly string[];
  readonly election: Election;
  /** This node answers for it. */
  readonly isAnswered: boolean;
  readonly problem: string | undefined;
}

/** Less than after what others take over. */
const LEASE_MS = DEAD_MS - 100;
/** So that taking over many does not hold up the heartbeats: a few ms. */
const FRAMES_AT_ONCE = 1_000;
/** More of them are not watched. */
const MOST_WATCHED = 40_000;
const VERIFY_MS = 2_000;

export class Layer2 {
  readonly #options: Layer2Options;
  readonly #log: Logger;
  readonly #speakers: Speakers;
  readonly #links: Links;
  readonly #responder: Responder;
  readonly #segment: SegmentSocket;
  readonly #ranks = new Ranks();
  readonly #holdings = new Holdings();
  readonly #witness = new Witness();
  readonly #startedAt: number;
  #nodes: ReadonlyMap<string, Layer2Node> = new Map();
  #advertisements: readonly L2Advertisement[] = [];
  #members: ReadonlyMap<string, Member> = new Map();
  /** By link-layer address, of all agents that were heard. */
  readonly #nodeOf = new Map<Mac, string>();
  #own: readonly Link[] = [];
  /** Interfaces for which there is no room in a heartbeat: nothing is answered there. */
  #untold: readonly Link[] = [];
  #sharing: SharedAddresses = new Map();
  #elections: ReadonlyMap<IpAddress, Election> = new Map();
  /** Who owns each address, and since when. */
  #owners = new Map<IpAddress, { readonly owner: string; readonly since: number }>();
  #seen = -1;
  #isDue = true;
  #signature = '';
  #isLeaving = false;
  #groups = new Map<string, { readonly index: number; readonly group: IpAddress }>();
  #conflicts: readonly Conflict[] = [];
  #findings: readonly Finding[] = [];
  #told = new Set<string>();
  #refused: ReadonlyMap<number, string> = new Map();
  #verifiedAt = Number.NEGATIVE_INFINITY;
  #repairs = 0;
  #turn: Promise<void> = Promise.resolve();

  /** Rejects with a sentence when the kernel or the port cannot be had. */
  static async open(options: Layer2Options): Promise<Layer2> {
    const responder = new Responder();
    let segment: SegmentSocket | undefined;
    let links: Links | undefined;
    try {
      segment = new SegmentSocket();
      links = new Links(options.clock);
      const { me, address, port, key, clock, log } = options;
      let layer2: Layer2 | undefined;
      const speakers = await Speakers.open({
        ...{ me, address, port, key, clock, log },
        self: () => layer2?.self ?? { isReady: false, links: [] },
        judged: (members, wasDeaf) => layer2?.judged(members, wasDeaf),
      });
      layer2 = new Layer2(options, speakers, { responder, segment, links });
      return layer2;
    } catch (error) {
      segment?.close();
      await links?.close();
      await responder.close();
      throw error;
    }
  }

  private constructor(
    options: Layer2Options,
    speakers: Speakers,
    { responder, segment, links }: { responder: Responder; segment: SegmentSocket; links: Links },
  ) {
    this.#options = options;
    this.#log = options.log.child({ room: 'layer 2' });
    this.#speakers = speakers;
    this.#responder = responder;
    this.#segment = segment;
    this.#links = links;
    this.#startedAt = options.clock.now();
  }

  setNodes(nodes: ReadonlyMap<string, Layer2Node>): void {
    this.#nodes = nodes;
    this.#isDue = true;
    for (const [mac, name] of this.#nodeOf) if (!nodes.has(name)) this.#nodeOf.delete(mac);
    const peers = [...nodes.values()].flatMap(({ name, address }) =>
      name === this.#options.me || address === undefined ? [] : [[name, address] as const],
    );
    this.#speakers.setPeers(new Map(peers));
  }

  setAdvertisements(advertisements: readonly L2Advertisement[]): void {
    this.#advertisements = advertisements;
    this.#isDue = true;
  }

  /** What others are told of this node. */
  get self(): { readonly isReady: boolean; readonly links: readonly SpeakerLink[] } {
    return { isReady: this.#isReady, links: this.#own.map(({ name, mac }) => ({ name, mac })) };
  }

  get statuses(): readonly AddressStatus[] {
    return [...this.#elections].map(([address, election]) => ({
      address,
      services: (this.#sharing.get(address) ?? []).map(({ service }) => service),
      election,
      isAnswered: this.#holdings.has(address),
      problem: this.#problemOf(address),
    }));
  }

  /** The Services of what this node answers for, with the interfaces where not all are meant; undefined before it may. */
  get told(): Told | undefined {
    const { me, clock } = this.#options;
    if (clock.now() - this.#startedAt < LISTEN_MS) return undefined;
    const interfaces = new Map<ServiceKey, ReadonlySet<string>>();
    for (const [address, election] of this.#elections) {
      if (election.owner !== me || !this.#holdings.has(address)) continue;
      const names = isAtEvery(election, me) ? [] : this.#own.filter(({ name }) => answersAt(election, me, name));
      for (const { service, obstacle } of this.#sharing.get(address) ?? [])
        if (obstacle === undefined)
          interfaces.set(service, new Set([...(interfaces.get(service) ?? []), ...names.map(({ name }) => name)]));
    }
    return new Map(
      [...interfaces].map(([service, names]) => [
        service,
        names.size === 0 ? {} : { interfaces: [...names].sort().map((name) => ({ name })) },
      ]),
    );
  }

  /** In a few words each. */
  get problems(): readonly string[] {
    const refused = [...this.#refused].map(([index, reason]) => {
      const name = this.#own.find((link) => link.index === index)?.name ?? index;
      return `interface ${name}: ${reason}`;
    });
    return [
      ...this.#conflicts.map((each) => this.#conflictText(each)),
      ...this.#findings.map((each) => this.#findingText(each)),
      ...refused,
      ...this.#untoldNamed().map(
        ({ name }) => `interface ${name} is not used: a node answers at ${MOST_LINKS} at most`,
      ),
    ];
  }

  get members(): ReadonlyMap<string, Member> {
    return this.#members;
  }

  /** For metrics. */
  get counts() {
    const { answered } = this.#responder;
    return { answered, refusedHeartbeats: this.#speakers.refused, repairs: this.#repairs };
  }

  judged(members: ReadonlyMap<string, Member>, wasDeaf: boolean): void {
    const { clock } = this.#options;
    this.#members = members;
    for (const [name, { links }] of members) for (const { mac } of links ?? []) this.#nodeOf.set(mac, name);
    if (this.#isReady) this.#responder.lease(LEASE_MS);
    if (wasDeaf) this.#holdings.repeat(clock.now());
    this.#turn = this.#turn.then(() => this.#step()).catch((error: unknown) => this.#tell('error', `${error}`));
  }

  /** Leaves to others what is ours, first. */
  async close(): Promise<void> {
    this.#isLeaving = true;
    // Two of them: one may be lost.
    this.#speakers.tell();
    this.#speakers.tell();
    this.#responder.lease(0);
    await this.#turn;
    await this.#speakers.close();
    await this.#responder.close();
    this.#segment.close();
    await this.#links.close();
  }

  get #isReady(): boolean {
    const { clock, isServing } = this.#options;
    const hasListened = clock.now() - this.#startedAt >= LISTEN_MS;
    return hasListened && !this.#isLeaving && this.#own.length > 0 && isServing();
  }

  async #step(): Promise<void> {
    if (this.#isLeaving) return;
    const links = await this.#links.look();
    const own = toldLinks(links, this.#advertisements);
    this.#untold = links.filter((link) => !own.includes(link));
    if (!isDeepStrictEqual(own, this.#own)) {
      this.#own = own;
      // The others need not wait for the next heartbeat.
      this.#speakers.tell();
      this.#refused = this.#responder.attach(new Set(own.map(({ index }) => index)));
    }
    const { clock } = this.#options;
    const now = clock.now();
    this.#elect(now);
    const claims = this.#claims(now);
    const holding = this.#holdings.step(now, claims, this.#friends(), FRAMES_AT_ONCE);
    const { frames, findings } = this.#witness.step(now, claims, FRAMES_AT_ONCE - holding.frames.length);
    this.#responder.set([...holding.answers, ...this.#watchedOf(holding.answers)]);
    this.#verify(now);
    this.#join(holding.groups);
    for (const { index, frame } of [...holding.frames, ...frames]) this.#segment.send(index, frame);
    this.#conflicts = holding.conflicts;
    this.#findings = findings;
    this.#tellProblems();
  }

  /** Only when something is different that it is decided from. */
  #elect(now: number): void {
    const { addresses, me } = this.#options;
    const signature = this.#memberSignature();
    const { version } = addresses.changed;
    if (!this.#isDue && version === this.#seen && signature === this.#signature) return;
    if (version !== this.#seen) this.#sharing = sharingOf(addresses.all.values());
    [this.#isDue, this.#seen, this.#signature] = [false, version, signature];
    const before = this.#elections;
    this.#elections = electAll(this.#sharing, this.#advertisements, this.#speakerNodes(), this.#ranks);
    const held = new Map<IpAddress, Held>();
    const witnessed = new Map<IpAddress, Witnessed>();
    for (const [address, election] of this.#elections) {
      const { owner, second } = election;
      const places = this.#placesOf(election);
      if (owner === me && this.#isAllowed(address)) {
        held.set(address, { places, former: this.#formerOf(address, now) });
      } else if (second === me && owner !== undefined)
        witnessed.set(address, { owner, macs: this.#macsOf(owner), places });
    }
    this.#noteOwners(now);
    this.#tellMoves(before);
    this.#holdings.set(held, now);
    this.#witness.set(witnessed, now);
  }

  /** One that leaves it has made sure that nobody else has it, if it had it for long enough. */
  #formerOf(address: IpAddress, now: number): Former {
    const former = this.#owners.get(address);
    if (!former || former.owner === this.#options.me) return 'nobody';
    if (!this.#members.has(former.owner)) return 'silent';
    return now - former.since < ASKING_MS ? 'nobody' : 'leaving';
  }

  #noteOwners(now: number): void {
    const owners = new Map<IpAddress, { readonly owner: string; readonly since: number }>();
    for (const [address, { owner }] of this.#elections) {
      const former = this.#owners.get(address);
      if (owner !== undefined) owners.set(address, former?.owner === owner ? former : { owner, since: now });
      // Nobody for a while: whoever comes next need not ask either.
      else if (former) owners.set(address, former);
    }
    this.#owners = owners;
  }

  /** As far as this node itself is concerned. */
  #isAllowed(address: IpAddress): boolean {
    return (this.#sharing.get(address) ?? []).some(({ obstacle }) => obstacle === undefined);
  }

  #placesOf(election: Election): readonly Place[] {
    const { me } = this.#options;
    return this.#own
      .filter(({ name }) => answersAt(election, me, name))
      .map(({ index, mac, linkLocal }) => ({ index, mac, linkLocal }));
  }

  #macsOf(node: string): ReadonlySet<Mac> | undefined {
    const links = this.#members.get(node)?.links;
    return links && new Set(links.map(({ mac }) => mac));
  }

  #untoldNamed(): readonly Link[] {
    return this.#untold.filter(({ name }) => this.#advertisements.some((each) => fitsInterface(each, name)));
  }

  #friends(): ReadonlySet<Mac> {
    const all = [...this.#members.values()].flatMap(({ links }) => links ?? []);
    return new Set([...all, ...this.#own].map(({ mac }) => mac));
  }

  #speakerNodes() {
    return [...this.#nodes.values()].map(({ name, labels, isExcluded }) => {
      const isMe = name === this.#options.me;
      const links = isMe ? this.#own : this.#members.get(name)?.links;
      const isReady = isMe ? this.#isReady : (this.#members.get(name)?.isReady ?? false);
      return { name, labels, isExcluded, isReady, interfaces: links?.map((link) => link.name) };
    });
  }

  #memberSignature(): string {
    const members = [...this.#members].map(([name, { isReady, links }]) => [name, isReady, links]);
    return JSON.stringify([members, this.#own, this.#isReady]);
  }

  /** In the time of our clock; the kernel's is another. */
  #claims(now: number): readonly Claim[] {
    const shift = Number(process.hrtime.bigint() / 1_000n) / 1_000 - now;
    return this.#responder.claims().map((claim) => ({ ...claim, seenAt: claim.seenAt - shift }));
  }

  /** What others answer for, at all interfaces here. */
  #watchedOf(answers: readonly Watched[]): readonly Watched[] {
    const answered = new Set(answers.map(({ index, address }) => `${index} ${address}`));
    const watched: Watched[] = [];
    for (const [address, { obstacle }] of this.#elections) {
      if (obstacle !== undefined) continue;
      for (const { index, mac } of this.#own) {
        if (answered.has(`${index} ${address}`)) continue;
        if (watched.length >= MOST_WATCHED) return watched;
        watched.push({ index, address, mac, answers: false });
      }
    }
    return watched;
  }

  #verify(now: number): void {
    if (now - this.#verifiedAt < VERIFY_MS) return;
    this.#verifiedAt = now;
    this.#refused = this.#responder.attach(new Set(this.#own.map(({ index }) => index)));
    const damage = this.#responder.verify();
    if (damage === undefined) return;
    this.#repairs += 1;
    this.#log.warn({ damage }, 'What answers ARP and NDP was changed by others; it is put right');
  }

  #join(groups: readonly { readonly index: number; readonly group: IpAddress }[]): void {
    const wanted = new Map(groups.map((each) => [`${each.index} ${each.group}`, each]));
    for (const [key, { index, group }] of this.#groups) {
      if (wanted.has(key)) continue;
      this.#segment.leave(index, group);
      this.#groups.delete(key);
    }
    for (const [key, each] of wanted) {
      if (this.#groups.has(key)) continue;
      const reason = this.#segment.join(each.index, each.group);
      if (reason === '') this.#groups.set(key, each);
      else this.#tell('warn', `cannot join ${each.group} at interface ${each.index}: ${reason}`);
    }
  }

  #problemOf(address: IpAddress): string | undefined {
    const conflict = this.#conflicts.find((each) => each.address === address);
    if (conflict) return this.#conflictText(conflict);
    const finding = this.#findings.find((each) => each.address === address);
    return finding && this.#findingText(finding);
  }

  #findingText({ address, owner, answeredBy }: Finding): string {
    if (answeredBy.length === 0) return `nobody answers for ${address}, which node ${owner} should`;
    return `${answeredBy.map((mac) => this.#nameOf(mac)).join(' and ')} answered for ${address}, which node ${owner} should`;
  }

  #conflictText({ address, mac, isAnswered }: Conflict): string {
    const node = this.#nodeOf.get(mac);
    const isHeard = node !== undefined && this.#members.has(node);
    const how = isHeard ? 'by another program than its agent' : 'whose agent is not heard';
    const who = node === undefined ? `${mac}, which is none of our nodes,` : `node ${node}, ${how},`;
    return isAnswered ? `${who} says that it has ${address}` : `${address} is not announced: ${who} has it`;
  }

  #nameOf(mac: Mac): string {
    const node = this.#nodeOf.get(mac);
    return node === undefined ? mac : `node ${node}`;
  }

  #tellMoves(before: ReadonlyMap<IpAddress, Election>): void {
    const { me } = this.#options;
    const [gained, lost]: [IpAddress[], IpAddress[]] = [[], []];
    for (const [address, { owner }] of this.#elections)
      if (owner === me && before.get(address)?.owner !== me) gained.push(address);
    for (const [address, { owner }] of before)
      if (owner === me && this.#elections.get(address)?.owner !== me) lost.push(address);
    if (gained.length > 0) this.#log.info(listed(gained), 'This node answers for addresses');
    if (lost.length > 0) this.#log.info(listed(lost), 'This node leaves addresses to others');
  }

  #tellProblems(): void {
    const now = new Set(this.problems);
    for (const problem of now) if (!this.#told.has(problem)) this.#log.warn({ problem }, 'The network and we disagree');
    this.#told = now;
  }

  #tell(level: 'warn' | 'error', problem: string): void {
    this.#log[level]({ problem }, 'Announcing by ARP and NDP goes on with a problem');
  }
}

const listed = (addresses: readonly IpAddress[]) => ({ count: addresses.length, addresses: addresses.slice(0, 10) });

/** Those that ARP and NDP can be asked for. */
function sharingOf(services: Iterable<readonly ServiceAddress[]>): SharedAddresses {
  const sharing = new Map<IpAddress, ServiceAddress[]>();
  for (const addresses of services) {
    for (const each of addresses) {
      if (each.kind === 'ClusterIP') continue;
      const others = sharing.get(each.address);
      if (others) others.push(each);
      else sharing.set(each.address, [each]);
    }
  }
  return sharing;
}
