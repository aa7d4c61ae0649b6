/** What the status of a Service is to say about its addresses, and the Event that tells people of a change. Pure. */
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import { CONDITION, type LoadBalancerService } from '@tombolo/shared/kubernetes/load-balancer-object.ts';
import type { Assignment } from '@tombolo/shared/model/address-request.ts';
import { splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { Outcome } from './allocator.ts';
import { eventTimes } from './event-times.ts';

export interface ServiceStatus {
  readonly loadBalancer: { readonly ingress: readonly Json[] };
  readonly conditions: readonly Json[];
}

/**
 * Undefined when it says so already. Who has from another controller what it would get here is left to that one: nothing
 * is written.
 */
export function statusOf(
  { ingress, conditions, taken }: LoadBalancerService,
  outcome: Outcome,
  now: string,
): ServiceStatus | undefined {
  const others = conditions.filter(({ type }) => type !== CONDITION);
  if (outcome === 'withdraw') {
    return taken.isOurs ? { loadBalancer: { ingress: [] }, conditions: others } : undefined;
  }
  const isThere = `${[...outcome.addresses].sort()}` === `${[...taken.held].sort()}`;
  const said = conditions.find(({ type }) => type === CONDITION);
  const isSaid = said
    ? said['reason'] === outcome.reason && said['message'] === outcome.message
    : outcome.reason === 'satisfied' && outcome.addresses.length > 0;
  if (isThere && isSaid) return undefined;
  return {
    loadBalancer: { ingress: outcome.addresses.map((ip) => ingress.find((each) => each['ip'] === ip) ?? { ip }) },
    conditions: [...others, condition(outcome, said, now)],
  };
}

function condition({ reason, message }: Assignment, before: Json | undefined, now: string): Json {
  const status = reason === 'satisfied' ? 'True' : 'False';
  const since = before?.['status'] === status ? before['lastTransitionTime'] : now;
  return { type: CONDITION, status, reason, message, lastTransitionTime: since };
}

/** As `kubectl describe` shows it. */
export function eventOf({ taken, uid }: LoadBalancerService, outcome: Outcome, now: string): Json {
  const { namespace, name } = splitServiceKey(taken.key);
  return {
    ...{ apiVersion: 'v1', kind: 'Event', metadata: { generateName: `${name}.`, namespace } },
    involvedObject: { apiVersion: 'v1', kind: 'Service', namespace, name, uid },
    ...eventTimes(now),
    ...newsOf(outcome),
  };
}

function newsOf(outcome: Outcome): Json {
  if (outcome === 'withdraw')
    return { type: 'Normal', reason: 'AddressesWithdrawn', message: 'has no addresses of ours' };
  const { addresses, reason, message } = outcome;
  if (reason === 'satisfied')
    return { type: 'Normal', reason: 'AddressesAssigned', message: `has ${addresses.join(' and ')}` };
  const has = addresses.length > 0 ? `has ${addresses.join(' and ')}; ` : '';
  return { type: 'Warning', reason: 'AddressesMissing', message: `${has}${message} (${reason})` };
}
