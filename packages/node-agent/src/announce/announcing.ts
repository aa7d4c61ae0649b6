/**
 * Tells the network of the addresses of Services, in whatever ways there are objects that ask for it. Until there is one,
 * it follows nothing but their kinds.
 */
import { systemClock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { AnnounceBgp } from './announce-bgp.ts';
import { AnnounceFacts, type AnnounceFactsOptions } from './announce-facts.ts';
import { AnnounceLayer2 } from './announce-layer2.ts';
import { type AnnouncedAddress, type Announcers, announcedAddresses, announcers } from './announcements.ts';
import { ServiceStatuses } from './service-statuses.ts';

export interface AnnouncingOptions extends AnnounceFactsOptions {
  readonly speakerPort: number;
  readonly speakerKeyFile: string | undefined;
  /** Where FRR's sockets are. */
  readonly bgpEngineDirectory: string;
  /** For how long a node that leaves is the last resort of routers. */
  readonly bgpDrainMs: number;
  /** Whether the datapath of this node does its work. */
  readonly isServing: () => boolean;
}

export class Announcing {
  readonly #facts: AnnounceFacts;
  readonly #layer2: AnnounceLayer2;
  readonly #bgp: AnnounceBgp;
  readonly #statuses: ServiceStatuses;

  constructor(options: AnnouncingOptions) {
    const { client, nodeName, metallbNamespace, isServing, health, log } = options;
    const { speakerPort: port, speakerKeyFile: keyFile } = options;
    const { bgpEngineDirectory: engineDirectory, bgpDrainMs: drainMs } = options;
    const facts = new AnnounceFacts(options);
    const common = { facts, nodeName, metallbNamespace, clock: systemClock, log };
    const reporter = (part: string) => (state: Health) => health.report(part, state);
    this.#facts = facts;
    this.#layer2 = new AnnounceLayer2({ ...common, port, keyFile, isServing, report: reporter('layer 2') });
    this.#bgp = new AnnounceBgp({
      ...{ ...common, client, engineDirectory, drainMs, isServing, report: reporter('bgp') },
    });
    this.#statuses = new ServiceStatuses({
      ...{ ...common, client, report: reporter('announcing status') },
      told: { l2: () => this.#layer2.told, bgp: () => this.#bgp.told },
      isHeard: (node) => this.#layer2.layer2?.members.has(node) ?? false,
    });
  }

  /** For whoever asks. */
  get addresses(): readonly AnnouncedAddress[] {
    const addresses = this.#facts.addresses?.all.values() ?? [];
    return announcedAddresses(addresses, this.#layer2.layer2?.statuses ?? [], this.#bgp.intent);
  }

  get announcers(): Announcers {
    const { layer2 } = this.#layer2;
    return announcers(layer2?.members ?? new Map(), this.#bgp, layer2?.problems ?? []);
  }

  /** For metrics. */
  get counts() {
    const layer2 = this.#layer2.layer2;
    const states = this.#bgp.states.filter(({ state }) => state === 'Established');
    return {
      answered: layer2?.counts.answered ?? 0,
      held: layer2?.statuses.filter(({ isAnswered }) => isAnswered).length ?? 0,
      speakers: layer2?.members.size ?? 0,
      refusedHeartbeats: layer2?.counts.refusedHeartbeats ?? 0,
      bgpPeers: this.#bgp.intent.neighbors.length,
      bgpRivals: this.#bgp.rivals,
      bgpEstablished: new Set(states.map(({ address }) => address)).size,
    };
  }

  /** To be called when the kernel has more of the table. */
  applied(): void {
    this.#facts.applied();
  }

  /** Resolves when the signal aborts, and what is announced by ARP and NDP is left to others, by BGP left as it is; rejects on a fault of our own. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      ...[this.#layer2.run(signal), this.#bgp.run(signal)],
      ...[this.#statuses.run(signal), this.#followFacts(signal)],
    ]);
  }

  async #followFacts(signal: AbortSignal): Promise<void> {
    await this.#facts.changed.until(() => this.#layer2.isWanted || this.#bgp.isWanted, signal);
    if (!signal.aborted) await this.#facts.run(signal);
  }
}
