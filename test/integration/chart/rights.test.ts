/**
 * The rights that the chart gives to each program, on a real API server: with all of them it is ready and is refused
 * nothing; without any single one it says what it may not do.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startApiserver } from '@tombolo/clustermesh-apiserver/compose.ts';
import { parseApiserverConfig } from '@tombolo/clustermesh-apiserver/config.ts';
import type { KubernetesObject } from '@tombolo/machine/kubernetes/objects.ts';
import { Announcing } from '@tombolo/node-agent/announce/announcing.ts';
import { ServiceStatuses } from '@tombolo/node-agent/announce/service-statuses.ts';
import { followLocalCluster } from '@tombolo/node-agent/table/local-cluster.ts';
import { ServiceTable } from '@tombolo/node-agent/table/service-table.ts';
import { type LoopbackControlPlane, startLoopbackControlPlane } from '@tombolo/real-kubernetes/run/loopback.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';
import { followCollection } from '@tombolo/shared/kubernetes/collection.ts';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import { podHasAddress } from '@tombolo/shared/kubernetes/pod-lookup.ts';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { HealthTree } from '@tombolo/shared/process/health.ts';
import type { LogFields, Logger } from '@tombolo/shared/process/logger.ts';
import {
  installPoolKinds,
  installStatusKinds,
  METALLB_NAMESPACE,
  putBgpPeer,
  putCiliumPool,
  putL2Advertisement,
  putMetallbPool,
} from '../../pools.ts';
import { FAST } from '../agent/fast-clock.ts';
import { EtcdServer, until } from '../etcd/etcd-server.ts';
import { EAST, type Manifest, template } from './helm.ts';

interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
}

/** A program at work with the rights of one ServiceAccount. */
interface Running {
  isReady(): Promise<boolean>;
  stop(): Promise<void>;
}

type Start = (kubeconfig: string, log: Logger) => Promise<Running>;

const EAST_ID = { name: 'east' as ClusterName, id: 1 };

