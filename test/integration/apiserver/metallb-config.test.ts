/** `tombolo lb convert-configmap` against what MetalLB's own converter makes of MetalLB's own examples. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { convertMetallbConfig } from '@tombolo/cli/metallb-config.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { METALLB, productFiles } from '@tombolo/real-kubernetes/building/products.ts';
import { manifestsIn } from '../../pools.ts';

type Spec = Readonly<Record<string, unknown>>;

/** Two ways to say the same: what it leaves out has this value. */
const DEFAULTS: Spec = {
  ...{ holdTime: '90s', avoidBuggyIPs: false, echoMode: false, passiveMode: false, ebgpMultiHop: false },
  ...{ passwordSecret: {}, keepaliveTime: '0s' },
};

/** Durations in seconds. */
function plain(value: unknown): unknown {
  const [, minutes, seconds] = /^(?:(\d+)m)?(\d+)s$/.exec(`${value}`) ?? [];
  return seconds === undefined ? value : `${Number(minutes ?? 0) * 60 + Number(seconds)}s`;
}

function specOf(manifest: Manifest): Spec {
  const spec = Object.entries(manifest['spec'] as Spec).map(([name, value]) => [name, plain(value)] as const);
  return Object.fromEntries(spec.filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(DEFAULTS[name])));
}

const comparable = (manifests: readonly Manifest[]) =>
  manifests
    .map((each) => [`${each.apiVersion} ${each.kind}`, each.metadata.namespace, each.metadata.name, specOf(each)])
    .sort((a, b) => (`${a}` < `${b}` ? -1 : 1));

describe('what was a ConfigMap of MetalLB', () => {
  it('becomes the objects that MetalLB’s converter makes of it', async () => {
    const directory = join(await productFiles(METALLB), 'configmaptocrs/testdata');
    const files = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith('.yaml'));
    assert(files.length >= 10);
    for (const file of files) {
      // It makes of this a pool that nobody announces, where we refuse; no other text of theirs has it.
      const isUnheard = (text: string) => /^ *protocol: l2$/m.test(text);
      const text = await readFile(join(directory, file), 'utf8');
      if (isUnheard(text)) {
        const refused = convertMetallbConfig(text);
        assert(!refused.ok);
        assert.match(refused.error, /^config\.address-pools\[\d\]\.protocol must be layer2 or bgp: [^\n]*$/);
      }
      const converted = convertMetallbConfig(text.replace(/^( *)protocol: l2$/m, '$1protocol: layer2'));
      assert(converted.ok, `${file}: ${converted.ok ? '' : converted.error}`);
      const expected = comparable(
        manifestsIn(await readFile(join(directory, file.replace('.yaml', '.golden')), 'utf8')),
      );
      const found = comparable(manifestsIn(converted.value.yaml)).filter(
        ([kind]) => !(isUnheard(text) && `${kind}`.endsWith('L2Advertisement')),
      );
      assert.deepEqual(found, expected, file);
    }
  });
});
