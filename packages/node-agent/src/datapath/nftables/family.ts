/** The two kinds of tables: one for IPv4, one for IPv6. */
import { AF_INET, AF_INET6 } from '../netlink/messages.ts';

export type Family = 'ip' | 'ip6';
export const FAMILIES: readonly Family[] = ['ip', 'ip6'];

/** As nfnetlink numbers them. */
export const nfFamily: Readonly<Record<Family, number>> = { ip: AF_INET, ip6: AF_INET6 };
export const addressBytes: Readonly<Record<Family, number>> = { ip: 4, ip6: 16 };
