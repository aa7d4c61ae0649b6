// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Packets: taken apart as far as a service can be asked by them, and rewritten. A packet of another protocol, with IPv6
 * extension headers or with a VLAN tag (it belongs to another interface) is none of ours.
 */
#ifndef TOMBOLO_PACKET_H
#define TOMBOLO_PACKET_H

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet-maps.h"

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16
/* Where TCP has its flags. */
#define TCP_FLAGS 13

/* Errors about a packet, which they quote: of ICMP these types, of ICMPv6 all below 128. */
#define UNREACHABLE 3
#define SOURCE_QUENCH 4
#define TIME_EXCEEDED 11
#define PARAMETER_PROBLEM 12
#define FIRST_ICMP6_QUESTION 128

#define FRAGMENT 44
#define MORE_FRAGMENTS 0x2000
#define FRAGMENT_OFFSET 0x1fff

enum kind { NOT_OURS, OF_A_FLOW, AN_ERROR };

struct packet {
	struct flow_key key;
	/* When it was seen; see flows.h. */
	__u32 time;
	/* Where the headers begin. */
	__u32 l3;
	__u32 l4;
	__u8 is_ipv6;
	__u8 tcp_flags;
	/* The transport header is in another fragment. */
	__u8 is_rest;
	__u8 pad;
};

/* Bytes of a packet, to be read before anything is asked of it again; undefined where it is shorter. */
static __always_inline const void *bytes_at(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + offset + length <= end)
		return data + offset;
	/* They may be in another place, from where they are brought. */
	if (bpf_skb_pull_data(skb, offset + length))
		return 0;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	return data + offset + length <= end ? data + offset : 0;
}

static __always_inline void map_address(__u32 *to, __u32 address)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = bpf_htonl(0xffff);
	to[3] = address;
}

static __always_inline int is_mapped(const __u32 *address)
{
	return !address[0] && !address[1] && address[2] == bpf_htonl(0xffff);
}

/* Of a fragment, its datagram's ports, which the first one has. False when that has not been seen. */
static __always_inline int recall_ports(struct packet *packet, __u32 id, int is_first)
{
	struct fragment_key key = {.id = id, .protocol = packet->key.protocol, .hook = packet->key.hook};

	__builtin_memcpy(key.source, packet->key.source, 2 * sizeof(key.source));
	if (is_first) {
		struct fragment_ports ports = {packet->key.source_port, packet->key.destination_port};
		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
		return 1;
	}
	struct fragment_ports *ports = bpf_map_lookup_elem(&fragments, &key);
	if (!ports)
		return 0;
	packet->key.source_port = ports->source_port;
	packet->key.destination_port = ports->destination_port;
	packet->is_rest = 1;
	return 1;
}

static __always_inline enum kind read_transport(struct __sk_buff *skb, struct packet *packet)
{
	__u8 protocol = packet->key.protocol;

	if (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP) {
		const __u8 *header = bytes_at(skb, packet->l4, protocol == IPPROTO_TCP ? TCP_FLAGS + 1 : 4);
		if (!header)
			return NOT_OURS;
		__builtin_memcpy(&packet->key.source_port, header, 4);
		if (protocol == IPPROTO_TCP)
			packet->tcp_flags = header[TCP_FLAGS];
		return OF_A_FLOW;
	}
	__u8 type;
	if (protocol == IPPROTO_ICMP && !packet->is_ipv6 && !bpf_skb_load_bytes(skb, packet->l4, &type, 1))
		return type == UNREACHABLE || type == SOURCE_QUENCH || type == TIME_EXCEEDED || type == PARAMETER_PROBLEM
			       ? AN_ERROR
			       : NOT_OURS;
	if (protocol == IPPROTO_ICMPV6 && packet->is_ipv6 && !bpf_skb_load_bytes(skb, packet->l4, &type, 1))
		return type < FIRST_ICMP6_QUESTION ? AN_ERROR : NOT_OURS;
	return NOT_OURS;
}

static __always_inline enum kind read_fragment(struct __sk_buff *skb, struct packet *packet, __u32 id, int offset)
{
	if (packet->key.protocol != IPPROTO_UDP && packet->key.protocol != IPPROTO_TCP)
		return NOT_OURS;
	if (offset)
		return recall_ports(packet, id, 0) ? OF_A_FLOW : NOT_OURS;
	if (read_transport(skb, packet) != OF_A_FLOW)
		return NOT_OURS;
	recall_ports(packet, id, 1);
	return OF_A_FLOW;
}

