/**
 * `scripts/bench propagation`: how long after a pod in west is reported ready can east's kernel use it. Real programs
 * all the way: Kubernetes' API server and controllers, apiserver, etcd, agent, eBPF map.
 *
 * The baseline is a bare etcd put → watch over the same link to the same etcd, in rounds that alternate with ours. The
 * pods are objects only: nothing but the tables is measured.
 */
import { command } from '@tombolo/machine/command.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { KubernetesObject, Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { type Mesh, startMesh } from '../mesh/mesh.ts';
import { typescript } from '../mesh/programs.ts';
import { realKubernetes } from '../mesh/real-kubernetes.ts';
import { KernelBackends } from './kernel-backends.ts';
import { type Bench, type Pair, summarise } from './results.ts';
import { percentile } from './statistics.ts';

const SAMPLES_A_ROUND = 50;
const DEFAULT_ROUNDS = 8;
/** Until the programs have compiled what they run all the time. */
const WARM_UP_ROUNDS = 6;
const PODS = 4;
const GIVE_UP_MS = 10_000;

export const propagation: Bench = async ({ cases, runs = DEFAULT_ROUNDS, progress, signal }) => {
  const mesh = await startMesh({
    name: 'benchprop',
    clusters: [
      { name: 'east', id: 1, nodes: 1 },
      { name: 'west', id: 2, nodes: 0 },
    ],
    kubernetes: realKubernetes(),
    agent: { datapath: 'ebpf', logLevel: 'warn' },
  });
  try {
    const rounds: (Round & { readonly bare: readonly number[] })[] = [];
    const pods = await Propagation.start(mesh, signal);
    for (let round = 0; round < WARM_UP_ROUNDS; round++) await pods.round(signal);
    for (let round = 1; round <= runs; round++) {
      signal.throwIfAborted();
      const bare = await etcdRound(mesh);
      const { ours, kubernetes } = await pods.round(signal);
      rounds.push({ ours, kubernetes, bare });
      progress(
        `round ${round} of ${runs}: ${percentile(ours, 50).toFixed(2)} ms, etcd ${percentile(bare, 50).toFixed(2)} ms`,
      );
    }
    pods.close();
    const results = (
      [
        ['p50', 50],
        ['p99', 99],
      ] as const
    )
      .filter(([name]) => cases.length === 0 || cases.includes(name))
      .map(([name, p]) => {
        const pairs = rounds.map(
          ({ ours, bare }): Pair => ({ value: percentile(ours, p), baseline: percentile(bare, p) }),
        );
        return summarise(name, 'ms', 'lower', pairs);
      });
    const notes = [
      'value: from sending the pod’s status to west’s API server until east’s eBPF map has one backend more',
      'baseline: a bare etcd put until its watch event, from east’s node to west’s etcd',
      `Kubernetes’ part, until a watcher of west’s API server hears of the endpoint: p50 ${kubernetesPart(rounds)} ms`,
      `${runs} rounds of ${SAMPLES_A_ROUND} samples each; medians of the rounds`,
    ];
    return { bench: 'propagation', results, skipped: [], notes };
  } finally {
    await mesh.close();
  }
};

/** Latencies in ms. */
interface Round {
  readonly ours: readonly number[];
  readonly kubernetes: readonly number[];
}

function kubernetesPart(rounds: readonly Round[]): string {
  const medians = rounds.map(({ kubernetes }) => percentile(kubernetes, 50));
  return percentile(medians, 50).toFixed(2);
}

/** Latencies in ms of puts and their watch events, from east's node. */
async function etcdRound(mesh: Mesh): Promise<readonly number[]> {
  const { plan } = mesh.cluster('east').node(1);
  const { etcdEndpoint } = mesh.cluster('west').plan;
  const argv = [...typescript('packages/lab/src/bench/etcd-latency.ts'), etcdEndpoint, `${SAMPLES_A_ROUND}`];
  return JSON.parse(await command(argv, { netns: plan.netns })) as readonly number[];
}

