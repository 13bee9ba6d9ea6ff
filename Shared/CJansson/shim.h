#pragma once
#include <jansson.h>

/* json_decref is static inline in jansson; Swift needs a symbol of our own to call. */
static inline void apus_json_decref(json_t *value) { json_decref(value); }
