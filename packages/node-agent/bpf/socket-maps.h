// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* The maps in which the programs at the socket hooks keep what sockets did. */
#ifndef TOMBOLO_SOCKET_MAPS_H
#define TOMBOLO_SOCKET_MAPS_H

#include "tables.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct datagram_peers);
} datagram_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct peer);
} peers SEC(".maps");

/* By the low bits of the socket's cookie. 7 MiB. */
#define RECENT_PEERS 131072

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RECENT_PEERS);
	__type(key, __u32);
	__type(value, struct recent_peer);
} recent_peers SEC(".maps");

/*
 * Which sockets are connected through a service, for the agent, which closes those whose backend is gone for good. 8 MiB:
 * one byte for each of the last eight million sockets, by the low bits of their cookies; the higher bits are the byte, or
 * 0 where the socket went to the very address that it asked for. Cookies are handed out in a row, so that neighbours are
 * connected at about the same time. src/datapath/sockets/connected.ts reads the same bytes.
 */
#define CONNECTED_LINES 131072
#define CONNECTED_PER_LINE 64

struct connected_line {
	__u8 mark[CONNECTED_PER_LINE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONNECTED_LINES);
	__type(key, __u32);
	__type(value, struct connected_line);
} connected SEC(".maps");

#endif
