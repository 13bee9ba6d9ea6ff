// The load generator: WebSocket subscribers and a publisher in one thread, driven by commands on standard input.
//
// It knows no server. What a peer wants to hear is given on the command line as text with places for the number of the
// channel and for a token; see main.c. Whatever way a message comes, it is found by its mark and checked by its number.
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// MARK: Messages (message.c)

enum {
    MESSAGE_LENGTH = 128,
    MESSAGE_HEADER = 48 // up to and with the time
};

// {"seq":"<number>","at":"<nanoseconds>","text":"xxx…"}, both of 16 hexadecimal digits.
void message_write(char *out, uint64_t number, uint64_t at);

// Where the mark of a message stands in the bytes; NULL if nowhere.
const char *message_find(const char *bytes, size_t length);

uint64_t message_number(const char *message);
uint64_t message_time(const char *message);

uint64_t monotonic_nanoseconds(void);

// MARK: Latencies (histogram.c)

// Counts of nanoseconds in steps of at most 1.6 %.
void histogram_reset(void);
void histogram_record(uint64_t nanoseconds);
uint64_t histogram_percentile(double percentile);

// MARK: WebSocket (websocket.c)

struct frame {
    uint64_t payload; // bytes of the payload
    uint8_t opcode;
    uint8_t header; // bytes before the payload
};

// Whether the bytes begin with a whole header of a frame from a server.
bool frame_parse(const char *bytes, size_t length, struct frame *frame);

// A client's frame of at most 65,535 bytes, masked; returns how many bytes were written.
size_t frame_write(char *out, uint8_t opcode, const char *payload, size_t length);

// MARK: What the peer speaks (dialect.c)

struct dialect {
    const char *path;         // of the upgrade's request
    const char *greeting;     // the first frame; NULL for none
    const char *confirmation; // what the answer holds once messages will come; NULL: the upgrade says it
    uint32_t confirmations;   // how often
    const char *ping, *pong;  // of the peer's own protocol, above the WebSocket's
    const char *target;       // where the publisher sends
    char **tokens;
    size_t token_count;
};

extern struct dialect dialect;

// Puts the channel's number for {channel}, the connection's for {connection}, a token for {token}, and for {more:N} … {end}
// what is between N times, with {index} counting from 0; returns the length.
size_t dialect_expand(char *out, size_t capacity, const char *text, uint32_t channel, uint32_t connection);

void dialect_read_tokens(const char *path);

// MARK: Connections (connection.c)

enum phase { PHASE_FREE, PHASE_CONNECTING, PHASE_SECURING, PHASE_UPGRADING, PHASE_GREETING, PHASE_READY };

struct connection {
    int descriptor;
    uint32_t channel;
    struct ssl_st *tls; // NULL without TLS
    uint64_t expected;  // number of the next message
    uint64_t remaining; // bytes of the present frame's payload that are still to come
    uint8_t phase;
    uint8_t confirmed;
    uint8_t kept; // bytes in `keep`: the beginning of something whose end has not come
    char keep[MESSAGE_HEADER];
};

extern struct connection *connections;
extern uint32_t connection_capacity;
extern uint32_t connection_count; // those that are ready
extern uint32_t channel_count;

// Begins to open connection `index`; what becomes of it, `connection_ready` or `fail` says.
void connection_open(uint32_t index, uint32_t channel, uint64_t expected);
void connection_handle(uint32_t index, uint32_t events);
void connection_close(uint32_t index);

// MARK: Bytes to and from the peer, with TLS or without (stream.c)

// For all connections from now on. No certificate is checked.
void stream_use_tls(void);

// False while the peer must say more.
bool stream_handshake(struct connection *connection);
void stream_write(struct connection *connection, const char *bytes, size_t length);
// How many bytes came; -1 if none are there, 0 at the end.
long stream_read(struct connection *connection, char *bytes, size_t capacity);
void stream_close(struct connection *connection);

// MARK: The publisher (publisher.c)

void publisher_connect(const char *kind, int port);
void publisher_send(uint32_t channel, const char *message);
// Writes what waits and reads what came.
void publisher_handle(uint32_t events);
void publisher_flush(void);

// MARK: The run (run.c)

struct tally {
    uint64_t deliveries, lost, repeated, pings, closed;
};

extern struct tally tally;
extern int poller;

// What an event is about, besides connections by their index.
enum { PUBLISHER = INT32_MAX, COMMANDS = INT32_MAX - 1 };

// Called by connections.
void run_delivered(struct connection *connection, uint64_t number);
void run_ready(uint32_t index);

// Serves connections, which may be pinged, until a command can be read.
void run_until_command(int descriptor);

void run_open(uint32_t count, uint32_t channels, uint32_t concurrency, uint64_t first);
void run_close(void);
void run_publish(uint64_t messages, uint32_t window);
void run_pace(double per_second, double seconds);
void run_idle(double seconds);
// Until every connection has message `number`.
void run_expect(uint64_t number);
// Names the first answer that confirmed a subscription.
void run_answer(const char *text, size_t length);

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
