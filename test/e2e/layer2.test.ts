/**
 * The story of MetalLB on bare metal: a pool in the nodes' own network, announced by ARP and NDP from one node, spread from
 * there over all pods; on the real Kubernetes, with MetalLB's own kinds. Asked by a machine in that network that is no node,
 * while the node that answers is lost in every way.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import { cutLink, healLink } from '@tombolo/lab/mesh/fabric.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { NodeHandle } from '@tombolo/lab/mesh/node.ts';
import { command } from '@tombolo/machine/command.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { recordFault, stopwatch } from '../faults.ts';
import { startRealMesh } from '../mesh.ts';
import { installPoolKinds, installStatusKinds, putL2Advertisement, putMetallbPool } from '../pools.ts';
import { askInSubnet } from './top-of-rack.ts';
import { assertNoneFailed, webPod } from './web.ts';

const NAMES = ['east-1', 'east-2', 'east-3'];
/** Has none of the pods, so that losing it is losing the way and nothing else. */
const OWNER = 'east-3';
const WORKERS = 4;
const METALLB = 'metallb-system';

/** The order that MetalLB's speakers have: the lowest SHA-256 of node, '#' and address. */
const orderFor = (address: string): readonly string[] => {
  const hash = (node: string): string => createHash('sha256').update(`${node}#${address}`).digest('hex');
  return NAMES.toSorted((a, b) => (hash(a) < hash(b) ? -1 : 1));
};

const ownedBy = (owner: string, candidates: readonly string[]): string =>
  candidates.find((address) => orderFor(address)[0] === owner) ?? assert.fail('no address of these is that node’s');

const numbers = Array.from({ length: 50 }, (_, i) => 200 + i);
const V4 = ownedBy(
  OWNER,
  numbers.map((n) => `10.0.1.${n}`),
);
const V6 = ownedBy(
  OWNER,
  numbers.map((n) => `fd00::1:${n.toString(16)}`),
);

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'balanced', namespace: 'default' },
  spec: {
    ...{ type: 'LoadBalancer', ipFamilyPolicy: 'RequireDualStack', selector: { app: 'web' } },
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
  },
};