static __always_inline enum kind read_packet(struct __sk_buff *skb, __u32 l3, struct packet *packet)
{
	packet->l3 = l3;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		const struct iphdr *ip = bytes_at(skb, l3, sizeof(*ip));
		if (!ip || ip->version != 4 || ip->ihl < 5)
			return NOT_OURS;
		map_address(packet->key.source, ip->saddr);
		map_address(packet->key.destination, ip->daddr);
		packet->key.protocol = ip->protocol;
		packet->l4 = l3 + 4 * ip->ihl;
		__u16 fragment = bpf_ntohs(ip->frag_off), id = ip->id;
		if (fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET))
			return read_fragment(skb, packet, id, fragment & FRAGMENT_OFFSET);
		return read_transport(skb, packet);
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6))
		return NOT_OURS;
	struct {
		__u8 next;
		__u8 reserved;
		__be16 offset;
		__u32 id;
	} fragment;
	packet->is_ipv6 = 1;
	packet->l4 = l3 + sizeof(struct ipv6hdr);
	const struct ipv6hdr *ip = bytes_at(skb, l3, sizeof(*ip));
	if (!ip)
		return NOT_OURS;
	__builtin_memcpy(packet->key.source, &ip->saddr, 32);
	packet->key.protocol = ip->nexthdr;
	/* No such packet is on any wire, and here they are IPv4's. */
	if (is_mapped(packet->key.source) || is_mapped(packet->key.destination))
		return NOT_OURS;
	if (packet->key.protocol != FRAGMENT)
		return read_transport(skb, packet);
	if (bpf_skb_load_bytes(skb, packet->l4, &fragment, sizeof(fragment)))
		return NOT_OURS;
	packet->key.protocol = fragment.next;
	packet->l4 += sizeof(fragment);
	return read_fragment(skb, packet, fragment.id, bpf_ntohs(fragment.offset) & ~7);
}

/* Of the 16-byte addresses, which differ in no more than what IPv4 has of them if that is what they are. */
static __always_inline __s64 address_difference(const __u32 *from, const __u32 *to)
{
	return bpf_csum_diff((__be32 *)from, 32, (__be32 *)to, 32, 0);
}

/* Writes both addresses, which are next to each other here and there. Not 0 when it cannot. */
static __always_inline int write_addresses(struct __sk_buff *skb, const struct packet *packet, const __u32 *addresses,
					   __s64 difference)
{
	if (packet->is_ipv6)
		return bpf_skb_store_bytes(skb, packet->l3 + offsetof(struct ipv6hdr, saddr), addresses, 32,
					   BPF_F_INVALIDATE_HASH);
	__u32 both[2] = {addresses[3], addresses[7]};
	return bpf_l3_csum_replace(skb, packet->l3 + offsetof(struct iphdr, check), 0, difference, 0) ||
	       bpf_skb_store_bytes(skb, packet->l3 + offsetof(struct iphdr, saddr), both, 8, BPF_F_INVALIDATE_HASH);
}

/* Not 0 when it cannot. */
static __always_inline int rewrite_packet(struct __sk_buff *skb, const struct packet *packet, const struct flow *to)
{
	const struct flow_key *key = &packet->key;
	__s64 difference = address_difference(key->source, to->source);

	if (!packet->is_rest) {
		__u64 flags = key->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
		__u32 sum = packet->l4 + (key->protocol == IPPROTO_UDP ? offsetof(struct udphdr, check)
								       : offsetof(struct tcphdr, check));
		__u32 from, ports;
		__builtin_memcpy(&from, &key->source_port, 4);
		__builtin_memcpy(&ports, &to->source_port, 4);
		if (bpf_l4_csum_replace(skb, sum, 0, difference, flags | BPF_F_PSEUDO_HDR))
			return -1;
		if (from != ports && (bpf_l4_csum_replace(skb, sum, from, ports, flags | 4) ||
				      bpf_skb_store_bytes(skb, packet->l4, &ports, 4, 0)))
			return -1;
	}
	return write_addresses(skb, packet, to->source, difference);
}

#endif
