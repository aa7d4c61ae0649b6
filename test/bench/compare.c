// SPDX-License-Identifier: Apache-2.0
/*
 * How much faster or slower one way of connecting is than another, on a machine that does other things too: two clients,
 * each in its own control group with its own list of addresses, take turns every few connections, so that whatever
 * disturbs one disturbs the other. Prints one JSON object: connections per second of each (from the median turn), and
 * `ratio`, the median over pairs of turns of B's speed to A's.
 *
 *   compare [-n TURNS] [-b CONNECTIONS-PER-TURN] CGROUP-A FILE-A CGROUP-B FILE-B
 *
 * A file has one ADDRESS:PORT a line, the control group is a directory. The first client of a pair is at a slight
 * advantage or disadvantage, the same in each run: for small differences run it both ways round. The server is sink.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define WARM_UP 3
/* Through a long list in an order that no cache foresees. */
#define STRIDE 7919

struct client {
	const char *cgroup, *file;
	int turn[2], result[2];
};

struct list {
	struct endpoint *endpoints;
	size_t count, room, at;
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (!memory)
		give_up("Cannot go on: out of memory");
	return memory;
}

static void enter(const char *cgroup)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	FILE *file = fopen(path, "w");
	if (!file || fprintf(file, "%d", getpid()) < 0 || fclose(file))
		give_up("Cannot enter control group %s: %m", cgroup);
}

static struct list read_list(const char *path)
{
	struct list list = {0};
	char line[128];
	FILE *file = fopen(path, "r");
	if (!file)
		give_up("Cannot read addresses: %s: %m", path);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\r\n")] = 0;
		if (!line[0])
			continue;
		if (list.count == list.room) {
			list.room = list.room ? 2 * list.room : 64;
			list.endpoints = realloc(list.endpoints, list.room * sizeof(*list.endpoints));
			if (!list.endpoints)
				give_up("Cannot keep %zu addresses: out of memory", list.room);
		}
		list.endpoints[list.count++] = parse_endpoint(line, 0);
	}
	fclose(file);
	if (!list.count)
		give_up("Cannot run: expected at least one address in %s", path);
	return list;
}

static void exchange(struct list *list)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	const struct endpoint *to = &list->endpoints[list->at = (list->at + STRIDE) % list->count];
	char byte;
	int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		give_up("Cannot open a socket: %m");
	if (connect(fd, (const struct sockaddr *)&to->address, to->length) < 0)
		give_up("Cannot connect: %m");
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
		give_up("Cannot get an answer: %m");
	close(fd);
}

/* Ends with the process: the nanoseconds of each turn go into `result`. */
static void run_client(const struct client *self, const struct client *other, long turns, long size)
{
	char token;
	enter(self->cgroup);
	struct list list = read_list(self->file);
	uint64_t *taken = allocate(turns, sizeof(*taken));

	for (long t = 0; t < turns; t++) {
		if (read(self->turn[0], &token, 1) != 1)
			exit(1);
		for (int i = 0; i < WARM_UP; i++)
			exchange(&list);
		uint64_t start = now();
		for (long i = 0; i < size; i++)
			exchange(&list);
		taken[t] = now() - start;
		if (write(other->turn[1], "t", 1) != 1)
			exit(1);
	}
	for (long t = 0; t < turns; t++)
		if (write(self->result[1], &taken[t], sizeof(*taken)) != sizeof(*taken))
			exit(1);
	exit(0);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, long count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

static void collect(struct client *clients, long turns, double **taken)
{
	for (int c = 0; c < 2; c++) {
		close(clients[c].result[1]);
		for (long t = 0; t < turns; t++) {
			uint64_t value;
			if (read(clients[c].result[0], &value, sizeof(value)) != sizeof(value))
				give_up("Cannot compare: a client ended early");
			taken[c][t] = value;
		}
	}
}

int main(int argc, char **argv)
{
	long turns = 500, size = 40;
	int option;

	while ((option = getopt(argc, argv, "n:b:")) != -1) {
		if (option == 'n')
			turns = atol(optarg);
		else if (option == 'b')
			size = atol(optarg);
	}
	if (argc - optind != 4 || turns < 1 || size < 1)
		give_up("Usage: compare [-n TURNS] [-b CONNECTIONS-PER-TURN] CGROUP-A FILE-A CGROUP-B FILE-B");

	struct client clients[2];
	for (int c = 0; c < 2; c++) {
		clients[c].cgroup = argv[optind + 2 * c];
		clients[c].file = argv[optind + 2 * c + 1];
		if (pipe(clients[c].turn) < 0 || pipe(clients[c].result) < 0)
			give_up("Cannot make a pipe: %m");
	}
	for (int c = 0; c < 2; c++) {
		pid_t child = fork();
		if (child < 0)
			give_up("Cannot start a client: %m");
		if (child == 0) {
			/* A client that fails closes the last writer: the other, waiting for its turn, ends too. */
			close(clients[c].turn[1]);
			close(clients[!c].turn[0]);
			run_client(&clients[c], &clients[!c], turns, size);
		}
	}
	if (write(clients[0].turn[1], "t", 1) != 1)
		give_up("Cannot begin: %m");
	for (int c = 0; c < 2; c++)
		close(clients[c].turn[1]);

	double *taken[2] = {allocate(turns, sizeof(double)), allocate(turns, sizeof(double))};
	double *ratios = allocate(turns, sizeof(double));
	collect(clients, turns, taken);
	for (long t = 0; t < turns; t++)
		ratios[t] = taken[0][t] / taken[1][t];
	printf("{\"turns\":%ld,\"connectionsPerTurn\":%ld,\"perSecondA\":%.1f,\"perSecondB\":%.1f,\"ratio\":%.4f}\n", turns,
	       size, size * 1e9 / median(taken[0], turns), size * 1e9 / median(taken[1], turns), median(ratios, turns));
	while (wait(NULL) > 0)
		;
	return 0;
}
