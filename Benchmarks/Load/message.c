#include "load.h"

#include <string.h>
#include <time.h>

static const char mark[] = "{\"seq\":\"";
static const char between[] = "\",\"at\":\"";
static const char after[] = "\",\"text\":\"";
enum { NUMBER = 8, TIME = 32 };

static void write_digits(char *out, uint64_t value) {
    for (int digit = 15; digit >= 0; digit--, value >>= 4) out[digit] = "0123456789abcdef"[value & 15];
}

static uint64_t read_digits(const char *digits) {
    uint64_t value = 0;
    for (int digit = 0; digit < 16; digit++) {
        unsigned char character = (unsigned char)digits[digit];
        value = value << 4 | (uint64_t)(character <= '9' ? character - '0' : character - 'a' + 10);
    }
    return value;
}

void message_write(char *out, uint64_t number, uint64_t at) {
    memset(out, 'x', MESSAGE_LENGTH);
    memcpy(out, mark, NUMBER);
    write_digits(out + NUMBER, number);
    memcpy(out + NUMBER + 16, between, sizeof between - 1);
    write_digits(out + TIME, at);
    memcpy(out + TIME + 16, after, sizeof after - 1);
    memcpy(out + MESSAGE_LENGTH - 2, "\"}", 2);
}

const char *message_find(const char *bytes, size_t length) {
    // Messages of one way stand at one of two places: first in a frame, or behind another in the same frame.
    static size_t usual[2];
    for (int place = 0; place < 2; place++)
        if (usual[place] + NUMBER <= length && memcmp(bytes + usual[place], mark, NUMBER) == 0)
            return bytes + usual[place];
    const char *found = memmem(bytes, length, mark, NUMBER);
    if (found != NULL && found - bytes < 512) {
        usual[1] = usual[0];
        usual[0] = (size_t)(found - bytes);
    }
    return found;
}

uint64_t message_number(const char *message) { return read_digits(message + NUMBER); }
uint64_t message_time(const char *message) { return read_digits(message + TIME); }

uint64_t monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
