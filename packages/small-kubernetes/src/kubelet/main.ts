/** The kubelet of one development node, as a program: `main.ts --plan FILE` with the node's `NodePlan` as JSON. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { createLogger } from '@tombolo/shared/process/logger.ts';
import { Kubelet } from './kubelet.ts';

const { values } = parseArgs({ options: { plan: { type: 'string' } } });
if (values.plan === undefined) {
  console.error('Usage: main.ts --plan FILE');
  process.exit(2);
}
const node = JSON.parse(readFileSync(values.plan, 'utf8')) as NodePlan;
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
await new Kubelet(node, createLogger('kubelet').child({ node: node.name })).run(stop.signal);
process.exit(0);
