/*
 * tern-demo, which ./run starts: four nodes on this machine, and 17 real homes that trade on them.
 *
 *     world.c    the homes: keys, genesis, one row of data an hour, what they report, ask and bid
 *     nodes.c    the four ternd processes: configuration, start, end
 *     view.c     the live table
 *     verdict.c  the end: do all nodes agree, do money and energy balance?
 *     main.c     the order of things
 *
 * Time: a row is an hour of 2016. It is replayed in the delivery hour that lies as far behind the
 * present as the chain allows, the next row in the next one, and so on until the present hour is
 * reached: there the replay stays, since the chain refuses readings of the future.
 */
#ifndef TERN_APP_DEMO_DEMO_H
#define TERN_APP_DEMO_DEMO_H

#include <sys/types.h>

#include "app/common/client.h"
#include "app/common/json.h"
#include "chain/apply.h"

enum {
    DEMO_NODES_MAX = 16,
    DEMO_HOMES = 17,
    DEMO_PATH_SIZE = 1024,
    DEMO_ROWS_MAX = 10000,
    DEMO_HOURS_BEHIND = TERN_READING_AGE_HOURS - 2,
};

struct demo_options {
    uint64_t seconds; /* 0: until it is told to end */
    uint64_t nodes;
    uint64_t period_ms;
    uint64_t rows_per_s;
    const char *data;
    const char *from; /* first row, as in the file's first column */
    const char *dir;  /* NULL: one of its own */
    const char *ternd;
    const char *transport; /* of the table in nodes.c: how the nodes connect */
    bool keep;
};

/* --- world --- */

struct demo_row {
    char start[20];
    uint32_t tariff; /* micro-currency per Wh: 220 is 0.22 per kWh */
    uint32_t load_wh[DEMO_HOMES];
    uint32_t pv_wh[DEMO_HOMES];
};

struct demo_home {
    struct tern_private_key account;
    struct tern_private_key meter;
    uint64_t nonce;
    uint64_t meter_nonce;
    uint64_t behind; /* checks in a row that found our nonce ahead of the node's */
};

struct demo_world {
    struct demo_row *rows;
    size_t rows_count;
    size_t row;   /* the next one */
    size_t steps; /* rows replayed */
    struct demo_home homes[DEMO_HOMES];
    struct tern_private_key authorities[DEMO_NODES_MAX];
    size_t authorities_count;
    struct tern_hash genesis_hash;
    tern_money supply;
    tern_hour hour_first;
    /* what was submitted */
    uint64_t readings;
    uint64_t asks;
    uint64_t bids;
    uint64_t refused;
    char refusal[160]; /* the newest one */
};

bool world_init(struct demo_world *world, const struct demo_options *options,
                struct app_message *message);
void world_fini(struct demo_world *world);

/* world_write_genesis writes the genesis that all nodes share; world_write_key a node's key file.
 */
bool world_write_genesis(struct demo_world *world, const struct demo_options *options,
                         const char *path, struct app_message *message);
bool world_write_key(const struct demo_world *world, size_t authority, const char *path,
                     struct app_message *message);

/* world_step replays one row: home i speaks to client i modulo the number of them. */
struct demo_clients {
    struct app_client *all[DEMO_NODES_MAX];
    size_t count;
};
void world_step(struct demo_world *world, const struct demo_clients *clients);

/* --- nodes --- */

struct demo_node {
    pid_t pid; /* 0: not running */
    char dir[DEMO_PATH_SIZE];
    char api[APP_URL_MAX];
    char address[512];
    int exit_status;
};

struct demo_nodes {
    struct demo_node all[DEMO_NODES_MAX];
    const char *transport;
    size_t count;
    char dir[DEMO_PATH_SIZE];
    bool dir_is_ours;
};

/* nodes_transport finds a transport by its name or short name; NULL: it is none. nodes_transports
 * lists all, with commas. */
const char *nodes_transport(const char *name);
void nodes_transports(char *text, size_t size);

bool nodes_init(struct demo_nodes *nodes, const struct demo_options *options,
                struct app_message *message);

/* nodes_start starts all, one after the other, each with the addresses of those before. */
bool nodes_start(struct demo_nodes *nodes, const struct demo_options *options,
                 struct app_message *message);

/* nodes_check: is one of them gone? */
bool nodes_check(struct demo_nodes *nodes, struct app_message *message);

/* nodes_stop ends all; false when one did not end well. */
bool nodes_stop(struct demo_nodes *nodes, struct app_message *message);

/* nodes_remove removes the folder, if it is ours. */
void nodes_remove(const struct demo_nodes *nodes);

/* --- view --- */

struct demo_sample {
    bool known;
    uint64_t height;
    char head[APP_HEX_HASH_SIZE];
    uint64_t peers;
    uint64_t pool;
    uint64_t last_price;
    uint64_t traded_wh;
    uint64_t messages; /* in and out, since the start */
    double messages_per_s;
    uint64_t at_ms;
};

struct demo_view {
    struct demo_sample samples[DEMO_NODES_MAX];
    bool terminal;
    size_t lines; /* drawn last, to be drawn over */
};

void view_init(struct demo_view *view);

/* view_sample asks all nodes; view_draw draws. */
void view_sample(struct demo_view *view, const struct demo_clients *clients);
void view_draw(struct demo_view *view, const struct demo_nodes *nodes,
               const struct demo_world *world, uint64_t elapsed_ms);

/* --- verdict --- */

/* verdict_print waits until the nodes agree, checks everything, prints the summary; true: all is
 * well. */
bool verdict_print(const struct demo_world *world, const struct demo_nodes *nodes,
                   const struct demo_clients *clients);

uint64_t demo_now_ms(void); /* monotonic */
void demo_sleep_ms(uint64_t ms);
bool demo_told_to_end(void);

#endif
