/** Opens the nftables datapath, or says in one sentence why this machine cannot have it. */
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import type { Datapath } from '../datapath.ts';
import { Conntrack } from './conntrack.ts';
import { KernelTables, probeFamilies } from './kernel-tables.ts';
import { Nft } from './libnftables.ts';
import { NftablesDatapath, type NftablesOptions } from './nftables.ts';

/**
 * Also tells whether it would work; a machine that can do IPv4 only is served IPv4 only, with a warning. Sockets are
 * opened before the first await, so that a caller can do this from within another network namespace.
 */
export async function openNftablesDatapath(options: NftablesOptions): Promise<Result<Datapath>> {
  let nft: Nft;
  try {
    nft = new Nft();
  } catch (error) {
    return fail(sentenceOf(error));
  }
  const conntrack = openConntrack(options);
  const support = await probeFamilies(nft, options.table);
  const refusals = [...support].flatMap(([family, { refusal }]) =>
    refusal === undefined ? [] : [{ family, refusal }],
  );
  if (refusals.length === support.size) {
    conntrack?.close();
    await nft.close();
    return fail(reasonOf(refusals[0]?.refusal ?? ''));
  }
  for (const { family, refusal } of refusals) {
    options.log.warn({ family, reason: refusal }, 'this kernel cannot balance one address family by nftables');
  }
  return ok(new NftablesDatapath(new KernelTables(nft, options.table, support), conntrack, options));
}

const reasonOf = (refusal: string): string =>
  refusal.includes('Operation not permitted')
    ? 'this process lacks the privileges: expected root or CAP_NET_ADMIN'
    : `this kernel does not take the ruleset: ${refusal.replace(/^Cannot run nft: /, '')}`;

function openConntrack({ log }: NftablesOptions): Conntrack | undefined {
  try {
    return new Conntrack();
  } catch (error) {
    log.warn({ error }, 'connection tracking cannot be asked: UDP flows to removed backends end by their own timeout');
    return undefined;
  }
}

const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
