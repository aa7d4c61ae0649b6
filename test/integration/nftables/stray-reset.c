/* Sends one TCP segment with RST from an address of this host: stray-reset SOURCE DESTINATION SOURCE-PORT PORT. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct pseudo_header {
	struct in_addr source, destination;
	unsigned char zero, protocol;
	unsigned short length;
	struct tcphdr segment;
};

static unsigned short checksum(const void *data, size_t length)
{
	const unsigned short *words = data;
	unsigned int sum = 0;

	for (size_t i = 0; i < length / 2; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

int main(int argc, char **argv)
{
	struct pseudo_header packet = {.protocol = IPPROTO_TCP, .length = htons(sizeof(struct tcphdr))};
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);

	if (argc != 5 || fd < 0 || !inet_aton(argv[1], &from.sin_addr) || !inet_aton(argv[2], &to.sin_addr) ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)))
		return perror("stray-reset"), 1;
	packet.source = from.sin_addr;
	packet.destination = to.sin_addr;
	packet.segment.source = htons(atoi(argv[3]));
	packet.segment.dest = htons(atoi(argv[4]));
	packet.segment.seq = htonl(12345);
	packet.segment.doff = sizeof(struct tcphdr) / 4;
	packet.segment.rst = 1;
	packet.segment.check = checksum(&packet, sizeof(packet));
	if (sendto(fd, &packet.segment, sizeof(packet.segment), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return perror("stray-reset"), 1;
	return 0;
}
