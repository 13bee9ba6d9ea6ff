#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// How a peer is told what to publish:
// - nats: the NATS protocol;
// - http: POST, pipelined on one connection;
// - line: target, space, message, line feed, for peers whose program is ours.
static enum { NATS, HTTP, LINE } kind;
static int descriptor = -1;
static char *waiting; // to be written
static size_t waiting_length, waiting_capacity;
static bool wants_output;

static void add(const char *bytes, size_t length) {
    if (waiting_length + length > waiting_capacity) {
        waiting_capacity = (waiting_length + length) * 2;
        waiting = realloc(waiting, waiting_capacity);
    }
    memcpy(waiting + waiting_length, bytes, length);
    waiting_length += length;
}

void publisher_connect(const char *name, int port) {
    kind = strcmp(name, "nats") == 0 ? NATS : strcmp(name, "http") == 0 ? HTTP : LINE;
    struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(descriptor, (struct sockaddr *)&peer, sizeof peer) < 0) fail("no publisher: %s", strerror(errno));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, sizeof(struct timeval));
    if (kind == NATS) {
        static const char hello[] = "CONNECT {\"verbose\":false,\"lang\":\"c\",\"version\":\"1\",\"name\":\"load\"}\r\n";
        add(hello, sizeof hello - 1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = PUBLISHER};
    epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
    publisher_flush();
}

void publisher_send(uint32_t channel, const char *message) {
    char target[512], head[1024];
    target[dialect_expand(target, sizeof target - 1, dialect.target, channel, 0)] = 0;
    int length;
    switch (kind) {
    case NATS: length = snprintf(head, sizeof head, "PUB %s %d\r\n", target, MESSAGE_LENGTH); break;
    case HTTP:
        length = snprintf(
            head, sizeof head, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n", target, MESSAGE_LENGTH);
        break;
    default: length = snprintf(head, sizeof head, "%s ", target);
    }
    add(head, (size_t)length);
    add(message, MESSAGE_LENGTH);
    if (kind == NATS) add("\r\n", 2);
    if (kind == LINE) add("\n", 1);
}

void publisher_flush(void) {
    size_t written = 0;
    while (written < waiting_length) {
        ssize_t count = send(descriptor, waiting + written, waiting_length - written, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) fail("the publisher's connection: %s", strerror(errno));
        if (count < 0) break;
        written += (size_t)count;
    }
    memmove(waiting, waiting + written, waiting_length - written);
    waiting_length -= written;
    if (wants_output == (waiting_length > 0)) return;
    wants_output = waiting_length > 0;
    struct epoll_event event = {.events = EPOLLIN | (wants_output ? EPOLLOUT : 0), .data.u32 = PUBLISHER};
    epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event);
}

// Every answer of an HTTP peer must say that the message was taken.
static void check_statuses(const char *bytes, size_t length) {
    const char *end = bytes + length;
    while ((bytes = memmem(bytes, (size_t)(end - bytes), "HTTP/1.1 ", 9)) != NULL) {
        bytes += 9;
        if (bytes < end && *bytes != '2') fail("the publisher was refused: %.*s", (int)(end - bytes), bytes);
    }
}

void publisher_handle(uint32_t events) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        static char input[1 << 16];
        ssize_t count = recv(descriptor, input, sizeof input, MSG_DONTWAIT);
        if (count == 0) fail("the publisher's connection was closed");
        if (count > 0 && kind == NATS) {
            if (memmem(input, (size_t)count, "-ERR", 4) != NULL) fail("the publisher: %.*s", (int)count, input);
            if (memmem(input, (size_t)count, "PING\r\n", 6) != NULL) add("PONG\r\n", 6);
        }
        if (count > 0 && kind == HTTP) check_statuses(input, (size_t)count);
    }
    publisher_flush();
}
