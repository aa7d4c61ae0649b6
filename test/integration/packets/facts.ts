/** What an agent is told of the rig's node: who its pods are, and what it is known by. */
import { InterfaceAddresses } from '@tombolo/node-agent/datapath/netlink/addresses.ts';
import { type NodeFacts, nodeFacts } from '@tombolo/node-agent/datapath/node-facts.ts';
import { cidr, ip } from '@tombolo/shared/model/ip.ts';

/** In the network namespace that this process is in. */
export async function lookAtNode(): Promise<NodeFacts> {
  const interfaces = new InterfaceAddresses();
  try {
    return nodeFacts({
      addresses: ['192.0.2.1', 'fd03::1'].map(ip),
      podCidrs: ['10.1.0.0/16', 'fd01::/64'].map(cidr),
      pods: [],
      interfaces: await interfaces.read(),
      nodePortAddresses: 'all',
    });
  } finally {
    await interfaces.close();
  }
}
