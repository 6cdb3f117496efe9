#include "chain/engine_authority.h"

#include "base/check.h"

void tern_authority_init(struct tern_authority *authority, const struct tern_genesis *genesis,
                         const struct tern_private_key *key)
{
    TERN_CHECK(genesis->authorities_count > 0 && genesis->period_ms > 0);
    *authority = (struct tern_authority){.genesis = genesis, .key = key, .own = SIZE_MAX};
    authority->head_turn = genesis->time_ms / genesis->period_ms;
    if (key == NULL)
        return;
    TERN_CHECK(key->public_key.type == TERN_KEY_ED25519);
    for (size_t i = 0; i < genesis->authorities_count; i++)
        if (memcmp(genesis->authorities[i].bytes, key->public_key.as.ed25519, TERN_ACCOUNT_SIZE) ==
            0)
            authority->own = i;
}

static uint64_t authority_turn_at(const struct tern_authority *a, tern_time_ms time)
{
    return time / a->genesis->period_ms;
}

static const struct tern_account *authority_of(const struct tern_authority *a, uint64_t turn)
{
    return &a->genesis->authorities[turn % a->genesis->authorities_count];
}

static uint64_t authority_turn(const void *self, const struct tern_header *header)
{
    return authority_turn_at(self, header->time_ms);
}

static tern_fault authority_check_header(const void *self, const struct tern_header *parent,
                                         const struct tern_header *header)
{
    const struct tern_authority *a = self;
    uint64_t turn = authority_turn(self, header);
    if (header->time_ms <= parent->time_ms || turn <= authority_turn(self, parent))
        return TERN_FAULT_CHAIN_BLOCK_TIME;
    if (!tern_account_equal(&header->proposer, authority_of(a, turn)))
        return TERN_FAULT_CHAIN_BLOCK_PROPOSER;
    if (header->seal_size != TERN_ED25519_SIGNATURE_SIZE || header->nonce != 0)
        return TERN_FAULT_CHAIN_BLOCK_SEAL;
    return TERN_FAULT_NONE;
}

static tern_err authority_add_seal(const void *self, const struct tern_header *header,
                                   struct tern_verify_job *job, size_t *index)
{
    (void)self;
    struct tern_hash hash;
    uint8_t message[TERN_SEAL_MESSAGE_SIZE];
    uint8_t encoded[64];
    struct tern_public_key key;
    struct tern_writer w = tern_writer_of(encoded, sizeof encoded);
    tern_header_hash(header, &hash);
    tern_seal_message(&hash, message);
    tern_public_key_of_ed25519(header->proposer.bytes, &key);
    tern_public_key_encode(&key, &w);
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_verify_item item = {
        .public_key = tern_writer_view(&w),
        .signature = tern_view_of(header->seal, header->seal_size),
        .parts = {tern_view_of(message, sizeof message)},
        .parts_count = 1,
    };
    return tern_verify_job_add(job, &item, index);
}

static tern_fault authority_check_seal(const void *self, const struct tern_header *header)
{
    (void)self;
    struct tern_hash hash;
    uint8_t message[TERN_SEAL_MESSAGE_SIZE];
    struct tern_public_key key;
    tern_header_hash(header, &hash);
    tern_seal_message(&hash, message);
    tern_public_key_of_ed25519(header->proposer.bytes, &key);
    tern_err err = tern_public_key_verify(&key, tern_view_of(message, sizeof message),
                                          tern_view_of(header->seal, header->seal_size));
    return err == TERN_OK ? TERN_FAULT_NONE : TERN_FAULT_CHAIN_BLOCK_SEAL;
}

static uint64_t authority_weight(const void *self, const struct tern_header *header)
{
    (void)self;
    (void)header;
    return 1;
}

static tern_err authority_prepare(const void *self, struct tern_header *header)
{
    const struct tern_authority *a = self;
    if (a->own == SIZE_MAX)
        return TERN_ERR_UNSUPPORTED;
    header->proposer = a->genesis->authorities[a->own];
    header->nonce = 0;
    return TERN_OK;
}

static tern_err authority_seal(const void *self, struct tern_header *header)
{
    const struct tern_authority *a = self;
    if (a->own == SIZE_MAX)
        return TERN_ERR_UNSUPPORTED;
    struct tern_hash hash;
    uint8_t message[TERN_SEAL_MESSAGE_SIZE];
    tern_header_hash(header, &hash);
    tern_seal_message(&hash, message);
    struct tern_writer w = tern_writer_of(header->seal, sizeof header->seal);
    TERN_TRY(tern_private_key_sign(a->key, tern_view_of(message, sizeof message), &w));
    header->seal_size = (uint8_t)w.size;
    return TERN_OK;
}

