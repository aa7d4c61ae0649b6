// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Load balancing where a socket names its peer: connect() and sendto() to a service address go to one of its backends,
 * and recvfrom() and getpeername() show the service address again. No packet is ever rewritten. An address that is not
 * a service's passes untouched.
 *
 * A service without backends refuses a stream at once with ECONNREFUSED, as a port does that nobody listens on. Not so
 * a datagram's socket, which may live until there are some: its packets are for others to refuse. EHOSTUNREACH would
 * mean that the maps contradict each other. Kernels before 5.18 cannot set the error: there it is EPERM.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "choose.h"
#include "datagrams.h"
#include "socket-maps.h"
#include "remember.h"

/* Set by the loader before the verifier sees them, which drops what they rule out. */
const volatile struct {
	/* The cookie of the one network namespace whose sockets are served; 0: all. */
	__u64 only_netns;
	/* Whether this kernel has bpf_set_retval. */
	__u8 can_set_errno;
	/* Whether somebody balances the packets of sockets that are left alone. */
	__u8 has_packets;
	__u8 pad[6];
} settings = {.can_set_errno = 1};

/* The kernel asks under which licence it runs this: of the two offered, it is the GPL. */
char kernel_license[] SEC("license") = "GPL";

enum hook { CONNECT, SEND };
enum verdict { UNTOUCHED = 0, TRANSLATED = 1 };

#define PROCEED 1
#define REFUSE 0
#define MULTIPATH_TCP 262

static __always_inline int refuse(int error)
{
	if (settings.can_set_errno)
		bpf_set_retval(error);
	return REFUSE;
}

static __always_inline int is_client(struct bpf_sock_addr *ctx)
{
	return !settings.only_netns || bpf_get_netns_cookie(ctx) == settings.only_netns;
}

/* The socket goes to the very address that it asked for. */
static __always_inline int leave_alone(struct bpf_sock_addr *ctx, enum hook hook, const struct service_key *key)
{
	if (hook == CONNECT)
		forget_peer(ctx);
	if (key->protocol == IPPROTO_UDP)
		forget_send(ctx, key);
	return UNTOUCHED;
}

/*
 * A stream whose program chose its own port. From one port it may ask two services, and both may lead to one backend: two
 * sockets with the same addresses and ports at both ends, which the kernel refuses (EADDRNOTAVAIL). Whoever balances
 * packets gives one of them another port on the way.
 */
static __always_inline int has_chosen_port(struct bpf_sock_addr *ctx, enum hook hook, const struct service_key *key)
{
	return hook == CONNECT && settings.has_packets && key->protocol == IPPROTO_TCP && ctx->sk->src_port;
}

/* `key` is what the socket asked for, and on TRANSLATED the backend in its place. Else UNTOUCHED or an errno. */
static __always_inline int to_backend(struct bpf_sock_addr *ctx, enum hook hook, struct service_key *key)
{
	struct service *service = bpf_map_lookup_elem(&services, key);
	if (!service || has_chosen_port(ctx, hook, key))
		return leave_alone(ctx, hook, key);
	__u32 id = service->id;
	int chosen = choose_backend(ctx, key->protocol, service);
	if (chosen == -ECONNREFUSED && key->protocol == IPPROTO_UDP)
		return leave_alone(ctx, hook, key);
	if (chosen < 0)
		return chosen;
	struct backend *backend = bpf_map_lookup_elem(&backends, &chosen);
	if (!backend || !backend->port)
		return -EHOSTUNREACH;
	if (key->protocol == IPPROTO_UDP && remember_send(ctx, key, id, chosen, backend))
		return -ENOMEM;
	if (hook == CONNECT)
		remember_peer(ctx, key, backend);
	copy_address(key->address, backend->address);
	key->port = backend->port;
	return TRANSLATED;
}

/* Whether there is a service behind `from`; if so it is put into `found`. */
static __always_inline int find_service(struct bpf_sock_addr *ctx, int sent_first, const struct service_key *from,
					struct service_key *found)
{
	if (from->protocol != IPPROTO_UDP)
		return find_connected(ctx, from, found);
	if (sent_first)
		return find_sent(ctx, from, found) || find_connected(ctx, from, found);
	return find_connected(ctx, from, found) || find_sent(ctx, from, found);
}

static __always_inline struct service_key key_of(struct bpf_sock_addr *ctx, int family)
{
	struct service_key key = {.port = ctx->user_port, .protocol = ctx->protocol};

	if (ctx->protocol == MULTIPATH_TCP)
		key.protocol = IPPROTO_TCP;
	if (family == 4) {
		key.address[2] = bpf_htonl(0xffff);
		key.address[3] = ctx->user_ip4;
	} else {
		key.address[0] = ctx->user_ip6[0];
		key.address[1] = ctx->user_ip6[1];
		key.address[2] = ctx->user_ip6[2];
		key.address[3] = ctx->user_ip6[3];
	}
	return key;
}

static __always_inline void rewrite(struct bpf_sock_addr *ctx, int family, const struct service_key *to)
{
	if (family == 4) {
		ctx->user_ip4 = to->address[3];
	} else {
		ctx->user_ip6[0] = to->address[0];
		ctx->user_ip6[1] = to->address[1];
		ctx->user_ip6[2] = to->address[2];
		ctx->user_ip6[3] = to->address[3];
	}
	ctx->user_port = to->port;
}

static __always_inline int outward(struct bpf_sock_addr *ctx, enum hook hook, int family)
{
	if (!is_client(ctx))
		return PROCEED;
	struct service_key key = key_of(ctx, family);
	int verdict = to_backend(ctx, hook, &key);

	if (verdict < 0)
		return refuse(verdict);
	if (verdict == TRANSLATED)
		rewrite(ctx, family, &key);
	return PROCEED;
}

static __always_inline int inward(struct bpf_sock_addr *ctx, int sent_first, int family)
{
	if (!is_client(ctx))
		return PROCEED;
	struct service_key from = key_of(ctx, family), service = {};

	if (find_service(ctx, sent_first, &from, &service))
		rewrite(ctx, family, &service);
	return PROCEED;
}

SEC("cgroup/connect4")
int tbl_connect4(struct bpf_sock_addr *ctx)
{
	return outward(ctx, CONNECT, 4);
}

SEC("cgroup/connect6")
int tbl_connect6(struct bpf_sock_addr *ctx)
{
	return outward(ctx, CONNECT, 6);
}

SEC("cgroup/sendmsg4")
int tbl_sendmsg4(struct bpf_sock_addr *ctx)
{
	return outward(ctx, SEND, 4);
}

SEC("cgroup/sendmsg6")
int tbl_sendmsg6(struct bpf_sock_addr *ctx)
{
	return outward(ctx, SEND, 6);
}

SEC("cgroup/recvmsg4")
int tbl_recvmsg4(struct bpf_sock_addr *ctx)
{
	return inward(ctx, 1, 4);
}

SEC("cgroup/recvmsg6")
int tbl_recvmsg6(struct bpf_sock_addr *ctx)
{
	return inward(ctx, 1, 6);
}

SEC("cgroup/getpeername4")
int tbl_getpeername4(struct bpf_sock_addr *ctx)
{
	return inward(ctx, 0, 4);
}

SEC("cgroup/getpeername6")
int tbl_getpeername6(struct bpf_sock_addr *ctx)
{
	return inward(ctx, 0, 6);
}
