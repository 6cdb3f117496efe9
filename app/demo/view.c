#include <stdio.h>
#include <unistd.h>

#include "app/common/table.h"
#include "app/demo/demo.h"

void view_init(struct demo_view *view)
{
    *view = (struct demo_view){.terminal = isatty(STDOUT_FILENO) == 1};
}

static uint64_t view_u64(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static void view_take(struct demo_sample *sample, const json_t *json)
{
    struct demo_sample old = *sample;
    const json_t *market = json_object_get(json, "market");
    const char *head = json_string_value(json_object_get(json, "head"));
    sample->known = true;
    sample->at_ms = demo_now_ms();
    sample->height = view_u64(json, "height");
    sample->peers = view_u64(json, "peers");
    sample->pool = view_u64(json, "pool");
    sample->last_price = view_u64(market, "last_price");
    sample->traded_wh = view_u64(market, "traded_wh");
    sample->messages = view_u64(json, "messages_in") + view_u64(json, "messages_out");
    snprintf(sample->head, sizeof sample->head, "%s", head == NULL ? "" : head);
    if (old.known && sample->at_ms > old.at_ms && sample->messages >= old.messages)
        sample->messages_per_s =
            (double)(sample->messages - old.messages) * 1000 / (double)(sample->at_ms - old.at_ms);
}

void view_sample(struct demo_view *view, const struct demo_clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct app_answer answer;
        struct app_message message;
        if (!app_client_get(clients->all[i], "/v1/status", &answer, &message))
            continue;
        if (answer.status == 200 && answer.json != NULL)
            view_take(&view->samples[i], answer.json);
        app_answer_free(&answer);
    }
}

static void view_table(struct demo_view *view, const struct demo_nodes *nodes)
{
    static const char *const names[] = {"NODE",        ">HEIGHT",    "HEAD",   ">PEERS", ">POOL",
                                        ">LAST PRICE", ">TRADED Wh", ">MSG/S", "API",    NULL};
    struct table table;
    table_init(&table, names);
    for (size_t i = 0; i < nodes->count; i++) {
        const struct demo_sample *sample = &view->samples[i];
        table_row(&table);
        table_cell(&table, 0, "%zu", i + 1);
        table_cell(&table, 1, "%llu", (unsigned long long)sample->height);
        table_cell(&table, 2, "%.12s", sample->head);
        table_cell(&table, 3, "%llu", (unsigned long long)sample->peers);
        table_cell(&table, 4, "%llu", (unsigned long long)sample->pool);
        table_cell(&table, 5, "%.3f/kWh", (double)sample->last_price / 1000);
        table_cell(&table, 6, "%llu", (unsigned long long)sample->traded_wh);
        table_cell(&table, 7, "%.0f", sample->messages_per_s);
        table_cell(&table, 8, "%s", nodes->all[i].api);
    }
    table_print(&table, stdout);
    view->lines += table.rows_count;
    table_free(&table);
}

static const char *view_row_time(const struct demo_world *world)
{
    size_t last = world->steps == 0 ? world->row : world->row - 1;
    return world->rows[last % world->rows_count].start;
}

void view_draw(struct demo_view *view, const struct demo_nodes *nodes,
               const struct demo_world *world, uint64_t elapsed_ms)
{
    if (view->terminal && view->lines > 0)
        printf("\033[%zuA\033[J", view->lines); /* up to the first line, clear from there on */
    view->lines = 0;
    if (!view->terminal) {
        const struct demo_sample *s = &view->samples[0];
        printf("%5.1f s  data of %s  height %llu  head %.12s  peers %llu  pool %llu  "
               "last price %.3f  traded %llu Wh  %.0f messages/s\n",
               (double)elapsed_ms / 1000, view_row_time(world), (unsigned long long)s->height,
               s->head, (unsigned long long)s->peers, (unsigned long long)s->pool,
               (double)s->last_price / 1000, (unsigned long long)s->traded_wh, s->messages_per_s);
        fflush(stdout);
        return;
    }
    printf("\033[?7l"); /* lines that are too long are cut, so their number is what we think */
    view_table(view, nodes);
    printf(
        "\n%.0f s. Replaying %s in 17 homes: %llu readings, %llu asks, %llu bids, %llu refused\n",
        (double)elapsed_ms / 1000, view_row_time(world), (unsigned long long)world->readings,
        (unsigned long long)world->asks, (unsigned long long)world->bids,
        (unsigned long long)world->refused);
    printf("API: %s/v1/status   Ctrl-C ends it.\033[?7h\n", nodes->all[0].api);
    view->lines += 3;
    fflush(stdout);
}
