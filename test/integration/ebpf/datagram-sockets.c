// SPDX-License-Identifier: Apache-2.0
/*
 * Datagram sockets that do not connect, as those of a resolver: they live long and send to a Service now and then.
 *
 *   datagram-sockets COUNT ADDRESS:PORT
 *
 * For each line on stdin prints one: `ask` has every socket send and wait for its answer, and prints the bytes that came,
 * as digits; `send` only sends, `take` takes what was answered and where it seems to come from; `others N` has so many
 * sockets beside them send once and close.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "../../bench/endpoint.h"

static struct endpoint service;

static int open_socket(void)
{
	static const struct timeval patience = {.tv_sec = 3};
	int fd = socket(service.address.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		give_up("Cannot open a socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void send_from(int fd)
{
	if (sendto(fd, "x", 1, 0, (const struct sockaddr *)&service.address, service.length) != 1)
		give_up("Cannot send: %m");
}

/* `-` when nothing came, `?` when it came from elsewhere than what was asked. */
static char take(int fd)
{
	unsigned char byte;
	struct sockaddr_storage from = {0};
	socklen_t length = sizeof(from);

	if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &length) != 1)
		return '-';
	return memcmp(&from, &service.address, length) ? '?' : '0' + byte;
}

int main(int argc, char **argv)
{
	int count = argc == 3 ? atoi(argv[1]) : 0;

	if (count < 1)
		give_up("Usage: datagram-sockets COUNT ADDRESS:PORT");
	service = parse_endpoint(argv[2], 0);
	int *sockets = calloc(count, sizeof(*sockets));
	for (int i = 0; i < count; i++)
		sockets[i] = open_socket();

	char line[80];
	while (fgets(line, sizeof(line), stdin)) {
		int others = !strncmp(line, "others ", 7) ? atoi(line + 7) : 0;
		int sends = !strncmp(line, "ask", 3) || !strncmp(line, "send", 4);
		int takes = !strncmp(line, "ask", 3) || !strncmp(line, "take", 4);
		for (int i = 0; i < others; i++) {
			int fd = open_socket();
			send_from(fd);
			close(fd);
		}
		for (int i = 0; i < count; i++) {
			if (sends)
				send_from(sockets[i]);
			if (takes)
				putchar(take(sockets[i]));
		}
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
