/**
 * The datapath for packets: the service table as an nftables ruleset, for what arrives on pods' veths, for NodePorts and
 * external addresses, and for this host's own packets. It owns the tables `ip NAME` and `ip6 NAME` and nothing else.
 * What is in the kernel is kept in memory; nft is asked for it once at the start. Whatever goes wrong later is mended by
 * writing the whole tables anew, in one transaction, so that no packet sees them missing.
 *
 * Masquerading, after kube-proxy: a pod that reaches itself; what came in through a NodePort or an external address, and
 * what this host itself sends. Not where client or backend are pods of this node (`localPodCidrs`), since their packets
 * pass here anyway; so with externalTrafficPolicy Local the backend sees the client. Without `localPodCidrs` all external
 * traffic is masqueraded.
 */

import type { Cidr } from '@tombolo/shared/model/ip.ts';
import type { RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { ApplyReport, Datapath, KernelRoute } from '../datapath.ts';
import type { Conntrack } from './conntrack.ts';
import { familyOfFrontend, limitOf, type Served, sameServed } from './elements.ts';
import type { KernelTables } from './kernel-tables.ts';
import { type Failure, Ownership } from './ownership.ts';
import { type ServedChanges, ServedTable } from './plan.ts';
import { staleFlows } from './stale-flows.ts';

export interface NftablesOptions {
  /** The name of our tables. */
  readonly table: string;
  readonly log: Logger;
  /** Prefixes of this node's own pods, asked for at each change. */
  readonly localPodCidrs?: (() => readonly Cidr[]) | undefined;
}

export class NftablesDatapath implements Datapath {
  readonly name = 'nftables';
  readonly #kernel: KernelTables;
  readonly #conntrack: Conntrack | undefined;
  readonly #log: Logger;
  readonly #localPods: () => readonly Cidr[];
  readonly #ownership = new Ownership();
  #served = new ServedTable();
  /** `unread` before the first listing; `damaged` when the tables must be written anew. */
  #state: 'unread' | 'intact' | 'damaged' = 'unread';

  constructor(kernel: KernelTables, conntrack: Conntrack | undefined, options: NftablesOptions) {
    this.#kernel = kernel;
    this.#conntrack = conntrack;
    this.#log = options.log;
    this.#localPods = options.localPodCidrs ?? (() => []);
  }

  async read(): Promise<readonly KernelRoute[]> {
    const listing = await this.#kernel.list();
    if (this.#state === 'unread') this.#adopt(listing);
    if (!listing.intact) this.#state = 'damaged';
    return listing.served.map(({ frontend, backends }) => ({ frontend, backends }));
  }

  async apply(services: RouteChanges): Promise<ApplyReport> {
    await this.#ensureRead();
    const { changes, failures } = this.#ownership.change(services);
    return this.#program(changes, failures);
  }

  async replace(desired: Routes): Promise<ApplyReport> {
    await this.#ensureRead();
    if (this.#state === 'intact' && !(await this.#kernel.exist())) this.#state = 'damaged';
    const gone = [...this.#ownership.services].filter((service) => !desired.has(service));
    const { changes, failures } = this.#ownership.change(
      new Map([...desired, ...gone.map((service) => [service, undefined] as const)]),
    );
    const kept = new Set([...changes.keys(), ...failures.map(({ frontend }) => frontendId(frontend))]);
    const orphans = [...this.#served.frontends.keys()].filter((id) => !kept.has(id));
    return this.#program(new Map([...changes, ...orphans.map((id) => [id, undefined] as const)]), failures);
  }

  async close(): Promise<void> {
    this.#conntrack?.close();
    await this.#kernel.close();
  }

  async destroy(): Promise<void> {
    await this.#kernel.remove();
    await this.close();
  }

  async #ensureRead(): Promise<void> {
    if (this.#state === 'unread') this.#adopt(await this.#kernel.list());
  }

  #adopt({ served, intact }: { served: readonly Served[]; intact: boolean }): void {
    this.#served = tableOf(served);
    this.#state = intact ? 'intact' : 'damaged';
  }

  async #program(wanted: ServedChanges, failures: readonly Failure[]): Promise<ApplyReport> {
    const changes = new Map<string, Served | undefined>();
    const all = [...failures];
    for (const [id, next] of wanted) {
      const reason = next && (this.#kernel.refuses(familyOfFrontend(next.frontend)) ?? limitOf(next));
      if (next !== undefined && reason !== undefined) all.push({ frontend: next.frontend, reason });
      else if (!sameServed(this.#served.frontends.get(id), next)) changes.set(id, next);
    }
    const refused = this.#state === 'damaged' ? await this.#rebuild(changes) : await this.#update(changes);
    return { changed: changes.size - refused.length, failures: [...all, ...refused] };
  }

  /** One transaction for all; if nft refuses it, halves, until only what it refuses is left. */
  async #update(changes: ServedChanges): Promise<readonly Failure[]> {
    const plan = this.#served.plan(changes);
    const flows = staleFlows(this.#served.frontends, changes);
    try {
      await this.#kernel.run(plan.first, this.#localPods());
    } catch (error) {
      this.#log.warn({ error, frontends: changes.size }, 'nftables refused a transaction');
      if (!(await this.#kernel.exist())) return this.#rebuild(changes);
      if (changes.size > 1) {
        const failures: Failure[] = [];
        for (const half of halvesOf(changes)) failures.push(...(await this.#update(half)));
        return failures;
      }
      this.#state = 'damaged';
      return failuresOf(changes, this.#served, error);
    }
    this.#served.commit(changes);
    try {
      await this.#kernel.run(plan.second, this.#localPods());
    } catch (error) {
      // What is in force is right, but something unused was left behind.
      this.#log.warn({ error }, 'nftables could not remove what is not used any more');
      this.#state = 'damaged';
    }
    await this.#deleteFlows(flows);
    return [];
  }

  /** Writes the tables anew with these changes in them. Clients lose their affinity; connections do not notice. */
  async #rebuild(changes: ServedChanges): Promise<readonly Failure[]> {
    const next = tableOf(this.#served.frontends.values());
    next.commit(changes);
    const flows = staleFlows(this.#served.frontends, changes);
    const { first } = new ServedTable().plan(next.frontends);
    try {
      await this.#kernel.rebuild(first, this.#localPods());
    } catch (error) {
      this.#log.error({ error, frontends: next.frontends.size }, 'nftables refused the whole table');
      return failuresOf(changes, this.#served, error);
    }
    this.#log.info({ frontends: next.frontends.size }, 'nftables tables written anew');
    this.#served = next;
    this.#state = 'intact';
    await this.#deleteFlows(flows);
    return [];
  }

  async #deleteFlows({ families, isStale }: ReturnType<typeof staleFlows>): Promise<void> {
    for (const family of families) {
      try {
        const deleted = await this.#conntrack?.deleteWhere(family, isStale);
        if (deleted) this.#log.debug({ deleted }, 'deleted stale UDP flows');
      } catch (error) {
        this.#log.warn({ error }, 'stale UDP flows could not be deleted; they end by their own timeout');
      }
    }
  }
}

function tableOf(served: Iterable<Served>): ServedTable {
  const table = new ServedTable();
  table.commit(new Map([...served].map((one) => [frontendId(one.frontend), one])));
  return table;
}

function halvesOf(changes: ServedChanges): ServedChanges[] {
  const entries = [...changes];
  const middle = entries.length >> 1;
  return [new Map(entries.slice(0, middle)), new Map(entries.slice(middle))];
}

function failuresOf(changes: ServedChanges, served: ServedTable, error: unknown): Failure[] {
  const reason = error instanceof Error ? error.message : String(error);
  return [...changes].flatMap(([id, next]) => {
    const frontend = (next ?? served.frontends.get(id))?.frontend;
    return frontend === undefined ? [] : [{ frontend, reason }];
  });
}
