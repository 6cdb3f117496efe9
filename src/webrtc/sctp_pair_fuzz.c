/*
 * Two associations and a script: what is sent, consumed, reset, and what becomes of each packet.
 * Held against a model; when the script ends the link heals, and all must come right.
 */
#include <stdlib.h>

#include "base/check.h"
#include "webrtc/sctp_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_QUEUE_MAX = 64 };

/* Packets on their way, by end. */
struct fuzz_queue {
    uint8_t packets[FUZZ_QUEUE_MAX][SCTP_PAIR_PACKET];
    size_t sizes[FUZZ_QUEUE_MAX];
    size_t count;
};

struct fuzz_world {
    struct sctp_pair pair;
    struct fuzz_queue queues[2]; /* from end 0, from end 1 */
};

static void fuzz_write(struct fuzz_world *w, int from)
{
    struct fuzz_queue *queue = &w->queues[from];
    while (queue->count < FUZZ_QUEUE_MAX) {
        struct tern_view packet = sctp_pair_take(&w->pair, from, queue->packets[queue->count]);
        if (packet.size == 0)
            return;
        queue->sizes[queue->count++] = packet.size;
    }
}

/* fuzz_deliver gives the packet at a place; it stays if it is to come twice. */
static void fuzz_deliver(struct fuzz_world *w, int from, size_t place, bool keep)
{
    struct fuzz_queue *queue = &w->queues[from];
    if (queue->count == 0)
        return;
    place %= queue->count;
    sctp_pair_give(&w->pair, 1 - from, tern_view_of(queue->packets[place], queue->sizes[place]));
    if (keep)
        return;
    queue->count--;
    memmove(queue->packets[place], queue->packets[place + 1],
            (queue->count - place) * sizeof queue->packets[0]);
    memmove(&queue->sizes[place], &queue->sizes[place + 1],
            (queue->count - place) * sizeof queue->sizes[0]);
}

static void fuzz_tick(struct fuzz_world *w, uint8_t step)
{
    struct sctp_pair *pair = &w->pair;
    pair->now += (tern_time)(step + 1) * TERN_MILLISECOND * 4;
    for (int i = 0; i < 2; i++)
        tern_sctp_tick(pair->ends[i].sctp, pair->now);
}

static void fuzz_step(struct fuzz_world *w, uint8_t what, uint8_t step)
{
    struct sctp_pair *pair = &w->pair;
    int end = what & 1;
    switch (what >> 1 & 7) {
    case 0:
        (void)!sctp_pair_send(pair, end, step & 7, 1 + (uint32_t)(step >> 3) * (step >> 3) * 30);
        break;
    case 1:
        fuzz_write(w, end);
        break;
    case 2:
    case 3:
        fuzz_deliver(w, end, step & 63, step >> 6 == 3);
        break;
    case 4:
        if (w->queues[end].count > 0)
            w->queues[end].count--; /* the last one is lost */
        break;
    case 5:
        fuzz_tick(w, step);
        break;
    case 6:
        (void)!sctp_pair_reset(pair, end, step & 7);
        break;
    default:
        pair->ends[end].hold = (step & 1) != 0;
        sctp_pair_release(pair, end, (size_t)step << 8);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sctp_pair_options options = {
        .seed = 1, .link = {.latency_ns = TERN_MILLISECOND}, .window_bytes = TERN_SCTP_WINDOW_MIN};
    struct fuzz_world *w = calloc(1, sizeof *w);
    if (size > 4096 || w == NULL || !sctp_pair_init(&w->pair, &options)) {
        free(w);
        return 0;
    }
    for (size_t at = 0; at + 2 <= size; at += 2)
        fuzz_step(w, data[at], data[at + 1]);
    for (int i = 0; i < 2; i++) {
        w->pair.ends[i].hold = false;
        sctp_pair_release(&w->pair, i, SIZE_MAX);
    }
    /* A script may let time pass without end; then an end has given up. */
    bool ended = false;
    for (int i = 0; i < 2; i++)
        ended = ended || tern_sctp_error(w->pair.ends[i].sctp) == TERN_ERR_TIMEOUT;
    if (!ended)
        ended = !sctp_pair_settle(&w->pair, 5 * TERN_MINUTE) &&
                (tern_sctp_error(w->pair.ends[0].sctp) == TERN_ERR_TIMEOUT ||
                 tern_sctp_error(w->pair.ends[1].sctp) == TERN_ERR_TIMEOUT);
    TERN_CHECK(w->pair.wrong == NULL);
    TERN_CHECK(ended || (tern_sctp_error(w->pair.ends[0].sctp) == TERN_OK &&
                         tern_sctp_error(w->pair.ends[1].sctp) == TERN_OK));
    sctp_pair_fini(&w->pair);
    free(w);
    return 0;
}
