// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Which services a socket sent datagrams to, and where they led: so that the next goes to the same backend while it is
 * one, whatever becomes of others, and an answer shows the service that was asked, the last one of those that share a
 * backend. It is kept with the socket: nobody else's traffic can push it out, and it ends when the socket does. Only who
 * sends to more than DATAGRAM_PEERS at a time loses the oldest.
 */
#ifndef TOMBOLO_DATAGRAMS_H
#define TOMBOLO_DATAGRAMS_H

#include "address.h"
#include "socket-maps.h"

static __always_inline int leads_to(const struct datagram_peer *peer, const __u32 *address, __u16 port)
{
	return peer->backend_port == port && same_address(peer->backend_address, address);
}

/* The backend's id; 0 when the socket sent nothing to this service yet. */
static __always_inline __u32 sent_backend(struct bpf_sock_addr *ctx, __u32 service)
{
	struct datagram_peers *peers = bpf_sk_storage_get(&datagram_peers, ctx->sk, 0, 0);
	__u32 backend = 0;

	if (!peers)
		return 0;
	bpf_spin_lock(&peers->lock);
	for (int i = 0; i < DATAGRAM_PEERS; i++)
		if (peers->known[i].id == service && peers->known[i].backend)
			backend = peers->known[i].backend;
	bpf_spin_unlock(&peers->lock);
	return backend;
}

/* Not 0 when it could not be kept: the answers would seem to come from a stranger. */
static __always_inline int remember_send(struct bpf_sock_addr *ctx, const struct service_key *service, __u32 id,
					 __u32 backend_id, const struct backend *backend)
{
	struct datagram_peers *peers = bpf_sk_storage_get(&datagram_peers, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	struct datagram_peer now = {
		.service = *service,
		.id = id,
		.backend = backend_id,
		.backend_port = backend->port,
	};

	if (!peers)
		return -ENOMEM;
	copy_address(now.backend_address, backend->address);
	bpf_spin_lock(&peers->lock);
	__u32 place = DATAGRAM_PEERS;
	for (int i = 0; i < DATAGRAM_PEERS; i++) {
		struct datagram_peer *known = &peers->known[i];
		if (leads_to(known, now.backend_address, now.backend_port))
			place = i;
		else if (known->id == id)
			known->backend = 0;
	}
	if (place == DATAGRAM_PEERS)
		place = peers->next++;
	peers->known[place & (DATAGRAM_PEERS - 1)] = now;
	bpf_spin_unlock(&peers->lock);
	return 0;
}

/* Returns what was known of this address; its `id` is 0 when nothing was. With `forget` nothing is from now on. */
static __always_inline struct datagram_peer recall_send(struct bpf_sock_addr *ctx, const struct service_key *to, int forget)
{
	struct datagram_peers *peers = bpf_sk_storage_get(&datagram_peers, ctx->sk, 0, 0);
	struct datagram_peer found = {};

	if (!peers)
		return found;
	bpf_spin_lock(&peers->lock);
	for (int i = 0; i < DATAGRAM_PEERS; i++) {
		struct datagram_peer *known = &peers->known[i];
		if (!leads_to(known, to->address, to->port))
			continue;
		found = *known;
		if (forget) {
			known->id = 0;
			known->backend = 0;
			known->backend_port = 0;
		}
	}
	bpf_spin_unlock(&peers->lock);
	return found;
}

/* The socket sends to this very address from now on. */
static __always_inline void forget_send(struct bpf_sock_addr *ctx, const struct service_key *to)
{
	recall_send(ctx, to, 1);
}

/* Whether it is known who was asked; then it is in `found`. What is no longer served ends here: nobody could answer. */
static __always_inline int find_sent(struct bpf_sock_addr *ctx, const struct service_key *from,
				     struct service_key *found)
{
	struct datagram_peer sent = recall_send(ctx, from, 0);

	if (!sent.id)
		return 0;
	struct service *service = bpf_map_lookup_elem(&services, &sent.service);
	if (service && service->count) {
		*found = sent.service;
		return 1;
	}
	forget_send(ctx, from);
	return 0;
}

#endif
