/* Two sessions of GnuTLS with a pipe each way between them. */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "library.h"

/* What one end has said and the other has not read. */
struct tls_pipe {
    uint8_t bytes[8192];
    size_t size;
    size_t read;
};

struct tls_end {
    gnutls_session_t session;
    struct tls_pipe *in;
    struct tls_pipe *out;
};

static ssize_t tls_pull(gnutls_transport_ptr_t self, void *data, size_t size)
{
    struct tls_end *end = self;
    size_t take = tern_min_size(size, end->in->size - end->in->read);
    if (take == 0) {
        gnutls_transport_set_errno(end->session, EAGAIN);
        return -1;
    }
    memcpy(data, end->in->bytes + end->in->read, take);
    end->in->read += take;
    return (ssize_t)take;
}

static ssize_t tls_push(gnutls_transport_ptr_t self, const void *data, size_t size)
{
    struct tls_end *end = self;
    TERN_CHECK(size <= sizeof end->out->bytes - end->out->size);
    memcpy(end->out->bytes + end->out->size, data, size);
    end->out->size += size;
    return (ssize_t)size;
}

/* The flags are those of secure/tls_peer.c. */
static void tls_open(struct library *l, struct tls_end *end, bool server)
{
    const unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET |
                           GNUTLS_NO_EXTENSIONS | GNUTLS_KEY_SHARE_TOP | GNUTLS_FORCE_CLIENT_CERT;
    const struct tern_tls_identity *identity = &l->hosts[server ? 1 : 0].identity;
    TERN_CHECK(gnutls_init(&end->session, flags | (server ? GNUTLS_SERVER : GNUTLS_CLIENT)) == 0);
    gnutls_transport_set_ptr(end->session, end);
    gnutls_transport_set_pull_function(end->session, tls_pull);
    gnutls_transport_set_push_function(end->session, tls_push);
    gnutls_handshake_set_timeout(end->session, 0);
    TERN_CHECK(gnutls_priority_set(end->session, identity->priority) == 0);
    library_set_up(l, end->session, server);
}

void library_tls_handshake(struct library *l)
{
    struct tls_pipe pipes[2];
    struct tls_end ends[2];
    int codes[2] = {GNUTLS_E_AGAIN, GNUTLS_E_AGAIN};
    for (int i = 0; i < 2; i++) {
        pipes[i].size = pipes[i].read = 0;
        ends[i] = (struct tls_end){.in = &pipes[1 - i], .out = &pipes[i]};
        tls_open(l, &ends[i], i == 1);
    }
    while (codes[0] != 0 || codes[1] != 0) {
        for (int i = 0; i < 2; i++) {
            codes[i] = codes[i] == 0 ? 0 : gnutls_handshake(ends[i].session);
            TERN_CHECK(codes[i] == 0 || codes[i] == GNUTLS_E_AGAIN);
        }
    }
    for (int i = 0; i < 2; i++) {
        library_check(ends[i].session);
        gnutls_deinit(ends[i].session);
    }
}
