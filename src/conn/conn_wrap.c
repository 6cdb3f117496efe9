/*
 * The form of a link: what its first bytes say it is, and the channels that wrap it accordingly.
 *
 *   SNIFF ─ form known ─► WRAP ─ each channel open ─► SELECT_SECURE
 *     (a dialer, and a listener of one form, know it from the start)
 */
#include "base/check.h"
#include "conn/conn_private.h"
#include "secure/web_tls.h"
#include "websocket/websocket.h"

enum { WRAP_FORMS = TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET | TERN_LINK_WEBSOCKET_TLS };

/* How links of each form begin. */
static const struct {
    enum tern_link_form form;
    struct tern_view start;
} wrap_starts[] = {
    {TERN_LINK_PLAIN, {(const uint8_t *)"\x13/multistream", CONN_SNIFF_SIZE}},
    {TERN_LINK_WEBSOCKET, {(const uint8_t *)"GET ", 4}},
    {TERN_LINK_WEBSOCKET_TLS, {(const uint8_t *)"\x16\x03", 2}},
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

/* The form is known: its channels are made, from the link on. */
static tern_err wrap_form(struct tern_conn *conn, enum tern_link_form form, struct tern_view host)
{
    conn->state = CONN_WRAP;
    conn->forms = (uint8_t)form;
    switch (form) {
    case TERN_LINK_PLAIN:
        return conn_upgrade_start(conn);
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
    tern_err err = conn_upgrade_start(conn);
    if (err != TERN_OK)
        conn_fail(conn, err, TERN_FAULT_NONE);
}

/* --- the first bytes --- */

/* Which form the bytes begin; 0: none that is taken. *known is false when more bytes have to come.
 */
static unsigned wrap_recognise(const struct tern_conn *conn, bool *known)
{
    unsigned forms = 0;
    *known = true;
    for (size_t i = 0; i < TERN_COUNT_OF(wrap_starts); i++) {
        struct tern_view start = wrap_starts[i].start;
        size_t size = tern_min_size(start.size, conn->sniffed_size);
        bool fits = memcmp(start.data, conn->sniffed, size) == 0;
        if (!fits || (conn->forms & wrap_starts[i].form) == 0)
            continue;
        forms |= wrap_starts[i].form;
        *known = *known && size == start.size;
    }
    return forms;
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
