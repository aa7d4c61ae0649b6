// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What a socket asked for, so that it can be told again.
 *
 * `peers` goes with a socket that connected: it says whom, and holds while the socket is connected to that backend. What
 * it allocates and frees costs more than all else that is done at connect, and hardly any stream asks for its peer. So a
 * stream's answer waits in `recent_peers`, and moves to `peers` when it is asked for the first time. Only a stream that
 * asks first after 131,072 other sockets connected is told its backend's address.
 *
 * `reverse` says which service a datagram to a backend was meant for; the last send or connect decides, and one straight
 * to the backend ends it.
 */
#ifndef TOMBOLO_REMEMBER_H
#define TOMBOLO_REMEMBER_H

#include "maps.h"

#define ESTABLISHED 1

static __always_inline void copy_address(__u32 *to, const __u32 *from)
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

static __always_inline int same_address(const __u32 *a, const __u32 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __always_inline struct recent_peer *recent_place(__u64 socket)
{
	__u32 place = socket & (RECENT_PEERS - 1);
	return bpf_map_lookup_elem(&recent_peers, &place);
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
	if (service->protocol == IPPROTO_UDP) {
		keep_with_socket(ctx, &peer);
		return;
	}
	bpf_sk_storage_delete(&peers, ctx->sk);
	__u64 socket = bpf_get_socket_cookie(ctx);
	struct recent_peer *recent = recent_place(socket);
	if (recent) {
		/* Two sockets that meet here must not leave half of each. */
		*(volatile __u64 *)&recent->socket = 0;
		recent->peer = peer;
		*(volatile __u64 *)&recent->socket = socket;
	}
}

static __always_inline void forget_peer(struct bpf_sock_addr *ctx)
{
	__u64 socket = bpf_get_socket_cookie(ctx);
	struct recent_peer *recent = recent_place(socket);

	bpf_sk_storage_delete(&peers, ctx->sk);
	if (recent && recent->socket == socket)
		recent->socket = 0;
}

/* Not 0 when it could not be kept: the answers would seem to come from a stranger. */
static __always_inline int remember_send(struct bpf_sock_addr *ctx, const struct service_key *service, __u32 id,
					 const struct backend *backend)
{
	struct reverse_key key = {.socket = bpf_get_socket_cookie(ctx), .port = backend->port};
	struct reverse value = {.service = *service, .id = id};

	copy_address(key.address, backend->address);
	struct reverse *known = bpf_map_lookup_elem(&reverse, &key);
	if (known && known->id == id && known->service.port == service->port &&
	    same_address(known->service.address, service->address))
		return 0;
	return bpf_map_update_elem(&reverse, &key, &value, BPF_ANY);
}

static __always_inline void forget_send(struct bpf_sock_addr *ctx, const struct service_key *to)
{
	struct reverse_key key = {.socket = bpf_get_socket_cookie(ctx), .port = to->port};

	copy_address(key.address, to->address);
	if (bpf_map_lookup_elem(&reverse, &key))
		bpf_map_delete_elem(&reverse, &key);
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
	if (!recent || recent->socket != socket)
		return 0;
	struct peer peer = recent->peer;
	if (*(volatile __u64 *)&recent->socket != socket || !is_backend(&peer, from))
		return 0;
	keep_with_socket(ctx, &peer);
	*found = peer.service;
	return 1;
}

/* The same from `reverse`. An entry of a service that is no longer served ends here: nobody could answer to it. */
static __always_inline int find_sent(struct bpf_sock_addr *ctx, const struct service_key *from,
				     struct service_key *found)
{
	struct reverse_key key = {.socket = bpf_get_socket_cookie(ctx), .port = from->port};

	copy_address(key.address, from->address);
	struct reverse *entry = bpf_map_lookup_elem(&reverse, &key);
	if (!entry)
		return 0;
	struct service *service = bpf_map_lookup_elem(&services, &entry->service);
	if (service && service->id == entry->id && service->count) {
		*found = entry->service;
		return 1;
	}
	bpf_map_delete_elem(&reverse, &key);
	return 0;
}

#endif
