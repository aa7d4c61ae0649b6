/** Opens the nftables datapath, or says in one sentence why this machine cannot have it. */
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import type { Datapath } from '../datapath.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { Conntrack } from './conntrack.ts';
import { KernelTables, probeFamilies } from './kernel-tables.ts';
import { NftablesDatapath, type NftablesOptions } from './nftables.ts';

/**
 * Also tells whether it would work; a machine that can do IPv4 only is served IPv4 only, with a warning. Sockets are
 * opened before the first await, so that a caller can do this from within another network namespace.
 */
export async function openNftablesDatapath(options: NftablesOptions): Promise<Result<Datapath>> {
  let socket: NetlinkSocket;
  try {
    socket = new NetlinkSocket();
  } catch (error) {
    return fail(reasonOf(error));
  }
  const conntrack = openConntrack(options);
  const support = await probeFamilies(socket, options.table);
  const refusals = [...support].flatMap(([family, { refusal }]) =>
    refusal === undefined ? [] : [{ family, refusal }],
  );
  if (refusals.length === support.size) {
    await conntrack?.close();
    await socket.close();
    return fail(sentenceOf(refusals[0]?.refusal ?? ''));
  }
  for (const { family, refusal } of refusals) {
    options.log.warn({ family, reason: refusal }, 'this kernel cannot balance one address family by nftables');
  }
  return ok(new NftablesDatapath(new KernelTables(socket, options.table, support), conntrack, options));
}

const sentenceOf = (refusal: string): string =>
  refusal.includes('EPERM')
    ? 'this process lacks the privileges: expected root or CAP_NET_ADMIN'
    : `this kernel does not take the ruleset: ${refusal.replace(/^Cannot [^:]*: /, '')}`;

function openConntrack({ log }: NftablesOptions): Conntrack | undefined {
  try {
    return new Conntrack();
  } catch (error) {
    log.warn({ error }, 'connection tracking cannot be asked: UDP flows to removed backends end by their own timeout');
    return undefined;
  }
}
