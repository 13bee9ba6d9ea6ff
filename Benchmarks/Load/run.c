#include "load.h"

#include <errno.h>
#include <string.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>

struct tally tally;
int poller;

// Deliveries that are still to come of each message in flight, by its number.
enum { RING = 1 << 17, STALL_SECONDS = 10 };
static uint32_t outstanding[RING];
static uint64_t published, completed;

// Of the opening under way.
static uint32_t wanted, begun, ready;
static uint64_t first_expected;
// Connections that have come to the number that run_expect waits for.
static uint64_t awaited = UINT64_MAX;
static uint32_t arrived;

static char answer_text[512];

void run_answer(const char *text, size_t length) {
    if (answer_text[0] != 0) return;
    size_t at = 0;
    for (size_t index = 0; index < length && at < sizeof answer_text - 3; index++) {
        if (text[index] == '"' || text[index] == '\\') answer_text[at++] = '\\';
        answer_text[at++] = text[index] < ' ' ? ' ' : text[index];
    }
}

static uint32_t subscribers(uint32_t channel) {
    return connection_count / channel_count + (channel < connection_count % channel_count);
}

// Channels are published to in turns, so that a connection expects every channel_count-th number.
static uint64_t next_of(uint32_t channel) {
    uint64_t round = published / channel_count * channel_count + channel;
    return round >= published ? round : round + channel_count;
}

void run_delivered(struct connection *connection, uint64_t number) {
    if (number < connection->expected) {
        tally.repeated++;
        return;
    }
    tally.lost += (number - connection->expected) / channel_count;
    connection->expected = number + channel_count;
    tally.deliveries++;
    if (number == awaited) arrived++;
    uint32_t *left = &outstanding[number % RING];
    if (*left > 0 && --*left == 0) completed++;
}

static void open_more(void) {
    if (begun == wanted) return;
    while (connections[begun].phase != PHASE_FREE) {
        if (++begun == wanted) return;
    }
    uint32_t channel = begun % channel_count;
    connection_open(begun++, channel, first_expected != UINT64_MAX ? first_expected : next_of(channel));
}

void run_ready(uint32_t index) {
    (void)index;
    ready++;
    open_more();
}

static bool command_came;

// One turn: waits for something to happen and deals with it; false if nothing came for as long.
static bool turn(int milliseconds) {
    static struct epoll_event events[1024];
    int count = epoll_wait(poller, events, 1024, milliseconds);
    if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    for (int index = 0; index < count; index++) {
        if (events[index].data.u32 == COMMANDS) command_came = true;
        else if (events[index].data.u32 == PUBLISHER) publisher_handle(events[index].events);
        else connection_handle(events[index].data.u32, events[index].events);
    }
    return count > 0;
}

// MARK: What is reported

static uint64_t started, started_processor;

