/** A node's CNI configuration: a veth pair for each pod and a route to it, no bridge, so that all packets are routed. */
import type { NodePlan } from '@tombolo/machine/node-plan.ts';

export function cniConfig(node: NodePlan, families: readonly ('ipv4' | 'ipv6')[]): string {
  const ranges = families.map((family) =>
    family === 'ipv4'
      ? { subnet: node.podCidr, gateway: node.gateway }
      : { subnet: node.podCidr6, gateway: node.gateway6 },
  );
  const routes = families.map((family) => ({ dst: family === 'ipv4' ? '0.0.0.0/0' : '::/0' }));
  const ipam = {
    type: 'host-local',
    dataDir: `${node.directory}/ipam`,
    ranges: ranges.map((range) => [range]),
    routes,
  };
  const plugins = [
    { type: 'ptp', ipMasq: false, ipam },
    { type: 'portmap', capabilities: { portMappings: true }, snat: true },
  ];
  return JSON.stringify({ cniVersion: '1.0.0', name: 'node', plugins });
}
