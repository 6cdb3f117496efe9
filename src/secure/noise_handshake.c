#include "secure/noise_handshake.h"

#include "base/check.h"
#include "crypto/secret.h"

/* Measured costs of the three jobs, for the simulator's clock; see bench/noise.c. The hybrid's
 * first two take longer by an operation of ML-KEM. */
enum {
    HYBRID_MORE_NS = 60000,
    INITIATOR_JOB_NS = 200000,
    RESPONDER_FIRST_JOB_NS = 130000,
    RESPONDER_LAST_JOB_NS = 95000,
};

/* ---- our messages ---- */

static struct tern_view handshake_payload(const struct tern_noise_handshake *hs)
{
    return tern_view_of(hs->room, hs->payload_size);
}

static uint8_t *handshake_out(const struct tern_noise_handshake *hs)
{
    return hs->room + hs->payload_size;
}

/* Writes our next message, framed. */
static tern_err handshake_write(struct tern_noise_handshake *hs, struct tern_view payload)
{
    TERN_CHECK(hs->out_sent == hs->out_size);
    size_t size = tern_noise_xx_size_min(&hs->xx) + payload.size;
    struct tern_writer w = tern_writer_of(handshake_out(hs), hs->room_size - hs->payload_size);
    tern_writer_u16be(&w, (uint16_t)size);
    TERN_TRY(tern_noise_xx_write(&hs->xx, payload, &w, &hs->fault));
    TERN_CHECK(tern_writer_ok(&w) && w.size == size + 2);
    hs->out_size = w.size;
    hs->out_sent = 0;
    return TERN_OK;
}

/* ---- the job ---- */

static tern_err handshake_reject(struct tern_noise_handshake *hs, tern_err err, tern_fault fault)
{
    /* Our own lack of memory inside a library is not the peer's fault. */
    if (err != TERN_ERR_MEMORY)
        hs->fault = fault;
    return err;
}

static tern_err handshake_check_identity(struct tern_noise_handshake *hs,
                                         const struct tern_noise_payload *payload)
{
    if (payload->identity_key.size == 0 || payload->identity_sig.size == 0)
        return handshake_reject(hs, TERN_ERR_PROTOCOL, TERN_FAULT_NOISE_NO_IDENTITY);
    tern_err err = tern_public_key_decode(payload->identity_key, &hs->remote_key);
    if (err != TERN_OK)
        return handshake_reject(hs, err, TERN_FAULT_NOISE_BAD_IDENTITY_KEY);
    hs->has_remote = true;
    tern_public_key_peer_id(&hs->remote_key, &hs->remote_id);
    uint8_t signed_bytes[TERN_NOISE_SIGNED_SIZE];
    tern_noise_signed_bytes(hs->xx.remote_static, signed_bytes);
    err = tern_public_key_verify(&hs->remote_key, tern_view_of(signed_bytes, sizeof signed_bytes),
                                 payload->identity_sig);
    if (err != TERN_OK)
        return handshake_reject(hs, err, TERN_FAULT_NOISE_BAD_SIGNATURE);
    /* After the signature, so that only a proven identity is called the wrong one. */
    if (!tern_peer_id_is_none(&hs->expected_peer) &&
        !tern_peer_id_equal(&hs->expected_peer, &hs->remote_id))
        return handshake_reject(hs, TERN_ERR_PEER_MISMATCH, TERN_FAULT_NOISE_WRONG_PEER);
    return TERN_OK;
}

static tern_err handshake_check_extensions(struct tern_noise_handshake *hs,
                                           const struct tern_noise_payload *payload)
{
    bool initiator = hs->xx.role == TERN_ROLE_INITIATOR;
    struct tern_noise_list certhashes = {payload->certhashes, payload->certhashes_count};
    if (initiator && !tern_noise_contains_all(certhashes, hs->certhashes))
        return handshake_reject(hs, TERN_ERR_PROTOCOL, TERN_FAULT_NOISE_CERTHASH_MISSING);

    struct tern_noise_list theirs = {payload->muxers, payload->muxers_count};
    size_t first = initiator ? tern_noise_first_common(hs->muxers, theirs)
                             : tern_noise_first_common(theirs, hs->muxers);
    hs->muxer = first;
    if (first != SIZE_MAX && !initiator) {
        struct tern_noise_list one = {&payload->muxers[first], 1};
        hs->muxer = tern_noise_first_common(hs->muxers, one);
    }
    return TERN_OK;
}