static uint64_t processor_nanoseconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000
        + (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void begin(void) {
    tally = (struct tally){0};
    histogram_reset();
    started = monotonic_nanoseconds();
    started_processor = processor_nanoseconds();
}

static void report(bool stalled) {
    double seconds = (double)(monotonic_nanoseconds() - started) / 1e9;
    printf(
        "{\"seconds\":%.6f,\"connections\":%u,\"deliveries\":%lu,\"lost\":%lu,\"repeated\":%lu,\"closed\":%lu,"
        "\"pings\":%lu,\"stalled\":%s,\"p50\":%.4f,\"p99\":%.4f,\"load_cpu\":%.6f,\"published\":%lu,\"answer\":\"%s\"}\n",
        seconds, connection_count, tally.deliveries, tally.lost, tally.repeated, tally.closed, tally.pings,
        stalled ? "true" : "false", (double)histogram_percentile(50) / 1e6, (double)histogram_percentile(99) / 1e6,
        (double)(processor_nanoseconds() - started_processor) / 1e9, published, answer_text);
    fflush(stdout);
}

// What has not come by now is lost; the next run begins with everybody at the same number.
static void give_up(void) {
    memset(outstanding, 0, sizeof outstanding);
    completed = published;
    for (uint32_t index = 0; index < connection_capacity; index++) {
        struct connection *connection = &connections[index];
        if (connection->phase != PHASE_READY) continue;
        uint64_t next = next_of(connection->channel);
        if (connection->expected < next) tally.lost += (next - connection->expected) / channel_count;
        connection->expected = next;
    }
}

// Turns until `done`; true if nothing happened for STALL_SECONDS although it was not.
static bool turn_until(bool (*done)(void), void (*step)(void)) {
    uint64_t quiet_since = 0;
    while (!done()) {
        step();
        if (turn(1000)) quiet_since = 0;
        else if (++quiet_since == STALL_SECONDS) return true;
    }
    return false;
}

static void nothing(void) {}

// MARK: Commands

static bool all_open(void) { return ready == wanted; }

void run_open(uint32_t count, uint32_t channels, uint32_t concurrency, uint64_t first) {
    if (count > connection_capacity) fail("at most %u connections", connection_capacity);
    begin();
    answer_text[0] = 0;
    channel_count = channels;
    // Numbers of a channel are its own modulo the count of channels.
    published = (published + channels - 1) / channels * channels;
    completed = published;
    wanted = count;
    ready = connection_count;
    begun = 0;
    first_expected = first;
    uint32_t at_once = count - ready < concurrency ? count - ready : concurrency;
    for (uint32_t index = 0; index < at_once; index++) open_more();
    bool stalled = turn_until(all_open, nothing);
    if (stalled) fail("of %u connections %u are open, and nothing happens", wanted, ready);
    report(stalled);
}

void run_close(void) {
    begin();
    for (uint32_t index = 0; index < connection_capacity; index++) connection_close(index);
    report(false);
}

static void publish_one(uint64_t at) {
    char message[MESSAGE_LENGTH];
    uint32_t channel = (uint32_t)(published % channel_count);
    message_write(message, published, at);
    publisher_send(channel, message);
    outstanding[published % RING] = subscribers(channel);
    if (outstanding[published % RING] == 0) completed++;
    published++;
}

static uint64_t last_to_publish;
static uint32_t publish_window;

static bool all_delivered(void) { return completed == last_to_publish; }

static void publish_step(void) {
    if (published == last_to_publish || published - completed >= publish_window) return;
    uint64_t now = monotonic_nanoseconds();
    while (published < last_to_publish && published - completed < publish_window) publish_one(now);
    publisher_flush();
}

void run_publish(uint64_t messages, uint32_t window) {
    if (window > RING / 2) fail("the window is at most %d", RING / 2);
    begin();
    last_to_publish = published + messages;
    publish_window = window;
    bool stalled = turn_until(all_delivered, publish_step);
    if (stalled) give_up();
    report(stalled);
}

void run_pace(double per_second, double seconds) {
    begin();
    uint64_t messages = (uint64_t)(per_second * seconds), first = published;
    last_to_publish = first + messages;
    while (published < last_to_publish) {
        // The time that a message was due counts, not the one at which it could be sent.
        uint64_t due = started + (uint64_t)((double)(published - first) * 1e9 / per_second), now = monotonic_nanoseconds();
        if (now >= due) {
            publish_one(due);
            publisher_flush();
        } else {
            turn((int)((due - now) / 1000000));
        }
    }
    bool stalled = turn_until(all_delivered, nothing);
    if (stalled) give_up();
    report(stalled);
}

void run_idle(double seconds) {
    begin();
    uint64_t end = started + (uint64_t)(seconds * 1e9);
    for (uint64_t now = started; now < end; now = monotonic_nanoseconds()) turn((int)((end - now) / 1000000) + 1);
    report(false);
}

void run_until_command(int descriptor) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = COMMANDS};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event) < 0 && epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0)
        fail("commands must come from a pipe: %s", strerror(errno));
    command_came = false;
    while (!command_came) turn(-1);
}

static bool all_arrived(void) { return arrived >= connection_count; }

void run_expect(uint64_t number) {
    begin();
    awaited = number;
    arrived = 0;
    for (uint32_t index = 0; index < connection_capacity; index++)
        if (connections[index].phase == PHASE_READY && connections[index].expected > number) arrived++;
    report(turn_until(all_arrived, nothing));
    awaited = UINT64_MAX;
}