describe('the rights of the programs', () => {
  let kubernetes: LoopbackControlPlane;
  let etcd: EtcdServer;
  let directory: string;
  let manifests: readonly Manifest[];
  let accounts = 0;
  let services = 0;

  before(async () => {
    manifests = await template(EAST);
    kubernetes = await startLoopbackControlPlane({ name: 'trights' });
    etcd = await EtcdServer.start();
    directory = await mkdtemp(join(tmpdir(), 'tbl-rights-'));
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } };
    const api = kubernetes.controlPlane.client();
    await api.create(node);
    await installPoolKinds(api);
    await putCiliumPool(api, 'pool', { blocks: [{ cidr: '192.0.2.0/24' }] });
    await putMetallbPool(api, 'pool', { addresses: ['198.51.100.0/24'], autoAssign: false });
    await putL2Advertisement(api, 'all', {});
    await putBgpPeer(api, 'tor', { myASN: 65_000, peerASN: 65_001, peerAddress: '192.0.2.1' });
  });
  after(async () => {
    await kubernetes?.close();
    await etcd?.stop();
    if (directory) await rm(directory, { recursive: true });
  });

  const PROGRAMS: Record<string, Start> = {
    'tombolo-node-agent': async (kubeconfig, log) => {
      const client = connectKubernetes({ kubeconfig });
      const stop = new AbortController();
      const table = new ServiceTable({
        local: EAST_ID,
        node: 'node-a',
        scope: 'global',
        defaultGlobalNamespace: true,
        remotePerFrontend: 1_000,
        remotePerCluster: 100_000,
      });
      const options = {
        client,
        table,
        nodeName: 'node-a',
        health: new HealthTree(),
        log,
        changed: () => {},
        nodeChanged: () => {},
        podChanged: () => {},
      };
      const local = followLocalCluster(options, stop.signal);
      let isReady = false;
      void local.synced.then(() => {
        isReady = true;
      });
      const announcing = new Announcing({
        ...options,
        ...{ scope: 'global', metallbNamespace: METALLB_NAMESPACE, speakerPort: 7_950, speakerKeyFile: undefined },
        ...{ bgpEngineDirectory: directory, bgpDrainMs: 0 },
        ...{ applied: () => 0, isServing: () => true },
      });
      const announced = announcing.run(stop.signal);
      await podHasAddress(client, { namespace: 'default', name: 'none' }, ip('192.0.2.9'), stop.signal).catch((error) =>
        log.warn({ error }, 'Cannot ask for a pod'),
      );
      return {
        isReady: async () => isReady,
        stop: async () => {
          stop.abort();
          await Promise.all([local.ended, announced]);
          client.close();
        },
      };
    },
    'tombolo-clustermesh-apiserver': async (kubeconfig, log) => {
      const flags = ['--cluster-name=east', '--cluster-id=1', '--health-port=0', `--kubeconfig=${kubeconfig}`];
      const more = [`--etcd-endpoints=${etcd.endpoint}`, `--metallb-namespace=${METALLB_NAMESPACE}`];
      const config = parseApiserverConfig([...flags, ...more], {});
      assert(config !== 'help' && config.ok);
      const apiserver = await startApiserver(config.value, log);
      const readiness = `http://127.0.0.1:${apiserver.healthPort}/readyz`;
      return { isReady: async () => (await fetch(readiness)).ok, stop: () => apiserver.stop() };
    },
  };

  /** Through two minutes, so that it has come to all that it does. */
  PROGRAMS['tombolo-node-agent-status'] = async (kubeconfig, log) => {
    const api = kubernetes.controlPlane.client();
    await installStatusKinds(api);
    const { uid = '' } = (await api.get<KubernetesObject>('/api/v1/nodes/node-a')).metadata;
    const client = connectKubernetes({ kubeconfig });
    const stop = new AbortController();
    const startedAt = FAST.now();
    const passed = (): number => FAST.now() - startedAt;
    const announced = new Map([[serviceKey('shop', `cart-${++services}`), {}]]);
    const told = () => (passed() < 60_000 ? announced : new Map());
    const statuses = new ServiceStatuses({
      ...{ client, nodeName: 'node-a', metallbNamespace: METALLB_NAMESPACE, isHeard: () => false, clock: FAST, log },
      facts: {
        nodes: new Map([
          ['node-a', node('node-a', uid, false)],
          ['node-b', node('node-b', 'gone', true)],
        ]),
        isComplete: true,
        follow: (collection, signal, changed, synced = () => {}) =>
          followCollection(client, collection, { changed, synced, refused: () => {} }, signal, log),
      },
      ...{ told: { l2: told, bgp: told }, report: () => {} },
    });
    const running = statuses.run(stop.signal);
    return {
      isReady: async () => passed() > 120_000,
      stop: async () => {
        stop.abort();
        await running;
        client.close();
      },
    };
  };

  const kubectl = (...words: readonly string[]) =>
    promisify(execFile)(kubernetes.kubectl, [`--kubeconfig=${kubernetes.kubeconfig}`, ...words]);

  function rightsOf(program: string): readonly Right[] {
    const roles = manifests.filter(({ kind, metadata }) => /^(Cluster)?Role$/.test(kind) && metadata.name === program);
    const rules = roles.flatMap(
      (role) => role['rules'] as readonly Readonly<Record<'apiGroups' | 'resources' | 'verbs', string[]>>[],
    );
    return rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb })))),
    );
  }

  /** What the same ServiceAccount may for the parts that are tried by themselves. */
  const besides = (program: string): readonly Right[] => rightsOf(`${program}-status`);

  /** Two that wait for their addresses, one of each pool. */
  async function newServices(): Promise<void> {
    for (const annotations of [{}, { 'metallb.io/address-pool': 'pool' }]) {
      const metadata = { name: `balanced-${++services}`, namespace: 'default', annotations };
      await kubernetes.controlPlane.client().create({
        ...{ apiVersion: 'v1', kind: 'Service', metadata },
        spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      });
    }
  }

  /** The kubeconfig of a new ServiceAccount that has these rights and no others. */
  async function accountWith(rights: readonly Right[]): Promise<string> {
    const name = `account-${++accounts}`;
    const rules = rights.map(({ group, resource, verb }) => ({
      apiGroups: [group],
      resources: [resource],
      verbs: [verb],
    }));
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name } };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    const subjects = [{ kind: 'ServiceAccount', name, namespace: 'default' }];
    const items = [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'default' } },
      { ...rbac, kind: 'ClusterRole', rules },
      { ...rbac, kind: 'ClusterRoleBinding', roleRef, subjects },
    ];
    const file = join(directory, `${name}.json`);
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    await kubectl('apply', '-f', file);
    const { stdout: token } = await kubectl('create', 'token', name);
    const admin = JSON.parse((await kubectl('config', 'view', '--raw', '--flatten', '-o', 'json')).stdout);
    const kubeconfig = join(directory, `${name}.kubeconfig`);
    const users = admin.users.map((user: { name: string }) => ({ name: user.name, user: { token: token.trim() } }));
    await writeFile(kubeconfig, JSON.stringify({ ...admin, users }));
    return kubeconfig;
  }

  /** Collects what the API server forbids, as `verb group/resource`. */
  function refusals(): { readonly log: Logger; readonly seen: Set<string> } {
    const seen = new Set<string>();
    const note = ({ error }: LogFields): void => {
      const message = error instanceof Error ? error.message : '';
      const refused = /cannot (\w+) resource "([\w/]+)" in API group "([\w.]*)"/.exec(message);
      if (refused) seen.add(nameOf({ verb: refused[1] ?? '', resource: refused[2] ?? '', group: refused[3] ?? '' }));
    };
    const log: Logger = { debug: note, info: note, warn: note, error: note, child: () => log };
    return { log, seen };
  }

  for (const [program, start] of Object.entries(PROGRAMS)) {
    it(`suffice for ${program}`, async () => {
      const { log, seen } = refusals();
      const running = await start(await accountWith([...rightsOf(program), ...besides(program)]), log);
      await until('ready', () => running.isReady()).finally(() => running.stop());
      assert.deepEqual([...seen], []);
    });

    it(`are each needed by ${program}`, async () => {
      for (const right of rightsOf(program)) {
        const rest = rightsOf(program).filter((other) => nameOf(other) !== nameOf(right));
        const { log, seen } = refusals();
        await newServices();
        const running = await start(await accountWith([...rest, ...besides(program)]), log);
        try {
          // It is asked for at the end.
          if (right.verb === 'delete') await until('ready', () => running.isReady()).then(() => running.stop());
          await until(`${program} misses: ${nameOf(right)}`, () => seen.size > 0);
          assert.deepEqual([...seen], [nameOf(right)]);
          // An agent works without the ranges of cluster IPs, which an older Kubernetes lacks, and without the node's pods;
          // what is exported, and what is balanced, needs no pools of addresses and no announcing.
          const canDoWithout =
            /(statuses|status|pools|advertisements|policies|peers|profiles|communities|configs|overrides)$/.test(
              right.resource,
            ) ||
            (program === 'tombolo-node-agent' && /^(servicecidrs|pods)$/.test(right.resource));
          if (right.verb === 'list' && !canDoWithout) assert.equal(await running.isReady(), false);
        } finally {
          await running.stop();
        }
      }
    });
  }
});

const node = (name: string, uid: string, unreachable: boolean): KubernetesNode => ({
  ...{ name, unreachable, uid, zone: '', addresses: [], podCidrs: [], typedAddresses: [], labels: {}, bootId: '' },
  ...{ leaving: false, excludedFromLoadBalancers: false },
});

const nameOf = ({ verb, group, resource }: Right): string => `${verb} ${group === '' ? 'core' : group}/${resource}`;
