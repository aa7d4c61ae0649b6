// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Whom a socket connected to, so that it can be told again; of datagrams' sockets that do not connect, see datagrams.h.
 *
 * `peers` goes with the socket and holds while it is connected to that backend. What it allocates and frees costs more
 * than all else that is done at connect, and hardly any stream asks for its peer. So a stream's answer waits in
 * `recent_peers`, and moves to `peers` when it is asked for the first time. Only a stream that asks first after 131,072
 * other sockets connected is told its backend's address.
 */
#ifndef TOMBOLO_REMEMBER_H
#define TOMBOLO_REMEMBER_H

#include "address.h"
#include "socket-maps.h"

#define ESTABLISHED 1

/*
 * Two sockets may write and read one place at a time, on machines that order such things as they like: what was read
 * counts only if its seal fits, which is of the whole.
 */
static __always_inline __u64 seal_of(__u64 socket, const struct peer *peer)
{
	const __u32 *words = (const __u32 *)peer;
	__u64 sum = socket;

#pragma unroll
	for (unsigned long i = 0; i < sizeof(*peer) / sizeof(*words); i++)
		sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15ULL;
	return sum;
}

static __always_inline struct recent_peer *recent_place(__u64 socket)
{
	__u32 place = socket & (RECENT_PEERS - 1);
	return bpf_map_lookup_elem(&recent_peers, &place);
}

/* The place of a socket among those that are known to be connected through a service. */
static __always_inline __u8 *mark_place(__u64 socket)
{
	__u32 line = (socket / CONNECTED_PER_LINE) % CONNECTED_LINES;
	struct connected_line *marks = bpf_map_lookup_elem(&connected, &line);
	return marks ? &marks->mark[socket % CONNECTED_PER_LINE] : 0;
}

static __always_inline __u8 mark_of(__u64 socket)
{
	return 1 + socket / ((__u64)CONNECTED_PER_LINE * CONNECTED_LINES) % 255;
}

static __always_inline void mark_connected(__u64 socket)
{
	__u8 *place = mark_place(socket);
	if (place)
		*place = mark_of(socket);
}

static __always_inline void unmark_connected(__u64 socket)
{
	__u8 *place = mark_place(socket);
	if (place && *place == mark_of(socket))
		*place = 0;
}

static __always_inline void keep_with_socket(struct bpf_sock_addr *ctx, const struct peer *from)
{
	struct peer *peer = bpf_sk_storage_get(&peers, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (peer)
		*peer = *from;
	/* Else out of memory: the peer's name will be the backend's. No reason to refuse the connection. */
}

static __always_inline void remember_peer(struct bpf_sock_addr *ctx, const struct service_key *service,
					  const struct backend *backend)
{
	struct peer peer = {.service = *service, .backend_port = backend->port};
	copy_address(peer.backend_address, backend->address);
	__u64 socket = bpf_get_socket_cookie(ctx);
	mark_connected(socket);
	if (service->protocol == IPPROTO_UDP) {
		keep_with_socket(ctx, &peer);
		return;
	}
	bpf_sk_storage_delete(&peers, ctx->sk);
	struct recent_peer *recent = recent_place(socket);
	if (recent) {
		recent->peer = peer;
		recent->seal = seal_of(socket, &peer);
	}
}

static __always_inline void forget_peer(struct bpf_sock_addr *ctx)
{
	__u64 socket = bpf_get_socket_cookie(ctx);
	struct recent_peer *recent = recent_place(socket);

	bpf_sk_storage_delete(&peers, ctx->sk);
	unmark_connected(socket);
	if (!recent)
		return;
	struct peer peer = recent->peer;
	if (recent->seal == seal_of(socket, &peer))
		recent->seal = 0;
}

static __always_inline int is_backend(const struct peer *peer, const struct service_key *from)
{
	return peer->backend_port == from->port && same_address(peer->backend_address, from->address);
}

/* Whether this socket connected to a service and is connected to `from`, its backend; the service is then in `found`. */
static __always_inline int find_connected(struct bpf_sock_addr *ctx, const struct service_key *from,
					  struct service_key *found)
{
	/* connect(AF_UNSPEC) runs no hook. A stream that is not connected has no peer to ask for. */
	if (from->protocol == IPPROTO_UDP && ctx->sk->state != ESTABLISHED)
		return 0;
	struct peer *kept = bpf_sk_storage_get(&peers, ctx->sk, 0, 0);
	if (kept && is_backend(kept, from)) {
		*found = kept->service;
		return 1;
	}
	if (from->protocol == IPPROTO_UDP)
		return 0;
	__u64 socket = bpf_get_socket_cookie(ctx);
	struct recent_peer *recent = recent_place(socket);
	if (!recent)
		return 0;
	struct peer peer = recent->peer;
	if (recent->seal != seal_of(socket, &peer) || !is_backend(&peer, from))
		return 0;
	keep_with_socket(ctx, &peer);
	*found = peer.service;
	return 1;
}

#endif
