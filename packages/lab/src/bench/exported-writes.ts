/** The `writes` of the churn benchmark: what a clustermesh-apiserver writes for a large Service that keeps changing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { HEALTH_PORTS } from '../mesh/programs.ts';
import type { AgentLab } from './agent-lab.ts';
import { Helper } from './helper.ts';
import { endpointSlice } from './local-pods.ts';
import { globalService } from './remote-entries.ts';
import type { Question } from './remote-etcd.ts';
import { type BenchResult, summarise } from './results.ts';

const NAME = 'export';
const SLICES = 100;
const A_SLICE = 100;
const PER_SECOND = 20;
const SECONDS = 30;
const SETTLE_MS = 2000;

export interface Writes {
  /** Of the Service's entry, each second. */
  readonly perSecond: number;
  readonly note: string;
}

interface Entry {
  /** Puts so far. */
  readonly version: number;
  readonly bytes: number;
}

export const writesRow = (writes: readonly Writes[]): readonly BenchResult[] =>
  writes.length === 0
    ? []
    : [
        summarise(
          'writes',
          'writes/s',
          'lower',
          writes.map(({ perSecond }) => ({ value: perSecond, baseline: 1 })),
        ),
      ];

const sliceOf = (number: number, unready?: number) =>
  endpointSlice(
    NAME,
    `${NAME}-${number}`,
    Array.from({ length: A_SLICE }, (_, i) => `10.3.${number}.${i + 1}`),
    unready,
  );

export async function measureWrites(lab: AgentLab, signal: AbortSignal): Promise<Writes> {
  const { plan, apiserver } = lab.east;
  const etcd = await Helper.start('remote-etcd', [plan.etcdEndpoint, plan.name, `${plan.id}`], plan.controlPlane);
  const key = `cilium/state/services/v1/${plan.name}/default/${NAME}`;
  const entry = () => etcd.ask<Entry>({ do: 'entry', key } satisfies Question);
  try {
    if ((await lab.api.find(sliceOf(0))) === undefined)
      await lab.create([...Array.from({ length: SLICES }, (_, i) => sliceOf(i)), globalService('default', NAME)]);
    await lab.timeToReady(apiserver, `http://${plan.controlPlane.address}:${HEALTH_PORTS.apiserver}/readyz`);
    const { bytes, version } = await waitUntil(`${key} in etcd`, async () => {
      const found = await entry();
      return found.version > 0 && found;
    });
    await sleep(SETTLE_MS, undefined, { signal });
    const changed = performance.now();
    await change(lab, 0, 0);
    await waitUntil('the first change in etcd', async () => (await entry()).version > version, { everyMs: 5, signal });
    const firstMs = performance.now() - changed;
    await sleep(SETTLE_MS, undefined, { signal });
    const before = await entry();
    const sent = await keepChanging(lab, signal);
    const written = (await atRest(entry, signal)).version - before.version;
    const megabytes = (written * bytes) / 1e6;
    return {
      perSecond: written / SECONDS,
      note: `writes: of the entry of a Service of ${SLICES * A_SLICE} backends in ${SLICES} slices, with ${(sent / SECONDS).toFixed(1)} slice updates/s for ${SECONDS} s; ${written} writes of ${(bytes / 1e6).toFixed(2)} MB, ${megabytes.toFixed(0)} MB in all; baseline: one write/s; a single change after a rest is written after ${firstMs.toFixed(0)} ms`,
    };
  } finally {
    await apiserver.stop(); // It lets go of its Lease; killed, the next one would have to wait.
    await etcd.end();
  }
}

/** When it has not been written for a while: an exporter may be behind. */
async function atRest(entry: () => Promise<Entry>, signal: AbortSignal): Promise<Entry> {
  for (let last = await entry(); ; ) {
    await sleep(SETTLE_MS, undefined, { signal });
    const now = await entry();
    if (now.version === last.version) return now;
    last = now;
  }
}

async function change(lab: AgentLab, number: number, unready: number | undefined): Promise<void> {
  const { endpoints, ...slice } = sliceOf(number, unready);
  await lab.api.patch(slice, { endpoints });
}

/** One slice after another loses a pod or gets it back. Returns how many changes were sent. */
async function keepChanging(lab: AgentLab, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  let sent = 0;
  for (; performance.now() - began < SECONDS * 1000; sent++) {
    await change(lab, sent % SLICES, Math.floor(sent / SLICES) % 2 === 0 ? 1 : undefined);
    await sleep(Math.max(0, began + ((sent + 1) * 1000) / PER_SECOND - performance.now()), undefined, { signal });
  }
  return sent;
}
