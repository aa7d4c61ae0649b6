/** Real clusters of one family and of both: nodes get ready, pods find a Service by name and reach it. */
import assert from 'node:assert/strict';
import { type Mesh, startMesh } from '@tombolo/lab/mesh/mesh.ts';
import type { Family } from '@tombolo/lab/mesh/plan.ts';
import { realKubernetes } from '@tombolo/lab/mesh/real-kubernetes.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { kubernetesBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { clientPod, webPod, webService } from '../../e2e/web.ts';

const ADDRESS: Readonly<Record<Family, RegExp>> = { ipv4: /^10\./, ipv6: /^fd00:/ };

describe('lab, the real Kubernetes', () => {
  let mesh: Mesh | undefined;

  afterEach(() => mesh?.close());

  for (const [families, version] of [
    [['ipv4'], '1.37'],
    [['ipv6'], '1.37'],
    [['ipv6', 'ipv4'], '1.37'],
    [['ipv4', 'ipv6'], '1.34'],
  ] as const)
    it(`${version}, ${families.join(' and ')}: pods reach a Service by its name`, async function () {
      const built = await kubernetesBinaries(version).catch((error: Error) => error);
      if (built instanceof Error) {
        console.log(`      skipped: ${built.message} --kubernetes ${version}`);
        return this.skip();
      }
      mesh = await startMesh({
        name: 'tfamilies',
        clusters: [{ name: 'solo', id: 9, nodes: 1 }],
        kubernetes: { ...realKubernetes('nftables', version), families },
        without: 'apiservers and agents',
      });
      const solo = mesh.cluster('solo');
      await solo.apply([webService({}), webPod('web-0', 'solo-1'), clientPod('solo-1')]);
      const [web] = await Promise.all([solo.pod('web-0'), solo.pod('client')]);
      assert.match(web.address, ADDRESS[families[0]]);
      assert.match(await solo.serviceAddress('web'), ADDRESS[families[0]]);
      const ask = ['exec', 'client', '--', 'curl', '-sS', '-m', '2', 'http://web.default.svc.cluster.local./'];
      const answer = await waitUntil('the Service to answer', () => solo.kubectl(ask).catch(() => undefined));
      assert.equal(answer.trim(), 'solo/solo-1/web-0');
    });
});
