#include "load.h"

#include <string.h>

bool frame_parse(const char *bytes, size_t length, struct frame *frame) {
    const uint8_t *octets = (const uint8_t *)bytes;
    if (length < 2) return false;
    if (octets[1] & 0x80) fail("a server's frame is masked");
    uint8_t size = octets[1] & 0x7F;
    frame->opcode = octets[0] & 0x0F;
    frame->header = size == 127 ? 10 : size == 126 ? 4 : 2;
    if (length < frame->header) return false;
    frame->payload = size < 126 ? size : 0;
    for (int index = 2; index < frame->header; index++) frame->payload = frame->payload << 8 | octets[index];
    return true;
}

size_t frame_write(char *out, uint8_t opcode, const char *payload, size_t length) {
    static const char mask[4] = {0x37, (char)0xFA, 0x21, 0x3D};
    size_t at = 0;
    out[at++] = (char)(0x80 | opcode);
    if (length < 126) {
        out[at++] = (char)(0x80 | length);
    } else {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(length >> 8);
        out[at++] = (char)length;
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t index = 0; index < length; index++) out[at + index] = payload[index] ^ mask[index & 3];
    return at + length;
}
