/*
 * ternd --explain-limits: each limit, its value, and what it is for.
 */
#include <stdio.h>

#include "app/ternd/config.h"
#include "chain/chain.h"

static void limits_row(const char *name, uint64_t value, const char *what)
{
    if (value == 0)
        printf("%-34s %14s  %s\n", name, "no limit", what);
    else
        printf("%-34s %14llu  %s\n", name, (unsigned long long)value, what);
}

static void limits_swarm(enum tern_swarm_profile profile)
{
    struct tern_swarm_limits limits;
    tern_swarm_limits_profile(&limits, profile);
    printf("network, profile %s\n", config_profile_name(profile));
    for (int i = 0; i < TERN_LIMIT_COUNT; i++) {
        const struct tern_limit_info *info = tern_limit_info((enum tern_limit)i);
        limits_row(info->option, tern_limit_get(&limits, (enum tern_limit)i), info->what);
    }
}

static void limits_chain(void)
{
    struct tern_pool_limits pool;
    struct tern_tree_limits tree;
    tern_pool_limits_default(&pool);
    tern_tree_limits_default(&tree);
    printf("\nchain\n");
    limits_row("block_bytes", TERN_BLOCK_SIZE_MAX, "one block");
    limits_row("block_txs", TERN_BLOCK_TXS_MAX, "transactions of one block");
    limits_row("pool_txs", pool.txs_max, "transactions that wait for a block");
    limits_row("pool_sender_txs", pool.sender_txs_max, "of them of one sender");
    limits_row("pool_lifetime_s", pool.lifetime_ns / TERN_SECOND, "then a transaction is dropped");
    limits_row("fork_depth", tree.depth_max, "blocks that a better chain can undo");
    limits_row("side_blocks", tree.side_max, "blocks kept beside the best chain");
    limits_row("side_bytes", tree.side_bytes_max, "their bytes");
    limits_row("orphans", tree.orphans_max, "blocks whose parent is not known");
    limits_row("orphans_per_peer", tree.orphans_source_max, "of them of one peer");
    limits_row("orphans_bytes", tree.orphans_bytes_max, "their bytes");
    limits_row("orders", TERN_ORDERS_MAX, "open orders in the book");
    limits_row("orders_per_account", TERN_ORDERS_PER_ACCOUNT_MAX, "of them of one account");
}

void config_print_limits(const struct config *config)
{
    limits_swarm(config->profile);
    limits_chain();
    printf("\nstore\n");
    limits_row("store_mib", config->store_size_mib, "what the store may grow to");
    printf("\nHTTP API\n");
    limits_row("body_kib", config->api_body_max_kib, "body of one request");
    limits_row("connections", config->api_connections_max, "at once");
    limits_row("timeout_s", config->api_timeout_s, "of an idle connection");
}
