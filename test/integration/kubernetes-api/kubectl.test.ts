/** A transcript of everyday kubectl against the development API server, for each kubectl that is there. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type KubernetesApi, startKubernetesApi } from '@tombolo/small-kubernetes/api/start.ts';
import { findKubectls, Kubectl } from './kubectl.ts';
import * as manifests from './manifests.ts';
import { ReadyKubelet } from './ready-kubelet.ts';

const programs = await findKubectls();

for (const { label, path, skipped } of programs) {
  if (path === undefined) {
    console.log(`skipped: ${label}: ${skipped}`);
    continue;
  }
  describe(`development API server with ${label}`, () => {
    let api: KubernetesApi;
    let kubelet: ReadyKubelet;
    let kubectl: Kubectl;

    beforeEach(async () => {
      api = await startKubernetesApi({ listen: { port: 0 } });
      kubelet = new ReadyKubelet(api.operations);
      kubectl = new Kubectl(path, api.url);
    });
    afterEach(async () => {
      kubectl.close();
      kubelet.close();
      await api.close();
    });

    it('discovers', async () => {
      assert.match(await kubectl.ok('version'), /v1\.32\.0-small/);
      const resources = await kubectl.ok('api-resources');
      for (const name of ['services', 'endpointslices', 'deployments', 'leases']) {
        assert.match(resources, new RegExp(`^${name} `, 'm'));
      }
      assert.match(await kubectl.ok('api-versions'), /discovery\.k8s\.io\/v1/);
      assert.equal(await kubectl.ok('get --raw /healthz'), 'ok');
    });

    it('creates by its own flags', async () => {
      assert.equal(await kubectl.ok('create namespace x'), 'namespace/x created\n');
      await kubectl.ok('create configmap c --from-literal=a=b -n x');
      await kubectl.ok('create secret generic s --from-literal=a=b -n x');
      await kubectl.ok('create serviceaccount sa -n x');
      await kubectl.ok('create deployment web --image=web:1 -n x');
      await kubectl.ok('expose deployment web --port=80 --target-port=8080 -n x');
      await kubectl.ok('create service nodeport np --tcp=80:8080 -n x');
      await kubectl.ok('run p --image=p:1 -n x');
      assert.equal(await kubectl.ok('get secret s -n x -o jsonpath={.data.a}'), Buffer.from('b').toString('base64'));
      assert.equal(await kubectl.ok('get configmap c -n x -o jsonpath={.data.a}'), 'b');
      assert.equal(await kubectl.ok('get service web -n x -o jsonpath={.spec.ports[0].targetPort}'), '8080');
      const again = await kubectl.try('create namespace x');
      assert.match(again.stderr, /AlreadyExists.*namespaces "x" already exists/);
      assert.equal(again.code, 1);
    });

    it('applies, and applies again', async () => {
      assert.equal(await kubectl.ok('apply -f -', manifests.webService(80)), 'service/web created\n');
      assert.equal(await kubectl.ok('apply -f -', manifests.webService(80)), 'service/web unchanged\n');
      const address = await kubectl.ok('get service web -o jsonpath={.spec.clusterIP}');
      assert.equal(await kubectl.ok('apply -f -', manifests.webService(81)), 'service/web configured\n');
      assert.equal(await kubectl.ok('get service web -o jsonpath={.spec.ports[*].port}'), '81');
      assert.equal(await kubectl.ok('get service web -o jsonpath={.spec.clusterIP}'), address);
      const diff = await kubectl.try('diff -f -', manifests.webService(82));
      assert.match(diff.stdout, /^\+ {2}- name: http|^\+ {4}port: 82/m);
      const wrong = await kubectl.try('apply -f -', manifests.webService(70000));
      assert.match(wrong.stderr, /Service "web" is invalid: spec.ports\[0\].port: Invalid value: 70000/);
      assert.match(await kubectl.ok('apply --dry-run=server -f -', manifests.webService(83)), /server dry run/);
      assert.equal(await kubectl.ok('get service web -o jsonpath={.spec.ports[*].port}'), '81');
    });

    it('annotates, labels, patches and replaces', async () => {
      await kubectl.ok('apply -f -', manifests.webService(80));
      const annotation = () =>
        kubectl.ok('get service web -o jsonpath={.metadata.annotations.service\\.cilium\\.io/global}');
      assert.equal(await kubectl.ok('annotate service web service.cilium.io/global=true'), 'service/web annotated\n');
      assert.equal(await annotation(), 'true');
      assert.match(
        (await kubectl.try('annotate service web service.cilium.io/global=false')).stderr,
        /--overwrite is false/,
      );
      await kubectl.ok('annotate --overwrite service web service.cilium.io/global=false');
      assert.equal(await annotation(), 'false');
      await kubectl.ok('annotate service web service.cilium.io/global-');
      assert.equal(await annotation(), '');
      await kubectl.ok('label service web tier=front');
      assert.match(await kubectl.ok('get services -l tier=front -o name'), /service\/web/);
      assert.equal(await kubectl.ok("get services -l 'tier notin (front)' -o name"), '');
      assert.equal(await kubectl.ok("get services -l 'tier in (front,back),!other' -o name"), 'service/web\n');
      await kubectl.ok('label service web tier-');
      assert.equal(await kubectl.ok('get services -l tier -o name'), '');
      const port = () => kubectl.ok('get service web -o jsonpath={.spec.ports[*].targetPort}');
      await kubectl.ok(`patch service web -p '{"spec":{"ports":[{"port":80,"targetPort":1}]}}'`);
      assert.equal(await port(), '1');
      await kubectl.ok(
        `patch service web --type=json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":2}]'`,
      );
      assert.equal(await port(), '2');
      await kubectl.ok(
        `patch service web --type=merge -p '{"spec":{"ports":[{"name":"http","port":80,"targetPort":3}]}}'`,
      );
      assert.equal(await port(), '3');
      await kubectl.ok('replace -f -', manifests.webService(90));
      assert.equal(await kubectl.ok('get service web -o jsonpath={.spec.ports[*].port}'), '90');
      const stale = JSON.parse(await kubectl.ok('get service web -o json')) as { metadata: object };
      await kubectl.ok('label service web moved=on');
      const conflict = await kubectl.try('replace -f -', JSON.stringify(stale));
      assert.match(conflict.stderr, /Conflict.*the object has been modified/s);
    });

    it('edits with an editor', async () => {
      await kubectl.ok('apply -f -', manifests.webService(80));
      const edited = await kubectl.edit('service web', 's/sessionAffinity: None/sessionAffinity: ClientIP/');
      assert.match(edited, /service\/web edited/);
      assert.equal(await kubectl.ok('get service web -o jsonpath={.spec.sessionAffinity}'), 'ClientIP');
    });

    it('rolls out, waits, scales and deletes', async () => {
      await kubectl.ok('apply -f -', manifests.node('n1', 'z1') + manifests.node('n2', 'z2'));
      await kubectl.ok('apply -f -', manifests.webService(80) + manifests.webDeployment(3, 'web:1'));
      assert.match(await kubectl.ok('rollout status deployment/web --timeout=20s'), /successfully rolled out/);
      assert.match(await kubectl.ok('get deployment web'), /^web +3\/3 +3 +3 /m);
      assert.match(await kubectl.ok('wait --for=condition=Available deployment/web --timeout=20s'), /condition met/);
      assert.match(
        await kubectl.ok('wait --for=condition=Ready pod -l app=web --timeout=20s'),
        /(condition met[\s\S]*){3}/,
      );
      await kubectl.ok('set image deployment/web web=web:2');
      assert.match(await kubectl.ok('rollout status deployment/web --timeout=20s'), /successfully rolled out/);
      assert.equal(
        await kubectl.ok(
          "get pods --field-selector=status.phase=Running -o 'jsonpath={.items[*].spec.containers[0].image}'",
        ),
        'web:2 web:2 web:2',
      );
      assert.match(await kubectl.ok('rollout history deployment/web'), /^2 /m);
      await kubectl.ok('rollout undo deployment/web');
      assert.match(await kubectl.ok('rollout status deployment/web --timeout=20s'), /successfully rolled out/);
      assert.equal(
        await kubectl.ok("get pods -o 'jsonpath={.items[*].spec.containers[0].image}'"),
        'web:1 web:1 web:1',
      );
      await kubectl.ok('scale deployment web --replicas=1');
      assert.match(await kubectl.ok('rollout status deployment/web --timeout=20s'), /successfully rolled out/);
      assert.equal((await kubectl.ok('get pods -o name')).trim().split('\n').length, 1);
      const mismatch = await kubectl.try('scale deployment web --replicas=2 --current-replicas=5');
      assert.match(mismatch.stderr, /xpected replicas to be 5/);
      await kubectl.ok('delete deployment web --cascade=foreground');
      assert.equal(await kubectl.ok('get deployments,replicasets,pods -o name'), '');
    });

    it('deletes by name, label, all, with and without grace', async () => {
      await kubectl.ok(
        'apply -f -',
        manifests.node('n1', 'z1') + manifests.pod('a', 'x') + manifests.pod('b', 'x') + manifests.pod('c', 'z'),
      );
      await kubectl.ok('wait --for=condition=Ready pod --all --timeout=20s');
      assert.match(await kubectl.ok('delete pod a --now --timeout=20s'), /pod "a" deleted/);
      assert.match(await kubectl.ok('delete pod -l app=x --timeout=20s'), /pod "b" deleted/);
      kubelet.pause();
      const marked = await kubectl.ok('delete pod c --wait=false');
      assert.match(marked, /pod "c" deleted/);
      assert.match(await kubectl.ok('get pod c'), /Terminating/);
      await kubectl.ok('delete pods --all --grace-period=0 --force');
      assert.equal(await kubectl.ok('get pods -o name'), '');
      assert.match((await kubectl.try('delete pod c')).stderr, /NotFound.*pods "c" not found/);
      assert.equal(await kubectl.ok('delete pod c --ignore-not-found'), '');
      await kubectl.ok('create namespace gone');
      await kubectl.ok('create configmap c -n gone');
      await kubectl.ok('delete namespace gone --timeout=20s');
      assert.match((await kubectl.try('get namespace gone')).stderr, /NotFound/);
    });

    it('prints tables, wide, yaml, names and columns of its own', async () => {
      await kubectl.ok('apply -f -', manifests.node('n1', 'z1') + manifests.webService(80) + manifests.pod('a', 'web'));
      await kubectl.ok('wait --for=condition=Ready pod/a --timeout=20s');
      assert.match(
        await kubectl.ok('get services'),
        /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\nweb +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP /m,
      );
      assert.match(
        await kubectl.ok('get pods -o wide'),
        /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE[\s\S]*\na +1\/1 +Running +0 .* n1 /m,
      );
      assert.match(await kubectl.ok('get nodes'), /^n1 +Ready /m);
      assert.match(await kubectl.ok('get endpointslices'), /^web-\w{5} +IPv4 +8080 +10\.1\./m);
      assert.match(await kubectl.ok('get pods -A --show-labels'), /^NAMESPACE[\s\S]*default +a .*app=web/m);
      assert.match(await kubectl.ok('get all'), /pod\/a[\s\S]*service\/web/);
      assert.match(await kubectl.ok('get service web -o yaml'), /^kind: Service$/m);
      assert.match(await kubectl.ok('get service,pod -o name'), /service\/web\npod\/a/);
      assert.equal(
        await kubectl.ok('get pods --no-headers -o custom-columns=:metadata.name,:spec.nodeName'),
        'a     n1\n',
      );
      assert.match(
        (await kubectl.try('get pods --field-selector=spec.hostname=x')).stderr,
        /field label not supported/,
      );
      assert.match(await kubectl.ok('get pods --sort-by=.metadata.name'), /^a /m);
    });

    it('describes without falling over', async () => {
      await kubectl.ok(
        'apply -f -',
        manifests.node('n1', 'z1') + manifests.webService(80) + manifests.webDeployment(1, 'web:1'),
      );
      await kubectl.ok('rollout status deployment/web --timeout=20s');
      assert.match(await kubectl.ok('describe service web'), /Endpoints: +10\.1\.\d+\.\d+:8080/);
      assert.match(await kubectl.ok('describe pods'), /Node: +n1/);
      assert.match(await kubectl.ok('describe node n1'), /Non-terminated Pods: +\(1 in total\)/);
      assert.match(await kubectl.ok('describe deployment web'), /1 desired \| 1 updated \| 1 total \| 1 available/);
      await kubectl.ok('describe namespace default');
    });

    it('watches', async () => {
      await kubectl.ok('apply -f -', manifests.webService(80));
      const child = kubectl.start('get services -w --output-watch-events -o name'.replace(' -o name', ''));
      let printed = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
      const seen = async (pattern: RegExp) => {
        while (!pattern.test(printed)) await once(child.stdout, 'data');
      };
      await seen(/^ADDED +web /m);
      await kubectl.ok('label service web a=b');
      await seen(/^MODIFIED +web /m);
      await kubectl.ok('delete service web');
      await seen(/^DELETED +web /m);
      const closed = once(child, 'close');
      child.kill();
      await closed;
    });

    it('pages through long lists', async () => {
      for (let n = 0; n < 1203; n++) {
        api.operations.createObject({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: `c${n}`, namespace: 'default' },
        });
      }
      assert.equal((await kubectl.ok('get configmaps -o name')).trim().split('\n').length, 1203);
      assert.equal((await kubectl.ok('get configmaps --no-headers')).trim().split('\n').length, 1203);
    });
  });
}
