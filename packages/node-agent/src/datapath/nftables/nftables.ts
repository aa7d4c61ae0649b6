/**
 * The datapath for packets: the service table as an nftables ruleset, for what arrives on pods' veths, for NodePorts and
 * external addresses, and for this host's own packets. It owns the tables `ip NAME` and `ip6 NAME` and nothing else.
 * What is in the kernel is kept in memory; the kernel is asked for it once at the start. Whatever goes wrong later is
 * mended by writing the whole tables anew, in one transaction, so that no packet sees them missing.
 *
 * Masquerading, after kube-proxy: a pod that reaches itself; what came in through a NodePort or an external address, or
 * from outside the node through a cluster IP, and what this host itself sends. Not where client or backend are pods of
 * this node, since their packets pass here anyway; so with externalTrafficPolicy Local the backend sees the client. While
 * nothing is known of the node all external traffic is masqueraded.
 */

import { cidr, formatCidr } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { inSlices, nextTurn } from '@tombolo/shared/process/slices.ts';
import type { ApplyReport, Datapath } from '../datapath.ts';
import { NO_NODE_FACTS, type NodeFacts } from '../node-facts.ts';
import { faultOfRoute } from '../route-checks.ts';
import { inTurns } from '../turns.ts';
import type { Conntrack } from './conntrack.ts';
import { familyOfFrontend, limitOf, sameServed } from './elements.ts';
import { FlowCleaner } from './flow-cleaner.ts';
import type { KernelTables } from './kernel-tables.ts';
import { Operations, type TableOperation } from './operations.ts';
import { type ServedChanges, ServedTable } from './plan.ts';
import { outermost } from './prefixes.ts';
import { outsideId, type Served } from './slots.ts';
import type { TableContents } from './table-reader.ts';
import type { TableWatch } from './table-watch.ts';

/** Backends, old and new, of the frontends that change in one transaction: what can be prepared in some milliseconds. */
const BACKENDS_AT_ONCE = 500;
const FRONTENDS_A_TURN = 200;
/** How long it may be believed that others changed nothing because nobody said so. */
const UNASKED_MS = 1_800_000;

type Failure = ApplyReport['failures'][number];

export interface NftablesOptions {
  /** The name of our tables. */
  readonly table: string;
  readonly log: Logger;
  /** Asked for at each change, and now and then. */
  readonly node?: (() => NodeFacts) | undefined;
}

export class NftablesDatapath implements Datapath {
  readonly name = 'nftables';
  readonly #kernel: KernelTables;
  readonly #watch: TableWatch | undefined;
  readonly #flows: FlowCleaner;
  readonly #log: Logger;
  readonly #node: () => NodeFacts;
  #served = new ServedTable();
  #verifiedAt = performance.now();
  /** `unread` before the first listing; `damaged` when the tables must be written anew. */
  #state: 'unread' | 'intact' | 'damaged' = 'unread';

  /** Without a `watch`, whether others changed the tables is seen by reading them alone. */
  constructor(
    kernel: KernelTables,
    watch: TableWatch | undefined,
    conntrack: Conntrack | undefined,
    options: NftablesOptions,
  ) {
    this.#kernel = kernel;
    this.#watch = watch;
    this.#flows = new FlowCleaner(conntrack, options.log);
    this.#log = options.log;
    this.#node = options.node ?? (() => NO_NODE_FACTS);
  }

