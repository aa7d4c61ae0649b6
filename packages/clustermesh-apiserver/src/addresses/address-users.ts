/** Who uses which address, and who may join whom on one. */
import type { AddressRequest } from '@tombolo/shared/model/address-request.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';

export type User = Pick<AddressRequest, 'key' | 'sharing' | 'ports' | 'localSelector'>;

export class AddressUsers {
  readonly #users = new Map<IpAddress, Map<ServiceKey, User>>();
  /** Addresses of Services that share, by what they share with. */
  readonly #shared = new Map<string, Set<IpAddress>>();

  get addresses(): Iterable<IpAddress> {
    return this.#users.keys();
  }

  isUsed(address: IpAddress): boolean {
    return this.#users.has(address);
  }

  isUsedBy(address: IpAddress, key: ServiceKey): boolean {
    return this.#users.get(address)?.has(key) ?? false;
  }

  /** Addresses that others of the same sharing key use. */
  sharedWith(user: User): readonly IpAddress[] {
    return user.sharing ? [...(this.#shared.get(circleOf(user)) ?? [])] : [];
  }

  add(address: IpAddress, user: User): void {
    const users = this.#users.get(address) ?? new Map<ServiceKey, User>();
    this.#users.set(address, users.set(user.key, user));
    if (user.sharing) {
      const circle = circleOf(user);
      this.#shared.set(circle, (this.#shared.get(circle) ?? new Set()).add(address));
    }
  }

  remove(address: IpAddress, key: ServiceKey): void {
    const users = this.#users.get(address);
    const user = users?.get(key);
    if (!users || !user) return;
    users.delete(key);
    if (users.size === 0) this.#users.delete(address);
    if (!user.sharing) return;
    const circle = circleOf(user);
    if ([...users.values()].some((other) => other.sharing && circleOf(other) === circle)) return;
    const shared = this.#shared.get(circle);
    shared?.delete(address);
    if (shared?.size === 0) this.#shared.delete(circle);
  }

  /** The first other user of an address with whom this one cannot be on it. */
  rivalOf(address: IpAddress, user: User): User | undefined {
    const users = [...(this.#users.get(address)?.values() ?? [])];
    return users.find((other) => other.key !== user.key && !canShare(user, other));
  }
}

const circleOf = ({ sharing }: User): string => `${sharing?.product} ${sharing?.key}`;

/**
 * Both name the same key, their ports do not clash (TCP and UDP of one number do not), and clients get to them by the same
 * policy; with Local, to the same pods. For Cilium's those pods must be told by a selector, and each must allow the other's
 * namespace; MetalLB has Services without a selector share as if their policy were Cluster.
 */
export function canShare(a: User, b: User): boolean {
  if (!a.sharing || !b.sharing || circleOf(a) !== circleOf(b)) return false;
  const clash = a.ports.some((one) =>
    b.ports.some(({ port, protocol }) => one.port === port && one.protocol === protocol),
  );
  if (clash) return false;
  if (a.sharing.product === 'metallb') return (a.localSelector ?? '') === (b.localSelector ?? '');
  return a.localSelector === b.localSelector && a.localSelector !== '' && allows(a, b) && allows(b, a);
}

function allows({ key, sharing }: User, other: User): boolean {
  const [own, theirs] = [splitServiceKey(key).namespace, splitServiceKey(other.key).namespace];
  return own === theirs || sharing?.namespaces.some((each) => each === '*' || each === theirs) === true;
}
