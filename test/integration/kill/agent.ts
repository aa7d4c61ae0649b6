/**
 * A process that changes the table without end and waits to be killed:
 * `agent.ts ebpf|packets|nftables STEP ADDRESS,... PIN-DIR CGROUP`. Prints each step that is in force.
 */
import { openEbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { openNftablesDatapath } from '@tombolo/node-agent/datapath/nftables/open.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { lookAtNode } from '../packets/facts.ts';
import { changesAt } from './churn.ts';

const [kind, firstStep = '', list = '', pinDir = '', cgroupRoot = ''] = process.argv.slice(2);
const addresses = list.split(',');

async function open() {
  if (kind === 'ebpf') return openEbpfDatapath({ pinDir, cgroupRoot, sweepDelayMs: 1 });
  if (kind === 'packets') {
    const facts = await lookAtNode();
    return openEbpfDatapath({ pinDir, cgroupRoot, sweepDelayMs: 1, packets: 'yes', node: () => facts });
  }
  const opened = await openNftablesDatapath({ table: 'tombolo', log: silentLogger });
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
}

const datapath = await open();
await datapath.read();
const desired = [...changesAt(Number(firstStep), addresses)].filter(([, route]) => route !== undefined);
await datapath.replace(new Map(desired) as Routes);
for (let step = Number(firstStep) + 1; ; step += 1) {
  const { failures } = await datapath.apply(changesAt(step, addresses));
  if (failures.length > 0) throw new Error(`Cannot go on at step ${step}: ${JSON.stringify(failures)}`);
  process.stdout.write(`${step}\n`);
}
