/**
 * The eBPF datapath with packets, in the network namespace that this process is started in:
 * `agent.ts PIN-DIR CGROUP HOOKS yes|no FLOWS`. Does what it is told, a line of JSON each (`Order`), and answers each with one.
 */
import { createInterface } from 'node:readline';
import { openEbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import type { HookKind } from '@tombolo/node-agent/datapath/ebpf/packets/hooks.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { lookAtNode } from './facts.ts';

export type Order =
  | { readonly do: 'replace' | 'set'; readonly routes: readonly FrontendRoute[] }
  | { readonly do: 'refresh' | 'verify' | 'foreign' | 'close' | 'destroy' };

const [pinDir = '', cgroupRoot = '', hooks = '', wanted = 'yes', flows = ''] = process.argv.slice(2);
let facts = await lookAtNode();
const datapath = await openEbpfDatapath({
  ...{ pinDir, cgroupRoot, packets: wanted as 'yes' | 'no', sweepDelayMs: 20, node: () => facts },
  sizes: { flows: Number(flows) },
  ...(hooks !== '' && { packetHooks: hooks as HookKind }),
});

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'replace':
      return datapath.replace(new Map(order.routes.map((route) => [frontendId(route.frontend), route])));
    case 'set':
      return datapath.apply(new Map(order.routes.map((route) => [frontendId(route.frontend), route])));
    case 'refresh':
      facts = await lookAtNode();
      return datapath.refresh();
    case 'verify':
      return (await datapath.verify()) ?? null;
    case 'foreign':
      return datapath.foreign();
    case 'close':
      return datapath.close();
    case 'destroy':
      return datapath.destroy();
  }
}

process.stdout.write('"ready"\n');
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  try {
    process.stdout.write(`${JSON.stringify((await obey(order)) ?? null)}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`);
  }
  if (order.do === 'close' || order.do === 'destroy') break;
}
process.stdin.destroy();
