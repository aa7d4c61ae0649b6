// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Load balancing of packets, at the network interfaces of the node. What asks a service gets the address of a backend
 * where it comes in, before the node routes it; the answers get the service's address where they go out, after that. In
 * between, all of the node sees the client and the backend: routes, the rules of others, errors about what is too big.
 * Where a backend would answer the client past this node, the client's address becomes the node's, on the way out; the
 * same way back, on the way in. So does that of a pod that is led to itself: the service seems to ask.
 *
 *              in                            the node                  out
 *   client  -> service          becomes      client -> backend         node -> backend (if so)
 *   backend -> node (if so)     becomes      backend -> client         service -> client
 *
 * What these programs do not know to do is left as it is, for nftables: streams that began before they came, clients
 * from outside a service's source ranges, refusals.
 */
#include "errors.h"
#include "flows.h"
#include "pick.h"

/* Set by the loader before the verifier sees them. */
const volatile struct {
	/* The first of the source ports that a client may be given, and how many there are: up to those that sockets get. */
	__u32 first_port;
	__u32 ports;
} settings = {.first_port = 1024, .ports = 31744};

char kernel_license[] SEC("license") = "GPL";

/* TC_ACT_UNSPEC and TCX_NEXT: whoever comes after us. */
#define NEXT -1
/* TC_ACT_SHOT. */
#define DROP 2

#define AF_INET 2
#define AF_INET6 10
/* Source ports that are tried, at most. */
#define TRIES 6
#define NANOSECONDS 1000000000ULL
/* No socket has it: the clients of packets are told from network namespaces by it. */
#define CLIENT (1ULL << 63)

/* What is worked out when a flow begins: more than fits on the stack. Nothing else runs on this CPU meanwhile. */
struct work {
	struct service_key asked;
	struct set set;
	/* What becomes of the packet on the way in, and of the answer on the way out. */
	struct flow forth;
	struct flow back;
	/* The same, where the client's address is replaced: of the packet on the way out, and of the answer on the way in. */
	struct flow out;
	struct flow in;
	struct flow_key key;
	struct bpf_fib_lookup way;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} work_space SEC(".maps");

static __always_inline int is_local_pod(const __u32 *address)
{
	struct prefix_key key = {.length = 128};

	__builtin_memcpy(key.address, address, 16);
	return bpf_map_lookup_elem(&local_pods, &key) != 0;
}

static __always_inline __u8 *find_node_address(const __u32 *address)
{
	return bpf_map_lookup_elem(&node_addresses, address);
}

/* Makes an address the unspecified one of its family. */
static __always_inline void unspecify(__u32 *address)
{
	address[2] = is_mapped(address) ? address[2] : 0;
	address[0] = 0;
	address[1] = 0;
	address[3] = 0;
}

static __always_inline int is_in_source_range(const struct service_key *service, const __u32 *client)
{
	struct source_range_key key = {.length = 8 * (sizeof(key) - sizeof(key.length)), .service = *service};

	__builtin_memcpy(key.client, client, sizeof(key.client));
	return bpf_map_lookup_elem(&source_ranges, &key) != 0;
}

/* What a client from one of the source ranges gets of a service that has any; `key` becomes that one's. */
static __always_inline struct service *find_admitted(struct service_key *key, const __u32 *client)
{
	__u8 scope = key->scope;

	key->scope = scope | ADMITTED;
	struct service *service = bpf_map_lookup_elem(&services, key);
	if (!service) {
		key->scope &= ~OUTSIDE;
		service = bpf_map_lookup_elem(&services, key);
	}
	if (service && is_in_source_range(key, client))
		return service;
	key->scope = scope;
	return 0;
}

/*
 * The service behind a key, or for a client outside the cluster what that one gets of it; `key` becomes that one's.
 * `client`: 0 for others.
 */
static __always_inline struct service *find_scope(struct service_key *key, const __u32 *client)
{
	if (client) {
		key->scope |= OUTSIDE;
		struct service *service = bpf_map_lookup_elem(&services, key);
		struct service *admitted = service && !service->count ? find_admitted(key, client) : 0;
		if (service)
			return admitted ? admitted : service;
		key->scope &= ~OUTSIDE;
	}
	return bpf_map_lookup_elem(&services, key);
}

