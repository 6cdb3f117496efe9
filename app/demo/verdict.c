#include <stdio.h>
#include <stdlib.h>

#include "app/demo/demo.h"

enum { VERDICT_AGREE_MS = 20000, VERDICT_POLL_MS = 200 };

struct verdict {
    const struct demo_world *world;
    const struct demo_nodes *nodes;
    const struct demo_clients *clients;
    uint64_t heights[DEMO_NODES_MAX];
    char heads[DEMO_NODES_MAX][APP_HEX_HASH_SIZE];
    uint64_t common;
    char hashes[DEMO_NODES_MAX][APP_HEX_HASH_SIZE]; /* at the common height */
};

static bool verdict_get(const struct app_client *client, const char *path,
                        struct app_answer *answer)
{
    struct app_message message;
    /* A client is shared by all who ask one after the other. */
    if (!app_client_get((struct app_client *)(uintptr_t)client, path, answer, &message))
        return false;
    if (answer->status == 200 && answer->json != NULL)
        return true;
    app_answer_free(answer);
    return false;
}

static uint64_t verdict_u64(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static bool verdict_read_head(struct verdict *v, size_t i)
{
    struct app_answer answer;
    if (!verdict_get(v->clients->all[i], "/v1/head", &answer))
        return false;
    const char *hash = json_string_value(json_object_get(answer.json, "hash"));
    v->heights[i] = verdict_u64(answer.json, "height");
    snprintf(v->heads[i], APP_HEX_HASH_SIZE, "%s", hash == NULL ? "" : hash);
    app_answer_free(&answer);
    return true;
}

static bool verdict_read_hash(struct verdict *v, size_t i)
{
    char path[64];
    struct app_answer answer;
    snprintf(path, sizeof path, "/v1/blocks/%llu?form=header", (unsigned long long)v->common);
    if (!verdict_get(v->clients->all[i], path, &answer))
        return false;
    const char *hash = json_string_value(json_object_get(answer.json, "hash"));
    snprintf(v->hashes[i], APP_HEX_HASH_SIZE, "%s", hash == NULL ? "" : hash);
    app_answer_free(&answer);
    return true;
}

/* Do all hold the same block at the last height that all have? */
static bool verdict_agree(struct verdict *v)
{
    v->common = UINT64_MAX;
    for (size_t i = 0; i < v->clients->count; i++) {
        if (!verdict_read_head(v, i))
            return false;
        if (v->heights[i] < v->common)
            v->common = v->heights[i];
    }
    if (v->common == 0)
        return false;
    for (size_t i = 0; i < v->clients->count; i++)
        if (!verdict_read_hash(v, i) || strcmp(v->hashes[i], v->hashes[0]) != 0)
            return false;
    return true;
}

/* Blocks are on their way all the time: a moment of disagreement at the tip is no failure, one that
 * lasts is. */
static bool verdict_wait_agree(struct verdict *v)
{
    uint64_t until = demo_now_ms() + VERDICT_AGREE_MS;
    bool agree = verdict_agree(v);
    while (!agree && demo_now_ms() < until) {
        demo_sleep_ms(VERDICT_POLL_MS);
        agree = verdict_agree(v);
    }
    return agree;
}

/* --- balance --- */

struct verdict_sums {
    uint64_t height;
    uint64_t measured_wh;
    uint64_t readings_wh; /* as summed up from the blocks */
    uint64_t sold_wh;
    uint64_t bought_wh;
    uint64_t money; /* in accounts and escrow */
    uint64_t traded;
    uint64_t txs;
    bool balanced;
    char finding[128];
};

/* Our own sum of all readings, from the blocks themselves: independent of the node's books. */
static bool verdict_sum_blocks(const struct app_client *client, struct verdict_sums *sums)
{
    for (uint64_t height = 1; height <= sums->height; height++) {
        char path[64];
        struct app_answer answer;
        size_t i;
        json_t *tx;
        snprintf(path, sizeof path, "/v1/blocks/%llu", (unsigned long long)height);
        if (!verdict_get(client, path, &answer))
            return false;
        const json_t *txs = json_object_get(answer.json, "txs");
        json_array_foreach(txs, i, tx)
        {
            const char *kind = json_string_value(json_object_get(tx, "kind"));
            if (kind != NULL && strcmp(kind, "reading") == 0)
                sums->readings_wh += verdict_u64(tx, "energy_wh");
        }
        sums->txs += json_array_size(txs);
        app_answer_free(&answer);
    }
    return true;
}

static bool verdict_read_sums(const struct app_client *client, struct verdict_sums *sums)
{
    struct app_answer answer;
    *sums = (struct verdict_sums){.height = 0};
    if (!verdict_get(client, "/v1/audit", &answer))
        return false;
    const json_t *money = json_object_get(answer.json, "money");
    const json_t *energy = json_object_get(answer.json, "energy");
    const char *finding = json_string_value(json_object_get(answer.json, "finding"));
    sums->height = verdict_u64(answer.json, "height");
    sums->balanced = json_is_true(json_object_get(answer.json, "balanced"));
    sums->money = verdict_u64(money, "accounts") + verdict_u64(money, "escrow");
    sums->traded = verdict_u64(money, "traded");
    sums->measured_wh = verdict_u64(energy, "measured_wh");
    sums->sold_wh = verdict_u64(energy, "sold_wh");
    sums->bought_wh = verdict_u64(energy, "bought_wh");
    snprintf(sums->finding, sizeof sums->finding, "%s", finding == NULL ? "" : finding);
    app_answer_free(&answer);
    return true;
}

/* Is what this node holds what the genesis gave and the meters reported? Says what is not. */
static bool verdict_check_node(const struct verdict *v, size_t i, struct verdict_sums *sums)
{
    const struct app_client *client = v->clients->all[i];
    if (!verdict_read_sums(client, sums) || !verdict_sum_blocks(client, sums)) {
        printf("node %zu: its books cannot be read\n", i + 1);
        return false;
    }
    bool fine = sums->balanced;
    if (!sums->balanced)
        printf("node %zu: the audit finds: %s\n", i + 1, sums->finding);
    if (sums->money != v->world->supply) {
        printf("node %zu: accounts and escrow hold %llu micro, the genesis gave %llu\n", i + 1,
               (unsigned long long)sums->money, (unsigned long long)v->world->supply);
        fine = false;
    }
    if (sums->measured_wh != sums->readings_wh) {
        printf("node %zu: %llu Wh are booked as measured, the blocks' readings sum up to %llu\n",
               i + 1, (unsigned long long)sums->measured_wh, (unsigned long long)sums->readings_wh);
        fine = false;
    }
    if (sums->sold_wh != sums->bought_wh) {
        printf("node %zu: %llu Wh sold, %llu Wh bought\n", i + 1, (unsigned long long)sums->sold_wh,
               (unsigned long long)sums->bought_wh);
        fine = false;
    }
    return fine;
}

static void verdict_print_sums(const struct verdict *v, const struct verdict_sums *sums)
{
    printf("money     %llu micro in accounts and escrow = %llu in the genesis\n",
           (unsigned long long)sums->money, (unsigned long long)v->world->supply);
    printf(
        "energy    %llu Wh measured = sum of the readings in all blocks; %llu Wh sold = bought\n",
        (unsigned long long)sums->measured_wh, (unsigned long long)sums->sold_wh);
    printf("market    %llu micro changed hands for it, %.3f per kWh on average\n",
           (unsigned long long)sums->traded,
           sums->sold_wh == 0 ? 0.0 : (double)sums->traded / (double)sums->sold_wh / 1000);
    printf("replay    %zu rows: %llu readings, %llu asks, %llu bids submitted, %llu refused; "
           "%llu transactions in blocks\n",
           v->world->steps, (unsigned long long)v->world->readings,
           (unsigned long long)v->world->asks, (unsigned long long)v->world->bids,
           (unsigned long long)v->world->refused, (unsigned long long)sums->txs);
    if (v->world->refused > 0)
        printf("          the newest refusal: %s\n", v->world->refusal);
}

bool verdict_print(const struct demo_world *world, const struct demo_nodes *nodes,
                   const struct demo_clients *clients)
{
    struct verdict *v = app_alloc(1, sizeof *v);
    struct verdict_sums sums = {.height = 0};
    *v = (struct verdict){.world = world, .nodes = nodes, .clients = clients};
    bool agree = verdict_wait_agree(v);
    bool balanced = true;
    printf("\nsummary\n");
    for (size_t i = 0; i < clients->count; i++)
        printf("node %zu    height %llu, head %.16s, at height %llu: %.16s\n", i + 1,
               (unsigned long long)v->heights[i], v->heads[i], (unsigned long long)v->common,
               v->hashes[i]);
    for (size_t i = 0; i < clients->count; i++)
        balanced = verdict_check_node(v, i, &sums) && balanced;
    verdict_print_sums(v, &sums);
    bool traded = sums.sold_wh > 0;
    printf("verdict   %s; %s%s\n",
           agree ? "all nodes hold the same block at the last common height"
                 : "the nodes do NOT agree",
           balanced ? "money and energy balance" : "money or energy do NOT balance",
           traded ? "" : "; nothing was traded");
    free(v);
    return agree && balanced;
}
