// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What a socket asked for, so that it can be told again. `peers` goes with a socket that connected: it says whom, and
 * holds while the socket is connected to that backend. `reverse` says which service a datagram to a backend was meant
 * for; the last send or connect decides, and one straight to the backend ends it.
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

static __always_inline void remember_peer(struct bpf_sock_addr *ctx, const struct service_key *service,
					  const struct backend *backend)
{
	struct peer *peer = bpf_sk_storage_get(&peers, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!peer)
		return; /* Out of memory: the peer's name will be the backend's. No reason to refuse the connection. */
	peer->service = *service;
	copy_address(peer->backend_address, backend->address);
	peer->backend_port = backend->port;
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

/* The service behind a backend's address, if this socket connected to it; 0 if not. */
static __always_inline const struct service_key *connected_service(struct bpf_sock_addr *ctx,
								   const struct service_key *from)
{
	struct peer *peer = bpf_sk_storage_get(&peers, ctx->sk, 0, 0);
	if (!peer || peer->backend_port != from->port || !same_address(peer->backend_address, from->address))
		return 0;
	/* connect(AF_UNSPEC) runs no hook. A stream that is not connected has no peer to ask for. */
	if (from->protocol == IPPROTO_UDP && ctx->sk->state != ESTABLISHED)
		return 0;
	return &peer->service;
}

/* The same from `reverse`. An entry of a service that is no longer served ends here: nobody could answer to it. */
static __always_inline const struct service_key *sent_service(struct bpf_sock_addr *ctx, const struct service_key *from)
{
	struct reverse_key key = {.socket = bpf_get_socket_cookie(ctx), .port = from->port};

	copy_address(key.address, from->address);
	struct reverse *entry = bpf_map_lookup_elem(&reverse, &key);
	if (!entry)
		return 0;
	struct service *service = bpf_map_lookup_elem(&services, &entry->service);
	if (service && service->id == entry->id && service->count)
		return &entry->service;
	bpf_map_delete_elem(&reverse, &key);
	return 0;
}

#endif
