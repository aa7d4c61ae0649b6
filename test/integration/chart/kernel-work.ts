/**
 * What an agent does in the kernel, all of it once, with whatever capabilities this process has been left with:
 * `kernel-work.ts PIN-DIR CGROUP`. Opens both halves, programs a Service, changes it, adopts it as a second agent would,
 * takes everything out again, and would answer ARP.
 */
import { Responder } from '@tombolo/node-agent/announce/l2/responder.ts';
import { SegmentSocket } from '@tombolo/node-agent/announce/l2/segment-socket.ts';
import { InterfaceAddresses } from '@tombolo/node-agent/datapath/netlink/addresses.ts';
import { NO_NODE_FACTS } from '@tombolo/node-agent/datapath/node-facts.ts';
import { openDatapath } from '@tombolo/node-agent/datapath/open.ts';
import { uninstall } from '@tombolo/node-agent/uninstall.ts';
import { silentLogger as log } from '@tombolo/shared/process/logger.ts';
import { only, route } from '../ebpf/routes.ts';

const [pinDir = '', cgroupRoot = ''] = process.argv.slice(2);
const SERVICE = '10.96.0.1:80';
const addresses = new InterfaceAddresses();
const interfaces = await addresses.read();
await addresses.close();
const facts = { ...NO_NODE_FACTS, interfaces, addresses: new Set(interfaces.map(({ address }) => address)) };

async function serve(backends: readonly string[], expected: number): Promise<void> {
  const opened = await openDatapath({ choice: 'auto', packets: 'ebpf', pinDir, cgroupRoot, node: () => facts, log });
  if (opened.name !== 'ebpf+nftables') throw new Error(`Only ${opened.name}: ${opened.reason}`);
  for (const half of opened.halves) {
    const found = await half.read();
    if (found.length !== expected) throw new Error(`${half.name} has ${found.length} routes: expected ${expected}`);
    await half.replace(only(route(SERVICE, backends)));
    const { failures } = await half.apply(only(route(SERVICE, backends.slice(1))));
    if (failures.length > 0) throw new Error(`${half.name} failed: ${JSON.stringify(failures)}`);
    await half.close();
  }
}

const many = Array.from({ length: 20 }, (_, i) => `10.200.0.${i + 1}:8080`);
await serve(many, 0);
await serve(['10.200.0.1:8080', '10.200.0.2:8080'], 1);
await uninstall({ bpfDirectory: pinDir, bgpEngineDirectory: pinDir, bgpDrainMs: 0 }, log);

const responder = new Responder();
const refused = responder.attach(new Set(interfaces.map(({ index }) => index)));
if (refused.size > 0) throw new Error([...refused.values()].join('; '));
responder.set([]);
responder.lease(1_000);
const socket = new SegmentSocket();
socket.close();
await responder.close();
