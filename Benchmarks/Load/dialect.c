#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dialect dialect;

struct output {
    char *bytes;
    size_t length, capacity;
};

static void append(struct output *out, const char *bytes, size_t length) {
    if (out->length + length > out->capacity) fail("what would be sent is longer than %zu bytes", out->capacity);
    memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

static void append_number(struct output *out, uint32_t number) {
    char digits[12];
    append(out, digits, (size_t)snprintf(digits, sizeof digits, "%u", number));
}

static bool skip(const char **text, const char *end, const char *place) {
    size_t length = strlen(place);
    if ((size_t)(end - *text) < length || memcmp(*text, place, length) != 0) return false;
    *text += length;
    return true;
}

static void expand(
    struct output *out, const char *text, const char *end, uint32_t channel, uint32_t connection, uint32_t index) {
    while (text < end) {
        if (skip(&text, end, "{channel}")) append_number(out, channel);
        else if (skip(&text, end, "{connection}")) append_number(out, connection);
        else if (skip(&text, end, "{index}")) append_number(out, index);
        else if (skip(&text, end, "{token}")) {
            if (dialect.token_count == 0) fail("the greeting wants tokens: --tokens");
            const char *token = dialect.tokens[connection % dialect.token_count];
            append(out, token, strlen(token));
        } else if (skip(&text, end, "{more:")) {
            uint32_t times = (uint32_t)strtoul(text, (char **)&text, 10);
            const char *body = text + 1, *close = memmem(body, (size_t)(end - body), "{end}", 5);
            if (close == NULL) fail("{more:…} without {end}");
            for (uint32_t turn = 0; turn < times; turn++) expand(out, body, close, channel, connection, turn);
            text = close + 5;
        } else append(out, text++, 1);
    }
}

size_t dialect_expand(char *bytes, size_t capacity, const char *text, uint32_t channel, uint32_t connection) {
    struct output out = {bytes, 0, capacity};
    expand(&out, text, text + strlen(text), channel, connection, 0);
    return out.length;
}

void dialect_read_tokens(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) fail("cannot read %s", path);
    char line[4096];
    size_t capacity = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (dialect.token_count == capacity) {
            capacity = capacity * 2 + 64;
            dialect.tokens = realloc(dialect.tokens, capacity * sizeof *dialect.tokens);
        }
        dialect.tokens[dialect.token_count++] = strdup(line);
    }
    fclose(file);
}
