/** EndpointSlices of the largest size, as the controller makes them of a Service with thousands of endpoints. */
import assert from 'node:assert/strict';
import { TroubledControlPlane } from './control-plane.ts';
import { Programs } from './programs.ts';
import { openShop, type SliceEndpoint, setSlice } from './shop.ts';

/** The most that an API server takes. */
const FULL = 1_000;
const TIMEOUT_MS = 60_000;

const address = (i: number): string => `10.${100 + Math.floor(i / 250)}.0.${1 + (i % 250)}`;
/** The endpoints from one number up to another, those not ready that are said to be. */
const endpoints = (from: number, to: number, unready: (i: number) => boolean = () => false): readonly SliceEndpoint[] =>
  Array.from({ length: to - from }, (_, i) => ({ address: address(from + i), ready: !unready(from + i) }));
const addresses = (list: readonly SliceEndpoint[]): readonly string[] =>
  list.filter(({ ready }) => ready).map((each) => each.address);

describe('a Service with 3,500 endpoints in slices of 1,000', () => {
  let kubernetes: TroubledControlPlane;
  let programs: Programs;

  before(async () => {
    kubernetes = await TroubledControlPlane.start({ name: 'kflarge' });
    await openShop(kubernetes.api, []);
    programs = await Programs.start(await kubernetes.kubeconfig());
  });
  after(async () => {
    await programs?.close();
    await kubernetes?.close();
  });

  const set = (number: number, list: readonly SliceEndpoint[]) => setSlice(kubernetes.api, `web-${number}`, list);
  const remove = (number: number) =>
    kubernetes.api.remove({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `web-${number}`, namespace: 'shop' },
    });

  it('is taken over whole', async () => {
    for (let slice = 0; slice < 4; slice++)
      await set(slice + 1, endpoints(slice * FULL, Math.min(3_500, (slice + 1) * FULL)));
    await programs.have(addresses(endpoints(0, 3_500)), TIMEOUT_MS);
  });

  it('loses what is not ready, in each slice, and gets it back', async () => {
    const seventh = (i: number) => i % 7 === 0;
    for (const slice of [1, 3])
      await set(slice + 1, endpoints(slice * FULL, Math.min(3_500, (slice + 1) * FULL), seventh));
    const unready = (i: number) => seventh(i) && Math.floor(i / FULL) % 2 === 1;
    await programs.have(addresses(endpoints(0, 3_500, unready)), TIMEOUT_MS);
    for (const slice of [1, 3]) await set(slice + 1, endpoints(slice * FULL, Math.min(3_500, (slice + 1) * FULL)));
    await programs.have(addresses(endpoints(0, 3_500)), TIMEOUT_MS);
  });

  it('shrinks to what fits into fewer slices: who moves from one to another is never missing', async () => {
    programs.takePublished();
    // 900 to 1,900 remain: the first slice is filled up with those of the second, and only then are the others removed.
    const remaining = endpoints(900, 1_900);
    await set(1, remaining);
    for (const slice of [2, 3, 4]) await remove(slice);
    await programs.have(addresses(remaining), TIMEOUT_MS);
    for (const published of programs.takePublished()) {
      const used = new Set(published);
      assert.ok(addresses(remaining).every((each) => used.has(each)));
    }
  });

  it('grows again, beyond one slice, and vanishes with the last of them', async () => {
    await set(2, endpoints(1_900, 2_900));
    await programs.have(addresses(endpoints(900, 2_900)), TIMEOUT_MS);
    await remove(1);
    await remove(2);
    await programs.have([], TIMEOUT_MS);
  });
});
