// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Answers ARP (RFC 826) and neighbor solicitations (RFC 4861) for the addresses that this node has been given, where they
 * come in; and notes who else claims such an address, or any that the agent wants watched. The answer goes out of the same
 * interface at once: the node itself knows nothing of these addresses.
 *
 * It answers only while the agent says so: what is not renewed runs out (`lease`), at an agent that hangs, too, before
 * another node takes its place.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "address.h"

char kernel_license[] SEC("license") = "GPL";

/* TC_ACT_UNSPEC and TCX_NEXT: whoever comes after us. */
#define NEXT -1

#define ARP_REQUEST 1
#define ARP_REPLY 2
/* Hardware addresses of Ethernet. */
#define ETHERNET 1
#define SOLICITATION 135
#define ADVERTISEMENT 136
#define SOURCE_OPTION 1
#define TARGET_OPTION 2
#define OPTION 8
#define OPTIONS 4
/* Of an advertisement: it answers a question; and it replaces what was known. */
#define SOLICITED 0x40
#define OVERRIDE 0x20
#define HOPS 255

struct watched_key {
	__u32 interface;
	__u32 address[4];
};

/* Whether it is answered for, and with what; all others are watched only. */
struct watched {
	__u8 mac[ETH_ALEN];
	__u8 answers;
	__u8 pad;
};

struct claim_key {
	__u32 interface;
	__u32 address[4];
	__u8 mac[ETH_ALEN];
	__u8 pad[2];
};

struct claim {
	/* CLOCK_MONOTONIC, in ns. */
	__u64 seen;
	__u64 times;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct watched_key);
	__type(value, struct watched);
} watched SEC(".maps");

/* Until when there are answers: CLOCK_MONOTONIC, in ns. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lease SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct claim_key);
	__type(value, struct claim);
} claims SEC(".maps");

/* How many questions were answered. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} answered SEC(".maps");

/* What goes over an Ethernet of IPv4. */
struct arp {
	__u16 hardware;
	__u16 protocol;
	__u8 mac_length;
	__u8 address_length;
	__u16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender[4];
	__u8 target_mac[ETH_ALEN];
	__u8 target[4];
} __attribute__((packed));

/* A solicitation or an advertisement, up to its options. */
struct neighbor {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 flags;
	__u32 target[4];
} __attribute__((packed));

struct option {
	__u8 type;
	/* In units of 8 bytes. */
	__u8 length;
	__u8 mac[ETH_ALEN];
} __attribute__((packed));

struct answer6 {
	struct neighbor neighbor;
	struct option option;
} __attribute__((packed));

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) | (a[5] ^ b[5]));
}

/* Of one station, and not of nobody. */
static __always_inline int is_station(const __u8 *mac)
{
	return !(mac[0] & 1) && (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

static __always_inline int is_leased(void)
{
	__u32 zero = 0;
	__u64 *until = bpf_map_lookup_elem(&lease, &zero);

	return until && bpf_ktime_get_ns() < *until;
}

static __always_inline void count_answer(void)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&answered, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Somebody has said, or let it be seen, that the address is his. */
static __always_inline void note_claim(const struct watched_key *key, const struct watched *watched, const __u8 *mac)
{
	struct claim_key by = {.interface = key->interface};

	if (same_mac(mac, watched->mac))
		return;
	copy_address(by.address, key->address);
	__builtin_memcpy(by.mac, mac, ETH_ALEN);
	struct claim first = {.seen = bpf_ktime_get_ns(), .times = 1};
	struct claim *known = bpf_map_lookup_elem(&claims, &by);
	if (known) {
		known->seen = first.seen;
		__sync_fetch_and_add(&known->times, 1);
		return;
	}
	bpf_map_update_elem(&claims, &by, &first, BPF_ANY);
}

static __always_inline struct watched *find4(struct watched_key *key, const __u8 *address)
{
	key->address[0] = 0;
	key->address[1] = 0;
	key->address[2] = bpf_htonl(0xffff);
	__builtin_memcpy(&key->address[3], address, 4);
	return bpf_map_lookup_elem(&watched, key);
}

static __always_inline int is_to_us(const __u8 *mac, const struct watched *watched)
{
	return (mac[0] & 1) || same_mac(mac, watched->mac);
}

/* To the address that the question bears, wherever it came from (RFC 826). */
static __always_inline int answer4(struct __sk_buff *skb, struct arp *arp, const struct watched *own)
{
	struct ethhdr ethernet = {.h_proto = bpf_htons(ETH_P_ARP)};

	__builtin_memcpy(ethernet.h_dest, arp->sender_mac, ETH_ALEN);
	__builtin_memcpy(ethernet.h_source, own->mac, ETH_ALEN);
	arp->operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, ETH_ALEN);
	__builtin_memcpy(arp->sender_mac, own->mac, ETH_ALEN);
	__u8 address[4];
	__builtin_memcpy(address, arp->target, 4);
	__builtin_memcpy(arp->target, arp->sender, 4);
	__builtin_memcpy(arp->sender, address, 4);
	if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, arp, sizeof(*arp), 0))
		return NEXT;
	count_answer();
	return bpf_redirect(skb->ifindex, 0);
}

