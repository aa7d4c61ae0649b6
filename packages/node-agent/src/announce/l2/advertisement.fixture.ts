/** Advertisements for tests: of all LoadBalancer addresses, from all nodes, at all interfaces, but for what is given. */
import type { L2Advertisement } from '@tombolo/shared/model/l2-advertisement.ts';

export const advertisement = (fields: Partial<L2Advertisement> = {}): L2Advertisement => ({
  ...{ product: 'cilium', name: 'all', kinds: ['LoadBalancer'] },
  ...{ services: [], nodes: [], preferences: [], interfaces: [] },
  ...fields,
});
