/**
 * The kinds of MetalLB and Cilium as those products bring them, on a real API server: their own example manifests give
 * addresses unchanged, and the chart's kinds and theirs take each other's place without losing a pool.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { KubernetesObject, Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { collectionPath, objectPath } from '@tombolo/machine/kubernetes/resource-path.ts';
import { CILIUM, METALLB, productFiles } from '@tombolo/real-kubernetes/building/products.ts';
import { convertCiliumPool, convertMetallbPool } from '@tombolo/shared/kubernetes/address-pool-objects.ts';
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import fc from 'fast-check';
import { TestCluster } from '../../cluster.ts';
import {
  chartKinds,
  deletePools,
  installKinds,
  installPoolKinds,
  kindsIn,
  manifestsIn,
  putCiliumPool,
} from '../../pools.ts';
import { CHART, EAST, helm, setting } from '../chart/helm.ts';
import { until } from '../etcd/etcd-server.ts';
import { startReplica } from './replica.ts';

interface Service extends KubernetesObject {
  readonly status: { readonly loadBalancer: { readonly ingress?: readonly { readonly ip: string }[] } };
}

/** Of OpenAPI, as far as these kinds use it. */
interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
}

const METALLB_SYSTEM = 'metallb-system';
const METALLB_KINDS = 'config/crd/bases';
const CILIUM_KINDS = 'pkg/k8s/apis/cilium.io/client/crds';
const POOL_KINDS = { CiliumLoadBalancerIPPool: convertCiliumPool, IPAddressPool: convertMetallbPool };
const POOL_CRDS = ['ciliumloadbalancerippools.cilium.io', 'ipaddresspools.metallb.io'];
const STRICT = '?fieldValidation=Strict';