static void authority_emit(struct tern_authority *a, const struct tern_engine_out *out)
{
    TERN_CHECK(a->outs_count < TERN_COUNT_OF(a->outs));
    a->outs[a->outs_count++] = *out;
}

/* The highest block on which, itself counted, more than half of the authorities have built. */
static void authority_confirm(struct tern_authority *a, const struct tern_engine_in *in)
{
    uint64_t seen = 0; /* one bit an authority: there are at most 64 */
    size_t distinct = 0;
    for (size_t i = 0; i < in->recent_count; i++) {
        uint64_t bit = UINT64_C(1)
                       << authority_turn(a, in->recent[i]) % a->genesis->authorities_count;
        distinct += (seen & bit) == 0;
        seen |= bit;
        if (distinct <= a->genesis->authorities_count / 2)
            continue;
        if (in->recent[i]->height != a->confirmed_height)
            authority_emit(a, &(struct tern_engine_out){
                                  .kind = TERN_ENGINE_CONFIRMED,
                                  .height = in->recent[i]->height,
                              });
        a->confirmed_height = in->recent[i]->height;
        return;
    }
}

static void authority_propose(struct tern_authority *a, const struct tern_clock *clock)
{
    tern_time_ms now = tern_wall_ms(clock->wall);
    uint64_t turn = authority_turn_at(a, now);
    if (a->own == SIZE_MAX || turn % a->genesis->authorities_count != a->own)
        return;
    if (turn <= a->head_turn || turn <= a->proposed_turn || now <= a->genesis->time_ms)
        return;
    a->proposed_turn = turn;
    authority_emit(a, &(struct tern_engine_out){.kind = TERN_ENGINE_PROPOSE, .time_ms = now});
}

static tern_err authority_step(void *self, const struct tern_clock *clock,
                               const struct tern_engine_in *in)
{
    struct tern_authority *a = self;
    TERN_CHECK(a->outs_count == 0);
    switch (in->kind) {
    case TERN_ENGINE_HEAD:
        TERN_CHECK(in->recent_count > 0);
        a->head_turn = authority_turn(a, in->recent[0]);
        authority_confirm(a, in);
        authority_propose(a, clock);
        break;
    case TERN_ENGINE_TICK:
        authority_propose(a, clock);
        break;
    case TERN_ENGINE_BLOCK:
        break;
    case TERN_ENGINE_MESSAGE: /* this engine has none */
        authority_emit(a, &(struct tern_engine_out){
                              .kind = TERN_ENGINE_BLAME,
                              .source = in->source,
                              .fault = TERN_FAULT_CHAIN_SYNC_MALFORMED,
                          });
        break;
    }
    return TERN_OK;
}

static bool authority_next(void *self, struct tern_engine_out *out)
{
    struct tern_authority *a = self;
    if (a->outs_count == 0)
        return false;
    *out = a->outs[0];
    a->outs_count--;
    memmove(a->outs, a->outs + 1, a->outs_count * sizeof a->outs[0]);
    return true;
}

static tern_time authority_deadline(const void *self, const struct tern_clock *clock)
{
    const struct tern_authority *a = self;
    if (a->own == SIZE_MAX || clock->wall == 0)
        return TERN_TIME_NEVER;
    size_t count = a->genesis->authorities_count;
    uint64_t turn = authority_turn_at(a, tern_wall_ms(clock->wall));
    uint64_t used = a->proposed_turn > a->head_turn ? a->proposed_turn : a->head_turn;
    uint64_t next = turn > used ? turn : used + 1;
    next += (a->own + count - next % count) % count;
    if (next > TERN_TIME_MS_MAX / a->genesis->period_ms)
        return TERN_TIME_NEVER;
    tern_wall_time at = next * a->genesis->period_ms * TERN_MILLISECOND;
    return tern_time_add(clock->now, at > clock->wall ? at - clock->wall : 0);
}

static const struct tern_engine_ops authority_ops = {
    .name = "authority",
    .check_header = authority_check_header,
    .add_seal = authority_add_seal,
    .check_seal = authority_check_seal,
    .weight = authority_weight,
    .turn = authority_turn,
    .prepare = authority_prepare,
    .seal = authority_seal,
    .step = authority_step,
    .next = authority_next,
    .deadline = authority_deadline,
};

struct tern_engine tern_authority_engine(struct tern_authority *authority)
{
    return (struct tern_engine){.ops = &authority_ops, .self = authority};
}
