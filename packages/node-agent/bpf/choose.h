// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Which backend of a service a socket gets: with ClientIP affinity the one that this network namespace (a pod, or the
 * host) had last, while it is still among the backends; so also a socket's datagrams without it. Else any of them.
 * Backends' ids begin at 1: 0 is none.
 */
#ifndef TOMBOLO_CHOOSE_H
#define TOMBOLO_CHOOSE_H

#include <linux/errno.h>
#include <linux/in.h>

#include "datagrams.h"
#include "socket-maps.h"

#define NANOSECONDS 1000000000ULL

/* What a look at the service's entry under its lock yields. */
struct glance {
	__u32 generation;
	__u32 count;
	__u32 affinity_seconds;
	/* In the slot that was drawn, if the set is small. */
	__u32 backend;
	/* Whether the backend asked about is in the set, if the set is small. */
	__u32 has_last;
};

/* `draw` is 32 random bits. */
static __always_inline struct glance look(struct service *service, __u32 draw, __u32 last)
{
	struct glance seen = {};

	bpf_spin_lock(&service->lock);
	seen.generation = service->generation;
	seen.count = service->count;
	seen.affinity_seconds = service->affinity_seconds;
	if (seen.count <= INLINE_BACKENDS) {
		__u32 slot = (__u64)draw * seen.count >> 32;
		if (slot < INLINE_BACKENDS)
			seen.backend = service->backends[slot];
		if (last) {
#pragma unroll
			for (int i = 0; i < INLINE_BACKENDS; i++)
				seen.has_last |= service->backends[i] == last;
		}
	}
	bpf_spin_unlock(&service->lock);
	return seen;
}

static __always_inline int has_member(__u32 service, const struct glance *seen, __u32 backend)
{
	if (seen->count <= INLINE_BACKENDS)
		return seen->has_last;
	struct affinity_ok_key key = {.service = service, .generation = seen->generation, .backend = backend};
	return bpf_map_lookup_elem(&affinity_ok, &key) != 0;
}

static __always_inline __u32 backend_in_slot(__u32 service, const struct glance *seen, __u32 draw)
{
	if (seen->count <= INLINE_BACKENDS)
		return seen->backend;
	__u32 slot = (__u64)draw * seen->count >> 32;
	struct slots_key key = {.service = service, .generation = seen->generation, .part = slot / SLOTS_A_PART};
	struct slots_part *part = bpf_map_lookup_elem(&slots, &key);
	return part ? part->backends[slot % SLOTS_A_PART] : 0;
}

/* The id of a backend; -ECONNREFUSED when the service has none; 0 when the maps contradict each other. */
static __always_inline int choose_backend(struct bpf_sock_addr *ctx, __u8 protocol, struct service *service)
{
	__u32 draw = bpf_get_prandom_u32(), id = service->id;

	/* Whether there is affinity is read twice; if it changes between the two, this socket gets any backend. */
	if (!service->affinity_seconds) {
		__u32 before = protocol == IPPROTO_UDP ? sent_backend(ctx, id) : 0;
		struct glance seen = look(service, draw, before);
		if (!seen.count)
			return -ECONNREFUSED;
		return before && has_member(id, &seen, before) ? before : backend_in_slot(id, &seen, draw);
	}
	struct affinity_key client = {.netns = bpf_get_netns_cookie(ctx), .service = id};
	struct affinity *last = bpf_map_lookup_elem(&affinity, &client);
	__u32 last_backend = last ? last->backend : 0;
	__u64 now = bpf_ktime_get_ns();
	struct glance seen = look(service, draw, last_backend);
	if (!seen.count)
		return -ECONNREFUSED;
	if (last && last->used_at + seen.affinity_seconds * NANOSECONDS > now && has_member(id, &seen, last_backend)) {
		last->used_at = now;
		return last_backend;
	}
	struct affinity chosen = {.used_at = now, .backend = backend_in_slot(id, &seen, draw)};
	if (chosen.backend && seen.affinity_seconds)
		bpf_map_update_elem(&affinity, &client, &chosen, BPF_ANY);
	return chosen.backend;
}

#endif
