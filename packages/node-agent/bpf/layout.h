// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What the maps hold, byte for byte. src/datapath/ebpf/layout.ts writes and reads the same bytes; whoever changes one
 * changes the other, and LAYOUT_VERSION there with it. Addresses are always 16 bytes, IPv4 as ::ffff:a.b.c.d, so that
 * an IPv4 socket and an IPv6 socket that connects to a mapped address meet the same entries. Addresses and ports are
 * in network order, all else in the host's. Padding is explicit and zero.
 */
#ifndef TOMBOLO_LAYOUT_H
#define TOMBOLO_LAYOUT_H

#include <linux/bpf.h>
#include <linux/types.h>

/*
 * Bits of `scope`: a frontend at every address of the node (its own is 0), what clients outside the cluster get, and what
 * those of them get who come from one of its source ranges.
 */
#define NODE_PORT 1
#define OUTSIDE 2
#define ADMITTED 4

struct service_key {
	__u32 address[4];
	__u16 port;
	__u8 protocol;
	/* 0: what every client gets that asks this very address. Sockets look for nothing else. */
	__u8 scope;
};

/* A set of at most this many backends is kept with the service: one cache miss less for most of them. */
#define INLINE_BACKENDS 7

/*
 * Overwritten in place under `lock` (BPF_F_LOCK), so that a reader who holds the lock sees one set and never parts of
 * two. `id` stays for as long as the frontend is served. `backends` holds ids by slot when `count` is small enough;
 * else they are in `slots`, under this generation, so many to an entry.
 */
struct service {
	struct bpf_spin_lock lock;
	__u32 id;
	__u32 generation;
	__u32 count;
	__u32 affinity_seconds;
	__u32 backends[INLINE_BACKENDS];
};

/* For large sets: ids of backends in slots, `part` * SLOTS_A_PART and those that follow; 0 beyond the count, or any. */
#define SLOTS_A_PART 16
struct slots_key {
	__u32 service;
	__u32 generation;
	__u32 part;
};

struct slots_part {
	__u32 backends[SLOTS_A_PART];
};

/* By id, from 1. The port is 0 where there is none, at 0 always. */
struct backend {
	__u32 address[4];
	__u16 port;
	__u16 cluster;
};

struct affinity_key {
	__u64 netns;
	__u32 service;
	__u32 pad;
};

struct affinity {
	__u64 used_at;
	__u32 backend;
	__u32 pad;
};

/* For large sets of services with affinity, or for datagrams: present when the backend is in this generation. The value
 * is one byte, unused. */
struct affinity_ok_key {
	__u32 service;
	__u32 generation;
	__u32 backend;
};

/* Services that one socket may be sending datagrams to. A power of two. */
#define DATAGRAM_PEERS 16

/* One of them: what was asked for, and the backend that it led to; its id is 0 if that service leads elsewhere now. */
struct datagram_peer {
	struct service_key service;
	__u32 id;
	__u32 backend;
	__u32 backend_address[4];
	__u16 backend_port;
	__u16 pad;
};

/* Kept with the socket, all under its lock. `next` is the place that is taken next. */
struct datagram_peers {
	struct bpf_spin_lock lock;
	__u32 next;
	struct datagram_peer known[DATAGRAM_PEERS];
};

/* Kept with a connected socket. */
struct peer {
	struct service_key service;
	__u32 backend_address[4];
	__u16 backend_port;
	__u16 pad;
};

/* The same for a stream that nobody has asked about yet, in a place that others take after it. */
struct recent_peer {
	__u64 seal;
	struct peer peer;
};

/* Where a packet is seen: when it comes in at an interface, or goes out. */
#define INWARD 0
#define OUTWARD 1

/* A packet as it arrives at a hook. */
struct flow_key {
	__u32 source[4];
	__u32 destination[4];
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 hook;
	__u16 pad;
};

/*
 * What becomes of it there. Every connection has two of them, one for each direction, or four: when the client's address
 * is replaced, that is done where the packet goes out. `service` is 0 but for a packet that asks one.
 */
struct flow {
	__u32 source[4];
	__u32 destination[4];
	__u16 source_port;
	__u16 destination_port;
	__u32 service;
	__u32 generation;
	__u32 backend;
	/* In units of 2^30 ns. */
	__u32 seen;
	__u8 scope;
	__u8 state;
	__u16 pad;
};

/* A stream that may be forgotten after that time, if nobody took it up again. */
struct ended {
	struct flow_key key;
	__u32 after;
};

/* The first fragment of a datagram has its ports; the others are known by this. */
struct fragment_key {
	__u32 source[4];
	__u32 destination[4];
	__u32 id;
	__u8 protocol;
	__u8 hook;
	__u16 pad;
};

struct fragment_ports {
	__u16 source_port;
	__u16 destination_port;
};

/* As the kernel wants the keys of such a map. The prefix counts from the first of 128 bits, for IPv4 as well. */
struct prefix_key {
	__u32 length;
	__u32 address[4];
};

/* From where an entry with `ADMITTED` may be asked. The prefix counts from the service's first bit. */
struct source_range_key {
	__u32 length;
	struct service_key service;
	__u32 client[4];
};

struct exit_key {
	__u32 interface;
	__u32 family;
};

struct address {
	__u32 words[4];
};

#endif
