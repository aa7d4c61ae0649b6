/**
 * Kinds of choice: the chains that choose among N backends come and go, one for each protocol, N and affinity timeout in
 * use. What `services` holds for a frontend is the number of its choice. Pure.
 */
import type { Protocol } from '@tombolo/shared/model/service.ts';

/** What the chain for one kind of choice depends on. */
export interface Choice {
  readonly protocol: Protocol;
  readonly nodePort: boolean;
  readonly count: number;
  readonly affinitySeconds: number;
}

export function choiceChain({ protocol, nodePort, count, affinitySeconds }: Choice): string {
  const sticky = affinitySeconds > 0 ? `-sticky-${String(affinitySeconds)}` : '';
  return `${nodePort ? 'nodeport-' : ''}${protocol.toLowerCase()}-${String(count)}${sticky}`;
}

const CHOICE_CHAIN = /^(nodeport-)?(tcp|udp|sctp)-[1-9]\d*(-sticky-[1-9]\d*)?$/;

export const isChoiceChain = (name: string): boolean => CHOICE_CHAIN.test(name);

const COUNT_BITS = 15;
/** What fits into a choice's number. Kubernetes allows affinity for a day. */
export const MOST_BACKENDS = 2 ** COUNT_BITS - 1;
export const LONGEST_AFFINITY = 86_400;

/** The number that `services` holds; protocol and kind of frontend are in its key already. */
export const choiceNumber = ({ count, affinitySeconds }: Choice): number => affinitySeconds * 2 ** COUNT_BITS + count;

export const parseChoiceNumber = (number: number): Pick<Choice, 'count' | 'affinitySeconds'> => ({
  count: number & MOST_BACKENDS,
  affinitySeconds: number >>> COUNT_BITS,
});
