/** MetalLB's own example manifests for announcing, as its module has them: each is read, and what is not supported is said. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { METALLB, productFiles } from '@tombolo/real-kubernetes/building/products.ts';
import {
  convertBfdProfile,
  convertBgpAdvertisement,
  convertBgpPeer,
  convertCommunity,
} from '@tombolo/shared/kubernetes/bgp-objects.ts';
import type { Convert } from '@tombolo/shared/kubernetes/conversion.ts';
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import { convertL2Advertisement } from '@tombolo/shared/kubernetes/l2-advertisement-objects.ts';
import { parseAllDocuments } from 'yaml';

const CONVERTERS: Readonly<Record<string, Convert<unknown>>> = {
  BGPPeer: convertBgpPeer,
  BGPAdvertisement: convertBgpAdvertisement,
  BFDProfile: convertBfdProfile,
  Community: convertCommunity,
  L2Advertisement: convertL2Advertisement,
};

describe('MetalLB’s own examples', () => {
  it('are read, all but the one of a VRF', async () => {
    const directory = join(await productFiles(METALLB), 'configsamples');
    const refused: string[] = [];
    let read = 0;
    for (const file of (await readdir(directory)).filter((name) => name.endsWith('.yaml'))) {
      for (const document of parseAllDocuments(await readFile(join(directory, file), 'utf8'))) {
        const object = document.toJS() as Json | null;
        const convert = CONVERTERS[`${object?.['kind']}`];
        if (!object || !convert) continue;
        const conversion = convert(object);
        if (conversion.kind === 'refused') refused.push(`${file}: ${conversion.reason}`);
        else if (conversion.kind === 'value' && conversion.warnings.length === 0) read += 1;
      }
    }
    assert.deepEqual(refused, [
      'bgppeer_with_vrf.yaml: spec.vrf must be absent, since VRFs are not supported: current value is "red"',
    ]);
    assert.ok(read >= 19, `${read} were read`);
  });
});