static __always_inline struct service *find_service(const struct flow_key *packet, int is_outside, struct service_key *key)
{
	__builtin_memcpy(key->address, packet->destination, 16);
	key->port = packet->destination_port;
	key->protocol = packet->protocol;
	key->scope = 0;
	const __u32 *client = is_outside ? packet->source : 0;
	struct service *service = find_scope(key, client);
	if (service)
		return service;
	__u8 *is_for_node_ports = find_node_address(packet->destination);
	if (!is_for_node_ports || !*is_for_node_ports)
		return 0;
	unspecify(key->address);
	key->scope = NODE_PORT;
	return find_scope(key, client);
}

/* The id of a backend that is gone may be another's by now. */
static __always_inline int leads_to(const struct flow *flow, __u32 id)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	return backend && is_same_place(backend->address, backend->port, flow->destination, flow->destination_port);
}

/* Whether the backend of a flow is one of the service's still, so that the flow goes on to it. */
static __always_inline int keeps_backend(struct flow *flow, const struct packet *packet)
{
	struct service_key key = {};
	struct set set = {};

	__builtin_memcpy(key.address, packet->key.destination, 16);
	if (flow->scope & NODE_PORT)
		unspecify(key.address);
	key.port = packet->key.destination_port;
	key.protocol = packet->key.protocol;
	key.scope = flow->scope;
	struct service *service = bpf_map_lookup_elem(&services, &key);
	if (!service || service->id != flow->service)
		return 0;
	__u32 id = flow->backend, generation = service->generation;
	if (service->count > INLINE_BACKENDS) {
		struct affinity_ok_key member = {.service = flow->service, .generation = generation, .backend = id};
		return bpf_map_lookup_elem(&affinity_ok, &member) && leads_to(flow, id);
	}
	/* A small set is never changed where it is. */
	if (generation == flow->generation)
		return 1;
	copy_set(service, &set);
	if (!is_member(flow->service, &set, id) || !leads_to(flow, id))
		return 0;
	flow->generation = set.generation;
	return 1;
}

