// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What the programs at network interfaces know beside the tables: of the node, which the agent alone writes, and of the
 * packets that they saw, which is theirs.
 */
#ifndef TOMBOLO_PACKET_MAPS_H
#define TOMBOLO_PACKET_MAPS_H

#include "tables.h"

/* Whether flows may begin here; those that are known go on in any case. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} accepts SEC(".maps");

/* Prefixes of this node's own pods. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct prefix_key);
	__type(value, __u8);
} local_pods SEC(".maps");

/* Who may ask services with source ranges. What does not fit is left to nftables. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct source_range_key);
	__type(value, __u8);
} source_ranges SEC(".maps");

/* Addresses of the node; 1 where NodePorts are answered. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct address);
	__type(value, __u8);
} node_addresses SEC(".maps");

/* Interfaces where packets that go out are seen, and the address that stands for a client whose packet leaves there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct exit_key);
	__type(value, struct address);
} exits SEC(".maps");

/* Of TCP. None is pushed out by others: where there is no room, a new one is left to nftables. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct flow);
} streams SEC(".maps");

/* Of UDP. Those that were silent the longest make room: whoever speaks again is led to the same backend. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct flow);
} datagrams SEC(".maps");

/* Streams that ended, in the order in which they did; what does not fit is found by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 32768);
	__type(value, struct ended);
} closed_streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 32768);
	__type(value, struct ended);
} reset_streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct fragment_key);
	__type(value, struct fragment_ports);
} fragments SEC(".maps");

#endif
