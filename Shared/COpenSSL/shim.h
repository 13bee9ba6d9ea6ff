#pragma once
#include <openssl/err.h>
#include <openssl/ssl.h>

// What OpenSSL has as macros with parameters, which Swift does not see.

static inline void openssl_context_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }

static inline void openssl_context_clear_mode(SSL_CTX *context, long mode) { SSL_CTX_clear_mode(context, mode); }

static inline int openssl_context_set_versions(SSL_CTX *context, int minimum, int maximum) {
    return SSL_CTX_set_min_proto_version(context, minimum) == 1 && SSL_CTX_set_max_proto_version(context, maximum) == 1;
}

static inline void openssl_context_set_cache(SSL_CTX *context, long mode) { SSL_CTX_set_session_cache_mode(context, mode); }

static inline int openssl_error_library(unsigned long code) { return ERR_GET_LIB(code); }

static inline int openssl_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

// Options whose macros hold a shift, typed as the function wants them.
static const uint64_t openssl_server_options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET
    | SSL_OP_IGNORE_UNEXPECTED_EOF;
