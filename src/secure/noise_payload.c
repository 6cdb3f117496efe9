#include "secure/noise_payload.h"

#include "base/check.h"
#include "wire/protobuf.h"

enum {
    PAYLOAD_IDENTITY_KEY = 1,
    PAYLOAD_IDENTITY_SIG = 2,
    PAYLOAD_EXTENSIONS = 4,
    EXTENSION_CERTHASHES = 1,
    EXTENSION_MUXERS = 2,
};

static tern_err payload_add(struct tern_view *entries, size_t *count, struct tern_view entry,
                            tern_fault *fault)
{
    if (*count == TERN_NOISE_EXTENSION_ENTRIES_MAX) {
        *fault = TERN_FAULT_NOISE_TOO_MANY_ENTRIES;
        return TERN_ERR_TOO_LARGE;
    }
    entries[(*count)++] = entry;
    return TERN_OK;
}

static tern_err payload_end(const struct tern_pb_iter *it, tern_fault *fault)
{
    tern_err err = tern_pb_end(it);
    if (err != TERN_OK)
        *fault = TERN_FAULT_NOISE_BAD_PAYLOAD;
    return err;
}

/* Extensions that come in several fields add up, as protobuf's messages merge. */
static tern_err payload_decode_extensions(struct tern_view bytes,
                                          struct tern_noise_payload *payload, tern_fault *fault)
{
    struct tern_pb_iter it = tern_pb_iter_of(bytes);
    struct tern_pb_field field;
    while (tern_pb_next(&it, &field)) {
        switch (field.tag) {
        case TERN_PB_TAG(EXTENSION_CERTHASHES, TERN_PB_BYTES):
            TERN_TRY(
                payload_add(payload->certhashes, &payload->certhashes_count, field.bytes, fault));
            break;
        case TERN_PB_TAG(EXTENSION_MUXERS, TERN_PB_BYTES):
            TERN_TRY(payload_add(payload->muxers, &payload->muxers_count, field.bytes, fault));
            break;
        }
    }
    return payload_end(&it, fault);
}

tern_err tern_noise_payload_decode(struct tern_view bytes, struct tern_noise_payload *payload,
                                   tern_fault *fault)
{
    payload->identity_key = tern_view_of(NULL, 0);
    payload->identity_sig = tern_view_of(NULL, 0);
    payload->certhashes_count = 0;
    payload->muxers_count = 0;
    struct tern_pb_iter it = tern_pb_iter_of(bytes);
    struct tern_pb_field field;
    while (tern_pb_next(&it, &field)) {
        switch (field.tag) {
        case TERN_PB_TAG(PAYLOAD_IDENTITY_KEY, TERN_PB_BYTES):
            payload->identity_key = field.bytes;
            break;
        case TERN_PB_TAG(PAYLOAD_IDENTITY_SIG, TERN_PB_BYTES):
            payload->identity_sig = field.bytes;
            break;
        case TERN_PB_TAG(PAYLOAD_EXTENSIONS, TERN_PB_BYTES):
            TERN_TRY(payload_decode_extensions(field.bytes, payload, fault));
            break;
        }
    }
    return payload_end(&it, fault);
}

static size_t payload_list_size(uint32_t number, struct tern_noise_list list)
{
    size_t size = 0;
    for (size_t i = 0; i < list.count; i++)
        size += tern_pb_bytes_size(number, list.entries[i].size);
    return size;
}

static size_t payload_lists_size(struct tern_noise_list certhashes, struct tern_noise_list muxers)
{
    return payload_list_size(EXTENSION_CERTHASHES, certhashes) +
           payload_list_size(EXTENSION_MUXERS, muxers);
}

size_t tern_noise_extensions_size(struct tern_noise_list certhashes, struct tern_noise_list muxers)
{
    size_t size = payload_lists_size(certhashes, muxers);
    return size == 0 ? 0 : tern_pb_bytes_size(PAYLOAD_EXTENSIONS, size);
}

static void payload_list_encode(uint32_t number, struct tern_noise_list list,
                                struct tern_writer *out)
{
    for (size_t i = 0; i < list.count; i++)
        tern_pb_write_bytes(out, number, list.entries[i]);
}

void tern_noise_extensions_encode(struct tern_noise_list certhashes, struct tern_noise_list muxers,
                                  struct tern_writer *out)
{
    size_t size = payload_lists_size(certhashes, muxers);
    if (size == 0)
        return;
    tern_pb_write_header(out, PAYLOAD_EXTENSIONS, size);
    payload_list_encode(EXTENSION_CERTHASHES, certhashes, out);
    payload_list_encode(EXTENSION_MUXERS, muxers, out);
}

static bool payload_list_has(struct tern_noise_list list, struct tern_view entry)
{
    for (size_t i = 0; i < list.count; i++)
        if (tern_view_equal(list.entries[i], entry))
            return true;
    return false;
}

size_t tern_noise_first_common(struct tern_noise_list a, struct tern_noise_list b)
{
    for (size_t i = 0; i < a.count; i++)
        if (payload_list_has(b, a.entries[i]))
            return i;
    return SIZE_MAX;
}

bool tern_noise_contains_all(struct tern_noise_list all, struct tern_noise_list some)
{
    for (size_t i = 0; i < some.count; i++)
        if (!payload_list_has(all, some.entries[i]))
            return false;
    return true;
}

void tern_noise_signed_bytes(const uint8_t static_public[TERN_NOISE_KEY_SIZE],
                             uint8_t out[TERN_NOISE_SIGNED_SIZE])
{
    size_t prefix_size = sizeof TERN_NOISE_SIGNED_PREFIX - 1;
    memcpy(out, TERN_NOISE_SIGNED_PREFIX, prefix_size);
    memcpy(out + prefix_size, static_public, TERN_NOISE_KEY_SIZE);
}
