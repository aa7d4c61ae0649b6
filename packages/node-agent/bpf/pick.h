// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Which backend of a service a new flow gets. Every node that has the same backends picks the same one for a client and
 * its port, whatever address it asked, and a backend that comes or goes takes no flow from the others: each backend is
 * drawn a number from the flow and its own address, and the largest wins (rendezvous hashing, Thaler and Ravishankar
 * 1998). One that is in the set several times, next to itself, draws as often. Of more than 1,024 it is just one by
 * the flow's number.
 */
#ifndef TOMBOLO_PICK_H
#define TOMBOLO_PICK_H

#include "tables.h"

/* The finalizer of MurmurHash3. */
static __always_inline __u64 mix(__u64 hash)
{
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdULL;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ULL;
	return hash ^ hash >> 33;
}

static __always_inline __u64 hash_address(const __u32 *address, __u64 seed)
{
	__u64 high = (__u64)address[0] << 32 | address[1], low = (__u64)address[2] << 32 | address[3];

	return mix(mix(seed ^ high) ^ low);
}

/* A service's entry, copied under its lock. */
struct set {
	__u32 generation;
	__u32 count;
	__u32 affinity_seconds;
	__u32 backends[INLINE_BACKENDS];
};

static __always_inline void copy_set(struct service *service, struct set *set)
{
	bpf_spin_lock(&service->lock);
	set->generation = service->generation;
	set->count = service->count;
	set->affinity_seconds = service->affinity_seconds;
#pragma unroll
	for (int i = 0; i < INLINE_BACKENDS; i++)
		set->backends[i] = service->backends[i];
	bpf_spin_unlock(&service->lock);
}

/* Of a large set that is asked about no such thing (streams without affinity): no. */
static __always_inline int is_member(__u32 service, const struct set *set, __u32 backend)
{
	int found = 0;

	if (set->count > INLINE_BACKENDS) {
		struct affinity_ok_key key = {.service = service, .generation = set->generation, .backend = backend};
		return bpf_map_lookup_elem(&affinity_ok, &key) != 0;
	}
#pragma unroll
	for (int i = 0; i < INLINE_BACKENDS; i++)
		found |= i < (int)set->count && set->backends[i] == backend;
	return found;
}

/* Backends are drawn for one by one up to so many. */
#define MOST_DRAWS 1024

/* Who is ahead in the draw for a flow. */
struct draw {
	__u64 flow;
	__u64 largest;
	__u32 winner;
	/* The one that drew last, and how often it did. */
	__u32 last;
	__u32 share;
	__u32 pad;
};

static __always_inline void draw_for(struct draw *draw, __u32 id)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || !backend->port)
		return;
	draw->share = draw->last == id ? draw->share + 1 : 0;
	draw->last = id;
	__u64 drawn = hash_address(backend->address, mix(draw->flow + draw->share) ^ backend->port);
	if (drawn < draw->largest && draw->winner)
		return;
	draw->largest = drawn;
	draw->winner = id;
}

/* Of a set with slots of its own. Not static: the verifier looks at it once, and not wherever it is called. */
__noinline __u32 pick_of_many(__u32 service, __u32 generation, __u32 count, __u64 flow)
{
	struct slots_key key = {.service = service, .generation = generation};
	struct draw draw = {.flow = flow};

	if (count > MOST_DRAWS) {
		__u32 slot = (mix(flow) >> 32) * count >> 32;
		key.part = slot / SLOTS_A_PART;
		struct slots_part *part = bpf_map_lookup_elem(&slots, &key);
		return part ? part->backends[slot % SLOTS_A_PART] : 0;
	}
	for (__u32 first = 0; first < MOST_DRAWS; first += SLOTS_A_PART) {
		if (first >= count)
			break;
		key.part = first / SLOTS_A_PART;
		struct slots_part *part = bpf_map_lookup_elem(&slots, &key);
		for (__u32 i = 0; part && i < SLOTS_A_PART; i++) {
			if (first + i >= count)
				break;
			draw_for(&draw, part->backends[i]);
		}
	}
	return draw.winner;
}

/* A backend's id; 0 when there is none. */
static __always_inline __u32 pick(__u32 service, const struct set *set, __u64 flow)
{
	struct draw draw = {.flow = flow};

	if (set->count > INLINE_BACKENDS)
		return pick_of_many(service, set->generation, set->count, flow);
#pragma unroll
	for (int i = 0; i < INLINE_BACKENDS; i++)
		if (i < (int)set->count)
			draw_for(&draw, set->backends[i]);
	return draw.winner;
}

#endif
