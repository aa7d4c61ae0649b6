// SPDX-License-Identifier: Apache-2.0
/*
 * Does to one socket what its arguments say, and prints one line for each: what a program of a pod would see.
 *
 *   socket-script tcp4|tcp6|udp4|udp6|mptcp4 STEP ...
 *   STEP: bind=ADDRESS:PORT  connect=ADDRESS:PORT  disconnect  sendto=ADDRESS:PORT  send  recv  peer
 *
 * On tcp6 and udp6 an IPv4 address is taken as ::ffff:a.b.c.d. Prints `connect ok`, `connect ECONNREFUSED`,
 * `recv 1 from 10.0.0.1:80`, `peer 10.0.0.1:80`, ...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "../../bench/endpoint.h"

#define MULTIPATH_TCP 262

static void print_address(const struct sockaddr_storage *address)
{
	char text[INET6_ADDRSTRLEN];
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET)
		printf("%s:%d", inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)), ntohs(v4->sin_port));
	else
		printf("[%s]:%d", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)), ntohs(v6->sin6_port));
}

static void print_outcome(const char *step, int failed)
{
	printf("%s %s\n", step, failed ? strerrorname_np(errno) : "ok");
}

static void receive(int fd)
{
	unsigned char byte = 0;
	struct sockaddr_storage from = {0};
	socklen_t length = sizeof(from);

	if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &length) < 0) {
		print_outcome("recv", 1);
		return;
	}
	printf("recv %d", byte);
	if (length > 0) {
		printf(" from ");
		print_address(&from);
	}
	printf("\n");
}

static void show_peer(int fd)
{
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0) {
		print_outcome("peer", 1);
		return;
	}
	printf("peer ");
	print_address(&peer);
	printf("\n");
}

/* Says that it waits, until something comes over stdin. */
static void wait_for_word(void)
{
	printf("wait\n");
	fflush(stdout);
	getchar();
}

static void perform(int fd, char *step, int mapped)
{
	struct endpoint to = {0};
	char *argument = strchr(step, '=');
	if (argument) {
		*argument++ = 0;
		to = parse_endpoint(argument, mapped);
	}
	const struct sockaddr *address = (const struct sockaddr *)&to.address;
	static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	if (!strcmp(step, "bind"))
		print_outcome(step, bind(fd, address, to.length) < 0);
	else if (!strcmp(step, "connect"))
		print_outcome(step, connect(fd, address, to.length) < 0);
	else if (!strcmp(step, "disconnect"))
		print_outcome(step, connect(fd, &nobody, sizeof(nobody)) < 0);
	else if (!strcmp(step, "sendto"))
		print_outcome(step, sendto(fd, "x", 1, 0, address, to.length) < 0);
	else if (!strcmp(step, "send"))
		print_outcome(step, send(fd, "x", 1, MSG_NOSIGNAL) < 0);
	else if (!strcmp(step, "recv"))
		receive(fd);
	else if (!strcmp(step, "peer"))
		show_peer(fd);
	else if (!strcmp(step, "wait"))
		wait_for_word();
	else
		give_up("Cannot do this step: current value is %s", step);
}

int main(int argc, char **argv)
{
	static const struct timeval patience = {.tv_sec = 3};
	static const int on = 1;

	if (argc < 2 || strlen(argv[1]) < 4)
		give_up("Usage: socket-script tcp4|tcp6|udp4|udp6|mptcp4 STEP ...");
	int is6 = argv[1][strlen(argv[1]) - 1] == '6';
	int is_datagram = argv[1][0] == 'u', is_multipath = argv[1][0] == 'm';
	int fd = socket(is6 ? AF_INET6 : AF_INET, is_datagram ? SOCK_DGRAM : SOCK_STREAM, is_multipath ? MULTIPATH_TCP : 0);
	if (fd < 0)
		give_up("Cannot open a socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	for (int i = 2; i < argc; i++)
		perform(fd, argv[i], is6);
	return 0;
}