describe('the kinds that MetalLB and Cilium bring', () => {
  let cluster: TestCluster;
  let metallb: string;
  let cilium: string;
  /** Theirs, of the kinds that the chart brings. */
  let theirs: readonly Manifest[];
  let ours: readonly Manifest[];
  let areGoing = false;

  before(async () => {
    [metallb, cilium] = await Promise.all([productFiles(METALLB), productFiles(CILIUM)]);
    ours = await chartKinds();
    const all = await Promise.all([join(metallb, METALLB_KINDS), join(cilium, CILIUM_KINDS)].map(kindsIn));
    theirs = all.flat().filter(({ metadata }) => ours.some((crd) => crd.metadata.name === metadata.name));
    // Ours has kinds, too, that the newest of theirs has no more.
    for (const name of POOL_CRDS) assert(theirs.some(({ metadata }) => metadata.name === name));
    cluster = await TestCluster.start('tproducts');
    for (const name of [METALLB_SYSTEM, 'namespace-a', 'tenant-a']) await cluster.namespace(name);
  });
  after(() => cluster?.close());

  afterEach(async () => {
    await cluster.empty();
    if (!areGoing) await deletePools(cluster.api, METALLB_SYSTEM);
  });

  /** Refused where anything of it is unknown. */
  async function put(manifest: Manifest): Promise<void> {
    const there = await cluster.api.find(manifest);
    if (!there) await cluster.api.request('POST', `${collectionPath(manifest)}${STRICT}`, manifest);
    else
      await cluster.api.request('PATCH', `${objectPath(manifest)}${STRICT}`, manifest, 'application/merge-patch+json');
  }

  async function given(
    name: string,
    namespace: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    await cluster.api.apply({
      ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace, labels } },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
    });
    const path = `/api/v1/namespaces/${namespace}/services/${name}`;
    const ipOf = async () => (await cluster.api.get<Service>(path)).status.loadBalancer.ingress?.[0]?.ip;
    await until(`${name} to have an address`, async () => (await ipOf()) !== undefined);
    return (await ipOf()) ?? '';
  }

  // The first: it alone needs a cluster without any. To end a kind and make it anew can take Kubernetes minutes.
  it('are the chart’s where there are none, and outlive it', async () => {
    await runHelm('install', 'tombolo', CHART, '--create-namespace', ...setting(EAST));
    const uids = () => Promise.all(ours.map(async (crd) => (await cluster.api.find(crd))?.metadata.uid ?? 'absent'));
    const before = await uids();
    assert(!before.includes('absent'));
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ cidr: '192.0.2.0/29' }] });
    for (const _ of ['an upgrade', 'another']) await runHelm('upgrade', 'tombolo', CHART, ...setting(EAST));
    assert.deepEqual(await uids(), before);
    await installKinds(cluster.api, theirs);
    await runHelm('upgrade', 'tombolo', CHART, ...setting(EAST));
    await runHelm('uninstall', 'tombolo', '--no-hooks');
    assert.deepEqual(await uids(), before);
  });

  it('take MetalLB’s own pools unchanged, which give addresses', async () => {
    await installKinds(cluster.api, theirs);
    const samples = join(metallb, 'configsamples');
    for (const file of await readdir(samples)) {
      for (const manifest of manifestsIn(await readFile(join(samples, file), 'utf8'))) {
        if (manifest.kind !== 'IPAddressPool') continue;
        assertReadWhole(manifest);
        await put(manifest);
      }
    }
    const replica = startReplica(cluster.kubeconfig, 'one', METALLB_SYSTEM);
    try {
      assert.match(await given('web', 'tenant-a'), /^192\.168\.(9|10)\./);
      assert.equal(await given('selected', 'namespace-a', { app: 'bar' }), '192.168.20.1');
    } finally {
      await replica.stop();
    }
  });

  it('take the pools of Cilium’s documentation unchanged, in both versions, which give addresses', async () => {
    await installKinds(cluster.api, theirs);
    const text = await readFile(join(cilium, 'Documentation/network/lb-ipam.rst'), 'utf8');
    const pools = blocksOf(text)
      .flatMap(manifestsIn)
      .filter(({ kind }) => kind === 'CiliumLoadBalancerIPPool');
    assert(pools.length >= 4, `${pools.length} pools`);
    for (const pool of pools) {
      assertReadWhole(pool);
      for (const version of ['v2', 'v2alpha1']) await put({ ...pool, apiVersion: `cilium.io/${version}` });
    }
    const first = pools[0] ?? assert.fail();
    await cluster.api.remove(first);
    await put({ ...first, apiVersion: 'cilium.io/v2alpha1' });
    await cluster.api.remove({ ...first, metadata: { name: 'red-pool' } });
    const replica = startReplica(cluster.kubeconfig, 'one');
    try {
      assert.equal(await given('web', 'tenant-a'), '10.0.10.0');
    } finally {
      await replica.stop();
    }
  });

  const BLUE = { apiVersion: 'cilium.io/v2', kind: 'CiliumLoadBalancerIPPool', metadata: { name: 'blue' } };
  const SHOP = {
    ...{ apiVersion: 'metallb.io/v1beta1', kind: 'IPAddressPool' },
    metadata: { name: 'shop', namespace: METALLB_SYSTEM },
  };
  const MERGE = 'application/merge-patch+json';
  type Pool = KubernetesObject & {
    readonly status?: Readonly<Record<string, unknown>> & {
      readonly conditions?: readonly Readonly<Record<'type' | 'status' | 'message', string>>[];
    };
  };
  const conditionsOf = (pool: Pool | undefined) =>
    Object.fromEntries(
      (pool?.status?.conditions ?? []).map(({ type, status, message }) => [type, `${status} ${message}`]),
    );

  it('show in the status of a pool how many there are and are given, by whom ever, without a write for each Service', async () => {
    await installKinds(cluster.api, theirs);
    await put({ ...BLUE, spec: { blocks: [{ cidr: '192.0.2.0/28' }, { cidr: '2001:db8::/32' }] } });
    await put({ ...BLUE, metadata: { name: 'clashing' }, spec: { blocks: [{ cidr: '192.0.2.12/30' }] } });
    await put({ ...SHOP, spec: { addresses: ['198.51.100.0/28', 'fd00::/64'], avoidBuggyIPs: true } });
    const replica = startReplica(cluster.kubeconfig, 'one', METALLB_SYSTEM);
    try {
      await given('a', 'tenant-a');
      await given('b', 'tenant-a');
      await cluster.api.apply({
        ...{ apiVersion: 'v1', kind: 'Service' },
        metadata: { name: 'c', namespace: 'tenant-a', annotations: { 'metallb.io/address-pool': 'shop' } },
        spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      });
      const total = `${2n ** 96n + 16n}`;
      await cluster.api.waitFor<Pool>(BLUE, (pool) => conditionsOf(pool)['cilium.io/IPsUsed'] === 'Unknown 2');
      assert.deepEqual(conditionsOf((await cluster.api.find<Pool>(BLUE)) ?? assert.fail()), {
        'cilium.io/PoolConflict': 'False ',
        'cilium.io/IPsTotal': `Unknown ${total}`,
        'cilium.io/IPsAvailable': `Unknown ${BigInt(total) - 2n}`,
        'cilium.io/IPsUsed': 'Unknown 2',
      });
      const clashing = await cluster.api.find<Pool>({ ...BLUE, metadata: { name: 'clashing' } });
      assert.match(
        conditionsOf(clashing)['cilium.io/PoolConflict'] ?? '',
        /^True it overlaps the older pool cilium\/blue$/,
      );
      const shop = await cluster.api.waitFor<Pool>(SHOP, (pool) => pool?.status?.['assignedIPv4'] === 1);
      const { availableIPv6, ...rest } = shop?.status ?? {};
      assert.deepEqual(rest, { assignedIPv4: 1, assignedIPv6: 0, availableIPv4: 14 });
      assert(Number(availableIPv6) > 2 ** 62);
      const { resourceVersion } = clashing?.metadata ?? assert.fail();
      const begun = performance.now();
      const versions = new Set<string>();
      for (let i = 0; i < 10; i++) {
        await given(`more-${i}`, 'tenant-a');
        versions.add((await cluster.api.find(BLUE))?.metadata.resourceVersion ?? '');
      }
      const most = 2 + (performance.now() - begun) / 5_000;
      assert(versions.size <= most, `${versions.size} writes for 10 Services`);
      await cluster.api.waitFor<Pool>(BLUE, (pool) => conditionsOf(pool)['cilium.io/IPsUsed'] === 'Unknown 12');
      // What has not changed is not written.
      const same = await cluster.api.find({ ...BLUE, metadata: { name: 'clashing' } });
      assert.equal(same?.metadata.resourceVersion, resourceVersion);
    } finally {
      await replica.stop();
    }
  });

  it('show in Events what is wrong about a pool, once', async () => {
    await installKinds(cluster.api, theirs);
    const events = async () => {
      const { items } = await cluster.api.get<{
        readonly items: readonly {
          readonly reason: string;
          readonly message: string;
          readonly involvedObject: { readonly name: string };
        }[];
      }>('/api/v1/events');
      return items
        .filter(({ reason }) => reason === 'PoolProblem')
        .map(({ involvedObject, message }) => `${involvedObject.name}: ${message}`)
        .sort();
    };
    await put({ ...BLUE, spec: { blocks: [{ cidr: '192.0.2.0/28' }, { cidr: '192.0.2.8/29' }] } });
    const annotations = { 'lb.tombolo.io/cluster-share': '3/2' };
    const shared = { name: 'shared', namespace: METALLB_SYSTEM, annotations };
    await put({ ...SHOP, metadata: shared, spec: { addresses: ['203.0.113.0/28'] } });
    await put({ ...SHOP, spec: { addresses: ['198.51.100.7', '198.51.100.9/29'] } });
    const expected = [
      'blue: gives out nothing: ranges of its own overlap',
      'shared: metadata.annotations["lb.tombolo.io/cluster-share"] must be a part such as 2/5, the second of five: current value is "3/2"',
      'shop: spec.addresses[0] left out: expected a prefix such as 10.1.0.0/16: current value is "198.51.100.7"; ranges are written as 192.0.2.1-192.0.2.9',
    ];
    const before = new Set(await events());
    const replica = startReplica(cluster.kubeconfig, 'one', METALLB_SYSTEM);
    try {
      assert.equal(await given('a', 'tenant-a'), '198.51.100.8');
      const news = async () => (await events()).filter((each) => !before.has(each));
      await until('Events', async () => (await news()).length >= expected.length);
      assert.deepEqual(await news(), expected);
      await put({
        ...SHOP,
        metadata: { ...shared, annotations: { ...annotations, x: 'y' } },
        spec: { addresses: ['203.0.113.0/28'] },
      });
      await cluster.api.waitFor<Pool>(SHOP, (pool) => pool?.status?.['assignedIPv4'] === 1);
      assert.deepEqual(await news(), expected);
    } finally {
      await replica.stop();
    }
  });

  it('show nothing of ours in a status where the product itself writes it', async () => {
    await installKinds(cluster.api, theirs);
    await put({ ...SHOP, spec: { addresses: ['198.51.100.0/28'] } });
    const said = { assignedIPv4: 7, assignedIPv6: 0, availableIPv4: 9, availableIPv6: 0 };
    const path = `${objectPath(SHOP)}/status?fieldManager=controller`;
    await cluster.api.request('PATCH', path, { status: said }, MERGE);
    await put({ ...BLUE, spec: { blocks: [{ cidr: '192.0.2.0/28' }] } });
    const replica = startReplica(cluster.kubeconfig, 'one', METALLB_SYSTEM);
    try {
      await cluster.api.waitFor<Pool>(BLUE, (pool) => conditionsOf(pool)['cilium.io/IPsTotal'] !== undefined);
      await given('a', 'tenant-a');
      await cluster.api.waitFor<Pool>(BLUE, (pool) => conditionsOf(pool)['cilium.io/IPsUsed'] === 'Unknown 1');
      assert.deepEqual((await cluster.api.find<Pool>(SHOP))?.status, said);
    } finally {
      await replica.stop();
    }
  });

  it('may come before the chart, which leaves them as they are', async () => {
    await installKinds(cluster.api, theirs);
    const versions = () =>
      Promise.all(theirs.map(async (crd) => (await cluster.api.find(crd))?.metadata.resourceVersion));
    const before = await versions();
    await runHelm('install', 'tombolo', CHART, '--create-namespace', ...setting(EAST));
    assert.deepEqual(await versions(), before);
    await runHelm('uninstall', 'tombolo', '--no-hooks');
    assert.deepEqual(await versions(), before);
  });

  it('take no pool that cannot be used, once the chart’s policy is there, and any change of what was there before', async () => {
    await installKinds(cluster.api, theirs);
    const metallbPool = (addresses: readonly string[], annotations: Readonly<Record<string, string>> = {}) => ({
      ...{ apiVersion: 'metallb.io/v1beta1', kind: 'IPAddressPool' },
      ...{ metadata: { name: 'shop', namespace: METALLB_SYSTEM, annotations }, spec: { addresses } },
    });
    const ciliumPool = (block: object) => ({
      ...{ apiVersion: 'cilium.io/v2', kind: 'CiliumLoadBalancerIPPool' },
      ...{ metadata: { name: 'blue' }, spec: { blocks: [block] } },
    });
    const share = (text: string) => ({ 'lb.tombolo.io/cluster-share': text });
    await put(metallbPool(['192.0.2.7']));
    await runHelm('install', 'tombolo', CHART, '--create-namespace', ...setting(EAST));
    try {
      const isRefused = (pool: Manifest) =>
        put(pool).then(
          () => false,
          () => true,
        );
      // Another each time: one that got in before it was in force may stay as it is.
      let attempt = 0;
      const probes = [() => ciliumPool({ start: `x${attempt}` }), () => metallbPool([`192.0.2.${attempt}`])];
      for (const probe of probes)
        await until('the policy to be in force', () => {
          attempt += 1;
          const pool = probe();
          return isRefused({ ...pool, metadata: { ...pool.metadata, name: 'probe' } });
        });
      await put(metallbPool(['192.0.2.7'], { some: 'annotation' }));
      for (const [pool, message] of [
        [metallbPool([]), /spec\.addresses must be/],
        [metallbPool(['192.0.2.8']), /spec\.addresses must be/],
        [metallbPool(['192.0.2.1-192.0.2.2-192.0.2.3']), /spec\.addresses must be/],
        [metallbPool(['192.0.2.0/33']), /spec\.addresses must be/],
        [metallbPool(['192.0.2.0/28'], share('3/2')), /cluster-share must be/],
        [metallbPool(['192.0.2.0/28'], share('0/2')), /cluster-share must be/],
        [metallbPool(['192.0.2.0/28'], share('half')), /cluster-share must be/],
        [ciliumPool({}), /spec\.blocks must each/],
        [ciliumPool({ start: 'x' }), /spec\.blocks must each/],
        [ciliumPool({ start: '192.0.2.1', stop: 'x' }), /spec\.blocks must each/],
      ] as const) {
        await assert.rejects(put(pool), message, JSON.stringify(pool));
      }
      await put(metallbPool(['192.0.2.0/28', ' 192.0.2.32 - 192.0.2.40', '2001:db8::5/64'], share('2/2')));
      for (const block of [
        { cidr: '2001:db8::/32' },
        { start: '192.0.2.1' },
        { start: '192.0.2.1', stop: '192.0.2.9' },
      ])
        await put(ciliumPool(block));
    } finally {
      await runHelm('uninstall', 'tombolo', '--no-hooks');
      await cluster.api.remove(ciliumPool({}));
    }
  });

  it('may come after the chart’s, and read the pools that were made before', async () => {
    await installPoolKinds(cluster.api);
    await putCiliumPool(cluster.api, 'blue', { blocks: [{ cidr: '192.0.2.0/29' }], allowFirstLastIPs: 'No' });
    await put({
      ...{ apiVersion: 'metallb.io/v1beta1', kind: 'IPAddressPool' },
      metadata: { name: 'shop', namespace: METALLB_SYSTEM },
      spec: { addresses: ['198.51.100.1-198.51.100.9'], serviceAllocation: { namespaces: ['namespace-a'] } },
    });
    await installKinds(cluster.api, theirs);
    const replica = startReplica(cluster.kubeconfig, 'one', METALLB_SYSTEM);
    try {
      assert.equal(await given('a', 'tenant-a'), '192.0.2.1');
      assert.equal(await given('b', 'namespace-a'), '198.51.100.1');
      // And back, as somebody does who wants the chart's.
      await installPoolKinds(cluster.api);
      assert.equal(await given('c', 'tenant-a'), '192.0.2.2');
    } finally {
      await replica.stop();
    }
  });

  for (const [kind, convert] of Object.entries(POOL_KINDS)) {
    it(`let nothing through that the conversion of ${kind} cannot bear`, async () => {
      const crd = theirs.find(({ spec }) => (spec as { names: { kind: string } }).names.kind === kind);
      const { versions } = (crd ?? assert.fail())['spec'] as {
        readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[];
      };
      for (const { schema } of versions) {
        const spec = schema.openAPIV3Schema.properties?.['spec'] ?? assert.fail();
        const about = { name: 'a', creationTimestamp: '2026-01-01T00:00:00Z' };
        fc.assert(
          fc.property(anyOf(spec), (value) => {
            const converted = convert({ metadata: about, spec: value } as Json);
            assert(converted.kind !== 'ignored');
            if (converted.kind === 'refused') assert.match(converted.reason, /^spec\..* must be /);
            else
              for (const warning of converted.warnings)
                assert.match(warning, /^spec\.(blocks|addresses)(\[\d+\]| is empty)/);
          }),
        );
      }
    });
  }

  // The last, for the same reason.
  it('come with MetalLB’s chart after ours only if that is told to take over the kinds that are there', async () => {
    await installPoolKinds(cluster.api);
    const chart = join(metallb, 'charts/metallb/charts/crds');
    const refused = await helm('install', 'metallb-crds', chart, ...where());
    assert.equal(refused.ok, false);
    assert.match(refused.stderr, /exists and cannot be imported|conflict|invalid ownership/i);
    await runHelm('install', 'metallb-crds', chart, '--take-ownership', '--server-side=true', '--force-conflicts');
    // They go with that release, and all pools with them.
    areGoing = true;
    await runHelm('uninstall', 'metallb-crds');
    const pools = ours.find(({ metadata }) => metadata.name === 'ipaddresspools.metallb.io') ?? assert.fail();
    const isGoing = (found: KubernetesObject | undefined): boolean => found?.metadata.deletionTimestamp !== undefined;
    await cluster.api.waitFor(pools, (found) => found === undefined || isGoing(found));
  });

  const where = (): readonly string[] => [`--kubeconfig=${cluster.kubeconfig}`, '--namespace=tombolo'];

  async function runHelm(...words: readonly string[]): Promise<void> {
    const { ok, stderr } = await helm(...words, ...where());
    assert(ok, stderr);
  }
});

