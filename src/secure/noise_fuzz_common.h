/*
 * What the fuzz targets of a Noise channel share: a victim, and a forger that holds the other end
 * of the handshake, so that the fuzzer's bytes reach behind the encryption. All keys are fixed.
 *
 * Input: byte 0 the stage at which the bytes come in, byte 1 the size of a segment, then the bytes.
 */
#ifndef TERN_SECURE_NOISE_FUZZ_COMMON_H
#define TERN_SECURE_NOISE_FUZZ_COMMON_H

#include "base/check.h"
#include "crypto/aead.h"
#include "secure/noise_internal.h"

enum fuzz_stage {
    FUZZ_FROM_THE_START, /* the bytes are the first message that the victim awaits */
    FUZZ_AFTER_MESSAGE,  /* … the second one; an initiator awaits one only, so as above */
    FUZZ_AS_PAYLOAD,     /* … the payload inside the message with the identity */
    FUZZ_AS_FRAMES,      /* … what follows an honest handshake */
    FUZZ_AS_PLAINTEXT,   /* … the plaintext of honest frames */
    FUZZ_STAGES_COUNT
};

enum { FUZZ_MESSAGE_MAX = TERN_NOISE_HANDSHAKE_SIZE_MAX + 2, FUZZ_MEMORY_MAX = 128 * 1024 };

struct fuzz_world {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_aead_engine aead;
    struct tern_private_key key;
    struct tern_noise_identity identity;
    struct tern_channel victim;
    struct tern_noise_xx forger;
    struct tern_view expected; /* plaintext that must come out */
    tern_err err;
    bool done;
};

static const struct tern_view fuzz_muxers[] = {{(const uint8_t *)"/yamux/1.0.0", 12},
                                               {(const uint8_t *)"/mplex/6.7.0", 12}};

static inline void fuzz_open(struct fuzz_world *w, enum tern_role role)
{
    *w = (struct fuzz_world){.done = false};
    tern_mem_init(&w->mem, FUZZ_MEMORY_MAX);
    tern_random_init_u64(&w->random, 1);
    tern_err err = tern_aead_engine_init(&w->aead);
    TERN_CHECK(err == TERN_OK);
    err = tern_private_key_generate(TERN_KEY_ED25519, &w->random, &w->key);
    TERN_CHECK(err == TERN_OK);
    err = tern_noise_identity_init(&w->identity, &w->mem, &w->random, &w->key);
    TERN_CHECK(err == TERN_OK);
    const struct tern_noise_options options = {
        .role = role,
        .mem = &w->mem,
        .random = &w->random,
        .aead = &w->aead,
        .identity = &w->identity,
        .muxers = fuzz_muxers,
        .muxers_count = 2,
    };
    err = tern_noise_new(&options, &w->victim);
    TERN_CHECK(err == TERN_OK);
    uint8_t ephemeral[TERN_NOISE_KEY_SIZE];
    tern_random_bytes(&w->random, ephemeral, sizeof ephemeral);
    bool initiator = role == TERN_ROLE_INITIATOR;
    tern_noise_xx_init(&w->forger,
                       &(struct tern_noise_xx_options){
                           .role = initiator ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR,
                           .static_secret = w->identity.secret_key,
                           .static_public = w->identity.public_key,
                           .ephemeral_secret = ephemeral,
                       });
}

static inline void fuzz_close(struct fuzz_world *w)
{
    w->victim.ops->fini(w->victim.self);
    tern_noise_identity_fini(&w->identity);
    tern_private_key_fini(&w->key);
    tern_aead_engine_fini(&w->aead);
    tern_mem_fini(&w->mem);
}

static inline void fuzz_drain(struct fuzz_world *w)
{
    struct tern_channel_event event;
    while (w->victim.ops->next(w->victim.self, &event)) {
        switch (event.kind) {
        case TERN_CHANNEL_JOB:
            event.job->run(event.job);
            w->err = w->victim.ops->job_done(w->victim.self, 0, event.job);
            break;
        case TERN_CHANNEL_HANDSHAKE_DONE:
            TERN_CHECK(!w->done);
            w->done = true;
            break;
        case TERN_CHANNEL_DATA:
            /* Nothing that was not sealed honestly ever comes out. */
            TERN_CHECK(w->done && event.data.view.size > 0);
            TERN_CHECK(event.data.view.size <= w->expected.size);
            TERN_CHECK(memcmp(event.data.view.data, w->expected.data, event.data.view.size) == 0);
            w->expected.data += event.data.view.size;
            w->expected.size -= event.data.view.size;
            break;
        case TERN_CHANNEL_END:
            TERN_UNREACHABLE();
        }
    }
}

