#include "load.h"

#include <string.h>

// Values below 128 have a bucket each; above, every power of two has 64.
enum { SUB_BITS = 6, SUB = 1 << SUB_BITS, BUCKETS = 60 * SUB };

static uint64_t counts[BUCKETS], total;

static size_t bucket(uint64_t value) {
    if (value < 2 * SUB) return value;
    int shift = 63 - __builtin_clzll(value) - SUB_BITS;
    return (size_t)shift * SUB + (value >> shift);
}

static uint64_t lowest(size_t bucket) {
    if (bucket < 2 * SUB) return bucket;
    size_t shift = bucket / SUB - 1;
    return (uint64_t)(bucket - shift * SUB) << shift;
}

void histogram_reset(void) {
    memset(counts, 0, sizeof counts);
    total = 0;
}

void histogram_record(uint64_t nanoseconds) {
    counts[bucket(nanoseconds)]++;
    total++;
}

uint64_t histogram_percentile(double percentile) {
    uint64_t rank = (uint64_t)((double)total * percentile / 100), seen = 0;
    for (size_t index = 0; index < BUCKETS; index++) {
        seen += counts[index];
        if (seen > rank) return lowest(index + 1);
    }
    return 0;
}
