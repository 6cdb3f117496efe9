/* One stream on long, fast and lossy paths, in virtual time. */
#include <stdio.h>
#include <stdlib.h>

#include "quic/quic_world.h"
#include "tern_test.h"

struct bulk {
    struct quic_world w;
    struct quic_host *a;
    struct quic_host *b;
    struct quic_seen *seen;
    tern_stream_id stream;
    struct tern_chunk *chunk;
    struct tern_mem mem;
    uint64_t written;
    uint64_t bytes;
};

static bool bulk_step(void *context)
{
    struct bulk *f = context;
    const struct tern_mux *mux = &f->seen->session.mux;
    const struct tern_slice slice = {.chunk = f->chunk, .view = tern_chunk_view(f->chunk)};
    while (f->written < f->bytes && mux->ops->write_slice(mux->self, f->stream, slice) == TERN_OK)
        f->written += slice.view.size;
    return quic_host_last(f->b)->read_bytes >= f->bytes;
}

/* Rate of a transfer in the second half of its time, in bits a second. */
static double bulk_rate(struct tern_quic_options options, const struct datagram_link *forth,
                        const struct datagram_link *back, tern_time duration)
{
    static struct bulk f;
    memset(&f, 0, sizeof f);
    quic_world_init(&f.w, 5);
    f.a = quic_world_add(&f.w, options, forth);
    f.b = quic_world_add(&f.w, options, back);
    f.b->sink = true;
    f.seen = quic_world_connect(&f.w, f.a, f.b);
    f.seen->sink = true;
    f.stream = quic_seen_open(f.seen);
    f.bytes = UINT64_MAX;
    tern_mem_init(&f.mem, 0);
    f.chunk = tern_chunk_new(&f.mem, 65536);
    f.chunk->size = 65536;
    memset(f.chunk->data, 1, 65536);
    uint64_t half = 0;
    for (int i = 0; i < 10; i++) {
        (void)quic_world_until(&f.w, bulk_step, &f, duration / 10);
        if (i == 4)
            half = quic_host_last(f.b)->read_bytes;
        if (getenv("V"))
            printf("   %d: %.3f Gbit/s total mem %zu MB windows %lu MB\n", i,
                   (double)quic_host_last(f.b)->read_bytes * 8 /
                       ((double)duration / 1e9 / 10 * (i + 1)) / 1e9,
                   f.a->mem.used >> 20,
                   (unsigned long)(f.b->windows.used[TERN_RESOURCE_MEMORY] >> 20));
    }
    double seconds = (double)duration / 2e9;
    double rate = (double)(quic_host_last(f.b)->read_bytes - half) * 8 / seconds;
    quic_world_fini(&f.w);
    tern_chunk_unref(f.chunk);
    tern_mem_fini(&f.mem);
    return rate;
}

int main(int argc, char **argv)
{
    double gbit = argc > 1 ? atof(argv[1]) : 1;
    unsigned loss = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    double secs = argc > 3 ? atof(argv[3]) : 4;
    double rtt = argc > 4 ? atof(argv[4]) : 63;
    unsigned mtu = argc > 5 ? (unsigned)atoi(argv[5]) : 1472;
    for (int cc = 0; cc < 2; cc++) {
        struct tern_quic_options options = {.window_max =
                                                getenv("W") ? (uint32_t)atoi(getenv("W")) << 20 : 0,
                                            .congestion = cc ? TERN_QUIC_CUBIC : TERN_QUIC_BBR};
        const struct datagram_link link = {.bits_per_second = (uint64_t)(gbit * 1e9),
                                           .latency_ns = (tern_time)(rtt / 2 * 1e6),
                                           .queue_bytes_max = (size_t)(gbit * 1e9 / 8 * rtt / 1e3),
                                           .loss_ppm = loss,
                                           .datagram_bytes_max = mtu};
        struct datagram_link back = link;
        double rate = bulk_rate(options, &link, &back, (tern_time)(secs * 1e9));
        printf("%s: %.3f of %.1f Gbit/s, loss %u ppm\n", cc ? "cubic" : "bbr", rate / 1e9, gbit,
               loss);
    }
}
