// SPDX-License-Identifier: Apache-2.0
/*
 * Reads `10.0.0.1:80` and `[fd00::1]:80` into socket addresses, for connect.c and sink.c. An address that cannot be
 * read ends the program with a sentence.
 */
#ifndef TOMBOLO_ENDPOINT_H
#define TOMBOLO_ENDPOINT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct endpoint {
	struct sockaddr_storage address;
	socklen_t length;
};

__attribute__((format(printf, 1, 2), noreturn)) static inline void give_up(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

/* With `mapped`, an IPv4 address becomes ::ffff:a.b.c.d on an IPv6 socket. */
static inline struct endpoint parse_endpoint(const char *text, int mapped)
{
	struct endpoint result = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&result.address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&result.address;
	char host[80] = "";
	const char *colon = strrchr(text, ':');
	int bracket = text[0] == '[';

	if (!colon || (size_t)(colon - text) >= sizeof(host) || (bracket && colon[-1] != ']'))
		give_up("Cannot use an address: expected 10.0.0.1:80 or [fd00::1]:80: current value is %s", text);
	if (!bracket && mapped)
		snprintf(host, sizeof(host), "::ffff:%.*s", (int)(colon - text), text);
	else
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text) - 2 * bracket, text + bracket);

	char *end;
	long port = strtol(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535)
		give_up("Cannot use an address: expected a port of 1-65535: current value is %s", text);
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		result.length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		result.length = sizeof(*v6);
	} else {
		give_up("Cannot use an address: expected an IP address: current value is %s", text);
	}
	return result;
}

#endif
