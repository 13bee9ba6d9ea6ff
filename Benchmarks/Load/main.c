// Usage: load OPTION…, then commands on standard input, one a line; each is answered with one line of JSON.
//
//   --ports P[,P…]            of the peer on 127.0.0.1; a thousand connections in a row take the same
//   --path TEXT               of the WebSocket; {channel}, {connection} and {token} are replaced, here and below
//   --greeting TEXT           the first frame
//   --confirmation TEXT       what the answer to it holds, --confirmations N times
//   --ping TEXT --pong TEXT   of the peer's own protocol
//   --tokens FILE             one a line
//   --publisher nats|http|line --publisher-port P --target TEXT
//   --capacity N              of connections
//   --tls                     no certificate is checked
//
//   open COUNT CHANNELS CONCURRENCY [FIRST]   opens connections until COUNT are there; FIRST: the number that they expect
//   publish MESSAGES WINDOW                   as fast as goes with so many messages in flight
//   pace PER_SECOND SECONDS                   steadily
//   expect NUMBER                             until every connection has the message of that number
//   idle SECONDS                              only answers
//   close                                     closes all connections
#include "load.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/epoll.h>

uint16_t *ports;
size_t port_count;

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static void read_ports(char *text) {
    for (char *port = strtok(text, ","); port != NULL; port = strtok(NULL, ",")) {
        ports = realloc(ports, (port_count + 1) * sizeof *ports);
        ports[port_count++] = (uint16_t)atoi(port);
    }
}

static void carry_out(const char *line) {
    unsigned count, channels, window;
    unsigned long number = UINT64_MAX;
    double rate, seconds;
    if (sscanf(line, "open %u %u %u %lu", &count, &channels, &window, &number) >= 3) {
        run_open(count, channels, window, number);
    } else if (sscanf(line, "publish %lu %u", &number, &window) == 2) {
        run_publish(number, window);
    } else if (sscanf(line, "pace %lf %lf", &rate, &seconds) == 2) {
        run_pace(rate, seconds);
    } else if (sscanf(line, "expect %lu", &number) == 1) {
        run_expect(number);
    } else if (sscanf(line, "idle %lf", &seconds) == 1) {
        run_idle(seconds);
    } else if (strncmp(line, "close", 5) == 0) {
        run_close();
    } else {
        fail("no such command: %s", line);
    }
}

int main(int argc, char **argv) {
    enum { PORTS = 1, PATH, GREETING, CONFIRMATION, CONFIRMATIONS, PING, PONG, TOKENS, PUBLISHER, PUBLISHER_PORT, TARGET, CAPACITY, TLS };
    static const struct option options[] = {
        {"ports", 1, NULL, PORTS}, {"path", 1, NULL, PATH}, {"greeting", 1, NULL, GREETING},
        {"confirmation", 1, NULL, CONFIRMATION}, {"confirmations", 1, NULL, CONFIRMATIONS}, {"ping", 1, NULL, PING},
        {"pong", 1, NULL, PONG}, {"tokens", 1, NULL, TOKENS}, {"publisher", 1, NULL, PUBLISHER},
        {"publisher-port", 1, NULL, PUBLISHER_PORT}, {"target", 1, NULL, TARGET}, {"capacity", 1, NULL, CAPACITY}, {"tls", 0, NULL, TLS}, {0}};
    const char *publisher = NULL;
    int publisher_port = 0;
    connection_capacity = 19900;
    dialect.confirmations = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case PORTS: read_ports(optarg); break;
        case PATH: dialect.path = optarg; break;
        case GREETING: dialect.greeting = optarg; break;
        case CONFIRMATION: dialect.confirmation = optarg; break;
        case CONFIRMATIONS: dialect.confirmations = (uint32_t)atoi(optarg); break;
        case PING: dialect.ping = optarg; break;
        case PONG: dialect.pong = optarg; break;
        case TOKENS: dialect_read_tokens(optarg); break;
        case PUBLISHER: publisher = optarg; break;
        case PUBLISHER_PORT: publisher_port = atoi(optarg); break;
        case TARGET: dialect.target = optarg; break;
        case CAPACITY: connection_capacity = (uint32_t)atoi(optarg); break;
        case TLS: stream_use_tls(); break;
        default: return 64;
        }
    }
    if (port_count == 0 || dialect.path == NULL) fail("--ports and --path are needed");
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    connections = calloc(connection_capacity, sizeof *connections);
    if (publisher != NULL) publisher_connect(publisher, publisher_port);
    char line[256];
    setvbuf(stdin, NULL, _IONBF, 0); // nothing waits where the poller does not see it
    for (;;) {
        run_until_command(0);
        if (fgets(line, sizeof line, stdin) == NULL) return 0;
        carry_out(line);
    }
}
