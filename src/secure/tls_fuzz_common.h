/*
 * What the fuzz targets of a TLS channel share: a victim, and a forger that holds the keys of the
 * other end, so that the fuzzer's bytes reach behind the encryption. All keys are fixed. Behind the
 * handshake the victim is put by force: a true one takes a thousand times as long as the rest.
 *
 * Input: byte 0 the stage at which the bytes come in, byte 1 the size of a segment, then the bytes.
 */
#ifndef TERN_SECURE_TLS_FUZZ_COMMON_H
#define TERN_SECURE_TLS_FUZZ_COMMON_H

#include "base/check.h"
#include "base/reader.h"
#include "secure/tls_internal.h"

enum fuzz_stage {
    FUZZ_FROM_THE_START, /* the bytes are the first flight of the remote */
    FUZZ_AS_RECORDS,     /* … what follows an honest handshake */
    FUZZ_AS_CONTENTS,    /* … types, sizes and contents of records that are sealed honestly */
    FUZZ_AS_PLAINTEXT,   /* … the plaintext of honest records */
    FUZZ_STAGES_COUNT
};

enum { FUZZ_MEMORY_MAX = 128 * 1024, FUZZ_RECORD_MAX = 512 };

/* Made once: it takes longer than many inputs. */
struct fuzz_host {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_aead_engine aead;
    struct tern_private_key key;
    struct tern_tls_identity identity;
};

struct fuzz_world {
    struct fuzz_host *host;
    struct tern_mem mem;
    struct tern_channel victim;
    struct tern_tls_keys send; /* the forger's */
    struct tern_view expected; /* plaintext that must come out */
    bool expects;
    tern_err err;
    bool done;
    bool ended;
};

static const struct tern_view fuzz_muxers[] = {{(const uint8_t *)"/yamux/1.0.0", 12},
                                               {(const uint8_t *)"/mplex/6.7.0", 12}};

static inline struct fuzz_host *fuzz_host(void)
{
    static struct fuzz_host host;
    static bool made;
    if (made)
        return &host;
    made = true;
    tern_mem_init(&host.mem, 0);
    tern_random_init_u64(&host.random, 1);
    tern_err err = tern_aead_engine_init(&host.aead);
    TERN_CHECK(err == TERN_OK);
    err = tern_private_key_generate(TERN_KEY_ED25519, &host.random, &host.key);
    TERN_CHECK(err == TERN_OK);
    err = tern_tls_identity_init(
        &host.identity, &(struct tern_tls_identity_options){
                            .mem = &host.mem, .random = &host.random, .host_key = &host.key});
    TERN_CHECK(err == TERN_OK);
    return &host;
}

static inline void fuzz_open(struct fuzz_world *w, enum tern_role role)
{
    *w = (struct fuzz_world){.host = fuzz_host()};
    tern_mem_init(&w->mem, FUZZ_MEMORY_MAX);
    const struct tern_tls_options options = {
        .role = role,
        .mem = &w->mem,
        .aead = &w->host->aead,
        .identity = &w->host->identity,
        .muxers = fuzz_muxers,
        .muxers_count = 2,
    };
    tern_err err = tern_tls_new(&options, &w->victim);
    TERN_CHECK(err == TERN_OK);
}

static inline void fuzz_close(struct fuzz_world *w)
{
    w->victim.ops->fini(w->victim.self);
    tern_mem_fini(&w->mem);
}

/* Puts the victim behind its handshake. */
static inline void fuzz_secure(struct fuzz_world *w)
{
    static const uint8_t secrets[2][TERN_TLS_SECRET_SIZE_MAX] = {{1}, {2}};
    struct tern_tls *tls = w->victim.self;
    tern_tls_peer_free(tls->peer);
    tls->peer = NULL;
    tls->suite = tern_tls_suite_find(0x1301);
    tern_tls_keys_init(&tls->send, tls->suite, secrets[0]);
    tern_tls_keys_init(&tls->receive, tls->suite, secrets[1]);
    w->send = tls->receive;
    w->done = true;
}

static inline void fuzz_data(struct fuzz_world *w, struct tern_view data)
{
    TERN_CHECK(w->done && !w->ended && data.size > 0);
    if (!w->expects)
        return;
    TERN_CHECK(data.size <= w->expected.size);
    TERN_CHECK(memcmp(data.data, w->expected.data, data.size) == 0);
    w->expected.data += data.size;
    w->expected.size -= data.size;
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
            TERN_UNREACHABLE(); /* nobody has proven anything */
        case TERN_CHANNEL_DATA:
            fuzz_data(w, event.data.view);
            break;
        case TERN_CHANNEL_END:
            TERN_CHECK(!w->ended);
            w->ended = true;
            break;
        }
    }
}