  async read(): Promise<readonly FrontendRoute[]> {
    const listing = await this.#kernel.list();
    if (this.#state === 'unread') await this.#adopt(listing);
    if (!listing.intact) this.#state = 'damaged';
    return routesOf(listing.served);
  }

  async apply(changes: RouteChanges): Promise<ApplyReport> {
    await this.#ensureRead();
    return this.#program(changes);
  }

  async replace(desired: Routes): Promise<ApplyReport> {
    await this.#ensureRead();
    if (this.#state === 'intact' && !(await this.#kernel.exist())) this.#state = 'damaged';
    const present = [...this.#served.frontends.values()].map(({ frontend }) => frontendId(frontend));
    const gone = present.filter((id) => !desired.has(id));
    return this.#program(new Map([...desired, ...gone.map((id) => [id, undefined] as const)]));
  }

  async verify(): Promise<string | undefined> {
    if (this.#state !== 'intact') return undefined;
    void this.#flows.cleanNowAndThen(this.#served.frontends);
    const who = await this.#watch?.changedBy();
    if (this.#watch && who === undefined && performance.now() - this.#verifiedAt < UNASKED_MS) return undefined;
    const difference = await this.#kernel.verify(this.#served.frontends.values());
    this.#verifiedAt = performance.now();
    if (difference === undefined) return undefined;
    this.#state = 'damaged';
    return who === undefined ? difference : `${difference}; changed by ${who}`;
  }

  async refresh(): Promise<boolean> {
    if (this.#state === 'intact') await this.#kernel.run([], this.#node());
    return false;
  }

  async close(): Promise<void> {
    this.#watch?.close();
    await this.#flows.close();
    await this.#kernel.close();
  }

  async destroy(): Promise<void> {
    await this.#kernel.remove();
    await this.close();
  }

  async #ensureRead(): Promise<void> {
    if (this.#state === 'unread') await this.#adopt(await this.#kernel.list());
  }

  async #adopt({ served, intact }: TableContents): Promise<void> {
    const table = new ServedTable();
    for await (const piece of inTurns(served, FRONTENDS_A_TURN)) table.adopt(piece);
    this.#served = table;
    this.#state = intact ? 'intact' : 'damaged';
  }

  async #program(wanted: RouteChanges): Promise<ApplyReport> {
    const changes = new Map<string, Served | undefined>();
    const failures: Failure[] = [];
    const changed = new Set<string>();
    await inSlices(wanted, ([id, route]) => {
      const parts = partsOf(id, route);
      const reason = route && (faultOfRoute(route) ?? this.#limitOf(route, parts));
      if (route !== undefined && reason !== undefined) {
        failures.push({ frontend: route.frontend, reason });
        return;
      }
      for (const [part, next] of parts) {
        if (!sameServed(this.#served.frontends.get(part), next)) {
          changes.set(part, next);
          changed.add(id);
        } else if (next !== undefined) this.#served.share(part, next);
      }
    });
    const refused = oncePerFrontend(await this.#write(changes));
    return { changed: changed.size - refused.length, failures: [...failures, ...refused] };
  }

  #limitOf({ frontend }: FrontendRoute, parts: readonly Part[]): string | undefined {
    const refusal = this.#kernel.refuses(familyOfFrontend(frontend));
    return refusal ?? parts.map(([, part]) => part && limitOf(part)).find((limit) => limit !== undefined);
  }

  async #write(changes: ServedChanges): Promise<readonly Failure[]> {
    if (this.#state === 'damaged') {
      const error = await this.#rebuild();
      if (error !== undefined) return failuresOf(changes, this.#served, error);
    }
    const failures: Failure[] = [];
    for (const part of this.#parts(changes)) failures.push(...(await this.#update(part)));
    await this.#flows.clean(this.#served.frontends);
    return failures;
  }

  *#parts(changes: ServedChanges): Generator<ServedChanges> {
    let part = new Map<string, Served | undefined>();
    let backends = 0;
    for (const [id, next] of changes) {
      part.set(id, next);
      backends += 1 + (next?.backends.length ?? 0) + (this.#served.frontends.get(id)?.slots.length ?? 0);
      if (backends < BACKENDS_AT_ONCE) continue;
      yield part;
      part = new Map();
      backends = 0;
    }
    if (part.size > 0 || changes.size === 0) yield part;
  }

  /** One transaction for all; if the kernel refuses it, halves, until only what it refuses is left. */
  async #update(changes: ServedChanges, rebuilt = false): Promise<readonly Failure[]> {
    const plan = this.#served.plan(changes);
    await nextTurn();
    try {
      await this.#kernel.run(plan.first, this.#node());
    } catch (error) {
      this.#log.warn({ error, frontends: changes.size }, 'nftables refused a transaction');
      if (!rebuilt && !(await this.#kernel.exist())) {
        const lasting = await this.#rebuild();
        return lasting === undefined ? this.#update(changes, true) : failuresOf(changes, this.#served, lasting);
      }
      if (changes.size > 1) {
        const failures: Failure[] = [];
        for (const half of halvesOf(changes)) failures.push(...(await this.#update(half)));
        return failures;
      }
      this.#state = 'damaged';
      return failuresOf(changes, this.#served, error);
    }
    this.#flows.note(this.#served.frontends, changes);
    this.#served.commit(plan);
    try {
      await this.#kernel.run(plan.second, this.#node());
    } catch (error) {
      // What is in force is right, but something unused was left behind.
      this.#log.warn({ error }, 'nftables could not remove what is not used any more');
      this.#state = 'damaged';
    }
    return [];
  }

  /** Writes the tables anew as they were. Clients lose their affinity; connections do not notice. The error, if any. */
  async #rebuild(): Promise<unknown> {
    const frontends = this.#served.frontends.size;
    try {
      await this.#kernel.rebuild(this.#everything(), this.#node());
    } catch (error) {
      this.#log.error({ error, frontends }, 'nftables refused the whole table');
      this.#state = 'damaged';
      return error;
    }
    this.#log.info({ frontends }, 'nftables tables written anew');
    this.#flows.noteAll();
    this.#state = 'intact';
    return undefined;
  }

  async *#everything(): AsyncGenerator<readonly TableOperation[]> {
    const table = new ServedTable();
    for await (const piece of inTurns(this.#served.frontends.values(), FRONTENDS_A_TURN)) {
      const operations = new Operations();
      table.adopt(piece, operations);
      yield operations.list();
    }
  }
}

type Part = readonly [id: string, served: Served | undefined];

/** What is served for a frontend: for everybody, and for clients outside the cluster. */
function partsOf(id: string, route: FrontendRoute | undefined): readonly Part[] {
  if (route === undefined) return [id, outsideId(id)].map((part) => [part, undefined]);
  const { frontend, backends, outside, sourceRanges = [], sessionAffinitySeconds: affinitySeconds } = route;
  const ranges = outermost(sourceRanges).map(formatCidr).sort();
  return [
    [id, { frontend, clients: 'all', backends, affinitySeconds, ranges }],
    [outsideId(id), outside && { frontend, clients: 'outside', backends: outside, affinitySeconds, ranges: [] }],
  ];
}

function routesOf(served: readonly Served[]): readonly FrontendRoute[] {
  const outside = new Map(
    served.filter(({ clients }) => clients === 'outside').map((one) => [frontendId(one.frontend), one.backends]),
  );
  return served
    .filter(({ clients }) => clients === 'all')
    .map(({ frontend, backends, ranges, affinitySeconds: sessionAffinitySeconds }) => {
      const elsewhere = outside.get(frontendId(frontend));
      const limits = {
        ...(elsewhere && { outside: elsewhere }),
        ...(ranges.length > 0 && { sourceRanges: ranges.map(cidr) }),
      };
      return { frontend, backends, ...limits, sessionAffinitySeconds };
    });
}

const oncePerFrontend = (failures: readonly Failure[]): readonly Failure[] => [
  ...new Map(failures.map((failure) => [frontendId(failure.frontend), failure])).values(),
];

function halvesOf(changes: ServedChanges): ServedChanges[] {
  const entries = [...changes];
  const middle = entries.length >> 1;
  return [new Map(entries.slice(0, middle)), new Map(entries.slice(middle))];
}

function failuresOf(changes: ServedChanges, served: ServedTable, error: unknown): Failure[] {
  const reason = reasonOf(error);
  return [...changes].flatMap(([id, next]) => {
    const frontend = (next ?? served.frontends.get(id))?.frontend;
    return frontend === undefined ? [] : [{ frontend, reason }];
  });
}