type Slice = KubernetesObject & {
  readonly endpoints: readonly { readonly conditions: { readonly ready?: boolean } }[];
};

/** One `web` Service with a few pods in west; one of them turns ready again and again while east's kernel is watched. */
class Propagation {
  /** As a kubelet's, its connection lasts. */
  readonly #west: KubernetesClient;
  readonly #kernel: KernelBackends;
  readonly #closing = new AbortController();
  #heard = 0;

  private constructor(west: KubernetesClient, kernel: KernelBackends) {
    this.#west = west;
    this.#kernel = kernel;
  }

  static async start(mesh: Mesh, signal: AbortSignal): Promise<Propagation> {
    const [east, west] = [mesh.cluster('east'), mesh.cluster('west')];
    for (const cluster of [east, west]) await cluster.apply([service]);
    const kernel = await KernelBackends.open(east.node(1).plan.bpfDirectory, await east.serviceAddress('web'), 80);
    const client = new KubernetesClient(west.plan.api, { keepAlive: true });
    const propagation = new Propagation(client, kernel);
    await client.create(node);
    await propagation.#reportNode();
    for (let index = 0; index < PODS; index++) {
      await client.create(pod(index));
      await propagation.#report(index, true);
    }
    await propagation.#until(PODS, signal);
    propagation.#listen();
    return propagation;
  }

  async round(signal: AbortSignal): Promise<Round> {
    const ours: number[] = [];
    const kubernetes: number[] = [];
    await this.#reportNode();
    for (let sample = 0; sample < SAMPLES_A_ROUND; sample++) {
      await this.#report(0, false);
      await this.#until(PODS - 1, signal);
      const sent = performance.now();
      const reported = this.#report(0, true);
      await this.#until(PODS, signal);
      const used = performance.now();
      await reported;
      ours.push(used - sent);
      kubernetes.push((this.#heard > sent ? this.#heard : used) - sent);
    }
    return { ours, kubernetes };
  }

  /** Notes when west's API server says that all pods are ready. */
  #listen(): void {
    const changed = (slice: Slice): void => {
      const ready = slice.endpoints.filter(({ conditions }) => conditions.ready);
      if (ready.length === PODS) this.#heard = performance.now();
    };
    const path =
      '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb';
    void this.#west.follow<Slice>(path, { changed, removed: () => {} }, this.#closing.signal);
  }

  /** As a kubelet does when a probe has turned. */
  #report(index: number, ready: boolean): Promise<unknown> {
    const podIP = `10.2.100.${index + 1}`;
    const condition = { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: new Date().toISOString() };
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [condition] };
    return this.#west.patch(pod(index), { status }, 'status');
  }

  /** Often enough that Kubernetes does not take the pods of a node that fell silent out. */
  #reportNode(): Promise<unknown> {
    const lastHeartbeatTime = new Date().toISOString();
    return this.#west.patch(
      node,
      { status: { conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime }] } },
      'status',
    );
  }

  async #until(count: number, signal: AbortSignal): Promise<void> {
    if (await this.#kernel.reaches(count, GIVE_UP_MS, signal)) return;
    throw new Error(
      `Cannot measure: expected ${count} backends in east's kernel: current value is ${this.#kernel.count()}`,
    );
  }

  close(): void {
    this.#closing.abort();
    this.#west.close();
    this.#kernel.close();
  }
}

const service: Manifest = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', annotations: { 'service.cilium.io/global': 'true' } },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
};

/** No kubelet looks after it: its pods are objects, and nothing that runs. */
const node: Manifest = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'nowhere' } };

const pod = (index: number): Manifest => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `web-${index}`, namespace: 'default', labels: { app: 'web' } },
  spec: {
    nodeName: node.metadata.name,
    containers: [{ name: 'web', image: 'echo:1', ports: [{ name: 'http', containerPort: 8080 }] }],
  },
});
