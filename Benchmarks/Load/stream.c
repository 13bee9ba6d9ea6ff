#include "load.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static SSL_CTX *context;

void stream_use_tls(void) {
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}


bool stream_handshake(struct connection *connection) {
    if (context == NULL) return true;
    if (connection->tls == NULL) {
        connection->tls = SSL_new(context);
        SSL_set_fd(connection->tls, connection->descriptor);
    }
    int result = SSL_connect(connection->tls);
    if (result == 1) return true;
    if (SSL_get_error(connection->tls, result) == SSL_ERROR_WANT_READ) return false;
    fail("no TLS: %s", ERR_error_string(ERR_get_error(), NULL));
}

void stream_write(struct connection *connection, const char *bytes, size_t length) {
    long written = connection->tls != NULL ? SSL_write(connection->tls, bytes, (int)length)
                                           : write(connection->descriptor, bytes, length);
    if (written != (long)length) fail("a connection takes no %zu bytes: %s", length, strerror(errno));
}

long stream_read(struct connection *connection, char *bytes, size_t capacity) {
    if (connection->tls == NULL) {
        ssize_t count = read(connection->descriptor, bytes, capacity);
        return count < 0 && (errno == EAGAIN || errno == EINTR) ? -1 : count < 0 ? 0 : count;
    }
    // A record at a time is what OpenSSL gives; as many as are there and fit.
    size_t total = 0;
    while (capacity - total >= 16384) {
        int count = SSL_read(connection->tls, bytes + total, (int)(capacity - total));
        if (count > 0) {
            total += (size_t)count;
            continue;
        }
        bool is_waiting = SSL_get_error(connection->tls, count) == SSL_ERROR_WANT_READ;
        return total > 0 ? (long)total : is_waiting ? -1 : 0;
    }
    return (long)total;
}

void stream_close(struct connection *connection) {
    if (connection->tls != NULL) SSL_free(connection->tls);
    connection->tls = NULL;
    close(connection->descriptor);
}
