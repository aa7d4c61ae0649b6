/**
 * Kinds of choice: the chains that choose among N backends come and go, one for each protocol, N and affinity timeout in
 * use. What `services` holds for a frontend is the number of its choice. Pure.
 */
import type { Protocol } from '@tombolo/shared/model/service.ts';
import type { Clients } from '@tombolo/shared/model/service-table.ts';

/** What the chain for one kind of choice depends on. */
export interface Choice {
  readonly clients: Exclude<Clients, 'inside'>;
  readonly protocol: Protocol;
  readonly nodePort: boolean;
  readonly count: number;
  readonly affinitySeconds: number;
}

export function choiceChain(choice: Choice): string {
  const { protocol, count, affinitySeconds } = choice;
  const sticky = affinitySeconds > 0 ? `-sticky-${String(affinitySeconds)}` : '';
  return `${choicePrefix(choice)}${protocol.toLowerCase()}-${String(count)}${sticky}`;
}

/** Of the names of chains and maps. */
export const choicePrefix = ({ clients, nodePort }: Pick<Choice, 'clients' | 'nodePort'>) =>
  `${clients === 'outside' ? 'outside-' : ''}${nodePort ? 'nodeport-' : ''}` as const;

const CHOICE_CHAIN = /^(outside-)?(nodeport-)?(tcp|udp|sctp)-[1-9]\d*(-sticky-[1-9]\d*)?$/;

export const isChoiceChain = (name: string): boolean => CHOICE_CHAIN.test(name);

const COUNT_BITS = 15;
/** What fits into a choice's number. Kubernetes allows affinity for a day. */
export const MOST_BACKENDS = 2 ** COUNT_BITS - 1;
export const LONGEST_AFFINITY = 86_400;

/** The slots of a choice for clients outside the cluster begin here, so that they can stand beside those for all. */
const OUTSIDE_SLOTS = 2 ** 20;
export const firstSlot = ({ clients }: Pick<Choice, 'clients'>): number => (clients === 'outside' ? OUTSIDE_SLOTS : 0);
export const isOutsideSlot = (slot: number): boolean => slot >= OUTSIDE_SLOTS;

/** Whom a client may stay with. */
export const membersOf = ({ clients }: Pick<Choice, 'clients'>) =>
  clients === 'outside' ? 'outside-members' : 'sticky-members';

/** The number that `services` holds; protocol and kind of frontend are in its key already. */
export const choiceNumber = ({ count, affinitySeconds }: Choice): number => affinitySeconds * 2 ** COUNT_BITS + count;

export const parseChoiceNumber = (number: number): Pick<Choice, 'count' | 'affinitySeconds'> => ({
  count: number & MOST_BACKENDS,
  affinitySeconds: number >>> COUNT_BITS,
});
