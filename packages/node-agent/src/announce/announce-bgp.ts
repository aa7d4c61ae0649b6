/**
 * Announces by BGP, through FRR beside the agent, while there is an object that asks for a session from this node: MetalLB's
 * `BGPPeer`, Cilium's `CiliumBGPPeeringPolicy` or `CiliumBGPClusterConfig`.
 *
 * B1. Nothing is changed before all is known: an agent that starts finds what the last one left, and leaves it so.
 * B2. An agent that stops changes nothing: FRR goes on.
 * B3. A node that is to have no traffic any more, or whose datapath does not work, first is the last resort (`departure.ts`).
 * B4. FRR's configuration is compared with what is wanted at each change and every `CHECK_MS`: an engine that was started
 *     anew, or changed by others, has it again then.
 */
import { ApiError, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import type { Collection } from '@tombolo/shared/kubernetes/collection.ts';
import { CILIUM_BGP, metallbBgp } from '@tombolo/shared/kubernetes/collections.ts';
import type {
  BfdProfile,
  BgpAdvertisement,
  BgpPeer,
  CiliumAdvertisement,
  CiliumClusterConfig,
  CiliumNodeOverride,
  CiliumPeerConfig,
  CiliumPeeringPolicy,
  CommunityAliases,
  SecretRef,
} from '@tombolo/shared/model/bgp.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { type AnnounceFacts, isExcluded } from './announce-facts.ts';
import { Departure } from './bgp/departure.ts';
import { FrrEngine, type PeerState, type SessionState } from './bgp/engine.ts';
import { bfddLines, bgpdLines } from './bgp/frr-config.ts';
import { type BgpIntent, type BgpResources, peersByService, planBgp, type Stay, secretKey } from './bgp/plan.ts';
import { type BgpConnection, bgpConnections, RivalSpeakers } from './bgp/rival-speakers.ts';
import type { ServiceAddress } from './service-address.ts';
import type { Told } from './status-plan.ts';

export interface AnnounceBgpOptions {
  readonly client: KubernetesClient;
  readonly facts: AnnounceFacts;
  readonly nodeName: string;
  readonly metallbNamespace: string;
  /** Where FRR's sockets are. */
  readonly engineDirectory: string;
  /** For how long what is to be withdrawn, since the node is to have no traffic, is announced as the last resort. */
  readonly drainMs: number;
  /** Whether the datapath of this node does its work. */
  readonly isServing: () => boolean;
  readonly report: (health: Health) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const CHECK_MS = 2_000;
const SECRETS_MS = 30_000;
const ANSWER_MS = 5_000;

/** Objects of some kinds, by the path of their collection and their key there. */
class Objects<T> {
  readonly #all = new Map<string, T>();

  set(path: string, key: string, value: T | undefined): void {
    if (value === undefined) this.#all.delete(`${path} ${key}`);
    else this.#all.set(`${path} ${key}`, value);
  }

  /** Each name once: both versions of a kind have the same objects. */
  get all(): ReadonlyMap<string, T> {
    return new Map([...this.#all].map(([id, value]) => [id.slice(id.lastIndexOf(' ') + 1), value]));
  }

  get size(): number {
    return this.#all.size;
  }
}

const rivalText = ({ router, ownPort, routerPort }: BgpConnection): string =>
  `another program of this node speaks BGP to ${router} (its port ${ownPort}, there ${routerPort}): routers take one session from a node`;

export class AnnounceBgp {
  readonly #options: AnnounceBgpOptions;
  readonly #log: Logger;
  readonly #engine: FrrEngine;
  readonly #departure: Departure;
  readonly #peers = new Objects<BgpPeer>();
  readonly #advertisements = new Objects<BgpAdvertisement>();
  readonly #bfdProfiles = new Objects<BfdProfile>();
  readonly #communities = new Objects<CommunityAliases>();
  readonly #policies = new Objects<CiliumPeeringPolicy>();
  readonly #clusterConfigs = new Objects<CiliumClusterConfig>();
  readonly #peerConfigs = new Objects<CiliumPeerConfig>();
  readonly #ciliumAdvertisements = new Objects<CiliumAdvertisement>();
  readonly #overrides = new Objects<CiliumNodeOverride>();
  readonly #passwords = new Map<string, string>();
  /** Collections that have not been listed yet. */
  readonly #waitingFor = new Set<string>();
  #secretsAt = Number.NEGATIVE_INFINITY;
  #intent: BgpIntent = { instance: undefined, neighbors: [], problems: [] };
  /** It was worked out from all that there is. */
  #isKnown = false;
  #states: readonly PeerState[] = [];
  #sessions: readonly SessionState[] = [];
  readonly #rivals = new RivalSpeakers();
  #stay: Stay = 'full';
  #problem = '';
  /** What is in the engine may be ours: there is, or was, something to announce, or nobody has looked yet. */
  #mayHold = true;

  constructor(options: AnnounceBgpOptions) {
    this.#options = options;
    this.#log = options.log.child({ room: 'bgp' });
    this.#engine = new FrrEngine(options.engineDirectory);
    this.#departure = new Departure(options.drainMs);
  }

  /** Whether there is an object that asks for sessions: then the facts are needed. */
  get isWanted(): boolean {
    return this.#peers.size + this.#policies.size + this.#clusterConfigs.size > 0;
  }

  /** What this node is to say, and to whom. */
  get intent(): BgpIntent {
    return this.#intent;
  }

  /** What this node is to say, as the status of Services says it; undefined while that is not known. */
  get told(): Told | undefined {
    if (!this.#isKnown) return undefined;
    return new Map([...peersByService(this.#intent)].map(([service, peers]) => [service, { peers }]));
  }

  /** What is wrong with the session to a router; empty where nothing is known to be. */
  troubleWith(address: IpAddress): string {
    const rival = this.#rivals.rivals.find(({ router }) => router === address);
    if (rival) return rivalText(rival);
    return this.#sessions.find(({ router }) => router === address)?.trouble ?? '';
  }

  /** Connections to our routers that are not FRR's. */
  get rivals(): number {
    return this.#rivals.rivals.length;
  }

  /** What FRR said last of its neighbors. */
  get states(): readonly PeerState[] {
    return this.#states;
  }

  /** Resolves when the signal aborts; rejects on a fault of our own. */
  async run(signal: AbortSignal): Promise<void> {
    const { metallbNamespace, facts } = this.#options;
    const metallb = metallbBgp(metallbNamespace);
    const asking = [
      this.#follow(metallb.peers, this.#peers, signal),
      ...CILIUM_BGP.policies.map((kind) => this.#follow(kind, this.#policies, signal)),
      ...CILIUM_BGP.clusterConfigs.map((kind) => this.#follow(kind, this.#clusterConfigs, signal)),
    ];
    const rest = async (): Promise<void> => {
      await facts.changed.until(() => this.isWanted, signal);
      if (signal.aborted) return;
      await Promise.all([
        this.#follow(metallb.advertisements, this.#advertisements, signal),
        this.#follow(metallb.bfdProfiles, this.#bfdProfiles, signal),
        this.#follow(metallb.communities, this.#communities, signal),
        ...CILIUM_BGP.peerConfigs.map((kind) => this.#follow(kind, this.#peerConfigs, signal)),
        ...CILIUM_BGP.advertisements.map((kind) => this.#follow(kind, this.#ciliumAdvertisements, signal)),
        ...CILIUM_BGP.overrides.map((kind) => this.#follow(kind, this.#overrides, signal)),
      ]);
    };
    await Promise.all([...asking, rest(), this.#announce(signal)]);
  }

  #follow<T>(collection: Collection<T>, objects: Objects<T>, signal: AbortSignal): Promise<void> {
    this.#waitingFor.add(collection.path);
    return this.#options.facts.follow(
      collection,
      signal,
      (key, value) => objects.set(collection.path, key, value),
      () => void this.#waitingFor.delete(collection.path),
    );
  }

  async #announce(signal: AbortSignal): Promise<void> {
    const { facts, clock } = this.#options;
    let checkedAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const seen = facts.changed.version;
      const isDue = clock.now() - checkedAt >= CHECK_MS;
      if (this.#isComplete) {
        await this.#readSecrets(signal);
        if (isDue) checkedAt = clock.now();
        await this.#settle(isDue);
      }
      const waitMs = Math.min(CHECK_MS, this.#departure.endsIn(clock.now()) ?? CHECK_MS);
      await facts.changed.changedWithin(seen, waitMs, clock, signal);
    }
  }

  /** Without an object that asks for sessions nothing else need be known: what was left is taken back. */
  get #isComplete(): boolean {
    const { facts } = this.#options;
    return this.#waitingFor.size === 0 && (!this.isWanted || facts.isComplete);
  }

  async #settle(isChecked: boolean): Promise<void> {
    const { facts, engineDirectory, report } = this.#options;
    this.#isKnown ||= !this.isWanted;
    if (!this.isWanted && !this.#mayHold) return;
    const addresses = this.isWanted ? [...(facts.addresses?.all.values() ?? [])].flat() : [];
    this.#intent = await this.#plan(addresses);
    this.#isKnown = true;
    const problems = [...this.#intent.problems];
    try {
      // Profiles before the peers that have them.
      problems.push(...(await this.#engine.apply('bfdd', bfddLines(this.#intent), isChecked)));
      problems.push(...(await this.#engine.apply('bgpd', bgpdLines(this.#intent), isChecked)));
      if (isChecked) {
        this.#states = await this.#engine.peers();
        this.#sessions = await this.#engine.sessions();
        await this.#lookForRivals();
      }
      problems.push(...this.#rivals.rivals.map(rivalText));
      this.#mayHold = this.isWanted;
    } catch (error) {
      this.#states = [];
      // Who asks for nothing need not have one.
      if (!this.isWanted) this.#mayHold = false;
      else problems.push(`FRR cannot be reached in ${engineDirectory}: ${reasonOf(error)}`);
    }
    const problem = problems.join('; ');
    if (problem !== this.#problem && problem !== '') this.#log.warn({ problems }, 'Not all is announced by BGP');
    this.#problem = problem;
    report(problem === '' ? { kind: 'ok' } : { kind: 'degraded', reason: problem });
  }

  async #plan(addresses: readonly ServiceAddress[]): Promise<BgpIntent> {
    const { facts, nodeName: name, isServing, clock } = this.#options;
    const node = facts.nodes.get(name);
    const isLeaving = this.isWanted && isExcluded(node);
    // An engine that is not there announces nothing.
    if (this.#departure.isToBegin(isLeaving))
      this.#departure.begin(clock.now(), await this.#engine.networks().catch(() => new Set<string>()));
    const stay = this.#departure.stay(clock.now(), isLeaving, isServing());
    if (stay !== this.#stay) this.#log.info({ stay }, 'Routers are to take this node otherwise than before');
    this.#stay = stay;
    const intent = planBgp(this.#resources(), { name, labels: node?.labels ?? {} }, addresses, stay);
    return isLeaving && stay === 'last resort' ? this.#departure.narrowed(intent) : intent;
  }

  /** Not being told takes nothing from what is announced. */
  async #lookForRivals(): Promise<void> {
    try {
      this.#rivals.look(await bgpConnections(this.#intent.neighbors), this.#sessions);
    } catch (error) {
      this.#log.debug({ error }, 'Cannot see who else speaks BGP here');
    }
  }

  #resources(): BgpResources {
    return {
      peers: [...this.#peers.all.values()],
      advertisements: [...this.#advertisements.all.values()],
      bfdProfiles: [...this.#bfdProfiles.all.values()],
      aliases: new Map([...this.#communities.all.values()].flatMap((each) => [...each])),
      policies: [...this.#policies.all.values()],
      clusterConfigs: [...this.#clusterConfigs.all.values()],
      peerConfigs: this.#peerConfigs.all,
      ciliumAdvertisements: [...this.#ciliumAdvertisements.all.values()],
      overrides: [...this.#overrides.all.values()],
      passwords: this.#passwords,
    };
  }

  /** Those that are missing at once, all of them now and then: they are read one by one, so that no others may be. */
  async #readSecrets(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const wanted = this.#secrets();
    const isDue = clock.now() - this.#secretsAt >= SECRETS_MS;
    const due = isDue ? wanted : wanted.filter((ref) => !this.#passwords.has(secretKey(ref)));
    if (due.length === 0) return;
    if (isDue) this.#secretsAt = clock.now();
    for (const ref of due) {
      const password = await this.#readSecret(ref, signal);
      if (password === 'unknown') continue;
      if (password === undefined) this.#passwords.delete(secretKey(ref));
      else this.#passwords.set(secretKey(ref), password);
    }
  }

  #secrets(): readonly SecretRef[] {
    const refs = [
      ...[...this.#peers.all.values()].map(({ passwordSecret }) => passwordSecret),
      ...[...this.#peerConfigs.all.values()].map(({ passwordSecret }) => passwordSecret),
      ...[...this.#policies.all.values()].flatMap(({ routers }) =>
        routers.flatMap(({ neighbors }) => neighbors.map(({ passwordSecret }) => passwordSecret)),
      ),
    ];
    return [...new Map(refs.flatMap((ref) => (ref ? [[secretKey(ref), ref] as const] : []))).values()];
  }

  /** Unknown: nobody says that it is gone, so what was known stays. */
  async #readSecret({ namespace, name }: SecretRef, signal: AbortSignal): Promise<string | undefined | 'unknown'> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    try {
      const text = await this.#options.client.get(`/api/v1/namespaces/${namespace}/secrets/${name}`, within);
      const { data = {} } = JSON.parse(text) as { readonly data?: Readonly<Record<string, string>> };
      const encoded = data['password'];
      return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString();
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      if (!signal.aborted) this.#log.warn({ secret: `${namespace}/${name}`, error }, 'Cannot read a password of BGP');
      return 'unknown';
    }
  }
}