static tern_err handshake_check_payload(struct tern_noise_handshake *hs, struct tern_view bytes)
{
    struct tern_noise_payload payload;
    TERN_TRY(tern_noise_payload_decode(bytes, &payload, &hs->fault));
    TERN_TRY(handshake_check_identity(hs, &payload));
    return handshake_check_extensions(hs, &payload);
}

static tern_err handshake_run(struct tern_noise_handshake *hs)
{
    /* Message 1 is not encrypted: whatever its payload says, nobody vouches for it. */
    bool has_identity = hs->xx.messages_done > 0;
    struct tern_span message = {.data = hs->in->data, .size = hs->in->size};
    struct tern_view payload;
    TERN_TRY(tern_noise_xx_read(&hs->xx, message, &payload, &hs->fault));
    if (has_identity)
        TERN_TRY(handshake_check_payload(hs, payload));
    if (tern_noise_xx_is_writer(&hs->xx))
        TERN_TRY(handshake_write(hs, handshake_payload(hs)));
    if (hs->xx.messages_done == TERN_NOISE_XX_MESSAGES)
        tern_noise_xx_split(&hs->xx, &hs->keys);
    return TERN_OK;
}

static void handshake_job_run(struct tern_job *job)
{
    struct tern_noise_handshake *hs = TERN_CONTAINER_OF(job, struct tern_noise_handshake, job);
    hs->err = handshake_run(hs);
}

/* ---- life ---- */

static bool handshake_init_room(struct tern_noise_handshake *hs,
                                const struct tern_noise_options *options)
{
    const struct tern_noise_identity *identity = options->identity;
    struct tern_noise_list certhashes = hs->certhashes;
    if (options->role == TERN_ROLE_INITIATOR)
        certhashes.count = 0; /* required of the responder, not sent */
    hs->payload_size = identity->payload_size + tern_noise_extensions_size(certhashes, hs->muxers);
    size_t fields = options->hybrid ? TERN_NOISE_XXHFS_FIELDS_MAX : TERN_NOISE_XX_FIELDS_MAX;
    TERN_CHECK(hs->payload_size + fields <= TERN_NOISE_HANDSHAKE_SIZE_MAX);
    hs->room_size = 2 * hs->payload_size + 2 + fields;
    hs->room = tern_mem_alloc(hs->mem, hs->room_size);
    if (hs->room == NULL)
        return false;
    struct tern_writer w = tern_writer_of(hs->room, hs->payload_size);
    tern_writer_bytes(&w, tern_view_of(identity->payload, identity->payload_size));
    tern_noise_extensions_encode(certhashes, hs->muxers, &w);
    TERN_CHECK(tern_writer_ok(&w) && tern_writer_left(&w) == 0);
    return true;
}

static void handshake_init_xx(struct tern_noise_handshake *hs,
                              const struct tern_noise_options *options)
{
    uint8_t ephemeral_secret[TERN_NOISE_KEY_SIZE];
    uint8_t kem_secret[TERN_MLKEM_SEED_SIZE];
    tern_random_bytes(options->random, ephemeral_secret, sizeof ephemeral_secret);
    if (options->hybrid)
        tern_random_bytes(options->random, kem_secret, sizeof kem_secret);
    tern_noise_xx_init(&hs->xx, &(struct tern_noise_xx_options){
                                    .role = options->role,
                                    .static_secret = options->identity->secret_key,
                                    .static_public = options->identity->public_key,
                                    .ephemeral_secret = ephemeral_secret,
                                    .kem_secret = options->hybrid ? kem_secret : NULL,
                                    .prologue = options->prologue,
                                });
    tern_secret_wipe(ephemeral_secret, sizeof ephemeral_secret);
    tern_secret_wipe(kem_secret, sizeof kem_secret);
}

static struct tern_noise_list handshake_copy_list(struct tern_view entries[TERN_NOISE_LIST_MAX],
                                                  const struct tern_view *from, size_t count)
{
    TERN_CHECK(count <= TERN_NOISE_LIST_MAX);
    if (count > 0)
        memcpy(entries, from, count * sizeof *from);
    return (struct tern_noise_list){entries, count};
}