static __always_inline int serve4(struct __sk_buff *skb)
{
	struct watched_key key = {.interface = skb->ifindex};
	struct ethhdr ethernet;
	struct arp arp;

	if (bpf_skb_load_bytes(skb, 0, &ethernet, sizeof(ethernet)) || bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return NEXT;
	if (arp.hardware != bpf_htons(ETHERNET) || arp.protocol != bpf_htons(ETH_P_IP) ||
	    arp.mac_length != ETH_ALEN || arp.address_length != 4 || !is_station(arp.sender_mac))
		return NEXT;
	struct watched *claimed = find4(&key, arp.sender);
	if (claimed)
		note_claim(&key, claimed, arp.sender_mac);
	/* An announcement is no question: the agent contradicts it now and then (RFC 5227). */
	if (!__builtin_memcmp(arp.sender, arp.target, sizeof(arp.sender)))
		return NEXT;
	struct watched *own = find4(&key, arp.target);
	if (arp.operation != bpf_htons(ARP_REQUEST) || !own || !own->answers || !is_to_us(ethernet.h_dest, own) ||
	    same_mac(arp.sender_mac, own->mac) || !is_leased())
		return NEXT;
	return answer4(skb, &arp, own);
}

/* The link-layer address in the first options; undefined where there is none. False where they are no options at all. */
static __always_inline int read_options(struct __sk_buff *skb, __u32 offset, __u32 end, __u8 type, struct option *found)
{
	for (int i = 0; i < OPTIONS && offset < end; i++) {
		struct option option;

		if (offset + OPTION > end || bpf_skb_load_bytes(skb, offset, &option, sizeof(option)) || !option.length)
			return 0;
		if (option.type == type && option.length == 1)
			*found = option;
		offset += OPTION * option.length;
	}
	return 1;
}

static __always_inline __u16 folded(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The sum of what is not in the message itself: addresses, length and protocol. */
static __always_inline __u64 pseudo_sum(const struct ipv6hdr *ip, __u32 length)
{
	__u64 sum = bpf_htonl(length) + (__u64)bpf_htonl(IPPROTO_ICMPV6);

	for (int i = 0; i < 4; i++)
		sum += (__u64)ip->saddr.s6_addr32[i] + ip->daddr.s6_addr32[i];
	return sum;
}

/* Of a message of some words of 8 bytes. */
static __always_inline int is_intact(struct __sk_buff *skb, const struct ipv6hdr *ip, __u32 length)
{
	__u64 sum = pseudo_sum(ip, length);

	for (__u32 at = 0; at < sizeof(struct neighbor) + OPTIONS * OPTION; at += 8) {
		__u32 words[2];

		if (at >= length)
			break;
		if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(*ip) + at, words, sizeof(words)))
			return 0;
		sum += (__u64)words[0] + words[1];
	}
	return !folded(sum);
}

static __always_inline int is_group(const struct in6_addr *address)
{
	return address->s6_addr[0] == 0xff;
}

static __always_inline int is_unspecified(const __u32 *address)
{
	return !(address[0] | address[1] | address[2] | address[3]);
}

