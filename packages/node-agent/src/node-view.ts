/**
 * What the datapath is told of this node (`datapath/node-facts.ts`), gathered from Kubernetes and from the node itself.
 * Interfaces come and go without a word to us: they are looked at every second.
 */
import type { Cidr, IpAddress } from '@tombolo/shared/model/ip.ts';
import { type Clock, sleep, systemClock } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type InterfaceAddress, InterfaceAddresses, indexOfIpvs } from './datapath/netlink/addresses.ts';
import { NO_NODE_FACTS, type NodeFacts, type NodePortAddresses, nodeFacts } from './datapath/node-facts.ts';

const LOOK_MS = 1_000;

export class NodeView {
  readonly #nodePortAddresses: NodePortAddresses;
  readonly #changed: () => void;
  readonly #pods = new Map<string, readonly IpAddress[]>();
  #node: { readonly addresses: readonly IpAddress[]; readonly podCidrs: readonly Cidr[] } = {
    addresses: [],
    podCidrs: [],
  };
  #interfaces: readonly InterfaceAddress[] = [];
  #facts = NO_NODE_FACTS;

  /** `changed` is called whenever there are other `facts`. */
  constructor(nodePortAddresses: NodePortAddresses, changed: () => void) {
    this.#nodePortAddresses = nodePortAddresses;
    this.#changed = changed;
  }

  get facts(): NodeFacts {
    return this.#facts;
  }

  setNode(addresses: readonly IpAddress[], podCidrs: readonly Cidr[]): void {
    this.#node = { addresses, podCidrs };
    this.#update();
  }

  setPod(pod: string, addresses: readonly IpAddress[] | undefined): void {
    if (addresses) this.#pods.set(pod, addresses);
    else this.#pods.delete(pod);
    this.#update();
  }

  /** Looks at the interfaces of this network namespace until the signal aborts. */
  async watchInterfaces(log: Logger, signal: AbortSignal, clock: Clock = systemClock): Promise<void> {
    let addresses: InterfaceAddresses | undefined;
    let isBlind = false;
    while (!signal.aborted) {
      try {
        addresses ??= new InterfaceAddresses();
        const [found, ipvs] = await Promise.all([addresses.read(), indexOfIpvs()]);
        this.#interfaces = found.filter(({ index }) => index !== ipvs);
        this.#update();
        isBlind = false;
      } catch (error) {
        if (!isBlind) log.warn({ error }, 'Cannot see the addresses of this node; going on with those last seen');
        isBlind = true;
      }
      await sleep(clock, LOOK_MS, signal);
    }
    await addresses?.close();
  }

  #update(): void {
    const facts = nodeFacts(
      {
        ...this.#node,
        pods: [...this.#pods.values()].flat(),
        interfaces: this.#interfaces,
        nodePortAddresses: this.#nodePortAddresses,
      },
      this.#facts,
    );
    if (facts === this.#facts) return;
    this.#facts = facts;
    this.#changed();
  }
}
