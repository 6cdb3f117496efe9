#include "secure/pnet.h"

#include "base/check.h"
#include "crypto/secret.h"
#include "crypto/xsalsa20.h"
#include "wire/multibase.h"

_Static_assert((int)TERN_PNET_KEY_SIZE == (int)TERN_XSALSA20_KEY_SIZE, "the key is XSalsa20's");
_Static_assert((int)TERN_PNET_NONCE_SIZE == (int)TERN_XSALSA20_NONCE_SIZE, "so is the nonce");

struct tern_pnet {
    struct tern_mem *mem;
    struct tern_pnet_key key; /* until the remote's nonce is there */
    struct tern_xsalsa20 send;
    struct tern_xsalsa20 receive;
    uint8_t nonce[TERN_PNET_NONCE_SIZE]; /* ours */
    uint8_t nonce_sent;
    uint8_t remote_nonce[TERN_PNET_NONCE_SIZE];
    uint8_t remote_bytes;      /* of it, that have come */
    struct tern_view greeting; /* what is left of it to come */
    struct tern_slice data;    /* borrowed */
    bool data_pending;
    bool done_said;
    tern_err err;
    tern_fault fault;
};

static const struct tern_channel_ops pnet_ops;

/* ---- the key ---- */

/* Takes a line off the front of the text; false: it does not end. */
static bool key_line(struct tern_view *text, struct tern_view *line)
{
    const uint8_t *end = memchr(text->data, '\n', text->size);
    if (end == NULL)
        return false;
    size_t size = (size_t)(end - text->data);
    *line = tern_view_part(*text, 0, size);
    *text = tern_view_part(*text, size + 1, text->size - size - 1);
    while (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    return true;
}

static bool key_is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static tern_err key_decode(enum tern_base base, struct tern_view text, struct tern_pnet_key *key)
{
    struct tern_writer w = tern_writer_of(key->bytes, sizeof key->bytes);
    while (text.size > 0 && key_is_space(text.data[text.size - 1]))
        text.size--;
    if (tern_base_decode(base, text, &w) != TERN_OK || w.size != sizeof key->bytes)
        return TERN_ERR_MALFORMED;
    return TERN_OK;
}

static tern_err key_copy(struct tern_view bytes, struct tern_pnet_key *key)
{
    struct tern_view rest;
    if (bytes.size < sizeof key->bytes)
        return TERN_ERR_MALFORMED;
    rest = tern_view_part(bytes, sizeof key->bytes, bytes.size - sizeof key->bytes);
    if (rest.size > 0 && !tern_view_equal(rest, tern_view_str("\n")) &&
        !tern_view_equal(rest, tern_view_str("\r\n")))
        return TERN_ERR_MALFORMED;
    memcpy(key->bytes, bytes.data, sizeof key->bytes);
    return TERN_OK;
}

static tern_err key_parse(struct tern_view text, struct tern_pnet_key *key)
{
    struct tern_view line;
    if (text.size > TERN_PNET_FILE_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    if (text.size == 0 || !key_line(&text, &line))
        return TERN_ERR_MALFORMED;
    if (!tern_view_equal(line, tern_view_str("/key/swarm/psk/1.0.0/")))
        return line.size > 0 && line.data[0] == '/' ? TERN_ERR_UNSUPPORTED : TERN_ERR_MALFORMED;
    if (text.size == 0 || !key_line(&text, &line))
        return TERN_ERR_MALFORMED;
    if (tern_view_equal(line, tern_view_str("/base16/")))
        return key_decode(TERN_BASE16, text, key);
    if (tern_view_equal(line, tern_view_str("/base64/")))
        return key_decode(TERN_BASE64_PAD, text, key);
    return tern_view_equal(line, tern_view_str("/bin/")) ? key_copy(text, key) : TERN_ERR_MALFORMED;
}

tern_err tern_pnet_key_parse(struct tern_view text, struct tern_pnet_key *key)
{
    tern_err err = key_parse(text, key);
    if (err != TERN_OK)
        tern_secret_wipe(key, sizeof *key);
    return err;
}

/* ---- life ---- */

tern_err tern_pnet_new(const struct tern_pnet_options *options, struct tern_channel *channel)
{
    TERN_CHECK(options->greeting.size <= TERN_PNET_GREETING_MAX);
    struct tern_pnet *pnet = tern_mem_zalloc(options->mem, sizeof *pnet);
    if (pnet == NULL)
        return TERN_ERR_MEMORY;
    pnet->mem = options->mem;
    pnet->key = *options->key;
    pnet->greeting = options->greeting;
    tern_random_bytes(options->random, pnet->nonce, sizeof pnet->nonce);
    tern_xsalsa20_init(&pnet->send, pnet->key.bytes, pnet->nonce);
    *channel = (struct tern_channel){.ops = &pnet_ops, .self = pnet};
    return TERN_OK;
}

static void pnet_fini(void *self)
{
    struct tern_pnet *pnet = self;
    struct tern_mem *mem = pnet->mem;
    tern_secret_wipe(pnet, sizeof *pnet);
    tern_mem_free(mem, pnet, sizeof *pnet);
}

/* ---- receiving ---- */

/* Takes bytes of the remote's nonce; returns how many. */
static size_t pnet_take_nonce(struct tern_pnet *pnet, struct tern_view in)
{
    size_t size = tern_min_size(TERN_PNET_NONCE_SIZE - pnet->remote_bytes, in.size);
    tern_copy(pnet->remote_nonce + pnet->remote_bytes, in.data, size);
    pnet->remote_bytes += (uint8_t)size;
    if (size > 0 && pnet->remote_bytes == TERN_PNET_NONCE_SIZE) {
        tern_xsalsa20_init(&pnet->receive, pnet->key.bytes, pnet->remote_nonce);
        tern_secret_wipe(&pnet->key, sizeof pnet->key);
    }
    return size;
}

/* Does it begin as it must? */
static tern_err pnet_check_greeting(struct tern_pnet *pnet, struct tern_view data)
{
    size_t size = tern_min_size(pnet->greeting.size, data.size);
    if (size == 0)
        return TERN_OK;
    if (memcmp(pnet->greeting.data, data.data, size) != 0) {
        pnet->fault = TERN_FAULT_PNET_OTHER_KEY;
        pnet->err = TERN_ERR_PROTOCOL;
        return pnet->err;
    }
    pnet->greeting = tern_view_part(pnet->greeting, size, pnet->greeting.size - size);
    return TERN_OK;
}

/* Where the input may be written: recv's contract says that it is changed in place. */
static uint8_t *pnet_writable(struct tern_slice in, size_t offset)
{
    if (in.chunk != NULL)
        return in.chunk->data + (in.view.data - in.chunk->data) + offset;
    return (uint8_t *)(uintptr_t)in.view.data + offset;
}

static tern_err pnet_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    struct tern_pnet *pnet = self;
    (void)now;
    *used = 0;
    if (pnet->err != TERN_OK || pnet->data_pending)
        return pnet->err;
    *used = pnet_take_nonce(pnet, in.view);
    struct tern_view data = tern_view_part(in.view, *used, in.view.size - *used);
    if (data.size == 0)
        return TERN_OK;
    tern_xsalsa20_xor(&pnet->receive, (struct tern_span){pnet_writable(in, *used), data.size});
    *used = in.view.size;
    TERN_TRY(pnet_check_greeting(pnet, data));
    pnet->data = (struct tern_slice){.chunk = in.chunk, .view = data};
    pnet->data_pending = true;
    return TERN_OK;
}

static bool pnet_next(void *self, struct tern_channel_event *event)
{
    struct tern_pnet *pnet = self;
    *event = (struct tern_channel_event){.kind = TERN_CHANNEL_HANDSHAKE_DONE};
    if (!pnet->done_said) {
        pnet->done_said = true;
        return true;
    }
    if (!pnet->data_pending)
        return false;
    pnet->data_pending = false;
    event->kind = TERN_CHANNEL_DATA;
    event->data = pnet->data;
    return true;
}

static tern_err pnet_job_done(void *self, tern_time now, struct tern_job *job)
{
    (void)self;
    (void)now;
    (void)job;
    TERN_UNREACHABLE(); /* there are no jobs */
}

/* ---- sending ---- */

static bool pnet_control_pending(const void *self)
{
    const struct tern_pnet *pnet = self;
    return pnet->err == TERN_OK && pnet->nonce_sent < TERN_PNET_NONCE_SIZE;
}

static void pnet_control(void *self, tern_time now, struct tern_writer *out)
{
    struct tern_pnet *pnet = self;
    (void)now;
    if (!pnet_control_pending(pnet))
        return;
    struct tern_view left = tern_view_of(pnet->nonce + pnet->nonce_sent,
                                         (size_t)(TERN_PNET_NONCE_SIZE - pnet->nonce_sent));
    left.size = tern_min_size(left.size, tern_writer_left(out));
    tern_writer_bytes(out, left);
    pnet->nonce_sent += (uint8_t)left.size;
}

static struct tern_span pnet_seal_begin(void *self, struct tern_writer *out)
{
    struct tern_pnet *pnet = self;
    if (pnet->err != TERN_OK || pnet_control_pending(pnet) || out->overflow ||
        tern_writer_left(out) == 0)
        return (struct tern_span){.data = NULL};
    return (struct tern_span){.data = out->data + out->size, .size = tern_writer_left(out)};
}

static void pnet_seal_end(void *self, struct tern_writer *out, size_t size)
{
    struct tern_pnet *pnet = self;
    if (size == 0)
        return;
    uint8_t *at = tern_writer_reserve(out, size);
    TERN_CHECK(at != NULL && pnet->nonce_sent == TERN_PNET_NONCE_SIZE);
    tern_xsalsa20_xor(&pnet->send, (struct tern_span){at, size});
}

/* ---- telling ---- */

static tern_fault pnet_fault(const void *self)
{
    const struct tern_pnet *pnet = self;
    return pnet->fault;
}

static const struct tern_channel_ops pnet_ops = {
    .protocol_id = "private network",
    .recv = pnet_recv,
    .next = pnet_next,
    .job_done = pnet_job_done,
    .control = pnet_control,
    .control_pending = pnet_control_pending,
    .seal_begin = pnet_seal_begin,
    .seal_end = pnet_seal_end,
    .fault = pnet_fault,
    .fini = pnet_fini,
};
