#include "webtransport/qpack.h"

#include <nghttp3/nghttp3.h>

#include "base/check.h"
#include "quic/quic_mem.h"
#include "webtransport/http3.h"

enum {
    QPACK_MEMORY_MAX = 256 * 1024, /* that nghttp3 may take for one section */
    QPACK_FIELD_OVERHEAD = 32,     /* RFC 9114, section 4.2.2 */
    QPACK_NUMBER_BYTES_MAX = 9,
    QPACK_FIELDS_MAX = 16, /* of ours */
};

/* nghttp3 takes the same allocator as ngtcp2, under another name. */
static nghttp3_mem qpack_allocator(const struct quic_mem *memory)
{
    const ngtcp2_mem *from = &memory->allocator;
    return (nghttp3_mem){.user_data = from->user_data,
                         .malloc = from->malloc,
                         .free = from->free,
                         .calloc = from->calloc,
                         .realloc = from->realloc};
}

static tern_err qpack_error(const struct quic_mem *memory, int code, tern_fault *fault)
{
    if (code == NGHTTP3_ERR_NOMEM && !memory->refused)
        return TERN_ERR_MEMORY;
    bool large = code == NGHTTP3_ERR_NOMEM || code == NGHTTP3_ERR_QPACK_HEADER_TOO_LARGE;
    *fault = large ? TERN_FAULT_WEBTRANSPORT_FIELDS_TOO_LARGE : TERN_FAULT_WEBTRANSPORT_QPACK;
    return large ? TERN_ERR_TOO_LARGE : TERN_ERR_PROTOCOL;
}

/* A section that is being decoded. */
struct qpack_section {
    nghttp3_qpack_decoder *decoder;
    nghttp3_qpack_stream_context *stream;
    web_field_taker take;
    void *context;
    size_t decoded;
};

static struct tern_view qpack_view(const nghttp3_rcbuf *buffer)
{
    nghttp3_vec vec = nghttp3_rcbuf_get_buf(buffer);
    return tern_view_of(vec.base, vec.len);
}

/* qpack_field gives one on. */
static tern_err qpack_field(struct qpack_section *s, const nghttp3_qpack_nv *nv, tern_fault *fault)
{
    struct tern_view name = qpack_view(nv->name);
    struct tern_view value = qpack_view(nv->value);
    s->decoded += name.size + value.size + QPACK_FIELD_OVERHEAD;
    if (s->decoded > WEB_FIELDS_DECODED_SIZE_MAX) {
        *fault = TERN_FAULT_WEBTRANSPORT_FIELDS_TOO_LARGE;
        return TERN_ERR_TOO_LARGE;
    }
    if (s->take(s->context, name, value))
        return TERN_OK;
    *fault = TERN_FAULT_WEBTRANSPORT_FIELDS;
    return TERN_ERR_PROTOCOL;
}

static tern_err qpack_section_run(struct qpack_section *s, const struct quic_mem *memory,
                                  struct tern_view bytes, tern_fault *fault)
{
    size_t at = 0;
    /* Each call takes a byte or gives a field. */
    for (size_t i = 0; i <= 2 * bytes.size; i++) {
        nghttp3_qpack_nv nv;
        uint8_t flags = 0;
        nghttp3_ssize took = nghttp3_qpack_decoder_read_request(
            s->decoder, s->stream, &nv, &flags, bytes.data + at, bytes.size - at, 1);
        if (took < 0)
            return qpack_error(memory, (int)took, fault);
        at += (size_t)took;
        if (flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED)
            break;
        if (flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) {
            tern_err err = qpack_field(s, &nv, fault);
            nghttp3_rcbuf_decref(nv.name);
            nghttp3_rcbuf_decref(nv.value);
            if (err != TERN_OK)
                return err;
        }
        if (flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL)
            return TERN_OK;
    }
    return qpack_error(memory, NGHTTP3_ERR_QPACK_DECOMPRESSION_FAILED, fault);
}

