/**
 * Takes every trace of the agent out of a node's kernel. Stopping the agent does not: what it programmed goes on, since a
 * restart is not a withdrawal.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { removeResponder } from './announce/l2/responder.ts';
import { removeEbpfDatapath } from './datapath/ebpf/open.ts';
import { openNftablesDatapath } from './datapath/nftables/open.ts';
import { claimNode } from './only-agent.ts';

/** Throws a sentence while an agent runs here. */
export async function uninstall(bpfDirectory: string, log: Logger): Promise<void> {
  const claim = await claimNode();
  try {
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
