/*
 * The form of a link: what its first bytes say it is, and the channels that wrap it accordingly.
 *
 *   SNIFF ─ form known ─► WRAP ─ each channel open ─► SELECT_SECURE
 *     (a dialer, and a listener of one form, know it from the start)
 *
 * In a private network a plain link begins with 24 random bytes, so it is what begins as none of
 * the others; a link whose bytes look like one of those by chance (once in 2^30) is lost.
 */
#include "base/check.h"
#include "conn/conn_private.h"
#include "secure/pnet.h"
#include "secure/web_tls.h"
#include "websocket/websocket.h"

enum { WRAP_FORMS = TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET | TERN_LINK_WEBSOCKET_TLS };

/* How links of each form begin: the bytes that a mask leaves. */
struct wrap_start {
    enum tern_link_form form;
    uint8_t size;
    uint8_t bytes[CONN_SNIFF_SIZE + 1];
    uint8_t mask[CONN_SNIFF_SIZE + 1];
};

#define WRAP_ALL "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"

static const struct wrap_start wrap_starts[] = {
    {TERN_LINK_PLAIN, CONN_SNIFF_SIZE, "\x13/multistream", WRAP_ALL},
    {TERN_LINK_WEBSOCKET, 4, "GET ", WRAP_ALL},
    {TERN_LINK_WEBSOCKET_TLS, 2, "\x16\x03", WRAP_ALL},
};

/* In a private network: more of a ClientHello, up to its type; and plain links are no row. */
static const struct wrap_start wrap_private_starts[] = {
    {TERN_LINK_WEBSOCKET, 4, "GET ", WRAP_ALL},
    {TERN_LINK_WEBSOCKET_TLS, 6, "\x16\x03\0\0\0\x01", "\xff\xff\xf8\0\0\xff"},
};

static tern_err wrap_websocket(struct tern_conn *conn, struct tern_view host)
{
    struct tern_channel channel;
    TERN_TRY(tern_websocket_new(
        &(struct tern_websocket_options){
            .role = conn->role, .mem = conn->mem, .random = conn->config->random, .host = host},
        &channel));
    conn_stack_push(conn, channel);
    return TERN_OK;
}

static tern_err wrap_web_tls(struct tern_conn *conn, struct tern_view host)
{
    struct tern_channel channel;
    if (conn->config->web == NULL)
        return TERN_ERR_UNSUPPORTED;
    TERN_TRY(tern_web_tls_new(&(struct tern_web_tls_options){.role = conn->role,
                                                             .mem = conn->mem,
                                                             .web = conn->config->web,
                                                             .host = host,
                                                             .wall = conn->wall},
                              &channel));
    conn_stack_push(conn, channel);
    return TERN_OK;
}

/* What wraps the link by its form is open: now the private network's cipher, if there is one, then
 * the upgrade. */
static tern_err wrap_inside(struct tern_conn *conn)
{
    struct tern_channel channel;
    if (conn->config->psk == NULL || conn->private_network)
        return conn_upgrade_start(conn);
    TERN_TRY(tern_pnet_new(
        &(struct tern_pnet_options){.mem = conn->mem,
                                    .random = conn->config->random,
                                    .key = conn->config->psk,
                                    .greeting = tern_view_str("\x13" TERN_MULTISTREAM_HEADER "\n")},
        &channel));
    conn_stack_push(conn, channel);
    conn->private_network = true;
    return TERN_OK;
}

/* The form is known: its channels are made, from the link on. */
static tern_err wrap_form(struct tern_conn *conn, enum tern_link_form form, struct tern_view host)
{
    conn->state = CONN_WRAP;
    conn->forms = (uint8_t)form;
    switch (form) {
    case TERN_LINK_PLAIN:
        return wrap_inside(conn);
    case TERN_LINK_WEBSOCKET:
        return wrap_websocket(conn, host);
    case TERN_LINK_WEBSOCKET_TLS:
        TERN_TRY(wrap_web_tls(conn, host));
        return wrap_websocket(conn, host);
    }
    TERN_UNREACHABLE();
}

tern_err conn_wrap_start(struct tern_conn *conn, struct tern_view host)
{
    bool one = (conn->forms & (conn->forms - 1)) == 0;
    TERN_CHECK(conn->forms != 0 && (conn->forms & ~(unsigned)WRAP_FORMS) == 0);
    TERN_CHECK(one || conn->role == TERN_ROLE_RESPONDER);
    if (one)
        return wrap_form(conn, (enum tern_link_form)conn->forms, host);
    conn->state = CONN_SNIFF;
    return TERN_OK;
}

void conn_wrap_opened(struct tern_conn *conn)
{
    if (conn->stack.opened < conn->stack.count)
        return;
    tern_err err = wrap_inside(conn);
    if (err != TERN_OK)
        conn_fail(conn, err, TERN_FAULT_NONE);
}

/* --- the first bytes --- */

/* Do the bytes that have come fit? */
static bool wrap_fits(const struct wrap_start *start, const struct tern_conn *conn)
{
    size_t size = tern_min_size(start->size, conn->sniffed_size);
    for (size_t i = 0; i < size; i++)
        if ((conn->sniffed[i] & start->mask[i]) != start->bytes[i])
            return false;
    return true;
}

/* Which form the bytes begin; 0: none that is taken. *known is false when more bytes have to come.
 */
static unsigned wrap_recognise(const struct tern_conn *conn, bool *known)
{
    bool private_network = conn->config->psk != NULL;
    const struct wrap_start *starts = private_network ? wrap_private_starts : wrap_starts;
    size_t count =
        private_network ? TERN_COUNT_OF(wrap_private_starts) : TERN_COUNT_OF(wrap_starts);
    unsigned forms = 0;
    *known = true;
    for (size_t i = 0; i < count; i++) {
        if ((conn->forms & starts[i].form) == 0 || !wrap_fits(&starts[i], conn))
            continue;
        forms |= starts[i].form;
        *known = *known && conn->sniffed_size >= starts[i].size;
    }
    return forms == 0 && private_network ? conn->forms & TERN_LINK_PLAIN : forms;
}

size_t conn_wrap_sniff(struct tern_conn *conn, struct tern_view in)
{
    bool known = false;
    unsigned form = conn->forms;
    size_t used = 0;
    while (used < in.size && form != 0 && !known) {
        conn->sniffed[conn->sniffed_size++] = in.data[used++];
        form = wrap_recognise(conn, &known);
    }
    if (form == 0) {
        conn_fail(conn, TERN_ERR_PROTOCOL, TERN_FAULT_CONN_WRONG_FORM);
        return in.size;
    }
    if (!known)
        return used;
    tern_err err = wrap_form(conn, (enum tern_link_form)form, (struct tern_view){.data = NULL});
    if (err != TERN_OK)
        conn_fail(conn, err, TERN_FAULT_NONE);
    return used;
}
