// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Addresses as the maps have them: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
#ifndef TOMBOLO_ADDRESS_H
#define TOMBOLO_ADDRESS_H

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

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

#endif
