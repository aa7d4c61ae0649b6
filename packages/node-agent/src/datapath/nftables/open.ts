/** Opens the nftables datapath, or says in one sentence why this machine cannot have it. */
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import type { Datapath } from '../datapath.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { Conntrack } from './conntrack.ts';
import { KernelTables, probeFamilies } from './kernel-tables.ts';
import { NftablesDatapath, type NftablesOptions } from './nftables.ts';
import { TableWatch } from './table-watch.ts';

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
  const watch = tryOpening(
    options,
    () => new TableWatch(options.table, socket.port),
    'changes by others are seen late',
  );
  const conntrack = tryOpening(
    options,
    () => new Conntrack(),
    'UDP flows to removed backends end by their own timeout',
  );
  const support = await probeFamilies(socket, options.table);
  const refusals = [...support].flatMap(([family, { refusal }]) =>
    refusal === undefined ? [] : [{ family, refusal }],
  );
  if (refusals.length === support.size) {
    watch?.close();
    await conntrack?.close();
    await socket.close();
    return fail(sentenceOf(refusals[0]?.refusal ?? ''));
  }
  for (const { family, refusal } of refusals) {
    options.log.warn({ family, reason: refusal }, 'this kernel cannot balance one address family by nftables');
  }
  return ok(new NftablesDatapath(new KernelTables(socket, options.table, support), watch, conntrack, options));
}

const sentenceOf = (refusal: string): string =>
  refusal.includes('EPERM')
    ? 'this process lacks the privileges: expected root or CAP_NET_ADMIN'
    : `this kernel does not take the ruleset: ${refusal.replace(/^Cannot [^:]*: /, '')}`;

/** What can be done without; `otherwise` says how. */
function tryOpening<T>({ log }: NftablesOptions, open: () => T, otherwise: string): T | undefined {
  try {
    return open();
  } catch (error) {
    log.warn({ error }, `the kernel cannot be asked: ${otherwise}`);
    return undefined;
  }
}
