#include "protocol/frame.h"

#include "base/check.h"
#include "wire/protobuf.h"

void tern_frame_reader_init(struct tern_frame_reader *reader, struct tern_mem *mem, size_t size_max)
{
    *reader = (struct tern_frame_reader){.mem = mem, .size_max = size_max};
}

void tern_frame_reader_fini(struct tern_frame_reader *reader)
{
    tern_mem_free(reader->mem, reader->bytes, reader->capacity);
    reader->bytes = NULL;
    reader->size = 0;
    reader->capacity = 0;
    reader->taken = 0;
}

/* frame_grow makes room; what the reader holds counts as memory of its stream. */
static tern_err frame_grow(struct tern_frame_reader *reader, struct tern_swarm *swarm,
                           struct tern_stream stream, size_t needed)
{
    size_t capacity = tern_max_size(needed, 2 * reader->capacity);
    size_t more = capacity - reader->capacity;
    TERN_TRY(tern_swarm_reserve_stream_memory(swarm, stream, more));
    uint8_t *grown = tern_mem_realloc(reader->mem, reader->bytes, reader->capacity, capacity);
    if (grown == NULL) {
        tern_swarm_release_stream_memory(swarm, stream, more);
        return TERN_ERR_MEMORY;
    }
    reader->bytes = grown;
    reader->capacity = capacity;
    return TERN_OK;
}

static tern_err frame_append(struct tern_frame_reader *reader, struct tern_swarm *swarm,
                             struct tern_stream stream, struct tern_view bytes)
{
    size_t needed = reader->size + bytes.size;
    if (needed > reader->capacity)
        TERN_TRY(frame_grow(reader, swarm, stream, needed));
    if (bytes.size > 0)
        memcpy(reader->bytes + reader->size, bytes.data, bytes.size);
    reader->size = needed;
    return TERN_OK;
}

tern_err tern_frame_read(struct tern_frame_reader *reader, struct tern_swarm *swarm,
                         struct tern_stream stream, struct tern_view *message)
{
    if (reader->taken > 0) {
        memmove(reader->bytes, reader->bytes + reader->taken, reader->size - reader->taken);
        reader->size -= reader->taken;
        reader->taken = 0;
    }
    for (;;) {
        struct tern_slice bytes;
        tern_err err = tern_pb_frame(tern_view_of(reader->bytes, reader->size), reader->size_max,
                                     message, &reader->taken);
        if (err != TERN_ERR_TRUNCATED)
            return err;
        reader->taken = 0;
        err = tern_swarm_read(swarm, stream, &bytes);
        if (err == TERN_ERR_END && reader->size > 0)
            return TERN_ERR_TRUNCATED;
        if (err != TERN_OK)
            return err;
        /* No more than one message ahead: what a peer sends too early waits in its window. */
        size_t room = reader->size_max + 16 - tern_min_size(reader->size, reader->size_max + 15);
        size_t take = tern_min_size(bytes.view.size, room);
        TERN_TRY(frame_append(reader, swarm, stream, tern_view_of(bytes.view.data, take)));
        tern_swarm_consume(swarm, stream, take);
    }
}

struct tern_chunk *tern_frame_chunk(struct tern_mem *mem, struct tern_view message)
{
    size_t size = tern_uvarint_size(message.size) + message.size;
    struct tern_chunk *chunk = tern_chunk_new(mem, size);
    if (chunk == NULL)
        return NULL;
    struct tern_writer w = tern_writer_of(chunk->data, size);
    tern_writer_uvarint(&w, message.size);
    tern_writer_bytes(&w, message);
    TERN_CHECK(tern_writer_ok(&w));
    chunk->size = (uint32_t)w.size;
    return chunk;
}
