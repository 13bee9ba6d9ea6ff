#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

extern uint16_t *ports; // of the peer
extern size_t port_count;

struct connection *connections;
uint32_t connection_capacity, connection_count, channel_count = 1;

// A source address has 28,000 ports, and the kernel's search for a free one becomes slow long before they are used up.
enum { CONNECTIONS_OF_AN_ADDRESS = 1000 };
static uint32_t opened;

// One port for so many in a row. In turns, what the kernel has of one server's connections would lie far apart, each beside
// those of other servers: a cost of having many servers on one machine, and of no server's own.
enum { CONNECTIONS_OF_A_PORT = 1000 };

static char input[MESSAGE_HEADER + (1 << 18)], output[1 << 16];

void connection_open(uint32_t index, uint32_t channel, uint64_t expected) {
    struct connection *connection = &connections[index];
    *connection = (struct connection){.channel = channel, .expected = expected, .phase = PHASE_CONNECTING};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    if (descriptor < 0) fail("no socket: %s", strerror(errno));
    connection->descriptor = descriptor;
    setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    uint32_t host = opened++ / CONNECTIONS_OF_AN_ADDRESS;
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F010001 + (host / 250) * 256 + host % 250)};
    uint16_t port = ports[index / CONNECTIONS_OF_A_PORT % port_count];
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(descriptor, (struct sockaddr *)&source, sizeof source) < 0) fail("bind: %s", strerror(errno));
    if (connect(descriptor, (struct sockaddr *)&peer, sizeof peer) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

void connection_close(uint32_t index) {
    struct connection *connection = &connections[index];
    if (connection->phase == PHASE_FREE) return;
    if (connection->phase == PHASE_READY) connection_count--;
    stream_close(connection);
    connection->phase = PHASE_FREE;
}

static void become_ready(uint32_t index) {
    connections[index].phase = PHASE_READY;
    connection_count++;
    run_ready(index);
}

static void upgrade(uint32_t index) {
    struct connection *connection = &connections[index];
    if (!stream_handshake(connection)) return;
    char path[4096];
    size_t path_length = dialect_expand(path, sizeof path, dialect.path, connection->channel, index);
    int request = snprintf(
        output, sizeof output,
        "GET %.*s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        (int)path_length, path);
    connection->phase = PHASE_UPGRADING;
    stream_write(connection, output, (size_t)request);
}

static void connected(uint32_t index) {
    struct connection *connection = &connections[index];
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) fail("connect: %s", strerror(error));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->descriptor, &event);
    connection->phase = PHASE_SECURING;
    upgrade(index);
}

static void greet(uint32_t index) {
    struct connection *connection = &connections[index];
    connection->phase = PHASE_GREETING;
    if (dialect.greeting != NULL) {
        static char greeting[1 << 15];
        size_t length = dialect_expand(greeting, sizeof greeting, dialect.greeting, connection->channel, index);
        stream_write(connection, output, frame_write(output, 1, greeting, length));
    }
    if (dialect.confirmation == NULL) become_ready(index);
}

// Looks in a part of a frame's payload for what was waited for; returns where reading must go on once more has come.
static const char *read_confirmations(uint32_t index, const char *bytes, const char *end) {
    struct connection *connection = &connections[index];
    size_t length = strlen(dialect.confirmation);
    const char *refusal = memmem(bytes, (size_t)(end - bytes), "\"error\":", 8);
    if (refusal == NULL) refusal = memmem(bytes, (size_t)(end - bytes), "-ERR", 4);
    if (refusal != NULL) fail("refused: %.*s", (int)(end - bytes), bytes);
    while (connection->phase == PHASE_GREETING) {
        const char *found = memmem(bytes, (size_t)(end - bytes), dialect.confirmation, length);
        if (found == NULL) {
            size_t undecided = (size_t)(end - bytes) < length ? (size_t)(end - bytes) : length - 1;
            return end - undecided;
        }
        run_answer(found, (size_t)(end - found));
        bytes = found + length;
        if (++connection->confirmed == dialect.confirmations) become_ready(index);
    }
    return bytes;
}