/* With ClientIP affinity the one that this address had last, while it is among the backends. 0: none. */
static __always_inline __u32 choose_backend(const struct packet *packet, __u32 service, const struct set *set)
{
	const struct flow_key *key = &packet->key;
	__u64 client = hash_address(key->source, 0);

	if (!set->affinity_seconds)
		return pick(service, set, mix(client ^ (__u64)key->source_port << 8 ^ key->protocol));
	struct affinity_key known = {.netns = CLIENT | client, .service = service};
	struct affinity *last = bpf_map_lookup_elem(&affinity, &known);
	__u64 time = bpf_ktime_get_ns();
	if (last && last->used_at + set->affinity_seconds * NANOSECONDS > time && is_member(service, set, last->backend)) {
		last->used_at = time;
		return last->backend;
	}
	/* Anybody: who comes back after the time is up may meet another. */
	struct affinity chosen = {
		.used_at = time,
		.backend = pick(service, set, (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32()),
	};
	if (chosen.backend)
		bpf_map_update_elem(&affinity, &known, &chosen, BPF_ANY);
	return chosen.backend;
}

/* A stream that begins otherwise is known to somebody else. */
static __always_inline int is_opening(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline int may_begin(const struct packet *packet)
{
	return !packet->is_rest && (packet->key.protocol == IPPROTO_UDP || is_opening(packet));
}

/*
 * The place for what becomes of the answers. False when it is taken by a flow that goes on: two services that one client
 * asks from one port may have led to one backend.
 */
static __always_inline int take(const struct flow_key *key, const struct flow *flow)
{
	if (!put_flow(key, flow, BPF_NOEXIST))
		return 1;
	struct flow *present = lookup_flow(key);
	if (!present)
		return 0;
	if (!is_same_place(present->source, present->source_port, flow->source, flow->source_port) ||
	    !is_same_place(present->destination, present->destination_port, flow->destination, flow->destination_port)) {
		if (!is_over(present, key->protocol, flow->seen))
			return 0;
		/* Of two who see that at once, one may put in its own. */
		delete_flow(key);
		return !put_flow(key, flow, BPF_NOEXIST);
	}
	return !put_flow(key, flow, BPF_ANY);
}

/* The address that stands for the client at the interface where its packet will go out; undefined where there is none. */
static __always_inline struct address *find_exit(struct __sk_buff *skb, const struct packet *packet, struct work *work)
{
	struct bpf_fib_lookup *way = &work->way;
	const struct flow *forth = &work->forth;

	__builtin_memset(way, 0, sizeof(*way));
	way->ifindex = skb->ingress_ifindex;
	way->l4_protocol = packet->key.protocol;
	if (packet->is_ipv6) {
		way->family = AF_INET6;
		__builtin_memcpy(way->ipv6_src, forth->source, 16);
		__builtin_memcpy(way->ipv6_dst, forth->destination, 16);
	} else {
		way->family = AF_INET;
		way->ipv4_src = forth->source[3];
		way->ipv4_dst = forth->destination[3];
	}
	way->sport = forth->source_port;
	way->dport = forth->destination_port;
	long result = bpf_fib_lookup(skb, way, sizeof(*way), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	struct exit_key key = {.interface = way->ifindex, .family = packet->is_ipv6 ? AF_INET6 : AF_INET};
	return bpf_map_lookup_elem(&exits, &key);
}

static __always_inline __u16 port_from(__u32 draw)
{
	return bpf_htons(settings.first_port + (__u32)((__u64)draw * settings.ports >> 32));
}

/* For a client and what it asked: through another service the backend must not take it for an old stream of the first. */
static __always_inline __u32 draw_for_port(const struct work *work)
{
	const struct flow *forth = &work->forth, *back = &work->back;

	return mix(hash_address(forth->source, forth->source_port) ^ hash_address(forth->destination, 1) ^
		   hash_address(back->source, back->source_port));
}

/*
 * The entry for the answers. A port that the client's socket was just given becomes one that no socket is given: from its
 * own it may be connected to the backend's address itself, or connect to it any time, and those answers are not ours. It is
 * found again by the same draw if it was forgotten.
 */
static __always_inline int place_answer(__u8 protocol, struct work *work)
{
	struct flow *forth = &work->forth;

	if (bpf_ntohs(forth->source_port) >= settings.first_port + settings.ports)
		forth->source_port = port_from(draw_for_port(work));
#pragma unroll
	for (int i = 0; i < TRIES; i++) {
		answer_to(&work->forth, protocol, OUTWARD, &work->key);
		if (take(&work->key, &work->back))
			return 1;
		work->forth.source_port = port_from(bpf_get_prandom_u32());
	}
	return 0;
}

/* The client's address is to be `stand_in`, on the way out and back. */
static __always_inline int replace_client(__u8 protocol, struct work *work, const __u32 *stand_in)
{
	const struct flow *forth = &work->forth;
	struct flow *out = &work->out, *in = &work->in;
	struct flow_key *key = &work->key;
	__u32 draw = draw_for_port(work);

	*out = *forth;
	out->service = 0;
	__builtin_memcpy(out->source, stand_in, 16);
	*in = *out;
	__builtin_memcpy(in->source, forth->destination, 16);
	__builtin_memcpy(in->destination, forth->source, 16);
	in->source_port = forth->destination_port;
	in->destination_port = forth->source_port;
#pragma unroll
	for (int i = 0; i < TRIES; i++) {
		out->source_port = port_from(draw);
		answer_to(out, protocol, INWARD, key);
		if (take(key, in)) {
			__builtin_memcpy(key->source, forth->source, 32);
			key->source_port = forth->source_port;
			key->destination_port = forth->destination_port;
			key->hook = OUTWARD;
			if (!put_flow(key, out, BPF_ANY))
				return 1;
			answer_to(out, protocol, INWARD, key);
			delete_flow(key);
			return 0;
		}
		draw = bpf_get_prandom_u32();
	}
	return 0;
}

/* The entries for a packet that begins a flow; a copy of the packet's, or undefined if it is none of ours. */
static __always_inline struct flow *begin(struct __sk_buff *skb, const struct packet *packet)
{
	const struct flow_key *key = &packet->key;
	__u32 zero = 0;
	struct work *work = bpf_map_lookup_elem(&work_space, &zero);

	if (key->protocol == IPPROTO_TCP) {
		forget_ended(&reset_streams, packet->time);
		forget_ended(&closed_streams, packet->time);
	}
	__u32 *accepts_flows = bpf_map_lookup_elem(&accepts, &zero);
	if (!work || !accepts_flows || !*accepts_flows)
		return 0;
	struct service_key *asked = &work->asked;
	struct flow *forth = &work->forth, *back = &work->back;
	int is_outside = !is_local_pod(key->source) && !find_node_address(key->source);
	struct service *service = find_service(key, is_outside, asked);
	if (!service)
		return 0;
	copy_set(service, &work->set);
	__u32 id = service->id, chosen = work->set.count ? choose_backend(packet, id, &work->set) : 0;
	struct backend *backend = chosen ? bpf_map_lookup_elem(&backends, &chosen) : 0;
	if (!backend || !backend->port)
		return 0;

	__builtin_memset(forth, 0, sizeof(*forth));
	__builtin_memcpy(forth->source, key->source, 16);
	__builtin_memcpy(forth->destination, backend->address, 16);
	forth->source_port = key->source_port;
	forth->destination_port = backend->port;
	forth->service = id;
	forth->generation = work->set.generation;
	forth->backend = chosen;
	forth->seen = packet->time;
	forth->scope = asked->scope;

	const __u32 *stand_in = 0;
	if (is_same_place(key->source, 0, forth->destination, 0)) {
		stand_in = key->destination;
	} else if (is_outside && !(asked->scope & OUTSIDE) && !is_local_pod(forth->destination) &&
		   !find_node_address(forth->destination)) {
		struct address *exit = find_exit(skb, packet, work);
		if (!exit)
			return 0;
		stand_in = exit->words;
	}

	lead_back(back, key, packet->time);
	if (!place_answer(key->protocol, work))
		return 0;
	if ((stand_in && !replace_client(key->protocol, work, stand_in)) || put_flow(key, forth, BPF_ANY)) {
		answer_to(forth, key->protocol, OUTWARD, &work->key);
		delete_flow(&work->key);
		return 0;
	}
	return forth;
}

/* What is known of a packet that comes in; whatever is new is worked out. */
static __always_inline struct flow *flow_inward(struct __sk_buff *skb, const struct packet *packet)
{
	struct flow *flow = find_flow(&packet->key, packet->time);

	if (!may_begin(packet) || (flow && !flow->service))
		return flow;
	if (flow && !(flow->state & (CLOSED_HERE | CLOSED_THERE | RESET)) && keeps_backend(flow, packet))
		return flow;
	return begin(skb, packet);
}

/*
 * Others give ports of the node to clients, too (masquerading does), and may give one that a client of ours has towards the
 * same backend. As its answers would be taken for ours, it gets another port on the way out, and its own back on the way in.
 */
static __always_inline struct flow *step_aside(const struct packet *packet)
{
	const struct flow_key *key = &packet->key;
	__u32 zero = 0;
	struct work *work = bpf_map_lookup_elem(&work_space, &zero);

	if (!work)
		return 0;
	struct flow *forth = &work->forth, *back = &work->back;
	__builtin_memset(forth, 0, sizeof(*forth));
	__builtin_memcpy(forth->source, key->source, 32);
	forth->source_port = key->source_port;
	forth->destination_port = key->destination_port;
	answer_to(forth, key->protocol, INWARD, &work->key);
	struct flow *ours = lookup_flow(&work->key);
	if (!ours || ours->service || is_over(ours, key->protocol, packet->time))
		return 0;
	forth->seen = packet->time;
	lead_back(back, key, packet->time);
#pragma unroll
	for (int i = 0; i < TRIES; i++) {
		forth->source_port = port_from(bpf_get_prandom_u32());
		answer_to(forth, key->protocol, INWARD, &work->key);
		if (take(&work->key, back)) {
			put_flow(key, forth, BPF_ANY);
			return forth;
		}
	}
	return 0;
}

static __always_inline struct flow *flow_outward(const struct packet *packet)
{
	struct flow *flow = find_flow(&packet->key, packet->time);

	return flow || !may_begin(packet) ? flow : step_aside(packet);
}

static __always_inline int serve(struct __sk_buff *skb, __u32 l3, __u8 hook)
{
	struct packet packet = {.key.hook = hook, .time = now()};

	/* It has been seen, or will be, at the interface that it belongs to. */
	if (skb->vlan_present)
		return NEXT;
	enum kind kind = read_packet(skb, l3, &packet);
	if (kind == NOT_OURS)
		return NEXT;
	if (kind == AN_ERROR)
		return (packet.is_ipv6 ? translate_error6(skb, &packet) : translate_error4(skb, &packet)) ? DROP : NEXT;
	struct flow *flow = hook == INWARD ? flow_inward(skb, &packet) : flow_outward(&packet);
	if (!flow)
		return NEXT;
	note_packet(flow, &packet);
	return rewrite_packet(skb, &packet, flow) ? DROP : NEXT;
}

SEC("tc")
int tbl_ether_in(struct __sk_buff *skb)
{
	return serve(skb, ETH_HLEN, INWARD);
}

SEC("tc")
int tbl_ether_out(struct __sk_buff *skb)
{
	return serve(skb, ETH_HLEN, OUTWARD);
}

/* For interfaces without a link layer, as tunnels are. */
SEC("tc")
int tbl_bare_in(struct __sk_buff *skb)
{
	return serve(skb, 0, INWARD);
}

SEC("tc")
int tbl_bare_out(struct __sk_buff *skb)
{
	return serve(skb, 0, OUTWARD);
}
