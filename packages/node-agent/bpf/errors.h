// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * ICMP errors about packets that were rewritten: too big, no way, too many hops. They quote the packet as it was where it
 * failed; its sender knows another, which is what they are made to quote, at each place where the packet was changed, on
 * the way back. The checksum of the quoted transport header is left as it is: nobody checks it, and it may be cut off.
 */
#ifndef TOMBOLO_ERRORS_H
#define TOMBOLO_ERRORS_H

#include "flows.h"

#define ICMP_CHECKSUM 2
#define ICMP_HEADER 8

struct quoted_ports {
	__u16 source;
	__u16 destination;
};

struct quoted4 {
	struct iphdr ip;
	struct quoted_ports ports;
};

struct quoted6 {
	struct ipv6hdr ip;
	struct quoted_ports ports;
};

static __always_inline __u16 adjust_checksum(__u16 checksum, __s64 difference)
{
	__u64 sum = (__u16)~checksum + (__u64)(__u32)difference;

#pragma unroll
	for (int i = 0; i < 3; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* How the answer to the quoted packet would arrive here. */
static __always_inline struct flow *find_quoted(const struct packet *packet, struct flow_key *key,
						const struct quoted_ports *ports, __u8 protocol)
{
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return 0;
	key->source_port = ports->destination;
	key->destination_port = ports->source;
	key->protocol = protocol;
	key->hook = packet->key.hook;
	/* Told to its sender, or to nobody. */
	return same_address(key->destination, packet->key.destination) ? find_flow(key, packet->time) : 0;
}

/* Writes the quoted packet anew. Not 0 when it cannot. */
static __always_inline int quote(struct __sk_buff *skb, const struct packet *packet, void *was, void *is, __u32 size)
{
	return bpf_l4_csum_replace(skb, packet->l4 + ICMP_CHECKSUM, 0, bpf_csum_diff(was, size, is, size, 0), 0) ||
	       bpf_skb_store_bytes(skb, packet->l4 + ICMP_HEADER, is, size, 0);
}

/* The outer addresses: the sender of what was quoted, and the one that it wrote to, where that is who tells. */
static __always_inline int readdress(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow,
				     const struct flow_key *key)
{
	__u32 addresses[8];
	const __u32 *told_by = packet->key.source;

	__builtin_memcpy(addresses, same_address(told_by, key->source) ? flow->source : told_by, 16);
	__builtin_memcpy(addresses + 4, flow->destination, 16);
	__s64 difference = address_difference(packet->key.source, addresses);
	if (packet->is_ipv6 && bpf_l4_csum_replace(skb, packet->l4 + ICMP_CHECKSUM, 0, difference, BPF_F_PSEUDO_HDR))
		return -1;
	return write_addresses(skb, packet, addresses, difference);
}

/* 0 also when there is nothing to translate. */
static __always_inline int translate_error4(struct __sk_buff *skb, const struct packet *packet)
{
	struct flow_key key = {};
	struct quoted4 was;

	if (bpf_skb_load_bytes(skb, packet->l4 + ICMP_HEADER, &was, sizeof(was)) || was.ip.version != 4 || was.ip.ihl != 5 ||
	    (was.ip.frag_off & bpf_htons(FRAGMENT_OFFSET)))
		return 0;
	map_address(key.source, was.ip.daddr);
	map_address(key.destination, was.ip.saddr);
	struct flow *flow = find_quoted(packet, &key, &was.ports, was.ip.protocol);
	if (!flow)
		return 0;
	struct quoted4 is = was;
	is.ip.saddr = flow->destination[3];
	is.ip.daddr = flow->source[3];
	is.ports.source = flow->destination_port;
	is.ports.destination = flow->source_port;
	is.ip.check = adjust_checksum(was.ip.check, bpf_csum_diff(&was.ip.saddr, 8, &is.ip.saddr, 8, 0));
	return quote(skb, packet, &was, &is, sizeof(is)) || readdress(skb, packet, flow, &key);
}

static __always_inline int translate_error6(struct __sk_buff *skb, const struct packet *packet)
{
	struct flow_key key = {};
	struct quoted6 was;

	if (bpf_skb_load_bytes(skb, packet->l4 + ICMP_HEADER, &was, sizeof(was)))
		return 0;
	__builtin_memcpy(key.source, &was.ip.daddr, 16);
	__builtin_memcpy(key.destination, &was.ip.saddr, 16);
	struct flow *flow = find_quoted(packet, &key, &was.ports, was.ip.nexthdr);
	if (!flow)
		return 0;
	struct quoted6 is = was;
	__builtin_memcpy(&is.ip.saddr, flow->destination, 16);
	__builtin_memcpy(&is.ip.daddr, flow->source, 16);
	is.ports.source = flow->destination_port;
	is.ports.destination = flow->source_port;
	return quote(skb, packet, &was, &is, sizeof(is)) || readdress(skb, packet, flow, &key);
}

#endif