/* What the victim has to say, whenever it is asked, is bounded. */
static inline void fuzz_hear(struct fuzz_world *w)
{
    uint8_t bytes[16384];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    w->victim.ops->control(w->victim.self, 0, &out);
    TERN_CHECK(tern_writer_ok(&out) && !w->victim.ops->control_pending(w->victim.self));
}

/* Gives the victim bytes as its owner would: again what it did not take. */
static inline void fuzz_feed(struct fuzz_world *w, struct tern_view bytes, size_t segment)
{
    bool again = false;
    while (bytes.size > 0 && w->err == TERN_OK) {
        struct tern_chunk *chunk =
            tern_chunk_copy(&w->mem, tern_view_of(bytes.data, tern_min_size(segment, bytes.size)));
        TERN_CHECK(chunk != NULL);
        struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        size_t used = 0;
        w->err = w->victim.ops->recv(w->victim.self, 0, in, &used);
        TERN_CHECK(used <= in.view.size && (used > 0 || !again || w->err != TERN_OK));
        again = used == 0;
        fuzz_drain(w);
        tern_chunk_unref(chunk);
        bytes = tern_view_of(bytes.data + used, bytes.size - used);
        TERN_CHECK(w->mem.used < FUZZ_MEMORY_MAX);
    }
    fuzz_hear(w);
}

/* The forger seals a record and sends it. */
static inline void fuzz_say(struct fuzz_world *w, enum tern_tls_type type, struct tern_view content,
                            size_t segment)
{
    uint8_t record[FUZZ_RECORD_MAX + TERN_TLS_OVERHEAD];
    const struct tern_tls_sealing sealing = {&w->host->aead, tern_tls_suite_find(0x1301), &w->send};
    TERN_CHECK(content.size <= FUZZ_RECORD_MAX);
    tern_copy(record + TERN_TLS_HEADER_SIZE, content.data, content.size);
    tern_err err = tern_tls_seal(&sealing, record, type, content.size);
    TERN_CHECK(err == TERN_OK);
    struct tern_tls *tls = w->victim.self;
    uint64_t sequence = tls->receive.sequence;
    fuzz_feed(w, tern_view_of(record, content.size + TERN_TLS_OVERHEAD), segment);
    /* The victim has gone on to its next key, and so does the forger. */
    if (w->err == TERN_OK && !w->ended && tls->receive.sequence < sequence + 1)
        tern_tls_keys_update(&w->send, sealing.suite);
}

static inline void fuzz_contents(struct fuzz_world *w, struct tern_view bytes, size_t segment)
{
    struct tern_reader r = tern_reader_of(bytes);
    uint8_t type;
    uint8_t size;
    struct tern_view content;
    while (w->err == TERN_OK && tern_reader_u8(&r, &type) && tern_reader_u8(&r, &size)) {
        if (!tern_reader_bytes(&r, tern_min_size(size, tern_reader_left(&r)), &content))
            break;
        fuzz_say(w, (enum tern_tls_type)(type < 4 ? TERN_TLS_CHANGE_CIPHER_SPEC + type : type),
                 content, segment);
    }
}

static inline void fuzz_plaintext(struct fuzz_world *w, struct tern_view plain, size_t segment)
{
    w->expects = true;
    w->expected = plain;
    for (size_t at = 0; at < plain.size; at += segment) {
        size_t size = tern_min_size(segment, plain.size - at);
        fuzz_say(w, TERN_TLS_APPLICATION_DATA, tern_view_part(plain, at, size),
                 1 + segment * 7 % 61);
    }
    TERN_CHECK(w->err == TERN_OK && w->expected.size == 0);
}

static inline void fuzz_stage_run(struct fuzz_world *w, enum fuzz_stage stage,
                                  struct tern_view bytes, size_t segment)
{
    if (stage == FUZZ_FROM_THE_START)
        fuzz_hear(w);
    else
        fuzz_secure(w);
    switch (stage) {
    case FUZZ_FROM_THE_START:
    case FUZZ_AS_RECORDS:
        fuzz_feed(w, bytes, segment);
        return;
    case FUZZ_AS_CONTENTS:
        fuzz_contents(w, bytes, segment);
        return;
    case FUZZ_AS_PLAINTEXT:
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
