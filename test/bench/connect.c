// SPDX-License-Identifier: Apache-2.0
/*
 * Load generator: connects to the given addresses in turn, sends one byte, reads one byte, closes with a reset (so no
 * socket lingers), and again. Prints one JSON object: connections per second, the time of connect() and of the whole
 * exchange in microseconds, failures by errno, and which bytes came back how often (sink.c can give each listener its
 * own). Serves benchmarks and tests that count failures.
 *
 *   connect [-n CONNECTIONS | -d SECONDS] [-t THREADS] [-w WARM-UP] [-f FILE] [-r] [-6] [ADDRESS:PORT ...]
 *
 * -f reads further addresses from a file, one a line; -r takes them in random order; -6 opens IPv6 sockets for IPv4
 * addresses. SIGINT and SIGTERM end the run early; what was measured is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define ERRNOS 200

struct samples {
	uint32_t *values;
	size_t count, room;
};

struct worker {
	pthread_t thread;
	unsigned seed;
	long offset, quota, warmup;
	uint64_t began, ended;
	struct samples connect, exchange;
	long failures[ERRNOS], replies[256];
};

static struct endpoint *endpoints;
static size_t endpoint_count, endpoint_room;
static double duration;
static int random_order;
static atomic_int stopping;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static void add_sample(struct samples *samples, uint64_t nanoseconds)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? samples->room * 2 : 4096;
		samples->values = realloc(samples->values, samples->room * sizeof(uint32_t));
		if (!samples->values)
			give_up("Cannot keep %zu samples: out of memory", samples->room);
	}
	samples->values[samples->count++] = nanoseconds > UINT32_MAX ? UINT32_MAX : nanoseconds;
}

/* 0, or the errno of what failed; a peer that closes without an answer counts as ENODATA. */
static int exchange(const struct endpoint *to, uint64_t *connected, unsigned char *reply)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	static const struct timeval patience = {.tv_sec = 5};
	int failure = 0, fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	uint64_t start = now();
	if (connect(fd, (const struct sockaddr *)&to->address, to->length) < 0) {
		failure = errno;
	} else {
		*connected = now() - start;
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0) {
			failure = errno;
		} else {
			ssize_t got = recv(fd, reply, 1, 0);
			failure = got == 1 ? 0 : got == 0 ? ENODATA : errno;
		}
	}
	close(fd);
	return failure;
}

static void *run(void *argument)
{
	struct worker *worker = argument;
	uint64_t end = duration > 0 ? now() + (uint64_t)(duration * 1e9) : UINT64_MAX;

	worker->began = now();
	for (long i = -worker->warmup; i < worker->quota && !stopping; i++) {
		size_t at = random_order ? rand_r(&worker->seed) : worker->offset + i + worker->warmup;
		unsigned char reply = 0;
		uint64_t connected = 0, start = now();
		if (start >= end)
			break;
		int failure = exchange(&endpoints[at % endpoint_count], &connected, &reply);
		if (i == -1)
			worker->began = now();
		if (i < 0 && !failure)
			continue;
		if (failure) {
			worker->failures[failure < ERRNOS ? failure : 0]++;
			continue;
		}
		worker->replies[reply]++;
		add_sample(&worker->connect, connected);
		add_sample(&worker->exchange, now() - start);
	}
	worker->ended = now();
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples all)
{
	qsort(all.values, all.count, sizeof(uint32_t), by_value);
	printf("\"%s\":{", name);
	static const struct { const char *name; double at; } points[] = {{"p01", .01}, {"p50", .5}, {"p90", .9}, {"p99", .99}};
	for (size_t i = 0; i < 4; i++)
		printf("\"%s\":%.1f,", points[i].name, all.count ? all.values[(size_t)(all.count * points[i].at)] / 1e3 : 0);
	printf("\"max\":%.1f}", all.count ? all.values[all.count - 1] / 1e3 : 0);
}