static const char *read_messages(struct connection *connection, const char *bytes, const char *end, uint64_t now) {
    while (end - bytes >= MESSAGE_HEADER) {
        const char *message = message_find(bytes, (size_t)(end - bytes));
        if (message == NULL) return end - (MESSAGE_HEADER - 1);
        if (end - message < MESSAGE_HEADER) return message;
        uint64_t sent = message_time(message);
        histogram_record(now > sent ? now - sent : 0);
        run_delivered(connection, message_number(message));
        bytes = end - message < MESSAGE_LENGTH ? end : message + MESSAGE_LENGTH;
    }
    return bytes;
}

static bool is(const char *text, const char *bytes, uint64_t length) {
    return text != NULL && strlen(text) == length && memcmp(bytes, text, length) == 0;
}

// Answers what is no message; false if the payload is to be read.
static bool answer(struct connection *connection, const struct frame *frame, const char *payload) {
    if (frame->opcode == 9) {
        stream_write(connection, output, frame_write(output, 10, payload, frame->payload));
    } else if (is(dialect.ping, payload, frame->payload)) {
        stream_write(connection, output, frame_write(output, 1, dialect.pong, strlen(dialect.pong)));
    } else {
        return frame->opcode == 10;
    }
    tally.pings++;
    return true;
}

// Reads frames; returns where reading must go on once more has come.
static const char *read_frames(uint32_t index, const char *bytes, const char *end, uint64_t now) {
    struct connection *connection = &connections[index];
    while (bytes < end) {
        if (connection->remaining == 0) {
            struct frame frame;
            if (!frame_parse(bytes, (size_t)(end - bytes), &frame)) return bytes;
            const char *payload = bytes + frame.header;
            // What may want an answer is small, and looked at when it is whole.
            if (frame.header + frame.payload <= sizeof connection->keep) {
                if ((uint64_t)(end - payload) < frame.payload) return bytes;
                if (answer(connection, &frame, payload)) {
                    bytes = payload + frame.payload;
                    continue;
                }
            }
            if (frame.opcode == 8) {
                int code = frame.payload >= 2 && end - payload >= 2 ? (uint8_t)payload[0] << 8 | (uint8_t)payload[1] : 0;
                fprintf(stderr, "load: closed by the server with %d\n", code);
            }
            bytes = payload;
            connection->remaining = frame.payload;
        }
        uint64_t there = (uint64_t)(end - bytes);
        const char *part = there < connection->remaining ? end : bytes + connection->remaining, *next = bytes;
        if (connection->phase == PHASE_GREETING) next = read_confirmations(index, next, part);
        if (connection->phase == PHASE_READY) next = read_messages(connection, next, part, now);
        // The rest of a whole frame holds nothing more; that of another is read again with what follows.
        if (there >= connection->remaining) next = part;
        connection->remaining -= (uint64_t)(next - bytes);
        bytes = next;
        if (connection->remaining > 0) return bytes;
    }
    return bytes;
}

static void end(uint32_t index) {
    if (connections[index].phase != PHASE_READY) fail("the server closed a connection before it was ready");
    tally.closed++;
    connection_close(index);
}

static void read_input(uint32_t index) {
    struct connection *connection = &connections[index];
    memcpy(input, connection->keep, connection->kept);
    long count = stream_read(connection, input + connection->kept, sizeof input - sizeof connection->keep);
    if (count < 0) return;
    if (count == 0) return end(index);
    const char *bytes = input, *limit = input + connection->kept + count;
    connection->kept = 0;
    if (connection->phase == PHASE_UPGRADING) {
        const char *head = memmem(bytes, (size_t)(limit - bytes), "\r\n\r\n", 4);
        if (head == NULL || memcmp(bytes, "HTTP/1.1 101", 12) != 0)
            fail("refused: %.*s", (int)(limit - bytes), bytes);
        bytes = head + 4;
        greet(index);
    }
    bytes = read_frames(index, bytes, limit, monotonic_nanoseconds());
    connection->kept = (uint8_t)(limit - bytes);
    memcpy(connection->keep, bytes, connection->kept);
}

void connection_handle(uint32_t index, uint32_t events) {
    if (connections[index].phase == PHASE_FREE) return;
    if (connections[index].phase == PHASE_CONNECTING) return connected(index);
    if (connections[index].phase == PHASE_SECURING) return upgrade(index);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_input(index);
}