/** The blocks of YAML in a page of reStructuredText. */
const blocksOf = (page: string): readonly string[] =>
  [...page.matchAll(/^ *\.\. code-block:: yaml\n\n((?: +.*\n|\n)+)/gm)].map(([, block = '']) => block);

function assertReadWhole(manifest: Manifest): void {
  const convert = POOL_KINDS[manifest.kind as keyof typeof POOL_KINDS];
  const converted = convert(manifest as unknown as Json);
  assert(converted.kind === 'value', inspect(converted));
  assert.deepEqual(converted.warnings, [], manifest.metadata.name);
}

/** Anything that a schema lets through; texts are addresses now and then. */
function anyOf(schema: Schema): fc.Arbitrary<unknown> {
  switch (schema.type) {
    case 'object': {
      if (schema.additionalProperties) return fc.dictionary(fc.string(), anyOf(schema.additionalProperties));
      const fields = Object.entries(schema.properties ?? {}).map(([name, each]) => [name, anyOf(each)] as const);
      return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
    }
    case 'array':
      return fc.array(anyOf(schema.items ?? {}), { maxLength: 4 });
    case 'string':
      return schema.enum ? fc.constantFrom(...schema.enum) : fc.oneof(TEXT, fc.string());
    case 'integer':
      return fc.integer();
    case 'boolean':
      return fc.boolean();
    default:
      return fc.constant({});
  }
}

const TEXT = fc.constantFrom('192.0.2.0/24', '192.0.2.7', '192.0.2.9-192.0.2.1', '2001:db8::/64', '::/0', 'In', '');
