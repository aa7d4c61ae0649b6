/** What an operator should know of the table as a whole: what is asked for and not done. Pure. */
import type { Health } from '@tombolo/shared/process/health.ts';
import type { ServiceTable } from './service-table.ts';

export type TableView = Pick<ServiceTable, 'refusedFrontends' | 'clustersOverQuota' | 'lacksPodCidrs'>;

export function tableHealth({ refusedFrontends, clustersOverQuota, lacksPodCidrs }: TableView): Health {
  const reasons: string[] = [];
  const [first] = refusedFrontends;
  if (first) {
    const [service, refusals] = first;
    const [[frontend, reason] = ['', '']] = refusals;
    const count = refusedFrontends.size;
    reasons.push(`${count} Services have frontends that are not served, first ${service}: ${frontend}: ${reason}`);
  }
  if (clustersOverQuota.length > 0)
    reasons.push(`more backends than may be in use here: ${clustersOverQuota.join(', ')}`);
  if (lacksPodCidrs) {
    reasons.push(
      "the Node does not say which addresses its pods have (spec.podCIDRs): other clusters' claims to them are not refused",
    );
  }
  return reasons.length > 0 ? { kind: 'degraded', reason: reasons.join('; ') } : { kind: 'ok' };
}
