/*
 * A client and a server of the web's TLS; one of them meets the fuzzer's bytes. Certificates are
 * made once.
 *
 * Input: byte 0 the stage and the side, byte 1 the size of a segment, then bytes: the remote's
 * first flight, or what changes honest flights (pairs of a place and a mask), or records behind an
 * honest handshake.
 */
#include <stdlib.h>

#include "secure/web_tls_internal.h"
#include "secure_pump.h"
#include "web_certificates.h"

enum { FUZZ_RAW, FUZZ_CHANGED, FUZZ_BEHIND, FUZZ_STAGES };
enum { FUZZ_MEMORY_MAX = 512 * 1024, FUZZ_STEPS = 16, FUZZ_MESSAGE = 300 };

struct fuzz_host {
    struct tern_web_tls web;
};

static struct fuzz_host *fuzz_host(void)
{
    static struct fuzz_host host;
    static struct web_pem root;
    static struct web_pem leaf;
    if (root.certificate != NULL)
        return &host;
    web_certify(&(struct web_certificate){.authority = true}, NULL, &root);
    web_certify(&(struct web_certificate){.names = "DNS:a.example"}, &root, &leaf);
    const struct tern_web_tls_config config = {.roots = web_chain_view(&root)};
    tern_err err = tern_web_tls_init(&host.web, &config);
    TERN_CHECK(err == TERN_OK);
    err = tern_web_tls_set_credentials(
        &host.web, &(struct tern_web_credentials){web_chain_view(&leaf), web_key_view(&leaf)});
    TERN_CHECK(err == TERN_OK);
    return &host;
}

static void fuzz_open(struct pump *pump, struct tern_mem *mem)
{
    pump->whole_segments = true;
    tern_random_init_u64(&pump->random, 1);
    for (int i = 0; i < 2; i++) {
        const struct tern_web_tls_options options = {
            .role = i == 0 ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = mem,
            .web = &fuzz_host()->web,
            .host = tern_view_str("a.example:443"),
        };
        pump->ends[i] = (struct pump_end){.mem = mem, .message_size = FUZZ_MESSAGE};
        tern_err err = tern_web_tls_new(&options, &pump->ends[i].secure);
        TERN_CHECK(err == TERN_OK);
    }
}

static void fuzz_feed(struct pump_end *end, struct tern_view bytes, size_t segment)
{
    size_t took = 1;
    while (bytes.size > 0 && end->err == TERN_OK && took > 0) {
        size_t size = tern_min_size(segment, bytes.size);
        took = pump_feed(end, tern_view_of(bytes.data, size), true);
        bytes = tern_view_part(bytes, took, bytes.size - took);
        if (end->job != NULL) {
            pump_run_job(end);
            took = 1;
        }
    }
}

/* Both ends go on in turn; what the first of them says is changed in the places that the bytes
 * name. */
static void fuzz_changed(struct pump *pump, int side, struct tern_view bytes, size_t segment)
{
    for (int step = 0; step < FUZZ_STEPS; step++) {
        struct pump_end *end = &pump->ends[step % 2];
        struct pump_wire *wire = &end->out;
        wire->head = wire->tail = 0;
        if (end->err == TERN_OK)
            pump_write(pump, end);
        while (step % 2 == side && bytes.size >= 3) {
            size_t at = (size_t)bytes.data[0] << 8 | bytes.data[1];
            if (at >= wire->tail)
                break;
            wire->bytes[at] ^= bytes.data[2];
            bytes = tern_view_part(bytes, 3, bytes.size - 3);
        }
        fuzz_feed(&pump->ends[1 - step % 2], tern_view_of(wire->bytes, wire->tail), segment);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pump pump;
    struct tern_mem mem;
    if (size < 2)
        return 0;
    tern_mem_init(&mem, FUZZ_MEMORY_MAX);
    fuzz_open(&pump, &mem);
    int side = data[0] % 2;
    size_t segment = 1 + (size_t)data[1] * 8;
    struct tern_view bytes = tern_view_of(data + 2, size - 2);
    switch (data[0] / 2 % FUZZ_STAGES) {
    case FUZZ_RAW:
        fuzz_feed(&pump.ends[side], bytes, segment);
        break;
    case FUZZ_CHANGED:
        fuzz_changed(&pump, side, bytes, segment);
        break;
    case FUZZ_BEHIND:
        pump_run(&pump);
        TERN_CHECK(pump.ends[0].done && pump.ends[1].done);
        fuzz_feed(&pump.ends[side], bytes, segment);
        TERN_CHECK(pump.ends[side].got_size == FUZZ_MESSAGE);
        break;
    }
    for (int i = 0; i < 2; i++) {
        const struct tern_channel *channel = &pump.ends[i].secure;
        tern_fault fault = channel->ops->fault(channel->self);
        TERN_CHECK((pump.ends[i].err != TERN_OK) == (fault != TERN_FAULT_NONE));
        pump_end_fini(&pump.ends[i]);
    }
    TERN_CHECK(mem.used == 0);
    tern_mem_fini(&mem);
    return 0;
}
