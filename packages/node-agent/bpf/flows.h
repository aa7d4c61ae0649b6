// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What is known of flows: how long it holds, and what a packet tells of its connection. Whoever begins a stream also takes
 * away what others left that ended, so that there is room whether or not an agent is there.
 */
#ifndef TOMBOLO_FLOWS_H
#define TOMBOLO_FLOWS_H

#include "address.h"
#include "packet.h"

/* Bits of `state`. */
#define ESTABLISHED 1
#define CLOSED_HERE 2
#define CLOSED_THERE 4
#define RESET 8

/* In units of 2^30 ns, a little longer than a second. As long as kube-proxy has the kernel wait, but for what has ended. */
#define DATAGRAM_IDLE 120
#define OPENING 60
#define CLOSED 8
#define AFTER_RESET 1
#define HALF_CLOSED 3600
#define ESTABLISHED_IDLE 86400
/* What comes after the end of a stream: the last acknowledgement. */
#define LATE 2

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

static __always_inline int is_over(const struct flow *flow, __u8 protocol, __u32 time)
{
	return time - flow->seen > time_of(flow, protocol);
}

static __always_inline struct flow *lookup_flow(const struct flow_key *key)
{
	return key->protocol == IPPROTO_UDP ? bpf_map_lookup_elem(&datagrams, key) : bpf_map_lookup_elem(&streams, key);
}

/* Not 0 when there is no room, or, with BPF_NOEXIST, when there is one. */
static __always_inline long put_flow(const struct flow_key *key, const struct flow *flow, __u64 flags)
{
	return key->protocol == IPPROTO_UDP ? bpf_map_update_elem(&datagrams, key, flow, flags)
					    : bpf_map_update_elem(&streams, key, flow, flags);
}

static __always_inline void delete_flow(const struct flow_key *key)
{
	if (key->protocol == IPPROTO_UDP)
		bpf_map_delete_elem(&datagrams, key);
	else
		bpf_map_delete_elem(&streams, key);
}

/* Undefined for a packet that no flow is known of. */
static __always_inline struct flow *find_flow(const struct flow_key *key, __u32 time)
{
	struct flow *flow = lookup_flow(key);
	return flow && !is_over(flow, key->protocol, time) ? flow : 0;
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

/* What leads the answers to a packet back to who sent it. */
static __always_inline void lead_back(struct flow *back, const struct flow_key *key, __u32 time)
{
	__builtin_memset(back, 0, sizeof(*back));
	copy_address(back->source, key->destination);
	copy_address(back->destination, key->source);
	back->source_port = key->destination_port;
	back->destination_port = key->source_port;
	back->seen = time;
}

static __always_inline int is_same_place(const __u32 *address, __u16 port, const __u32 *other, __u16 other_port)
{
	return port == other_port && same_address(address, other);
}

/* The entry for the answers, in `answer` its key; undefined when that is by now the one of another flow. */
static __always_inline struct flow *find_other(const struct flow_key *key, const struct flow *flow, struct flow_key *answer)
{
	answer_to(flow, key->protocol, key->hook == INWARD ? OUTWARD : INWARD, answer);
	struct flow *other = lookup_flow(answer);
	if (!other || !is_same_place(other->destination, other->destination_port, key->source, key->source_port))
		return 0;
	return other;
}

/* Forgets a stream in both directions, unless it goes on. */
static __always_inline void forget_stream(const struct flow_key *key, __u32 time)
{
	struct flow *flow = lookup_flow(key);
	struct flow_key answer;

	if (!flow || !is_over(flow, key->protocol, time))
		return;
	struct flow *other = find_other(key, flow, &answer);
	if (other && is_over(other, key->protocol, time))
		delete_flow(&answer);
	delete_flow(key);
}

/* What may be forgotten by now, a little at a time: two for each one that begins. */
#define forget_ended(queue, time)                                                                                            \
	do {                                                                                                           \
		struct ended ended;                                                                                    \
		for (int i = 0; i < 2; i++) {                                                                          \
			if (bpf_map_peek_elem(queue, &ended) || ended.after >= (time) || bpf_map_pop_elem(queue, &ended)) \
				break;                                                                                 \
			forget_stream(&ended.key, time);                                                                     \
		}                                                                                                      \
	} while (0)

static __always_inline void note_end(const struct packet *packet, __u8 state)
{
	struct ended ended = {.key = packet->key};

	if (state & RESET) {
		ended.after = packet->time + AFTER_RESET + LATE;
		bpf_map_push_elem(&reset_streams, &ended, BPF_EXIST);
	} else if ((state & (CLOSED_HERE | CLOSED_THERE)) == (CLOSED_HERE | CLOSED_THERE)) {
		ended.after = packet->time + CLOSED + LATE;
		bpf_map_push_elem(&closed_streams, &ended, BPF_EXIST);
	}
}

/* What a packet tells of the flow that it belongs to. */
static __always_inline void note_packet(struct flow *flow, const struct packet *packet)
{
	if (flow->seen != packet->time)
		flow->seen = packet->time;
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
	note_end(packet, state);
	struct flow_key answer;
	struct flow *other = find_other(&packet->key, flow, &answer);
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
