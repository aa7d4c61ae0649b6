/**
 * What our two programs make of a Kubernetes API, in this process: the agent's table (without a kernel below it) and the
 * clustermesh-apiserver's export (with an etcd of its own), and what both say of themselves meanwhile.
 */
import assert from 'node:assert/strict';
import { type Apiserver, startApiserver } from '@tombolo/clustermesh-apiserver/compose.ts';
import { parseApiserverConfig } from '@tombolo/clustermesh-apiserver/config.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { followLocalCluster } from '@tombolo/node-agent/table/local-cluster.ts';
import { ServiceTable } from '@tombolo/node-agent/table/service-table.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';
import { parseClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import { HealthTree } from '@tombolo/shared/process/health.ts';
import { type LogLine, recordingLogger } from '../../recording-logger.ts';
import { EtcdServer } from '../etcd/etcd-server.ts';
import { etcdctl } from '../etcd/etcdctl.ts';

/** Collections that are watched: six by the agent, five by the apiserver. */
export const FOLLOWERS = 11;

const WEB = serviceKey('shop', 'web');
/** Each complaint says since when. */
const SINCE = /\(since \d{4}-\d\d-\d\dT[\d:.]+Z\)$/;

export class Programs {
  readonly logged: LogLine[] = [];
  readonly health = new HealthTree();
  readonly #table: ServiceTable;
  readonly #stop = new AbortController();
  readonly #etcd: EtcdServer;
  #published: (readonly string[])[] = [];
  #ended: Promise<unknown> = Promise.resolve();
  #apiserver: Apiserver | undefined;

  private constructor(etcd: EtcdServer) {
    const identity = parseClusterIdentity('east', 1);
    assert(identity.ok);
    this.#etcd = etcd;
    this.#table = new ServiceTable({
      local: identity.value,
      node: 'node-1',
      scope: 'global',
      defaultGlobalNamespace: true,
      remotePerFrontend: 1_000,
      remotePerCluster: 100_000,
    });
    let last = '';
    this.#table.onChange(() => {
      const used = this.used();
      if (last !== `${used}`) this.#published.push(used);
      last = `${used}`;
    });
  }

  static async start(kubeconfig: string): Promise<Programs> {
    const programs = new Programs(await EtcdServer.start());
    await programs.#startTable(kubeconfig);
    await programs.#startExport(kubeconfig);
    return programs;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#ended, this.#apiserver?.stop()]);
    await this.#etcd.stop();
  }

  /** Addresses of the backends that the table would have the kernel use, sorted. */
  used(key: ServiceKey = WEB): readonly string[] {
    const facts = this.#table.get(key);
    const groups = facts ? this.#table.explain(facts).groups : [];
    const decisions = groups.flatMap(({ decisions }) => decisions);
    return decisions
      .filter(({ verdict }) => verdict === 'selected')
      .map(({ backend }) => backend.address)
      .sort();
  }

  exported(key: ServiceKey = WEB): Promise<readonly string[] | undefined> {
    return exportedIn(this.#etcd, key);
  }

  /** Waits until table and export have exactly these. */
  async have(addresses: readonly string[], timeoutMs?: number): Promise<void> {
    const expected = `${[...addresses].sort()}`;
    const holds = async () => `${this.used()}` === expected && `${await this.exported()}` === expected;
    await this.#until(`table and export to be ${expected}`, holds, timeoutMs);
  }

  /** What the table used since this was last asked, one after the other; nothing when nothing changed. */
  takePublished(): readonly (readonly string[])[] {
    return this.#published.splice(0);
  }

  /** The reasons of the table's parts that are not well, by name. */
  complaints(): Readonly<Record<string, string>> {
    const degraded = [...this.health.parts].flatMap(([name, health]): [string, string][] =>
      health.kind === 'degraded' ? [[name, health.reason]] : [],
    );
    return Object.fromEntries(degraded);
  }

  /** Waits until each of the table's six sources complains like this, and each of the export's five. */
  async complain(pattern: RegExp, timeoutMs?: number): Promise<void> {
    const holds = async () => {
      const ours = Object.values(this.complaints());
      const theirs = (await this.readiness()).split('\n').filter((line) => line.startsWith('kubernetes/'));
      const matching = [...ours, ...theirs].filter((each) => pattern.test(each) && SINCE.test(each));
      return matching.length === FOLLOWERS;
    };
    await this.#until(`complaints of ${pattern}`, holds, timeoutMs);
  }

  async well(timeoutMs?: number): Promise<void> {
    const holds = async () => `${Object.keys(this.complaints())}` === '' && (await this.readiness()) === 'Ready\n';
    await this.#until('no complaints', holds, timeoutMs);
  }

  /** What the apiserver answers when it is asked whether it is ready. */
  async readiness(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#apiserver?.healthPort}/readyz`)).text();
  }

  /** Who said this how often: the path of the collection each time. */
  said(msg: RegExp, levels: readonly string[] = ['warn']): readonly string[] {
    const lines = this.logged.filter((line) => msg.test(line.msg) && levels.includes(line.level));
    return lines.map(({ fields }) => String(fields['path']));
  }

  async #until(what: string, holds: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    await waitUntil(what, holds, { timeoutMs }).catch(async (cause: unknown) => {
      const [exported, readiness] = [await this.exported(), await this.readiness()];
      const now = { used: this.used(), exported, complaints: this.complaints(), readiness };
      throw new Error(`Waited in vain for ${what}; now: ${JSON.stringify(now, undefined, 1)}`, { cause });
    });
  }

  async #startTable(kubeconfig: string): Promise<void> {
    const client = connectKubernetes({ kubeconfig });
    const { signal } = this.#stop;
    const local = followLocalCluster(
      {
        client,
        table: this.#table,
        nodeName: 'node-1',
        health: this.health,
        log: recordingLogger(this.logged),
        changed: () => this.#table.settle(),
        nodeChanged: () => {},
        podChanged: () => {},
      },
      signal,
    );
    this.#ended = local.ended.finally(() => client.close());
    await local.synced;
    this.#table.open();
    this.#table.settle();
  }

  async #startExport(kubeconfig: string): Promise<void> {
    const cluster = ['--cluster-name=east', '--cluster-id=1', `--kubeconfig=${kubeconfig}`];
    // What else it may follow is followed in the same way, and is in the way of counting.
    const flags = [...cluster, '--health-port=0', '--load-balancer-addresses=false'];
    const config = parseApiserverConfig([...flags, `--etcd-endpoints=${this.#etcd.endpoint}`], {});
    assert(config !== 'help' && config.ok);
    this.#apiserver = await startApiserver(config.value, recordingLogger(this.logged, { program: 'apiserver' }));
  }
}

/** Addresses of the backends that other clusters may read of us, sorted; undefined when there is no entry. */
export async function exportedIn(etcd: EtcdServer, key: ServiceKey = WEB): Promise<readonly string[] | undefined> {
  const text = await etcdctl(etcd, 'get', '--print-value-only', `cilium/state/services/v1/east/${key}`);
  if (text === '') return undefined;
  return Object.keys((JSON.parse(text) as { readonly backends: object }).backends).sort();
}
