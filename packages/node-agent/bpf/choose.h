// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Which backend of a service a socket gets: with ClientIP affinity the one that this network namespace (a pod, or the
 * host) had last, while it is still among the backends; else any for a stream, and for datagrams always the same one
 * of a set for the same socket.
 */
#ifndef TOMBOLO_CHOOSE_H
#define TOMBOLO_CHOOSE_H

#include "maps.h"

#define NANOSECONDS 1000000000ULL

/* 0 when there is none: ids begin at 1. */
static __always_inline __u32 sticky_backend(const struct affinity_key *client, const struct service_state *state)
{
	struct affinity *last = bpf_map_lookup_elem(&affinity, client);
	if (!last)
		return 0;
	__u64 now = bpf_ktime_get_ns();
	if (last->used_at + state->affinity_seconds * NANOSECONDS <= now)
		return 0;
	struct affinity_ok_key member = {
		.service = client->service,
		.generation = state->generation,
		.backend = last->backend,
	};
	if (!bpf_map_lookup_elem(&affinity_ok, &member))
		return 0;
	last->used_at = now;
	return member.backend;
}

static __always_inline __u32 any_slot(struct bpf_sock_addr *ctx, __u8 protocol, __u32 count)
{
	__u64 number = bpf_get_prandom_u32();
	/* Cookies are handed out in runs; the product spreads them. */
	if (protocol == IPPROTO_UDP)
		number = bpf_get_socket_cookie(ctx) * 0x9e3779b97f4a7c15ULL >> 32;
	return number * count >> 32;
}

static __always_inline __u32 choose_backend(struct bpf_sock_addr *ctx, __u8 protocol, __u32 service,
					    const struct service_state *state)
{
	struct affinity_key client = {.service = service};

	if (state->affinity_seconds) {
		client.netns = bpf_get_netns_cookie(ctx);
		__u32 sticky = sticky_backend(&client, state);
		if (sticky)
			return sticky;
	}
	struct slot_key key = {
		.service = service,
		.generation = state->generation,
		.slot = any_slot(ctx, protocol, state->count),
	};
	__u32 *backend = bpf_map_lookup_elem(&slots, &key);
	if (!backend)
		return 0;
	if (state->affinity_seconds) {
		struct affinity chosen = {.used_at = bpf_ktime_get_ns(), .backend = *backend};
		bpf_map_update_elem(&affinity, &client, &chosen, BPF_ANY);
	}
	return *backend;
}

#endif
