/**
 * One node's layer 2 as a process of its own, so that it can be killed, halted and cut off: `speaker.ts CONFIG` (JSON). It
 * prints a line of JSON whenever something is different that a test may ask about, and does what a line on its input says.
 */
import { createInterface } from 'node:readline';
import { Layer2, type Layer2Node } from '@tombolo/node-agent/announce/l2/layer2.ts';
import { MemoryTable } from '@tombolo/node-agent/announce/memory-table.fixture.ts';
import { ServiceAddresses } from '@tombolo/node-agent/announce/service-addresses.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { sampleEndpoint, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { systemClock } from '@tombolo/shared/process/clock.ts';
import { createLogger } from '@tombolo/shared/process/logger.ts';
import { SPEAKER_PORT, type SpeakerConfig, type SpeakerState } from './speaker-config.ts';

const config: SpeakerConfig = JSON.parse(process.argv[2] ?? '');
const { me, nodes, key, addresses } = config;
const log = createLogger(`speaker ${me}`);
const table = new MemoryTable();
const serviceAddresses = new ServiceAddresses(
  { table, applied: () => 1e9 },
  { name: me, scope: 'all', isExcluded: false },
);
for (const [i, address] of addresses.entries()) {
  const family = address.includes(':') ? 6 : 4;
  const service = sampleService(serviceKey('shop', `cart-${i}`), { clusterIps: [], loadBalancerIps: [address] });
  const endpoints = [sampleEndpoint(family === 4 ? '10.1.0.1' : 'fd01::1')];
  table.set({ key: service.key, service, takesPart: true, endpoints, remotes: [], refusedFrontends: new Map() });
}
let isServing = true;
const layer2 = await Layer2.open({
  ...{ me, address: nodes[me] as IpAddress, port: SPEAKER_PORT, key: Buffer.from(key) },
  ...{ addresses: serviceAddresses, isServing: () => isServing, clock: systemClock, log },
});
const about = (name: string, address: IpAddress): Layer2Node => ({
  name,
  labels: { node: name },
  isExcluded: false,
  address,
});
layer2.setNodes(new Map(Object.entries(nodes).map(([name, address]) => [name, about(name, address)])));
layer2.setAdvertisements([
  { product: 'cilium', name: 'all', kinds: ['LoadBalancer'], services: [], nodes: [], preferences: [], interfaces: [] },
]);

let told = '';
setInterval(() => {
  const { statuses, problems, members } = layer2;
  const state: SpeakerState = {
    owners: Object.fromEntries(statuses.map(({ address, election }) => [address, election.owner])),
    answers: statuses.filter(({ isAnswered }) => isAnswered).map(({ address }) => address),
    problems,
    members: [...members.keys()].sort(),
  };
  const text = JSON.stringify(state);
  if (text !== told) process.stdout.write(`${text}\n`);
  told = text;
}, 20);

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'stop serving') isServing = false;
  if (line === 'serve') isServing = true;
});
process.on('SIGTERM', () => void layer2.close().then(() => process.exit(0)));
