/**
 * Our sets and maps as plain maps, filled by operations and as strict as the kernel, and a packet's way through them
 * as the rules of `ruleset.ts` go it, written down a second time.
 */
import { choiceChain } from './choices.ts';
import type { Element } from './element-codec.ts';
import type { Family } from './family.ts';
import type { TableOperation } from './operations.ts';
import type { Served } from './slots.ts';

export class NaiveTables {
  /** `family set key` → value and comment. */
  readonly elements = new Map<string, { readonly value: string; readonly comment: string }>();
  readonly chains = new Set<string>();

  apply(operations: readonly TableOperation[]): void {
    for (const operation of operations) {
      const { kind, verb, family } = operation;
      const add = verb === 'add';
      if (kind === 'chain') this.#chain(add, `${family} ${choiceChain(operation.choice)}`);
      else for (const element of operation.elements) this.#element(add, family, element);
    }
  }

  /** All that can happen to a connection of these clients to it: refused, dropped, not ours, or one of these backends. */
  outcomes({ frontend, clients }: Pick<Served, 'frontend' | 'clients'>): readonly string[] {
    const family: Family = frontend.address.includes(':') ? 'ip6' : 'ip';
    const protocol = frontend.protocol.toLowerCase();
    const key = `${frontend.address} . ${protocol} . ${String(frontend.port)}`;
    if (this.elements.has(`${family} refused ${key}`)) return ['refused'];
    const apart = clients === 'outside' ? this.elements.get(`${family} outside-services ${key}`)?.value : undefined;
    if (clients === 'outside' && apart === undefined && this.elements.has(`${family} outside ${key}`))
      return ['dropped'];
    const number = apart ?? this.elements.get(`${family} services ${key}`)?.value;
    if (number === undefined) return ['not ours'];
    const nodePort = frontend.address === '0.0.0.0' || frontend.address === '::';
    const choices = `${apart === undefined ? '' : 'outside-'}${nodePort ? 'nodeport-' : ''}choices`;
    const first = apart === undefined ? 0 : 1_048_576;
    const chain = this.elements.get(`${family} ${choices} ${protocol} . ${number}`)?.value ?? '';
    const count = Number(/(?:tcp|udp|sctp)-(\d+)/.exec(chain)?.[1] ?? 0);
    if (count === 0 || !this.chains.has(`${family} ${chain}`)) return ['dropped'];
    const name = `${frontend.address} . ${String(frontend.port)}`;
    return Array.from({ length: count }, (_, at) => {
      const slot = first + at;
      if (!chain.includes('sticky')) {
        return this.elements.get(`${family} slots-${protocol} ${name} . ${String(slot)}`)?.value ?? 'dropped';
      }
      const id = this.elements.get(`${family} sticky-slots ${key} . ${String(slot)}`)?.value ?? '';
      const members = apart === undefined ? 'sticky-members' : 'outside-members';
      const member = this.elements.has(`${family} ${members} ${key} . ${id}`);
      const target = this.elements.get(`${family} targets-${protocol} ${name} . ${id}`)?.value;
      return member ? (target ?? 'dropped') : 'dropped';
    });
  }

  #element(add: boolean, family: Family, { set, key, value, comment }: Element): void {
    const id = `${family} ${set} ${key.join(' . ')}`;
    const text = value.join(' . ');
    if (add === this.elements.has(id)) throw new Error(`Cannot ${add ? 'add' : 'delete'} element ${id}`);
    if (add && set.endsWith('choices') && !this.chains.has(`${family} ${text}`)) {
      throw new Error(`Cannot add element ${id}: no chain ${text}`);
    }
    if (add) this.elements.set(id, { value: text, comment });
    else this.elements.delete(id);
  }

  #chain(add: boolean, name: string): void {
    if (add === this.chains.has(name)) throw new Error(`Cannot ${add ? 'add' : 'delete'} chain ${name}`);
    const [family = '', chain = ''] = name.split(' ');
    const used = [...this.elements].some(([id, { value }]) => id.startsWith(`${family} `) && value === chain);
    if (!add && used) throw new Error(`Cannot delete chain ${name}: it is in use`);
    if (add) this.chains.add(name);
    else this.chains.delete(name);
  }
}