describe('an address in the nodes’ own network, announced by ARP and NDP', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-speakers-'));
    const key = join(directory, 'key');
    await writeFile(key, 'known to the agents of this cluster', { mode: 0o600 });
    mesh = await startRealMesh({
      name: 'e2elayer2',
      clusters: [{ name: 'east', id: 1, nodes: NAMES.length }],
      agent: {
        services: 'all',
        more: () => ['--speaker-key', key],
      },
      without: 'agents',
    });
    east = mesh.cluster('east');
    await installPoolKinds(east.api);
    await installStatusKinds(east.api);
    for (const { agent } of east.nodes) await agent.start();
    for (const each of east.nodes) await each.agentReady();
    await east.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: METALLB } }]);
    await putMetallbPool(east.api, 'lan', { addresses: [`${V4}/32`, `${V6}/128`] }, METALLB);
    await putL2Advertisement(east.api, 'lan', { ipAddressPools: ['lan'] }, METALLB);
    const pods = ['east-1', 'east-2'].map((node) => webPod(`web-${node}`, node));
    await east.apply([SERVICE, ...pods]);
    for (const { metadata } of pods) await east.pod(metadata.name);
  });
  after(async () => {
    await mesh?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const node = (name: string): NodeHandle => east.nodes.find((each) => each.name === name) ?? assert.fail(name);
  const outside = (argv: readonly string[]) => command(argv, { netns: east.plan.controlPlane.netns });

  /** Who the outside believes to have an address, by the link-layer address of a node. */
  async function neighbor(address: string): Promise<string | undefined> {
    const entries = JSON.parse(await outside(['ip', '-j', 'neigh'])) as readonly { dst: string; lladdr?: string }[];
    const mac = entries.find(({ dst }) => dst === address)?.lladdr;
    for (const { name, plan } of east.nodes) {
      const [link] = JSON.parse(await command(['ip', '-j', 'link', 'show', 'eth0'], { netns: plan.netns }));
      if (link.address === mac) return name;
    }
    return undefined;
  }

  const untilAt = (address: string, name: string): Promise<unknown> =>
    waitUntil(`${address} to be at ${name}`, async () => (await neighbor(address)) === name);

  const untilStatus = (kind: string, expected: readonly object[]): Promise<unknown> =>
    waitUntil(`${kind} to say so`, async () => {
      const { items } = JSON.parse(await east.kubectl(['-n', METALLB, 'get', kind, '-o', 'json'])) as {
        readonly items: readonly { readonly status?: object }[];
      };
      return isDeepStrictEqual(
        items.map(({ status }) => status),
        expected,
      );
    });

  const ask = (address: string) => askInSubnet(east, address, WORKERS);

  async function answered(address: string): Promise<void> {
    const url = `http://${address.includes(':') ? `[${address}]` : address}/`;
    await waitUntil(`${address} to answer`, () =>
      outside(['curl', '-sS', '--max-time', '2', url]).then(
        () => true,
        () => false,
      ),
    );
  }

  for (const address of [V4, V6]) {
    const [, second = ''] = orderFor(address);
    const way = address.includes(':') ? 'NDP' : 'ARP';

    describe(address, () => {
      it('is answered for by the node that MetalLB would choose, and served by every pod', async () => {
        await answered(address);
        await untilAt(address, OWNER);
        const stream = await ask(address);
        await stream.more(100);
        const counts = await stream.stop();
        assertNoneFailed(counts);
        assert.deepEqual(Object.keys(counts.by).sort(), ['east/east-1/web-east-1', 'east/east-2/web-east-2']);
        const shown = await node(second).tombolo(['lb', 'services', 'default/balanced']);
        const words =
          shown
            .split('\n')
            .find((line) => line.startsWith(`${address} `))
            ?.split(/ {2,}/) ?? [];
        assert.deepEqual(words.slice(1, 5), ['default/balanced', 'LoadBalancer', OWNER, second]);
        assert.match(await node(second).tombolo(['lb', 'peers']), /east-3 +yes +directly +eth0/);
        // Both addresses are at that node.
        await untilStatus('servicel2statuses', [{ node: OWNER, serviceName: 'balanced', serviceNamespace: 'default' }]);
      });

      for (const end of ['stopped', 'killed'] as const) {
        it(`loses no more than the requests under way while the agent of that node is ${end}, and comes back`, async () => {
          const { agent } = node(OWNER);
          const stream = await ask(address);
          await stream.more(50);
          const took = stopwatch();
          if (end === 'stopped') await agent.stop();
          else await agent.kill();
          await untilAt(address, second);
          const tookMs = took();
          await stream.more(50);
          await agent.start();
          await node(OWNER).agentReady();
          await untilAt(address, OWNER);
          await stream.more(50);
          const counts = await stream.stop();
          recordFault({ fault: `agent is ${end}`, way, tookMs, requests: counts });
          // A connection that is open while its way changes is one of another node's: it ends.
          assert.ok(counts.failed <= 2 * WORKERS, JSON.stringify(counts));
        });
      }

      it('loses no more than the requests under way while that node is cut off, and comes back', async () => {
        const { plan } = node(OWNER);
        const stream = await ask(address);
        await stream.more(50);
        const took = stopwatch();
        await cutLink(mesh.plan, plan.link);
        await untilAt(address, second);
        const tookMs = took();
        await stream.more(50);
        await healLink(mesh.plan, plan.link, east.plan.bridge);
        await untilAt(address, OWNER);
        await stream.more(50);
        const counts = await stream.stop();
        recordFault({ fault: 'node is cut off', way, tookMs, requests: counts });
        assert.ok(counts.failed <= 2 * WORKERS, JSON.stringify(counts));
      });
    });
  }
});
