/*
 * The upgrade of a link: which secure channel and which muxer are spoken, and making them.
 *
 *   SELECT_SECURE ─ agreed ─► HANDSHAKE ─ done ─┬─ muxer agreed early ─► OPEN
 *                                               └─► SELECT_MUX ─ agreed ─► OPEN
 *
 * A dialer that offers one name does not wait for the answer: its handshake, or its muxer's frames,
 * ride behind the proposal.
 */
#include "base/check.h"
#include "conn/conn_private.h"
#include "mux/mplex.h"
#include "mux/yamux.h"
#include "secure/noise.h"
#include "secure/plaintext.h"
#include "secure/tls.h"

const char *tern_secure_name(enum tern_secure_kind kind)
{
    switch (kind) {
    case TERN_SECURE_NOISE:
        return "noise";
    case TERN_SECURE_TLS:
        return "tls";
    case TERN_SECURE_PLAINTEXT:
        return "plaintext";
    case TERN_SECURE_NOISE_HYBRID:
        return "noise-mlkem768";
    }
    TERN_UNREACHABLE();
}

const char *tern_muxer_name(enum tern_muxer_kind kind)
{
    switch (kind) {
    case TERN_MUXER_YAMUX:
        return "yamux";
    case TERN_MUXER_MPLEX:
        return "mplex";
    }
    TERN_UNREACHABLE();
}

static struct tern_view upgrade_secure_name(enum tern_secure_kind kind)
{
    switch (kind) {
    case TERN_SECURE_NOISE:
        return tern_view_str(TERN_NOISE_PROTOCOL_ID);
    case TERN_SECURE_NOISE_HYBRID:
        return tern_view_str(TERN_NOISE_HYBRID_PROTOCOL_ID);
    case TERN_SECURE_TLS:
        return tern_view_str(TERN_TLS_PROTOCOL_ID);
    case TERN_SECURE_PLAINTEXT:
        return tern_view_str(TERN_PLAINTEXT_PROTOCOL_ID);
    }
    TERN_UNREACHABLE();
}

static struct tern_view upgrade_muxer_name(enum tern_muxer_kind kind)
{
    switch (kind) {
    case TERN_MUXER_YAMUX:
        return tern_view_str(TERN_YAMUX_PROTOCOL_ID);
    case TERN_MUXER_MPLEX:
        return tern_view_str(TERN_MPLEX_PROTOCOL_ID);
    }
    TERN_UNREACHABLE();
}

/* How many of a list are offered here. */
static size_t upgrade_offered(const struct tern_conn *conn, size_t count)
{
    return conn->role == TERN_ROLE_INITIATOR && conn->config->dial_first_choice ? 1 : count;
}

static size_t upgrade_muxer_names(const struct tern_conn *conn, struct tern_view *names)
{
    size_t count = upgrade_offered(conn, conn->config->muxers_count);
    TERN_CHECK(count >= 1 && count <= TERN_CONN_MUXERS_MAX);
    for (size_t i = 0; i < count; i++)
        names[i] = upgrade_muxer_name(conn->config->muxers[i]);
    return count;
}

/* --- the parts --- */

static tern_err upgrade_make_noise(struct tern_conn *conn, enum tern_secure_kind kind,
                                   struct tern_channel *channel)
{
    struct tern_view muxers[TERN_CONN_MUXERS_MAX];
    size_t count = upgrade_muxer_names(conn, muxers);
    return tern_noise_new(
        &(struct tern_noise_options){.role = conn->role,
                                     .mem = conn->mem,
                                     .random = conn->config->random,
                                     .aead = conn->config->aead,
                                     .identity = conn->config->noise,
                                     .hybrid = kind == TERN_SECURE_NOISE_HYBRID,
                                     .expected_peer = conn->expected,
                                     .muxers = muxers,
                                     .muxers_count = conn->config->late_muxer ? 0 : count},
        channel);
}

static tern_err upgrade_make_tls(struct tern_conn *conn, struct tern_channel *channel)
{
    struct tern_view muxers[TERN_CONN_MUXERS_MAX];
    size_t count = upgrade_muxer_names(conn, muxers);
    TERN_CHECK(conn->config->tls != NULL);
    return tern_tls_new(
        &(struct tern_tls_options){.role = conn->role,
                                   .mem = conn->mem,
                                   .aead = conn->config->aead,
                                   .identity = conn->config->tls,
                                   .expected_peer = conn->expected,
                                   .muxers = muxers,
                                   .muxers_count = conn->config->late_muxer ? 0 : count,
                                   .wall = conn->wall},
        channel);
}

static tern_err upgrade_make_secure(struct tern_conn *conn, enum tern_secure_kind kind)
{
    struct tern_channel channel;
    switch (kind) {
    case TERN_SECURE_NOISE:
    case TERN_SECURE_NOISE_HYBRID:
        TERN_TRY(upgrade_make_noise(conn, kind, &channel));
        break;
    case TERN_SECURE_TLS:
        TERN_TRY(upgrade_make_tls(conn, &channel));
        break;
    case TERN_SECURE_PLAINTEXT:
        TERN_TRY(
            tern_plaintext_new(&(struct tern_plaintext_options){.mem = conn->mem,
                                                                .host_key = conn->config->identity,
                                                                .expected_peer = conn->expected},
                               &channel));
        break;
    }
    conn_stack_push(conn, channel);
    conn->secure_kind = (uint8_t)kind;
    return TERN_OK;
}

static tern_err upgrade_make_muxer(struct tern_conn *conn, tern_time now, enum tern_muxer_kind kind)
{
    conn->muxer_kind = (uint8_t)kind;
    switch (kind) {
    case TERN_MUXER_YAMUX:
        return tern_yamux_new(
            &(struct tern_yamux_options){.initiator = conn->role == TERN_ROLE_INITIATOR,
                                         .mem = conn->mem,
                                         .scope = conn->scope,
                                         .windows = conn->config->windows,
                                         .metrics = conn->config->metrics,
                                         .hash_seed = tern_random_u64(conn->config->random),
                                         .ping_interval_ns = conn->config->ping_interval_ns,
                                         .ping_timeout_ns = conn->config->ping_timeout_ns},
            now, &conn->mux);
    case TERN_MUXER_MPLEX:
        return tern_mplex_new(
            &(struct tern_mplex_options){.mem = conn->mem,
                                         .scope = conn->scope,
                                         .metrics = conn->config->metrics,
                                         .hash_seed = tern_random_u64(conn->config->random)},
            &conn->mux);
    }
    TERN_UNREACHABLE();
}

/* --- negotiations --- */

static struct conn_select **upgrade_slot(struct tern_conn *conn)
{
    return conn->state == CONN_SELECT_SECURE ? &conn->select_secure : &conn->select_mux;
}

/* Starts the negotiation of a connection-level protocol; a dialer with one name is lazy. */
static tern_err upgrade_start_select(struct tern_conn *conn, const struct tern_view *names,
                                     size_t count)
{
    struct conn_select **slot = upgrade_slot(conn);
    TERN_CHECK(*slot == NULL && count >= 1 && count <= TERN_CONN_SECURE_MAX);
    struct conn_select *select = tern_mem_zalloc(conn->mem, sizeof *select);
    if (select == NULL)
        return TERN_ERR_MEMORY;
    memcpy(select->names, names, count * sizeof *names);
    *slot = select;
    if (conn->role == TERN_ROLE_RESPONDER)
        tern_multistream_listener_init(&select->listener, conn->mem);
    else
        tern_multistream_dialer_init(
            &select->dialer, &(struct tern_multistream_dialer_options){
                                 .names = select->names, .names_count = count, .lazy = true});
    return TERN_OK;
}

static void upgrade_end_select(struct tern_conn *conn, struct conn_select **slot)
{
    if (*slot == NULL)
        return;
    if (conn->role == TERN_ROLE_RESPONDER)
        tern_multistream_listener_fini(&(*slot)->listener);
    tern_mem_free(conn->mem, *slot, sizeof **slot);
    *slot = NULL;
}

void conn_upgrade_fini(struct tern_conn *conn)
{
    upgrade_end_select(conn, &conn->select_secure);
    upgrade_end_select(conn, &conn->select_mux);
}

bool conn_select_want_send(const struct tern_conn *conn, const struct conn_select *select)
{
    if (select == NULL)
        return false;
    return conn->role == TERN_ROLE_RESPONDER
               ? tern_multistream_listener_want_send(&select->listener)
               : tern_multistream_dialer_want_send(&select->dialer);
}

void conn_select_send(struct tern_conn *conn, struct conn_select **slot, struct tern_writer *out)
{
    if (*slot == NULL)
        return;
    if (conn->role == TERN_ROLE_INITIATOR) {
        tern_multistream_dialer_send(&(*slot)->dialer, out);
        return;
    }
    struct tern_multistream_listener *listener = &(*slot)->listener;
    tern_multistream_listener_send(listener, out);
    if (listener->state == TERN_MULTISTREAM_NEGOTIATED &&
        !tern_multistream_listener_want_send(listener))
        upgrade_end_select(conn, slot);
}

/* --- the steps --- */

tern_err conn_upgrade_start(struct tern_conn *conn)
{
    struct tern_view names[TERN_CONN_SECURE_MAX];
    size_t count = upgrade_offered(conn, conn->config->secure_count);
    TERN_CHECK(count >= 1 && count <= TERN_CONN_SECURE_MAX);
    for (size_t i = 0; i < count; i++)
        names[i] = upgrade_secure_name(conn->config->secure[i]);
    conn->state = CONN_SELECT_SECURE;
    TERN_TRY(upgrade_start_select(conn, names, count));
    if (conn->role == TERN_ROLE_INITIATOR && count == 1)
        TERN_TRY(upgrade_make_secure(conn, conn->config->secure[0]));
    return TERN_OK;
}

/* The muxer is agreed: it is made, unless a dialer has made it already. */
static tern_err upgrade_open(struct tern_conn *conn, tern_time now, enum tern_muxer_kind kind)
{
    conn->state = CONN_OPEN;
    conn->deadline = TERN_TIME_NEVER;
    if (conn->mux.ops == NULL)
        TERN_TRY(upgrade_make_muxer(conn, now, kind));
    conn_established(conn);
    return TERN_OK;
}

/* Of our muxers the one of that name; there is one: only what we offered can have been agreed. */
static enum tern_muxer_kind upgrade_muxer_of_name(const struct tern_conn *conn,
                                                  struct tern_view name)
{
    for (size_t i = 0; i < conn->config->muxers_count; i++)
        if (tern_view_equal(name, upgrade_muxer_name(conn->config->muxers[i])))
            return conn->config->muxers[i];
    TERN_UNREACHABLE();
}

static tern_err upgrade_select_muxer(struct tern_conn *conn, tern_time now, struct tern_view muxer)
{
    struct tern_view names[TERN_CONN_MUXERS_MAX];
    if (muxer.size > 0)
        return upgrade_open(conn, now, upgrade_muxer_of_name(conn, muxer));
    size_t count = upgrade_muxer_names(conn, names);
    conn->state = CONN_SELECT_MUX;
    TERN_TRY(upgrade_start_select(conn, names, count));
    if (conn->role == TERN_ROLE_INITIATOR && count == 1) {
        TERN_TRY(upgrade_make_muxer(conn, now, conn->config->muxers[0]));
        conn_established(conn);
    }
    return TERN_OK;
}

void conn_upgrade_secured(struct tern_conn *conn, tern_time now)
{
    const struct tern_channel *secure = conn_stack_secure(conn);
    TERN_CHECK(secure != NULL);
    tern_mem_free(conn->mem, conn->expected, sizeof *conn->expected);
    conn->expected = NULL;
    tern_err err = upgrade_select_muxer(conn, now, secure->ops->remote(secure->self)->muxer);
    if (err != TERN_OK)
        conn_fail(conn, err, TERN_FAULT_NONE);
}

/* The connection-level protocol is agreed: the negotiation gives way to what was negotiated. */
static void upgrade_selected(struct tern_conn *conn, tern_time now, size_t index)
{
    tern_err err = TERN_OK;
    if (conn->state == CONN_SELECT_SECURE) {
        conn->state = CONN_HANDSHAKE;
        if (conn_stack_secure(conn) == NULL)
            err = upgrade_make_secure(conn, conn->config->secure[index]);
    } else if (conn->state == CONN_SELECT_MUX) { /* a dialer may be saying goodbye already */
        err = upgrade_open(conn, now, conn->config->muxers[index]);
    }
    if (err != TERN_OK)
        conn_fail(conn, err, TERN_FAULT_NONE);
}

/* Which of ours the dialer proposes; SIZE_MAX: none. */
static size_t upgrade_match(const struct tern_conn *conn, struct tern_view name)
{
    bool mux = conn->state == CONN_SELECT_MUX;
    size_t count = mux ? conn->config->muxers_count : conn->config->secure_count;
    for (size_t i = 0; i < count; i++)
        if (tern_view_equal(name, mux ? upgrade_muxer_name(conn->config->muxers[i])
                                      : upgrade_secure_name(conn->config->secure[i])))
            return i;
    return SIZE_MAX;
}

static tern_err upgrade_listen(struct tern_conn *conn, tern_time now, struct tern_view in,
                               size_t *used)
{
    struct tern_multistream_listener *listener = &(*upgrade_slot(conn))->listener;
    struct tern_view name;
    *used = 0;
    while (*used < in.size && listener->state == TERN_MULTISTREAM_PENDING) {
        size_t took = 0;
        tern_err err = tern_multistream_listener_recv(
            listener, tern_view_of(in.data + *used, in.size - *used), &took);
        *used += took;
        if (err != TERN_OK) {
            conn_fail(conn, err, listener->fault);
            return err;
        }
        if (!tern_multistream_listener_proposal(listener, &name))
            continue;
        size_t index = upgrade_match(conn, name);
        if (index == SIZE_MAX) {
            tern_multistream_listener_refuse(listener);
            continue;
        }
        tern_multistream_listener_accept(listener);
        upgrade_selected(conn, now, index);
    }
    return conn->state == CONN_FAILED ? conn->err : TERN_OK;
}

static tern_err upgrade_dial(struct tern_conn *conn, tern_time now, struct tern_view in,
                             size_t *used)
{
    struct conn_select **slot = upgrade_slot(conn);
    struct tern_multistream_dialer *dialer = &(*slot)->dialer;
    tern_err err = tern_multistream_dialer_recv(dialer, in, used);
    if (err != TERN_OK) {
        conn_fail(conn, err, dialer->fault);
        return err;
    }
    if (dialer->state == TERN_MULTISTREAM_NEGOTIATED) {
        size_t index = tern_multistream_dialer_index(dialer);
        upgrade_end_select(conn, slot);
        upgrade_selected(conn, now, index);
    }
    return conn->state == CONN_FAILED ? conn->err : TERN_OK;
}

tern_err conn_upgrade_recv(struct tern_conn *conn, tern_time now, struct tern_view in, size_t *used)
{
    return conn->role == TERN_ROLE_RESPONDER ? upgrade_listen(conn, now, in, used)
                                             : upgrade_dial(conn, now, in, used);
}

/* Also of a dialer that says goodbye before the answer is there. */
bool conn_upgrade_reads(const struct tern_conn *conn)
{
    if (conn->state == CONN_CLOSING)
        return conn->role == TERN_ROLE_INITIATOR && conn->select_mux != NULL;
    return conn->state == CONN_SELECT_SECURE || conn->state == CONN_SELECT_MUX;
}