static inline void fuzz_feed(struct fuzz_world *w, struct tern_view bytes, size_t segment)
{
    while (bytes.size > 0 && w->err == TERN_OK) {
        struct tern_chunk *chunk =
            tern_chunk_copy(&w->mem, tern_view_of(bytes.data, tern_min_size(segment, bytes.size)));
        TERN_CHECK(chunk != NULL);
        struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        size_t used = 0;
        w->err = w->victim.ops->recv(w->victim.self, 0, in, &used);
        TERN_CHECK(used > 0 && used <= in.view.size);
        fuzz_drain(w);
        tern_chunk_unref(chunk);
        bytes = tern_view_of(bytes.data + used, bytes.size - used);
        TERN_CHECK(w->mem.used < FUZZ_MEMORY_MAX);
    }
}

/* The forger says its next message. */
static inline void fuzz_say(struct fuzz_world *w, struct tern_view payload, size_t segment)
{
    uint8_t bytes[FUZZ_MESSAGE_MAX];
    size_t size = tern_noise_xx_size_min(&w->forger) + payload.size;
    if (size + 2 > sizeof bytes)
        return;
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    tern_writer_u16be(&out, (uint16_t)size);
    tern_fault fault = TERN_FAULT_NONE;
    tern_err err = tern_noise_xx_write(&w->forger, payload, &out, &fault);
    TERN_CHECK(err == TERN_OK);
    fuzz_feed(w, tern_writer_view(&out), segment);
}

static inline void fuzz_hear(struct fuzz_world *w)
{
    uint8_t bytes[FUZZ_MESSAGE_MAX];
    struct tern_writer in = tern_writer_of(bytes, sizeof bytes);
    w->victim.ops->control(w->victim.self, 0, &in);
    TERN_CHECK(in.size > 2);
    struct tern_span message = {.data = bytes + 2, .size = in.size - 2};
    struct tern_view payload;
    tern_fault fault = TERN_FAULT_NONE;
    tern_err err = tern_noise_xx_read(&w->forger, message, &payload, &fault);
    TERN_CHECK(err == TERN_OK);
}

/* Seals the bytes in frames of a segment each, an empty one between them, and gives them to the
 * victim cut elsewhere. */
static inline void fuzz_plaintext(struct fuzz_world *w, struct tern_view plain, size_t segment)
{
    struct tern_noise_keys keys;
    tern_noise_xx_split(&w->forger, &keys);
    uint8_t frame[2 * TERN_NOISE_OVERHEAD + 256];
    w->expected = plain;
    uint64_t nonce = 0;
    for (size_t at = 0; at < plain.size; at += segment) {
        size_t sizes[2] = {tern_min_size(segment, plain.size - at), 0};
        size_t frame_size = 0;
        for (int i = 0; i < 2; i++) {
            struct tern_aead_params params = {.key = keys.send};
            tern_aead_counter_nonce(nonce++, params.nonce);
            size_t size = sizes[i] + TERN_NOISE_TAG_SIZE;
            frame[frame_size] = (uint8_t)(size >> 8);
            frame[frame_size + 1] = (uint8_t)size;
            tern_aead_seal_small(&params, tern_view_of(plain.data + at, sizes[i]),
                                 frame + frame_size + 2);
            frame_size += size + 2;
        }
        fuzz_feed(w, tern_view_of(frame, frame_size), 1 + segment * 7 % 61);
    }
    TERN_CHECK(w->err == TERN_OK && w->expected.size == 0);
}

static inline void fuzz_stage_run(struct fuzz_world *w, enum fuzz_stage stage,
                                  struct tern_view bytes, size_t segment)
{
    bool responder = w->forger.role == TERN_ROLE_INITIATOR; /* the victim */
    if (responder && stage != FUZZ_FROM_THE_START) {
        fuzz_say(w, tern_view_of(NULL, 0), segment);
        TERN_CHECK(w->err == TERN_OK);
    }
    if (!responder || stage != FUZZ_FROM_THE_START)
        fuzz_hear(w);
    switch (stage) {
    case FUZZ_FROM_THE_START:
    case FUZZ_AFTER_MESSAGE:
        fuzz_feed(w, bytes, segment);
        TERN_CHECK(!w->done);
        return;
    case FUZZ_AS_PAYLOAD:
        fuzz_say(w, bytes, segment);
        return;
    case FUZZ_AS_FRAMES:
    case FUZZ_AS_PLAINTEXT:
        fuzz_say(w, tern_view_of(w->identity.payload, w->identity.payload_size), segment);
        TERN_CHECK(w->done);
        if (!responder)
            fuzz_hear(w);
        if (stage == FUZZ_AS_FRAMES)
            fuzz_feed(w, bytes, segment);
        else
            fuzz_plaintext(w, bytes, segment);
        return;
    case FUZZ_STAGES_COUNT:
        break;
    }
    TERN_UNREACHABLE();
}

static inline int fuzz_one(enum tern_role victim, const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct fuzz_world w;
    fuzz_open(&w, victim);
    fuzz_stage_run(&w, (enum fuzz_stage)(data[0] % FUZZ_STAGES_COUNT),
                   tern_view_of(data + 2, size - 2), 1 + (size_t)data[1]);
    tern_fault fault = w.victim.ops->fault(w.victim.self);
    TERN_CHECK((w.err != TERN_OK) == (fault != TERN_FAULT_NONE));
    fuzz_close(&w);
    return 0;
}

#endif
