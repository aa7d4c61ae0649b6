// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What is known of flows: how long it holds, and what a packet tells of its connection. When the map is full, the flows
 * that were silent the longest make room.
 */
#ifndef TOMBOLO_FLOWS_H
#define TOMBOLO_FLOWS_H

#include "packet.h"

/* Bits of `state`. */
#define ESTABLISHED 1
#define CLOSED_HERE 2
#define CLOSED_THERE 4
#define RESET 8

/* In units of 2^30 ns, a little longer than a second. As long as kube-proxy has the kernel wait, but for a reset. */
#define DATAGRAM_IDLE 120
#define OPENING 60
#define CLOSED 60
#define AFTER_RESET 5
#define HALF_CLOSED 3600
#define ESTABLISHED_IDLE 86400

static __always_inline __u32 now(void)
{
	return bpf_ktime_get_ns() >> 30;
}

static __always_inline __u32 time_of(const struct flow *flow, __u8 protocol)
{
	if (protocol == IPPROTO_UDP)
		return DATAGRAM_IDLE;
	if (flow->state & RESET)
		return AFTER_RESET;
	if ((flow->state & (CLOSED_HERE | CLOSED_THERE)) == (CLOSED_HERE | CLOSED_THERE))
		return CLOSED;
	if (flow->state & (CLOSED_HERE | CLOSED_THERE))
		return HALF_CLOSED;
	return flow->state & ESTABLISHED ? ESTABLISHED_IDLE : OPENING;
}

static __always_inline int is_over(const struct flow *flow, __u8 protocol)
{
	return now() - flow->seen > time_of(flow, protocol);
}

/* Undefined for a packet that no flow is known of. */
static __always_inline struct flow *find_flow(const struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);
	return flow && !is_over(flow, key->protocol) ? flow : 0;
}

/* How the answer to a packet arrives that was rewritten like this. */
static __always_inline void answer_to(const struct flow *flow, __u8 protocol, __u8 hook, struct flow_key *answer)
{
	__builtin_memcpy(answer->source, flow->destination, 16);
	__builtin_memcpy(answer->destination, flow->source, 16);
	answer->source_port = flow->destination_port;
	answer->destination_port = flow->source_port;
	answer->protocol = protocol;
	answer->hook = hook;
	answer->pad = 0;
}

/* What a packet tells of the flow that it belongs to. */
static __always_inline void note_packet(struct flow *flow, const struct packet *packet)
{
	__u32 time = now();

	if (flow->seen != time)
		flow->seen = time;
	if (packet->key.protocol != IPPROTO_TCP || packet->is_rest)
		return;
	__u8 flags = packet->tcp_flags, state = flow->state;
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_ACK)
		state |= ESTABLISHED;
	if (flags & TCP_FIN)
		state |= CLOSED_HERE;
	/* Who goes on after a reset did not take it from its peer. */
	if (flags & TCP_RST)
		state |= RESET;
	else
		state &= ~RESET;
	if (state == flow->state)
		return;
	flow->state = state;
	struct flow_key answer = {};
	answer_to(flow, packet->key.protocol, packet->key.hook == INWARD ? OUTWARD : INWARD, &answer);
	struct flow *other = bpf_map_lookup_elem(&flows, &answer);
	if (!other)
		return;
	state = other->state & ~(CLOSED_THERE | RESET);
	if (flow->state & CLOSED_HERE)
		state |= CLOSED_THERE;
	if (flow->state & RESET)
		state |= RESET;
	if (flow->state & ESTABLISHED)
		state |= ESTABLISHED;
	other->state = state;
}

#endif
