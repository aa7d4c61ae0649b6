// SPDX-License-Identifier: Apache-2.0
/*
 * The server for connect.c: accepts, reads one byte, answers one byte, waits for the peer's reset. Each listener answers
 * with its own byte (its number, from 1; or as given), so that the client can count who served it. With -u it answers
 * datagrams in the same way; with -d it discards what streams send, and answers nothing.
 *
 *   sink [-u | -d] [-t THREADS-PER-LISTENER] ADDRESS:PORT[=BYTE] ...
 *
 * Prints `ready` on standard output once all listeners accept.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "endpoint.h"

struct listener {
	int fd;
	unsigned char byte;
};

static int kind = SOCK_STREAM, discards;

static void *answer_datagrams(void *argument)
{
	const struct listener *listener = argument;
	char received;

	for (;;) {
		struct sockaddr_storage from;
		socklen_t length = sizeof(from);
		if (recvfrom(listener->fd, &received, 1, 0, (struct sockaddr *)&from, &length) >= 0)
			sendto(listener->fd, &listener->byte, 1, 0, (struct sockaddr *)&from, length);
	}
	return NULL;
}

static void *serve(void *argument)
{
	const struct listener *listener = argument;
	static const struct timeval patience = {.tv_sec = 5};
	char received, block[32 * 1024];

	for (;;) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				usleep(1000);
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		while (discards && recv(fd, block, sizeof(block), 0) > 0)
			;
		while (!discards && recv(fd, &received, 1, 0) == 1 && send(fd, &listener->byte, 1, MSG_NOSIGNAL) == 1)
			;
		close(fd);
	}
	return NULL;
}

static int listen_on(const char *text)
{
	static const int on = 1;
	struct endpoint at = parse_endpoint(text, 0);
	int fd = socket(at.address.ss_family, kind | SOCK_CLOEXEC, 0);

	if (fd < 0)
		give_up("Cannot open a socket for %s: %m", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at.address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at.address, at.length) < 0 || (kind == SOCK_STREAM && listen(fd, 4096) < 0))
		give_up("Cannot listen on %s: %m", text);
	return fd;
}

int main(int argc, char **argv)
{
	long threads = 8;
	int option;

	while ((option = getopt(argc, argv, "udt:")) != -1) {
		if (option == 'u')
			kind = SOCK_DGRAM;
		else if (option == 'd')
			discards = 1;
		else if (option != 't' || (threads = atol(optarg)) < 1)
			give_up("Usage: sink [-u | -d] [-t THREADS-PER-LISTENER] ADDRESS:PORT[=BYTE] ...");
	}
	void *(*work)(void *) = kind == SOCK_DGRAM ? answer_datagrams : serve;
	if (optind == argc)
		give_up("Cannot serve: expected at least one ADDRESS:PORT[=BYTE]");

	int count = argc - optind;
	struct listener *listeners = calloc(count, sizeof(*listeners));
	for (int i = 0; i < count; i++) {
		char *text = strdup(argv[optind + i]);
		char *byte = strchr(text, '=');
		if (byte)
			*byte++ = 0;
		listeners[i].fd = listen_on(text);
		listeners[i].byte = byte ? atoi(byte) : i + 1;
		free(text);
	}
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 * 1024);
	for (int i = 0; i < count; i++)
		for (long t = 0; t < threads; t++) {
			pthread_t thread;
			if (pthread_create(&thread, &small, work, &listeners[i]))
				give_up("Cannot start thread %ld", t);
		}
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
}
