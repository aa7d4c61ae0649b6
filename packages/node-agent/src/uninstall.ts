/**
 * Takes every trace of the agent off a node: out of FRR, which goes on telling routers of it, and out of the kernel. Stopping
 * the agent does not: what it said and programmed goes on, since a restart is not a withdrawal. Routers come first, while the
 * kernel still forwards what they send.
 */
import { existsSync } from 'node:fs';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { FrrEngine } from './announce/bgp/engine.ts';
import { removeResponder } from './announce/l2/responder.ts';
import type { LeftBehind } from './config.ts';
import { removeEbpfDatapath } from './datapath/ebpf/open.ts';
import { openNftablesDatapath } from './datapath/nftables/open.ts';
import { claimNode } from './only-agent.ts';

/** Throws a sentence while an agent runs here. */
export async function uninstall(
  { bpfDirectory, bgpEngineDirectory, bgpDrainMs }: LeftBehind,
  log: Logger,
): Promise<void> {
  const claim = await claimNode();
  try {
    await leaveRouters(bgpEngineDirectory, bgpDrainMs, log);
    removeEbpfDatapath(bpfDirectory);
    await removeResponder();
    const packets = await openNftablesDatapath({ table: 'tombolo', log });
    if (packets.ok) await packets.value.destroy();
    else log.warn({ reason: packets.error }, 'Cannot look for nftables tables');
    log.info({ bpfDirectory }, 'Nothing of Tombolo is left in the kernel');
  } finally {
    await claim.close();
  }
}

/** Where there is no FRR, nothing was announced. */
async function leaveRouters(directory: string, drainMs: number, log: Logger): Promise<void> {
  if (!existsSync(`${directory}/bgpd.vty`)) return;
  try {
    const problems = await new FrrEngine(directory).leave(drainMs);
    if (problems.length > 0) log.warn({ directory, problems }, 'Not all of Tombolo could be taken out of FRR');
    else log.info({ directory }, 'Nothing of Tombolo is left in FRR');
  } catch (error) {
    log.warn({ directory, error }, 'Cannot take out of FRR what Tombolo announces there');
  }
}