struct tern_noise_handshake *tern_noise_handshake_new(const struct tern_noise_options *options)
{
    struct tern_noise_handshake *hs = tern_mem_zalloc(options->mem, sizeof *hs);
    if (hs == NULL)
        return NULL;
    hs->mem = options->mem;
    hs->job.run = handshake_job_run;
    tern_list_init(&hs->job.link);
    hs->muxers = handshake_copy_list(hs->muxer_entries, options->muxers, options->muxers_count);
    hs->certhashes =
        handshake_copy_list(hs->certhash_entries, options->certhashes, options->certhashes_count);
    hs->muxer = SIZE_MAX;
    if (options->expected_peer != NULL)
        hs->expected_peer = *options->expected_peer;
    if (!handshake_init_room(hs, options)) {
        tern_noise_handshake_free(hs);
        return NULL;
    }
    handshake_init_xx(hs, options);
    if (tern_noise_xx_is_writer(&hs->xx)) {
        tern_err err = handshake_write(hs, tern_view_of(NULL, 0));
        TERN_CHECK(err == TERN_OK || (options->hybrid && err == TERN_ERR_MEMORY));
        if (err != TERN_OK) {
            tern_noise_handshake_free(hs);
            return NULL;
        }
    }
    return hs;
}

void tern_noise_handshake_free(struct tern_noise_handshake *hs)
{
    TERN_CHECK(hs->step != TERN_NOISE_JOB_AWAY);
    struct tern_mem *mem = hs->mem;
    tern_chunk_unref(hs->in);
    if (hs->has_remote)
        tern_public_key_fini(&hs->remote_key);
    tern_mem_free(mem, hs->room, hs->room_size);
    tern_secret_wipe(hs, sizeof *hs);
    tern_mem_free(mem, hs, sizeof *hs);
}

tern_fault tern_noise_handshake_check_size(const struct tern_noise_handshake *hs, size_t size)
{
    if (size > TERN_NOISE_HANDSHAKE_SIZE_MAX)
        return TERN_FAULT_NOISE_MESSAGE_TOO_LARGE;
    /* Bare keys where message 2 should be are another initiator's message 1. */
    size_t keys_size = TERN_NOISE_KEY_SIZE + (hs->xx.hybrid ? TERN_MLKEM_PUBLIC_SIZE : 0u);
    if (hs->xx.role == TERN_ROLE_INITIATOR && size == keys_size)
        return TERN_FAULT_NOISE_BOTH_INITIATE;
    if (size < tern_noise_xx_size_min(&hs->xx))
        return TERN_FAULT_NOISE_MESSAGE_SHORT;
    return TERN_FAULT_NONE;
}

void tern_noise_handshake_take(struct tern_noise_handshake *hs, struct tern_chunk *message)
{
    TERN_CHECK(hs->step == TERN_NOISE_WAIT && hs->in == NULL);
    hs->in = message;
    hs->step = TERN_NOISE_JOB_READY;
    if (hs->xx.role == TERN_ROLE_INITIATOR)
        hs->job.cost_ns = INITIATOR_JOB_NS;
    else
        hs->job.cost_ns =
            hs->xx.messages_done == 0 ? RESPONDER_FIRST_JOB_NS : RESPONDER_LAST_JOB_NS;
    if (hs->xx.hybrid && hs->xx.messages_done < 2)
        hs->job.cost_ns += HYBRID_MORE_NS;
}

tern_err tern_noise_handshake_settle(struct tern_noise_handshake *hs)
{
    TERN_CHECK(hs->step == TERN_NOISE_JOB_AWAY);
    tern_chunk_unref(hs->in);
    hs->in = NULL;
    hs->step =
        hs->xx.messages_done == TERN_NOISE_XX_MESSAGES ? TERN_NOISE_COMPLETE : TERN_NOISE_WAIT;
    return hs->err;
}

struct tern_view tern_noise_handshake_unsent(const struct tern_noise_handshake *hs)
{
    return tern_view_of(handshake_out(hs) + hs->out_sent, hs->out_size - hs->out_sent);
}