static void print_result(struct worker *workers, long threads)
{
	struct samples connect = {0}, whole = {0};
	long failed = 0, failures[ERRNOS] = {0}, replies[256] = {0};
	uint64_t began = UINT64_MAX, ended = 0;

	for (long w = 0; w < threads; w++) {
		for (size_t i = 0; i < workers[w].connect.count; i++) {
			add_sample(&connect, workers[w].connect.values[i]);
			add_sample(&whole, workers[w].exchange.values[i]);
		}
		for (int e = 0; e < ERRNOS; e++)
			failed += workers[w].failures[e], failures[e] += workers[w].failures[e];
		for (int b = 0; b < 256; b++)
			replies[b] += workers[w].replies[b];
		began = workers[w].began < began ? workers[w].began : began;
		ended = workers[w].ended > ended ? workers[w].ended : ended;
	}
	double seconds = (ended - began) / 1e9;
	printf("{\"connections\":%zu,\"failures\":%ld,\"seconds\":%.4f,\"perSecond\":%.1f,", connect.count, failed,
	       seconds, connect.count / seconds);
	print_samples("connectUs", connect);
	printf(",");
	print_samples("exchangeUs", whole);
	const char *comma = "";
	printf(",\"errors\":{");
	for (int e = 0; e < ERRNOS; e++)
		if (failures[e])
			printf("%s\"%s\":%ld", comma, e ? strerrorname_np(e) : "other", failures[e]), comma = ",";
	comma = "";
	printf("},\"replies\":{");
	for (int b = 0; b < 256; b++)
		if (replies[b])
			printf("%s\"%d\":%ld", comma, b, replies[b]), comma = ",";
	printf("}}\n");
}

static void add_endpoint(const char *text, int mapped)
{
	if (endpoint_count == endpoint_room) {
		endpoint_room = endpoint_room ? endpoint_room * 2 : 64;
		endpoints = realloc(endpoints, endpoint_room * sizeof(*endpoints));
		if (!endpoints)
			give_up("Cannot keep %zu addresses: out of memory", endpoint_room);
	}
	endpoints[endpoint_count++] = parse_endpoint(text, mapped);
}

static void read_endpoints(const char *path, int mapped)
{
	char line[128];
	FILE *file = fopen(path, "r");
	if (!file)
		give_up("Cannot read addresses: %s: %m", path);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\r\n")] = 0;
		if (line[0])
			add_endpoint(line, mapped);
	}
	fclose(file);
}

int main(int argc, char **argv)
{
	long connections = 10000, threads = 1, warmup = 0;
	int option, mapped = 0;
	const char *file = NULL;

	while ((option = getopt(argc, argv, "n:d:t:w:f:r6")) != -1) {
		switch (option) {
		case 'n': connections = atol(optarg); break;
		case 'd': duration = atof(optarg); break;
		case 't': threads = atol(optarg); break;
		case 'w': warmup = atol(optarg); break;
		case 'f': file = optarg; break;
		case 'r': random_order = 1; break;
		case '6': mapped = 1; break;
		default: give_up("Usage: connect [-n N | -d SECONDS] [-t THREADS] [-w N] [-f FILE] [-r] [-6] [ADDRESS:PORT ...]");
		}
	}
	for (int i = optind; i < argc; i++)
		add_endpoint(argv[i], mapped);
	if (file)
		read_endpoints(file, mapped);
	if (endpoint_count == 0 || threads < 1 || threads > 1024 || connections < 1)
		give_up("Cannot run: expected at least one address, connection and thread (of at most 1024)");
	if (duration > 0)
		connections = INT32_MAX;

	/* The signals go to this thread only: a worker's connect() must not end early because of one. */
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	struct worker *workers = calloc(threads, sizeof(*workers));
	for (long w = 0; w < threads; w++) {
		workers[w].seed = w + 1;
		workers[w].offset = endpoint_count * w / threads;
		workers[w].quota = connections / threads + (w < connections % threads);
		workers[w].warmup = warmup;
		if (pthread_create(&workers[w].thread, NULL, run, &workers[w]))
			give_up("Cannot start thread %ld", w);
	}
	pthread_sigmask(SIG_UNBLOCK, &ends, NULL);
	for (long w = 0; w < threads; w++)
		pthread_join(workers[w].thread, NULL);
	print_result(workers, threads);
	return 0;
}