tern_err web_qpack_decode(struct tern_mem *mem, struct tern_view section, web_field_taker take,
                          void *context, tern_fault *fault)
{
    struct quic_mem memory;
    struct qpack_section s = {.take = take, .context = context};
    *fault = TERN_FAULT_NONE;
    if (section.size == 0 || section.size > WEB_FIELDS_SIZE_MAX) {
        bool none = section.size == 0;
        *fault = none ? TERN_FAULT_WEBTRANSPORT_QPACK : TERN_FAULT_WEBTRANSPORT_FIELDS_TOO_LARGE;
        return none ? TERN_ERR_PROTOCOL : TERN_ERR_TOO_LARGE;
    }
    quic_mem_init(&memory, mem, QPACK_MEMORY_MAX);
    const nghttp3_mem allocator = qpack_allocator(&memory);
    if (nghttp3_qpack_decoder_new(&s.decoder, 0, 0, &allocator) != 0)
        return TERN_ERR_MEMORY;
    tern_err err = TERN_ERR_MEMORY;
    if (nghttp3_qpack_stream_context_new(&s.stream, 0, &allocator) == 0) {
        err = qpack_section_run(&s, &memory, section, fault);
        nghttp3_qpack_stream_context_del(s.stream);
    }
    nghttp3_qpack_decoder_del(s.decoder);
    TERN_CHECK(memory.used == 0);
    return err;
}

/* --- encoding --- */

static uint8_t *qpack_mutable(const void *data)
{
    union {
        const void *in;
        uint8_t *out;
    } p = {.in = data}; /* nghttp3 does not change what it encodes */
    return p.out;
}

/* qpack_write writes what the encoder gave: the section's prefix, then its fields. */
static tern_err qpack_write(const nghttp3_buf *prefix, const nghttp3_buf *fields,
                            struct tern_writer *out)
{
    tern_writer_bytes(out, tern_view_of(prefix->pos, nghttp3_buf_len(prefix)));
    tern_writer_bytes(out, tern_view_of(fields->pos, nghttp3_buf_len(fields)));
    return tern_writer_ok(out) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

tern_err web_qpack_encode(struct tern_mem *mem, const struct web_field *fields, size_t count,
                          struct tern_writer *out)
{
    struct quic_mem memory;
    nghttp3_qpack_encoder *encoder;
    nghttp3_nv list[QPACK_FIELDS_MAX];
    nghttp3_buf prefix;
    nghttp3_buf section;
    nghttp3_buf instructions;
    TERN_CHECK(count <= TERN_COUNT_OF(list));
    for (size_t i = 0; i < count; i++)
        list[i] = (nghttp3_nv){.name = qpack_mutable(fields[i].name),
                               .namelen = strlen(fields[i].name),
                               .value = qpack_mutable(fields[i].value.data),
                               .valuelen = fields[i].value.size};
    quic_mem_init(&memory, mem, QPACK_MEMORY_MAX);
    const nghttp3_mem allocator = qpack_allocator(&memory);
    if (nghttp3_qpack_encoder_new(&encoder, 0, &allocator) != 0)
        return TERN_ERR_MEMORY;
    nghttp3_buf_init(&prefix);
    nghttp3_buf_init(&section);
    nghttp3_buf_init(&instructions);
    int code =
        nghttp3_qpack_encoder_encode(encoder, &prefix, &section, &instructions, 0, list, count);
    tern_err err = code == 0 ? qpack_write(&prefix, &section, out) : TERN_ERR_MEMORY;
    TERN_CHECK(nghttp3_buf_len(&instructions) == 0);
    nghttp3_buf_free(&prefix, &allocator);
    nghttp3_buf_free(&section, &allocator);
    nghttp3_buf_free(&instructions, &allocator);
    nghttp3_qpack_encoder_del(encoder);
    TERN_CHECK(memory.used == 0);
    return err;
}

/* --- the streams of encoder and decoder --- */

bool web_qpack_encoder_byte(uint8_t byte)
{
    return byte == 0x20; /* Set Dynamic Table Capacity: 0 */
}

bool web_qpack_decoder_byte(struct web_qpack_decoder *decoder, uint8_t byte)
{
    if (decoder->more == 0) {
        if ((byte & 0xc0) != 0x40)
            return false; /* not Stream Cancellation */
        decoder->more = (byte & 0x3f) == 0x3f;
        return true;
    }
    decoder->more = byte & 0x80 ? (uint8_t)(decoder->more + 1) : 0;
    return decoder->more <= QPACK_NUMBER_BYTES_MAX;
}
