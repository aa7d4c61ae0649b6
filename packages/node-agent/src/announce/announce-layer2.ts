/**
 * Announces by ARP and NDP while there is an advertisement that says so: MetalLB's `L2Advertisement` or Cilium's
 * `CiliumL2AnnouncementPolicy`. What is missing for it is said, and tried again.
 */
import { readFile } from 'node:fs/promises';
import { L2_POLICIES, l2Advertisements } from '@tombolo/shared/kubernetes/collections.ts';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import { familyOf, type IpAddress, type IpFamily } from '@tombolo/shared/model/ip.ts';
import type { L2Advertisement } from '@tombolo/shared/model/l2-advertisement.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { childOf } from '@tombolo/shared/process/notifier.ts';
import { persist } from '../persist.ts';
import { type AnnounceFacts, isExcluded } from './announce-facts.ts';
import { Layer2, type Layer2Node } from './l2/layer2.ts';
import type { Told } from './status-plan.ts';

export interface AnnounceLayer2Options {
  readonly facts: AnnounceFacts;
  readonly nodeName: string;
  readonly metallbNamespace: string;
  /** UDP, for heartbeats between agents. */
  readonly port: number;
  /** A file with what all agents of this cluster know and nobody else; undefined: there is none. */
  readonly keyFile: string | undefined;
  /** Whether the datapath of this node does its work. */
  readonly isServing: () => boolean;
  readonly report: (health: Health) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const SHORTEST_KEY = 16;

export class AnnounceLayer2 {
  readonly #options: AnnounceLayer2Options;
  readonly #advertisements = new Map<string, L2Advertisement>();
  /** Kinds that have not been listed yet. */
  readonly #waitingFor = new Set<string>();
  #layer2: Layer2 | undefined;

  constructor(options: AnnounceLayer2Options) {
    this.#options = options;
  }

  /** Undefined while nothing is announced in this way. */
  get layer2(): Layer2 | undefined {
    return this.#layer2;
  }

  /** Whether there is an advertisement: then the facts are needed. */
  get isWanted(): boolean {
    return this.#advertisements.size > 0;
  }

  /** What this node answers for, as its status says it; undefined while that is not known. */
  get told(): Told | undefined {
    if (this.isWanted) return this.#layer2?.told;
    return this.#waitingFor.size === 0 ? new Map() : undefined;
  }

  /** Resolves when the signal aborts; rejects on a fault of our own. */
  async run(signal: AbortSignal): Promise<void> {
    const { facts, metallbNamespace } = this.#options;
    const kinds = [l2Advertisements(metallbNamespace), L2_POLICIES];
    for (const { path } of kinds) this.#waitingFor.add(path);
    await Promise.all([
      ...kinds.map((kind) =>
        facts.follow(
          kind,
          signal,
          (key, advertisement) => {
            const id = `${kind.path} ${key}`;
            if (advertisement) this.#advertisements.set(id, advertisement);
            else this.#advertisements.delete(id);
          },
          () => void this.#waitingFor.delete(kind.path),
        ),
      ),
      this.#announce(signal),
    ]);
  }

  async #announce(signal: AbortSignal): Promise<void> {
    const { facts, report } = this.#options;
    while (!signal.aborted) {
      await facts.changed.until(() => this.isWanted && facts.isComplete && this.#ownAddress !== undefined, signal);
      if (signal.aborted) return;
      await this.#announceFrom(this.#ownAddress as IpAddress, signal);
      report({ kind: 'ok' });
    }
  }

  /** Until there is nothing to announce, or this node has another address. */
  async #announceFrom(address: IpAddress, signal: AbortSignal): Promise<void> {
    const { facts, report, log } = this.#options;
    const running = childOf(signal);
    let problem = '';
    const opened = await persist(() => this.#open(address), { log, report: (state) => report(state) });
    while (!signal.aborted && this.isWanted && this.#ownAddress === address) {
      const seen = facts.changed.version;
      const family = familyOf(address);
      this.#layer2?.setNodes(new Map([...facts.nodes].map(([name, node]) => [name, layer2Node(node, family)])));
      this.#layer2?.setAdvertisements([...this.#advertisements.values()]);
      const now = this.#layer2?.problems.join('; ') ?? problem;
      if (now !== problem) report(now === '' ? { kind: 'ok' } : { kind: 'degraded', reason: now });
      problem = now;
      await facts.changed.changedWithin(seen, 1_000, this.#options.clock, running.signal);
    }
    running.abort();
    await opened.close();
    this.#layer2 = undefined;
  }

  async #open(address: IpAddress): Promise<Layer2> {
    const { facts, nodeName: me, port, isServing, clock, log } = this.#options;
    const { addresses } = facts;
    if (!addresses) throw new Error('Cannot announce by ARP and NDP: nothing is known of Services yet');
    const key = await this.#readKey();
    this.#layer2 = await Layer2.open({ me, address, port, key, addresses, isServing, clock, log });
    return this.#layer2;
  }

  async #readKey(): Promise<Buffer> {
    const { keyFile } = this.#options;
    if (keyFile === undefined) throw new Error('Cannot announce by ARP and NDP: --speaker-key is not given');
    const key = await readFile(keyFile);
    if (key.length >= SHORTEST_KEY) return key;
    throw new Error(`Cannot use the key in ${keyFile}: expected at least ${SHORTEST_KEY} bytes: it has ${key.length}`);
  }

  get #ownAddress(): IpAddress | undefined {
    const node = this.#options.facts.nodes.get(this.#options.nodeName);
    return node && internalAddress(node);
  }
}

/** The first that the Node is known by within the cluster, of that family if one is given. */
function internalAddress({ typedAddresses }: KubernetesNode, family?: IpFamily): IpAddress | undefined {
  const fitting = typedAddresses.filter(({ address }) => family === undefined || familyOf(address) === family);
  return (fitting.find(({ type }) => type === 'InternalIP') ?? fitting[0])?.address;
}

/** Agents are told at an address of the family of our own: nodes may list theirs in different orders. */
export const layer2Node = (node: KubernetesNode, family: IpFamily): Layer2Node => ({
  name: node.name,
  labels: node.labels,
  isExcluded: isExcluded(node),
  address: internalAddress(node, family),
});
