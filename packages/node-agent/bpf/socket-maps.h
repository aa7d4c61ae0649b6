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

#endif
