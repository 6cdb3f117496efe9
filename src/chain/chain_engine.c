#include "base/check.h"
#include "chain/chain_private.h"

enum { ENGINE_RECENT_MAX = 256, ENGINE_OUTS_MAX = 64 };

static void engine_carry_out(struct tern_chain *chain, const struct tern_clock *clock,
                             const struct tern_engine_out *out)
{
    switch (out->kind) {
    case TERN_ENGINE_PROPOSE:
        chain_propose(chain, clock, out->time_ms);
        return;
    case TERN_ENGINE_BROADCAST:
        chain_emit(chain, &(struct tern_chain_out){
                              .kind = TERN_CHAIN_OUT_BROADCAST,
                              .bytes = out->bytes,
                          });
        return;
    case TERN_ENGINE_SEND:
        chain_emit(chain, &(struct tern_chain_out){
                              .kind = TERN_CHAIN_OUT_SEND,
                              .bytes = out->bytes,
                              .source = out->source,
                          });
        return;
    case TERN_ENGINE_CONFIRMED:
        chain->stored.confirmed_height = out->height;
        chain_emit(chain, &(struct tern_chain_out){
                              .kind = TERN_CHAIN_OUT_CONFIRMED,
                              .height = out->height,
                          });
        return;
    case TERN_ENGINE_FINAL:
        chain_emit(chain, &(struct tern_chain_out){
                              .kind = TERN_CHAIN_OUT_FINAL,
                              .height = out->height,
                          });
        return;
    case TERN_ENGINE_BLAME:
        chain_emit(chain, &(struct tern_chain_out){
                              .kind = TERN_CHAIN_OUT_BLAME,
                              .source = out->source,
                              .fault = out->fault,
                          });
        return;
    }
    TERN_UNREACHABLE();
}

static void engine_run(struct tern_chain *chain, const struct tern_clock *clock,
                       const struct tern_engine_in *in)
{
    const struct tern_engine *engine = &chain->config.engine;
    tern_err err = engine->ops->step(engine->self, clock, in);
    if (err != TERN_OK)
        return; /* no memory: engines repeat what matters */
    struct tern_engine_out outs[ENGINE_OUTS_MAX];
    size_t count = 0;
    while (count < ENGINE_OUTS_MAX && engine->ops->next(engine->self, &outs[count]))
        count++;
    for (size_t i = 0; i < count; i++)
        engine_carry_out(chain, clock, &outs[i]);
}

static void engine_head(struct tern_chain *chain, const struct tern_clock *clock)
{
    const struct tern_header *recent[ENGINE_RECENT_MAX];
    size_t count = 0;
    const struct tern_tree_node *node = chain->ledger.tree.head;
    for (; node != NULL && count < ENGINE_RECENT_MAX; node = node->parent)
        recent[count++] = &node->header;
    engine_run(chain, clock,
               &(struct tern_engine_in){
                   .kind = TERN_ENGINE_HEAD,
                   .header = recent[0],
                   .hash = &chain->ledger.tree.head->hash,
                   .recent = recent,
                   .recent_count = count,
               });
}

static void engine_joined(struct tern_chain *chain, const struct tern_clock *clock)
{
    struct tern_hash joined[CHAIN_JOINED_MAX];
    size_t count = chain->news_count;
    memcpy(joined, chain->news, count * sizeof joined[0]);
    chain->news_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct tern_tree_node *node = tern_tree_find(&chain->ledger.tree, &joined[i]);
        if (node == NULL)
            continue;
        struct tern_header header = node->header;
        engine_run(chain, clock,
                   &(struct tern_engine_in){
                       .kind = TERN_ENGINE_BLOCK,
                       .header = &header,
                       .hash = &joined[i],
                   });
    }
}

void chain_engine_joined(struct tern_chain *chain, const struct tern_hash *hash)
{
    if (chain->news_count < CHAIN_JOINED_MAX)
        chain->news[chain->news_count++] = *hash;
}

void chain_engine_settle(struct tern_chain *chain, const struct tern_clock *clock)
{
    /* A proposal moves the head, which the engine hears of in turn; it proposes once a turn. */
    for (unsigned round = 0; round < 4; round++) {
        if (!chain->head_moved && chain->news_count == 0)
            return;
        engine_joined(chain, clock);
        if (chain->head_moved) {
            chain->head_moved = false;
            engine_head(chain, clock);
        }
    }
}

void chain_engine_step(struct tern_chain *chain, const struct tern_clock *clock,
                       const struct tern_engine_in *in)
{
    engine_run(chain, clock, in);
    chain_engine_settle(chain, clock);
}