static __always_inline int answer6(struct __sk_buff *skb, struct ipv6hdr *ip, const __u32 *target, const __u8 *asker, const struct watched *own)
{
	struct ethhdr ethernet = {.h_proto = bpf_htons(ETH_P_IPV6)};
	struct answer6 answer = {.neighbor = {.type = ADVERTISEMENT}, .option = {.type = TARGET_OPTION, .length = 1}};
	int is_probe = is_unspecified(ip->saddr.s6_addr32);

	__builtin_memcpy(ethernet.h_source, own->mac, ETH_ALEN);
	__builtin_memcpy(ethernet.h_dest, asker, ETH_ALEN);
	/* No traffic class, no flow label. */
	*(__u32 *)ip = bpf_htonl(6 << 28);
	ip->payload_len = bpf_htons(sizeof(answer));
	ip->hop_limit = HOPS;
	copy_address(ip->daddr.s6_addr32, ip->saddr.s6_addr32);
	/* Who has no address yet is told with all others. */
	if (is_probe) {
		ip->daddr.s6_addr32[0] = bpf_htonl(0xff020000);
		ip->daddr.s6_addr32[3] = bpf_htonl(1);
		ethernet.h_dest[0] = 0x33;
		ethernet.h_dest[1] = 0x33;
		ethernet.h_dest[2] = 0;
		ethernet.h_dest[3] = 0;
		ethernet.h_dest[4] = 0;
		ethernet.h_dest[5] = 1;
	}
	copy_address(ip->saddr.s6_addr32, target);
	answer.neighbor.flags = bpf_htonl((__u32)(is_probe ? OVERRIDE : SOLICITED | OVERRIDE) << 24);
	__builtin_memcpy(answer.neighbor.target, target, 16);
	__builtin_memcpy(answer.option.mac, own->mac, ETH_ALEN);
	__u64 sum = pseudo_sum(ip, sizeof(answer));
	__u32 words[sizeof(answer) / 4];
	__builtin_memcpy(words, &answer, sizeof(answer));
	for (__u32 i = 0; i < sizeof(answer) / 4; i++)
		sum += words[i];
	answer.neighbor.checksum = folded(sum);
	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(*ip) + sizeof(answer), 0) ||
	    bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, ip, sizeof(*ip), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN + sizeof(*ip), &answer, sizeof(answer), BPF_F_RECOMPUTE_CSUM))
		return NEXT;
	count_answer();
	return bpf_redirect(skb->ifindex, 0);
}

/* To the group that everybody joins who has it, or, by who has an address himself, to the address. */
static __always_inline int is_asked(const struct ipv6hdr *ip, const __u32 *target, int is_probe)
{
	const __u32 *to = ip->daddr.s6_addr32;

	if (same_address(to, target))
		return !is_probe;
	return to[0] == bpf_htonl(0xff020000) && !to[1] && to[2] == bpf_htonl(1) &&
	       to[3] == (bpf_htonl(0xff000000) | (target[3] & bpf_htonl(0x00ffffff)));
}

static __always_inline int serve6(struct __sk_buff *skb)
{
	struct watched_key key = {.interface = skb->ifindex};
	struct ethhdr ethernet;
	struct ipv6hdr ip;
	struct neighbor asked;
	struct option option = {};

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.version != 6 || ip.nexthdr != IPPROTO_ICMPV6 ||
	    ip.hop_limit != HOPS || is_group(&ip.saddr) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip), &asked, sizeof(asked)))
		return NEXT;
	if ((asked.type != SOLICITATION && asked.type != ADVERTISEMENT) || asked.code)
		return NEXT;
	/* What answers a question goes to who asked it. */
	if (asked.type == ADVERTISEMENT && is_group(&ip.daddr) && (asked.flags & bpf_htonl((__u32)SOLICITED << 24)))
		return NEXT;
	__builtin_memcpy(key.address, asked.target, sizeof(key.address));
	struct watched *own = bpf_map_lookup_elem(&watched, &key);
	__u32 length = bpf_ntohs(ip.payload_len), begin = ETH_HLEN + sizeof(ip) + sizeof(asked);
	if (!own || length < sizeof(asked) || length > sizeof(asked) + OPTIONS * OPTION || (length & 7) ||
	    bpf_skb_load_bytes(skb, 0, &ethernet, sizeof(ethernet)) || !is_station(ethernet.h_source) ||
	    !is_intact(skb, &ip, length))
		return NEXT;
	__u8 wanted = asked.type == SOLICITATION ? SOURCE_OPTION : TARGET_OPTION;
	if (!read_options(skb, begin, begin + length - sizeof(asked), wanted, &option))
		return NEXT;
	int is_probe = is_unspecified(ip.saddr.s6_addr32);
	if (asked.type == ADVERTISEMENT) {
		note_claim(&key, own, option.length ? option.mac : ethernet.h_source);
		return NEXT;
	}
	if (!own->answers || !is_to_us(ethernet.h_dest, own) || same_mac(ethernet.h_source, own->mac) ||
	    !is_asked(&ip, key.address, is_probe) || !is_leased())
		return NEXT;
	/* Who has an address asks with the one that he is to be answered at; without one, with none. */
	if (is_probe ? option.length : option.length && !is_station(option.mac))
		return NEXT;
	return answer6(skb, &ip, key.address, option.length ? option.mac : ethernet.h_source, own);
}

SEC("tc")
int tbl_l2(struct __sk_buff *skb)
{
	/* It has been seen, or will be, at the interface that it belongs to. */
	if (skb->vlan_present)
		return NEXT;
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return serve4(skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return serve6(skb);
	return NEXT;
}
