// SPDX-License-Identifier: Apache-2.0
/*
 * Sends to one address as fast as it is taken, over one connection, and prints one JSON object: megabytes per second. The
 * server is sink.c with -d.
 *
 *   stream [-d SECONDS] ADDRESS:PORT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char block[256 * 1024];
	double seconds = 1, began;
	uint64_t sent = 0;
	int option;

	while ((option = getopt(argc, argv, "d:")) != -1)
		if (option != 'd' || (seconds = atof(optarg)) <= 0)
			give_up("Usage: stream [-d SECONDS] ADDRESS:PORT");
	if (optind != argc - 1)
		give_up("Usage: stream [-d SECONDS] ADDRESS:PORT");
	struct endpoint to = parse_endpoint(argv[optind], 0);
	int fd = socket(to.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to.address, to.length) < 0)
		give_up("Cannot connect to %s: %m", argv[optind]);
	for (began = now(); now() - began < seconds;) {
		ssize_t count = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		if (count < 0)
			give_up("Cannot send to %s: %m", argv[optind]);
		sent += count;
	}
	printf("{\"megabytesPerSecond\": %.1f}\n", sent / 1e6 / (now() - began));
	return 0;
}
