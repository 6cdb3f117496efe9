/*
 * A private network's key file, and what a stranger says to one of its members.
 *
 * Input: byte 0 even: the rest is a file, which is read, and what is read written and read again;
 * odd: byte 1 is the size of a segment, the rest comes in from the link.
 */
#include "base/check.h"
#include "secure/pnet.h"
#include "wire/multibase.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_file(struct tern_view text)
{
    static const char start[] = "/key/swarm/psk/1.0.0/\n/base16/\n";
    struct tern_pnet_key key;
    struct tern_pnet_key again;
    uint8_t bytes[200];
    if (tern_pnet_key_parse(text, &key) != TERN_OK)
        return;
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_str(&w, start);
    tern_err err = tern_base_encode(TERN_BASE16, tern_view_of(key.bytes, sizeof key.bytes), &w);
    TERN_CHECK(err == TERN_OK);
    err = tern_pnet_key_parse(tern_writer_view(&w), &again);
    TERN_CHECK(err == TERN_OK && memcmp(&key, &again, sizeof key) == 0);
}

static void fuzz_link(struct tern_view bytes, size_t segment)
{
    static const struct tern_pnet_key key = {{7}};
    struct tern_mem mem;
    struct tern_random random;
    struct tern_channel channel;
    size_t total = 0;
    size_t out = 0;
    tern_err err = TERN_OK;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    tern_err made = tern_pnet_new(
        &(struct tern_pnet_options){
            .mem = &mem, .random = &random, .key = &key, .greeting = tern_view_str("\x13/m")},
        &channel);
    TERN_CHECK(made == TERN_OK);
    while (bytes.size > 0 && err == TERN_OK) {
        uint8_t part[256];
        size_t used = 0;
        struct tern_channel_event event;
        size_t size = tern_min_size(segment, bytes.size);
        memcpy(part, bytes.data, size);
        err = channel.ops->recv(channel.self, 0,
                                (struct tern_slice){.view = tern_view_of(part, size)}, &used);
        TERN_CHECK(used == size);
        total += used;
        while (channel.ops->next(channel.self, &event))
            out += event.kind == TERN_CHANNEL_DATA ? event.data.view.size : 0;
        bytes = tern_view_part(bytes, used, bytes.size - used);
    }
    TERN_CHECK(out <= total - tern_min_size(total, TERN_PNET_NONCE_SIZE));
    TERN_CHECK((err != TERN_OK) == (channel.ops->fault(channel.self) != TERN_FAULT_NONE));
    channel.ops->fini(channel.self);
    TERN_CHECK(mem.used == 0);
    tern_mem_fini(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] % 2 == 0)
        fuzz_file(tern_view_of(data + 1, size - 1));
    else
        fuzz_link(tern_view_of(data + 2, size - 2), 1 + (size_t)data[1]);
    return 0;
}
