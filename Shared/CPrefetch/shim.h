#pragma once
// The processor's own instruction, for which Swift has no word.

// Has the line at `address` fetched, wherever that points to; nothing waits for it.
static inline void apus_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }
