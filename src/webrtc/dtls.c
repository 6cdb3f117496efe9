#include "webrtc/dtls.h"

#include "base/check.h"
#include "base/reader.h"
#include "crypto/secret.h"
#include "webrtc/dtls_openssl.h"

/* What a flight of public-key work takes, for the simulator's clock. */
#define DTLS_JOB_COST (300 * TERN_MICROSECOND)

enum { DTLS_WINDOW_WORDS = TERN_DTLS_WINDOW / 64, DTLS_ALERT_SIZE = 2 };

struct tern_dtls_handshake {
    struct tern_job job;
    struct tern_dtls_ssl ssl;     /* the job's, while it is out */
    struct tern_dtls_box waiting; /* for the next job */
    struct tern_dtls_box flight;  /* ours, as OpenSSL wrote it */
    struct tern_dtls_box held;    /* records that came too early */
    bool has_finished;            /* flight ends in our Finished */
    uint8_t finished[TERN_DTLS_FINISHED_SIZE];
    size_t finished_size;
    uint8_t inboxes[2][TERN_DTLS_INBOX_MAX];
    uint8_t outboxes[2][TERN_DTLS_FLIGHT_MAX];
    uint8_t held_data[TERN_DTLS_HELD_MAX];
};

/* The header of a record, and where it ends in its datagram. */
struct dtls_record {
    uint8_t type;
    uint16_t version;
    uint16_t epoch;
    uint64_t number;
    struct tern_view whole;
};

/* dtls_next_record cuts the next record off a datagram; false: what is left is none. */
static bool dtls_next_record(struct tern_view *datagram, struct dtls_record *record)
{
    struct tern_reader r = tern_reader_of(*datagram);
    uint64_t number;
    uint16_t size;
    tern_reader_u8(&r, &record->type);
    tern_reader_u16be(&r, &record->version);
    tern_reader_u64be(&r, &number);
    tern_reader_u16be(&r, &size);
    if (!tern_reader_skip(&r, size))
        return false;
    record->epoch = (uint16_t)(number >> 48);
    record->number = number & TERN_DTLS_NUMBER_MAX;
    record->whole = tern_view_part(*datagram, 0, r.offset);
    *datagram = tern_reader_rest(&r);
    return true;
}

static bool dtls_is_record(const struct dtls_record *record)
{
    return record->type >= 20 && record->type < 64 && record->version >> 8 == 0xfe;
}

bool tern_dtls_is(struct tern_view datagram)
{
    struct dtls_record record;
    return dtls_next_record(&datagram, &record) && dtls_is_record(&record);
}

uint16_t tern_dtls_epoch(struct tern_view datagram)
{
    struct dtls_record record;
    return dtls_next_record(&datagram, &record) ? record.epoch : 0;
}

/* ---- life ---- */

static void dtls_run(struct tern_job *job)
{
    struct tern_dtls_handshake *h = TERN_CONTAINER_OF(job, struct tern_dtls_handshake, job);
    tern_dtls_ssl_step(&h->ssl);
}

static struct tern_dtls_handshake *dtls_handshake_new(struct tern_mem *mem,
                                                      const struct tern_dtls_options *options)
{
    struct tern_dtls_handshake *h = tern_mem_zalloc(mem, sizeof *h);
    if (h == NULL)
        return NULL;
    h->job = (struct tern_job){.run = dtls_run, .cost_ns = DTLS_JOB_COST};
    tern_list_init(&h->job.link);
    h->ssl.inbox = (struct tern_dtls_box){.data = h->inboxes[0], .capacity = TERN_DTLS_INBOX_MAX};
    h->waiting = (struct tern_dtls_box){.data = h->inboxes[1], .capacity = TERN_DTLS_INBOX_MAX};
    h->ssl.outbox =
        (struct tern_dtls_box){.data = h->outboxes[0], .capacity = TERN_DTLS_FLIGHT_MAX};
    h->flight = (struct tern_dtls_box){.data = h->outboxes[1], .capacity = TERN_DTLS_FLIGHT_MAX};
    h->held = (struct tern_dtls_box){.data = h->held_data, .capacity = TERN_DTLS_HELD_MAX};
    h->ssl.listener = options->listener;
    h->ssl.certhashes_count = options->certhashes_count;
    for (size_t i = 0; i < options->certhashes_count; i++)
        memcpy(h->ssl.certhashes[i], options->certhashes[i], sizeof h->ssl.certhashes[i]);
    if (tern_dtls_ssl_init(&h->ssl, options->context) == TERN_OK)
        return h;
    tern_mem_free(mem, h, sizeof *h);
    return NULL;
}

static void dtls_handshake_free(struct tern_dtls *d)
{
    TERN_CHECK(!d->job_out);
    if (d->handshake == NULL)
        return;
    tern_dtls_ssl_fini(&d->handshake->ssl);
    tern_secret_wipe(d->handshake->finished, sizeof d->handshake->finished);
    tern_mem_free(d->mem, d->handshake, sizeof *d->handshake);
    d->handshake = NULL;
    d->flight_due = false;
    d->resend_at = TERN_TIME_NEVER;
}

static tern_time dtls_resend_interval(tern_time rtt_ns)
{
    if (rtt_ns == 0)
        return TERN_DTLS_RESEND_UNKNOWN;
    if (rtt_ns >= TERN_DTLS_RESEND_MAX)
        return TERN_DTLS_RESEND_MAX;
    tern_time interval = rtt_ns * 3 / 2;
    if (interval < TERN_DTLS_RESEND_MIN)
        return TERN_DTLS_RESEND_MIN;
    return tern_time_min(interval, TERN_DTLS_RESEND_MAX);
}

tern_err tern_dtls_init(struct tern_dtls *d, const struct tern_dtls_options *options)
{
    TERN_CHECK(options->listener ? options->certhashes_count == 0 : options->certhashes_count > 0);
    TERN_CHECK(options->certhashes_count <= TERN_DTLS_CERTHASHES_MAX);
    *d = (struct tern_dtls){
        .mem = options->mem,
        .listener = options->listener,
        .job_ready = !options->listener,
        .resend_at = TERN_TIME_NEVER,
        .resend_interval_ns = dtls_resend_interval(options->rtt_ns),
    };
    d->handshake = dtls_handshake_new(options->mem, options);
    if (d->handshake == NULL)
        return TERN_ERR_MEMORY;
    d->context = tern_dtls_context_ref(options->context);
    return TERN_OK;
}

void tern_dtls_fini(struct tern_dtls *d)
{
    dtls_handshake_free(d);
    tern_dtls_cipher_fini(&d->seal);
    tern_dtls_cipher_fini(&d->open);
    tern_dtls_context_unref(d->context);
    tern_secret_wipe(d, sizeof *d);
}

static void dtls_fail(struct tern_dtls *d, tern_err error, tern_fault fault)
{
    if (d->state == TERN_DTLS_FAILED)
        return;
    d->state = TERN_DTLS_FAILED;
    d->error = error;
    d->fault = fault;
    d->job_ready = false;
    d->alert_due = false;
    d->resend_at = TERN_TIME_NEVER;
}

/* ---- the handshake ---- */

/* dtls_hold keeps a datagram for later; what finds no room is lost, as on any network. */
static void dtls_hold(struct tern_dtls *d, struct tern_view datagram)
{
    struct dtls_record record;
    struct tern_view rest = datagram;
    if (d->handshake == NULL || !dtls_next_record(&rest, &record) || !dtls_is_record(&record)) {
        d->dropped = TERN_FAULT_WEBRTC_DTLS_RECORD;
        return;
    }
    bool early = record.type == TERN_DTLS_APPLICATION_DATA;
    struct tern_dtls_box *box = early ? &d->handshake->held : &d->handshake->waiting;
    if (!tern_dtls_box_put(box, datagram))
        d->dropped = TERN_FAULT_WEBRTC_DTLS_FLOOD;
    else if (!early)
        d->job_ready = true;
}

struct tern_job *tern_dtls_job(struct tern_dtls *d)
{
    if (!d->job_ready || d->job_out || d->state != TERN_DTLS_HANDSHAKE)
        return NULL;
    struct tern_dtls_handshake *h = d->handshake;
    struct tern_dtls_box inbox = h->waiting;
    h->waiting = h->ssl.inbox;
    h->ssl.inbox = inbox;
    TERN_CHECK(h->waiting.size == 0);
    d->job_ready = false;
    d->job_out = true;
    return &h->job;
}

/* dtls_take_flight: what OpenSSL has written takes the place of the flight before. */
static void dtls_take_flight(struct tern_dtls *d)
{
    struct tern_dtls_handshake *h = d->handshake;
    if (h->ssl.outbox.size == 0)
        return;
    struct tern_dtls_box flight = h->ssl.outbox;
    h->ssl.outbox = h->flight;
    h->ssl.outbox.size = 0;
    h->flight = flight;
    d->flight_due = true;
    d->flight_again = false;
    d->flight_offset = 0;
    d->resend_at = TERN_TIME_NEVER;
}

/* dtls_take_keys: from our Finished on there are keys. OpenSSL has sealed that as number 0. */
static tern_err dtls_take_keys(struct tern_dtls *d)
{
    const struct tern_dtls_ssl *ssl = &d->handshake->ssl;
    if (!ssl->has_secrets || d->seal.context != NULL)
        return TERN_OK;
    TERN_TRY(tern_dtls_cipher_init(&d->seal, true, &ssl->secrets, !d->listener, 1));
    return tern_dtls_cipher_init(&d->open, false, &ssl->secrets, d->listener, 0);
}

static void dtls_opened(struct tern_dtls *d)
{
    d->state = TERN_DTLS_OPEN;
    d->job_ready = false;
    d->resend_at = TERN_TIME_NEVER;
    memcpy(d->fingerprint, d->handshake->ssl.fingerprint, sizeof d->fingerprint);
    tern_dtls_ssl_fini(&d->handshake->ssl);
}

void tern_dtls_job_done(struct tern_dtls *d, struct tern_job *job)
{
    struct tern_dtls_handshake *h = d->handshake;
    TERN_CHECK(d->job_out && job == &h->job);
    d->job_out = false;
    h->finished_size = h->ssl.finished_size;
    memcpy(h->finished, h->ssl.finished, sizeof h->finished);
    dtls_take_flight(d);
    if (dtls_take_keys(d) != TERN_OK) {
        dtls_fail(d, TERN_ERR_MEMORY, TERN_FAULT_NONE);
        return;
    }
    switch (h->ssl.step) {
    case TERN_DTLS_STEP_MORE:
        return;
    case TERN_DTLS_STEP_DONE:
        dtls_opened(d);
        return;
    case TERN_DTLS_STEP_FAILED:
        dtls_fail(d, h->ssl.error, h->ssl.fault);
        return;
    }
    TERN_UNREACHABLE();
}

bool tern_dtls_held(struct tern_dtls *d, struct tern_view *datagram)
{
    struct tern_span held;
    if (d->state != TERN_DTLS_OPEN || d->handshake == NULL ||
        !tern_dtls_box_next(&d->handshake->held, &d->held_offset, &held)) {
        if (d->state == TERN_DTLS_OPEN && !d->listener)
            dtls_handshake_free(d); /* a dialer's last flight has been answered */
        return false;
    }
    *datagram = tern_view_of(held.data, held.size);
    return true;
}

/* ---- records in ---- */

/* dtls_is_new: was this number not taken before, and is it not too old to know? */
static bool dtls_is_new(const struct tern_dtls *d, uint64_t number)
{
    if (number >= d->window_next)
        return true;
    /* One word is kept free: it is where the next numbers go (RFC 6479). */
    if (d->window_next - number > TERN_DTLS_WINDOW - 64)
        return false;
    return (d->window[number / 64 % DTLS_WINDOW_WORDS] >> number % 64 & 1) == 0;
}

static void dtls_mark(struct tern_dtls *d, uint64_t number)
{
    if (number >= d->window_next) {
        uint64_t from = d->window_next == 0 ? 0 : (d->window_next - 1) / 64;
        uint64_t words = number / 64 - from;
        if (words > DTLS_WINDOW_WORDS)
            words = DTLS_WINDOW_WORDS;
        for (uint64_t i = 0; i < words; i++)
            d->window[(number / 64 - i) % DTLS_WINDOW_WORDS] = 0;
        d->window_next = number + 1;
    }
    d->window[number / 64 % DTLS_WINDOW_WORDS] |= UINT64_C(1) << number % 64;
    d->taken_count++;
}

static void dtls_recv_alert(struct tern_dtls *d, struct tern_view alert)
{
    enum { FATAL = 2, CLOSE_NOTIFY = 0 };
    if (alert.size != DTLS_ALERT_SIZE)
        return;
    if (alert.data[1] == CLOSE_NOTIFY)
        d->state = TERN_DTLS_CLOSED;
    else if (alert.data[0] == FATAL)
        dtls_fail(d, TERN_ERR_DISCONNECTED, TERN_FAULT_NONE);
}

/* dtls_recv_handshake: a dialer that sends its Finished again has not got ours. */
static void dtls_recv_handshake(struct tern_dtls *d)
{
    if (!d->listener || d->handshake == NULL || d->flight_due)
        return;
    d->flight_due = true;
    d->flight_offset = 0;
}

/* dtls_open decrypts a record into room. False: it was not to be believed. */
static bool dtls_open(struct tern_dtls *d, const struct dtls_record *record, struct tern_span room,
                      struct tern_view *text)
{
    if (record->epoch != 1 || record->version != 0xfefd || record->whole.size > room.size) {
        /* The clear part of a flight that is sent again is no fault. */
        if (record->epoch != 0)
            d->dropped = TERN_FAULT_WEBRTC_DTLS_RECORD;
        return false;
    }
    if (!dtls_is_new(d, record->number)) {
        d->dropped = TERN_FAULT_WEBRTC_DTLS_REPLAY;
        return false;
    }
    memcpy(room.data, record->whole.data, record->whole.size);
    const struct tern_span copy = {room.data, record->whole.size};
    if (tern_dtls_cipher_open(&d->open, copy, text) != TERN_OK) {
        d->dropped = TERN_FAULT_WEBRTC_DTLS_RECORD;
        return false;
    }
    dtls_mark(d, record->number);
    return true;
}

bool tern_dtls_recv(struct tern_dtls *d, struct tern_view *datagram, struct tern_span room,
                    struct tern_view *text)
{
    TERN_CHECK(room.size >= TERN_DTLS_RECORD_MAX);
    if (d->state == TERN_DTLS_HANDSHAKE) {
        dtls_hold(d, *datagram);
        datagram->size = 0;
        return false;
    }
    struct dtls_record record;
    while (d->state == TERN_DTLS_OPEN && dtls_next_record(datagram, &record)) {
        if (!dtls_open(d, &record, room, text))
            continue;
        if (record.type == TERN_DTLS_ALERT)
            dtls_recv_alert(d, *text);
        else if (record.type == TERN_DTLS_HANDSHAKE_MESSAGE)
            dtls_recv_handshake(d);
        if (record.type != TERN_DTLS_APPLICATION_DATA || text->size == 0)
            continue;
        d->confirmed = true; /* whoever sends this has our Finished */
        return true;
    }
    datagram->size = 0;
    return false;
}

/* ---- datagrams out ---- */

/* dtls_renumber writes one record of a flight: those in the clear get the next number; Finished is
 * as OpenSSL sealed it the first time, and sealed anew after that. */
static tern_err dtls_renumber(struct tern_dtls *d, const struct dtls_record *record,
                              struct tern_writer *out)
{
    const struct tern_dtls_handshake *h = d->handshake;
    uint8_t *to = tern_writer_reserve(out, record->whole.size);
    TERN_CHECK(to != NULL);
    memcpy(to, record->whole.data, record->whole.size);
    if (record->epoch == 0) {
        for (size_t i = 0; i < 6; i++)
            to[5 + i] = (uint8_t)(d->clear_next >> 8 * (5 - i));
        d->clear_next++;
        return TERN_OK;
    }
    if (!d->flight_again || record->type != TERN_DTLS_HANDSHAKE_MESSAGE)
        return TERN_OK;
    TERN_CHECK(record->whole.size == h->finished_size + TERN_DTLS_OVERHEAD);
    memcpy(to + TERN_DTLS_HEADER_SIZE + TERN_DTLS_NONCE_SIZE, h->finished, h->finished_size);
    return tern_dtls_cipher_seal(&d->seal, TERN_DTLS_HANDSHAKE_MESSAGE, to, h->finished_size);
}

static void dtls_flight_sent(struct tern_dtls *d, tern_time now)
{
    d->flight_due = false;
    d->flight_again = true;
    if (d->state != TERN_DTLS_HANDSHAKE)
        return;
    d->resend_at = now + d->resend_interval_ns;
}

/* dtls_send_flight fills a datagram with records of the flight, each whole; false: that was all. */
static bool dtls_send_flight(struct tern_dtls *d, tern_time now, struct tern_writer *out)
{
    const struct tern_dtls_box *flight = &d->handshake->flight;
    struct tern_view rest =
        tern_view_of(flight->data + d->flight_offset, flight->size - d->flight_offset);
    size_t start = out->size;
    struct dtls_record record;
    while (dtls_next_record(&rest, &record)) {
        if (out->size - start + record.whole.size > TERN_DTLS_DATAGRAM_MAX)
            break;
        if (dtls_renumber(d, &record, out) != TERN_OK)
            dtls_fail(d, TERN_ERR_INTERNAL, TERN_FAULT_NONE);
        d->flight_offset += record.whole.size;
    }
    bool any = out->size > start;
    if (d->flight_offset >= flight->size || !any)
        dtls_flight_sent(d, now);
    return any;
}

static void dtls_send_alert(struct tern_dtls *d, struct tern_writer *out)
{
    static const uint8_t close_notify[DTLS_ALERT_SIZE] = {1, 0};
    uint8_t *record = tern_writer_reserve(out, TERN_DTLS_OVERHEAD + sizeof close_notify);
    TERN_CHECK(record != NULL);
    memcpy(record + TERN_DTLS_HEADER_SIZE + TERN_DTLS_NONCE_SIZE, close_notify,
           sizeof close_notify);
    d->alert_due = false;
    tern_err err = tern_dtls_cipher_seal(&d->seal, TERN_DTLS_ALERT, record, sizeof close_notify);
    if (err != TERN_OK)
        dtls_fail(d, err, TERN_FAULT_NONE);
}

bool tern_dtls_send(struct tern_dtls *d, tern_time now, struct tern_writer *out)
{
    TERN_CHECK(tern_writer_left(out) >= TERN_DTLS_DATAGRAM_MAX);
    if (d->flight_due && dtls_send_flight(d, now, out))
        return true;
    if (!d->alert_due)
        return false;
    dtls_send_alert(d, out);
    return true;
}

bool tern_dtls_want_send(const struct tern_dtls *d)
{
    return d->flight_due || d->alert_due;
}

size_t tern_dtls_send_size(const struct tern_dtls *d)
{
    if (d->flight_due)
        return tern_min_size(d->handshake->flight.size - d->flight_offset, TERN_DTLS_DATAGRAM_MAX);
    return d->alert_due ? TERN_DTLS_OVERHEAD + DTLS_ALERT_SIZE : 0;
}

tern_time tern_dtls_deadline(const struct tern_dtls *d)
{
    return d->resend_at;
}

void tern_dtls_tick(struct tern_dtls *d, tern_time now)
{
    if (now < d->resend_at)
        return;
    d->resend_at = TERN_TIME_NEVER;
    d->resend_interval_ns = tern_time_min(d->resend_interval_ns * 2, TERN_DTLS_RESEND_LIMIT);
    d->flight_due = true;
    d->flight_offset = 0;
}

struct tern_span tern_dtls_seal_begin(struct tern_dtls *d, struct tern_writer *out)
{
    /* Here, since a datagram that is held may still be read when the remote confirms. */
    if (d->confirmed)
        dtls_handshake_free(d);
    size_t room = tern_min_size(tern_writer_left(out), TERN_DTLS_DATAGRAM_MAX);
    if (d->state != TERN_DTLS_OPEN || d->alert_due || room < TERN_DTLS_DATAGRAM_MAX / 2)
        return (struct tern_span){NULL, 0};
    return (struct tern_span){
        out->data + out->size + TERN_DTLS_HEADER_SIZE + TERN_DTLS_NONCE_SIZE,
        room - TERN_DTLS_OVERHEAD,
    };
}

tern_err tern_dtls_seal_end(struct tern_dtls *d, struct tern_writer *out, size_t size)
{
    if (size == 0)
        return TERN_OK;
    TERN_CHECK(d->state == TERN_DTLS_OPEN && size <= TERN_DTLS_PLAINTEXT_MAX);
    uint8_t *record = tern_writer_reserve(out, size + TERN_DTLS_OVERHEAD);
    TERN_CHECK(record != NULL);
    tern_err err = tern_dtls_cipher_seal(&d->seal, TERN_DTLS_APPLICATION_DATA, record, size);
    if (err != TERN_OK)
        dtls_fail(d, TERN_ERR_INTERNAL, TERN_FAULT_NONE);
    return err == TERN_OK ? TERN_OK : TERN_ERR_INTERNAL;
}

void tern_dtls_close(struct tern_dtls *d)
{
    d->alert_due = d->state == TERN_DTLS_OPEN;
}
