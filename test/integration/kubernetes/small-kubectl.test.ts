/** The small Kubernetes with any kubectl: Debian's old one, the machine's own, and the one of the real Kubernetes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { kubernetesBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { type Pod, tables } from '@tombolo/small-kubernetes/api/kinds/typed.ts';
import type { Operations } from '@tombolo/small-kubernetes/api/operations.ts';
import { type KubernetesApi, startKubernetesApi } from '@tombolo/small-kubernetes/api/start.ts';

const run = promisify(execFile);
const DEBIAN = join(import.meta.dirname, '../../../.tools/kubectl-1.20/usr/bin');
const real = await kubernetesBinaries().catch(() => undefined);
const places = [DEBIAN, ...(process.env['PATH'] ?? '').split(delimiter)].map((place) => join(place, 'kubectl'));
const programs = new Map<string, string>();
for (const path of [...places, ...(real ? [real.kubectl] : [])]) {
  const version = await run(path, ['version', '--client', '-o', 'json']).catch(() => undefined);
  const { clientVersion } = JSON.parse(version?.stdout ?? '{}') as { clientVersion?: { gitVersion: string } };
  if (clientVersion) programs.set(clientVersion.gitVersion, path);
}

for (const [version, path] of programs) {
  describe(`the small Kubernetes with kubectl ${version}`, () => {
    let api: KubernetesApi;
    const home = mkdtempSync(join(tmpdir(), 'tbl-kubectl-'));
    const env = { ...process.env, HOME: home, KUBECONFIG: '/dev/null', KUBE_EDITOR: 'sed -i s/None/ClientIP/' };

    /** Arguments are separated by spaces; single quotes keep one together. */
    async function kubectl(line: string, input = ''): Promise<string> {
      const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
      const running = run(path, ['--server', api.url, ...words], { env, timeout: 60_000 });
      running.child.stdin?.end(input);
      return (await running).stdout;
    }

    before(async () => {
      api = await startKubernetesApi({ port: 0 });
      makePodsReady(api.operations);
      await kubectl('apply -f -', NODE);
    });
    after(async () => {
      await api.close();
      rmSync(home, { recursive: true });
    });

    it('creates by flags, applies, compares, annotates, edits', async () => {
      for (const what of ['namespace x', 'configmap c --from-literal=a=b', 'secret generic s --from-literal=a=b'])
        assert.match(await kubectl(`create ${what}`), / created/);
      assert.equal(await kubectl('get secret s -o jsonpath={.data.a}'), btoa('b'));
      await kubectl('create deployment flags --image=i:1 -n x');
      await kubectl('expose deployment flags --port=80 --target-port=8080 -n x');
      assert.equal(await kubectl('get service flags -n x -o jsonpath={.spec.ports[0].targetPort}'), '8080');
      assert.match(await kubectl('apply -f -', WEB), /service\/web created\ndeployment.apps\/web created/);
      assert.match(await kubectl('apply -f -', WEB), /service\/web unchanged\ndeployment.apps\/web unchanged/);
      assert.match(await kubectl('apply --dry-run=server -f -', WEB), /dry run/);
      assert.equal(await kubectl('diff -f -', WEB), '');
      assert.match(await kubectl('apply --server-side --force-conflicts -f -', WEB), /serverside-applied/);
      assert.equal(await kubectl('annotate service web service.cilium.io/global=true'), 'service/web annotated\n');
      await assert.rejects(kubectl('annotate service web service.cilium.io/global=false'), /--overwrite is false/);
      assert.match(await kubectl('edit service web'), /service\/web edited/);
      assert.equal(await kubectl('get service web -o jsonpath={.spec.sessionAffinity}'), 'ClientIP');
    });

    it('rolls out, waits, scales, deletes', async () => {
      const rolledOut = async () =>
        assert.match(await kubectl('rollout status deployment/web --timeout=30s'), /successfully rolled out/);
      await rolledOut();
      assert.match(await kubectl('wait --for=condition=Available deployment/web --timeout=30s'), /condition met/);
      await kubectl('set image deployment/web web=web:2');
      await rolledOut();
      const images = "get pods -l app=web -o 'jsonpath={.items[*].spec.containers[0].image}'";
      assert.equal(await kubectl(images), 'web:2 web:2');
      await kubectl('scale deployment web --replicas=1');
      await rolledOut();
      assert.equal(await kubectl(images), 'web:2');
      assert.match(await kubectl('delete pod --all --timeout=30s'), /pod "web-/);
      await kubectl('delete namespace x --timeout=30s');
    });

    it('prints tables and descriptions', async () => {
      await kubectl('rollout status deployment/web --timeout=30s');
      assert.match(await kubectl('get pods -o wide'), /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE[\s\S]* n1 /);
      assert.match(
        await kubectl('get services,endpointslices'),
        /service\/web +ClusterIP +10\.96[\s\S]*web-\w+ +IPv4 +8080/,
      );
      assert.match(await kubectl('get deployments,nodes -o wide'), /web +1\/1 +1 +1 [\s\S]*n1 +Ready/);
      assert.match(await kubectl('get all -A --show-labels'), /service\/web/);
      assert.match(await kubectl('describe service web'), /Endpoints: +10\.1\.\d+\.\d+:8080/);
      assert.match(
        await kubectl('describe deployment web'),
        /1 desired \| 1 updated \| 1 total \| 1 available[\s\S]*StrategyType: +RollingUpdate/,
      );
      assert.match(await kubectl('describe node n1'), /Non-terminated Pods: +\(1 in total\)/);
      assert.match(await kubectl('api-resources'), /^endpointslices /m);
      assert.match(await kubectl('version'), /v1\.32\.0-small/);
    });
  });
}

/** A kubelet of few words: pods with a node are ready at once, pods in deletion go at once. Runs nothing. */
function makePodsReady(operations: Operations): void {
  let last = 0;
  operations.store.subscribe(tables.pods, ({ type, object }) => {
    if (type !== 'DELETED') queueMicrotask(() => serve(object.metadata.namespace ?? '', object.metadata.name));
  });
  function serve(namespace: string, name: string): void {
    const pod = operations.store.get(tables.pods, namespace, name) as Pod | undefined;
    if (!pod?.spec.nodeName) return;
    if (pod.metadata.deletionTimestamp !== undefined) operations.deleteObject(pod, { gracePeriodSeconds: 0 });
    else if (pod.status.phase === 'Pending') {
      const ip = `10.1.0.${++last}`;
      const ready = ({ spec, status }: Pod) => {
        Object.assign(status, { phase: 'Running', podIP: ip, podIPs: [{ ip }] });
        status.conditions = [...(status.conditions ?? []), { type: 'Ready', status: 'True' }];
        status.containerStatuses = spec.containers.map((container) => ({
          name: container.name,
          ready: true,
          state: {},
        }));
      };
      operations.change(pod, ready, { subresource: 'status', manager: 'kubelet' });
    }
  }
}

const NODE = `
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {conditions: [{type: Ready, status: "True"}]}
`;

const WEB = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{name: http, containerPort: 8080}]}]}
`;
