/*
 * What a node asks of its host besides links: jobs on workers, the store, names.
 */
#include "base/check.h"
#include "runtime/sim/world_private.h"

enum { SERVICE_RESULTS_MAX = 32, SERVICE_MILLION = 1000000 };

static void service_event(struct sim_node *node, tern_time time, enum sim_event_kind kind,
                          void *object)
{
    struct sim_event event = {
        .kind = kind, .node = node->index, .incarnation = node->incarnation, .object = object};
    sim_events_push(&node->world->events, time, &event);
}

/* --- jobs --- */

void sim_job_run(struct sim_node *node, struct tern_job *job)
{
    struct sim_world *world = node->world;
    struct sim_worker *free_first = &node->workers[0];
    for (size_t i = 1; i < world->options.workers; i++) {
        if (node->workers[i].busy_until < free_first->busy_until)
            free_first = &node->workers[i];
    }
    if (free_first->busy_until < world->now)
        free_first->busy_until = world->now;
    free_first->busy_until = tern_time_add(free_first->busy_until, job->cost_ns);
    job->run(job);
    tern_list_push_back(&node->jobs, &job->link);
    service_event(node, free_first->busy_until, SIM_EVENT_JOB, job);
}

void sim_job_done(struct sim_node *node, struct tern_job *job)
{
    tern_list_remove(&job->link);
    sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_JOB_DONE, .job = job});
    sim_node_pump(node);
}

/* --- the store --- */

void sim_store_submit(struct sim_node *node, struct tern_store_request *request)
{
    const struct sim_world *world = node->world;
    tern_time cost = request->kind == TERN_STORE_WRITE ? world->options.store_write_ns
                                                       : world->options.store_read_ns;
    if (node->store_busy_until < world->now)
        node->store_busy_until = world->now;
    node->store_busy_until += cost;
    tern_list_push_back(&node->requests, &request->link);
    service_event(node, node->store_busy_until, SIM_EVENT_STORE, NULL);
}

static void store_refuse(struct tern_store_request *request, tern_err err)
{
    request->err = err;
    request->result_size = 0;
    request->rows_count = 0;
    request->more = false;
}

static struct tern_store_request *store_take(struct sim_node *node)
{
    struct tern_list *at = tern_list_pop_front(&node->requests);
    return at == NULL ? NULL : TERN_LIST_ENTRY(at, struct tern_store_request, link);
}

static void store_return(struct sim_node *node, struct tern_store_request *request)
{
    sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_STORED, .request = request});
}

void sim_store_done(struct sim_node *node)
{
    uint32_t fail_ppm = node->world->options.store_fail_ppm;
    struct tern_store_request *request = store_take(node);
    TERN_CHECK(request != NULL);
    if (node->store_err != TERN_OK)
        store_refuse(request, node->store_err);
    else if (fail_ppm > 0 && sim_rng_below(&node->store_rng, SERVICE_MILLION) < fail_ppm)
        store_refuse(request, TERN_ERR_STORAGE);
    else
        sim_store_serve(&node->store, request);
    store_return(node, request);
    sim_node_pump(node);
}

/* At a crash some of the writes under way, the older ones, have reached the disk; none of them was
 * reported. All come back to the machine, so that it can be freed. */
void sim_store_crash(struct sim_node *node)
{
    size_t count = 0;
    TERN_LIST_FOREACH (at, &node->requests)
        count++;
    size_t durable = (size_t)sim_rng_below(&node->store_rng, count + 1);
    if (node->store_err != TERN_OK)
        durable = 0;
    struct tern_store_request *request = store_take(node);
    for (size_t i = 0; request != NULL; i++) {
        if (i < durable && request->kind == TERN_STORE_WRITE)
            sim_store_serve(&node->store, request);
        store_refuse(request, TERN_ERR_STORAGE);
        store_return(node, request);
        request = store_take(node);
    }
}

void sim_world_fail_store(struct sim_world *world, uint32_t node, tern_err err)
{
    struct sim_node *at = sim_node_at(world, node);
    if (at->store_err != err)
        TERN_TRACE(&at->trace, world->now, SIM_STORE_FAILS, err, 0, 0);
    at->store_err = err;
}

/* --- names --- */

static struct sim_name_record *name_find(const struct sim_world *world, struct tern_view name)
{
    TERN_LIST_FOREACH (at, &world->names) {
        struct sim_name_record *record = TERN_LIST_ENTRY(at, struct sim_name_record, all);
        if (tern_view_equal(record->name, name))
            return record;
    }
    return NULL;
}

static struct tern_view name_copy(struct sim_world *world, struct tern_view view)
{
    uint8_t *copy = NULL;
    if (view.size > 0) {
        copy = sim_take(world, view.size);
        memcpy(copy, view.data, view.size);
    }
    return tern_view_of(copy, view.size);
}

static void name_drop_copy(struct sim_world *world, struct tern_view copy)
{
    uint8_t *bytes;
    memcpy(&bytes, &copy.data, sizeof(bytes)); /* it is ours: name_copy made it */
    tern_mem_free(&world->mem, bytes, copy.size);
}

static void name_free(struct sim_world *world, struct sim_name_record *record)
{
    tern_list_remove(&record->all);
    name_drop_copy(world, record->name);
    for (size_t i = 0; i < record->texts_count; i++)
        name_drop_copy(world, record->texts[i]);
    tern_mem_free(&world->mem, record->texts, record->texts_count * sizeof(struct tern_view));
    tern_mem_free(&world->mem, record->endpoints,
                  record->endpoints_count * sizeof(struct tern_endpoint));
    tern_mem_free(&world->mem, record, sizeof(*record));
}

void sim_world_set_name(struct sim_world *world, const struct sim_name *name)
{
    TERN_CHECK(name->name.size > 0);
    TERN_CHECK(name->endpoints_count <= SERVICE_RESULTS_MAX);
    TERN_CHECK(name->texts_count <= SERVICE_RESULTS_MAX);
    struct sim_name_record *record = name_find(world, name->name);
    if (record != NULL)
        name_free(world, record);
    record = sim_take(world, sizeof(*record));
    *record = (struct sim_name_record){.name = name_copy(world, name->name),
                                       .endpoints_count = name->endpoints_count,
                                       .texts_count = name->texts_count};
    if (name->endpoints_count > 0) {
        size_t size = name->endpoints_count * sizeof(struct tern_endpoint);
        record->endpoints = sim_take(world, size);
        memcpy(record->endpoints, name->endpoints, size);
    }
    if (name->texts_count > 0)
        record->texts = sim_take(world, name->texts_count * sizeof(struct tern_view));
    for (size_t i = 0; i < name->texts_count; i++)
        record->texts[i] = name_copy(world, name->texts[i]);
    tern_list_push_back(&world->names, &record->all);
}

void sim_resolve(struct sim_node *node, const struct tern_command *command)
{
    struct sim_world *world = node->world;
    struct sim_lookup *lookup = sim_take(world, sizeof(*lookup) + command->name.size);
    lookup->token = command->token;
    lookup->kind = command->resolve;
    lookup->name_size = command->name.size;
    tern_copy(lookup->name, command->name.data, command->name.size);
    service_event(node, world->now + world->options.resolve_ns, SIM_EVENT_RESOLVED, lookup);
}

void sim_lookup_free(struct sim_world *world, struct sim_lookup *lookup)
{
    tern_mem_free(&world->mem, lookup, sizeof(*lookup) + lookup->name_size);
}

static bool lookup_wants(const struct sim_lookup *lookup, const struct tern_endpoint *endpoint)
{
    if (lookup->kind == TERN_RESOLVE_IP)
        return true;
    return endpoint->family == (lookup->kind == TERN_RESOLVE_IP4 ? 4 : 6);
}

void sim_resolved(struct sim_node *node, const struct sim_lookup *lookup)
{
    struct tern_endpoint endpoints[SERVICE_RESULTS_MAX];
    struct tern_input in = {.kind = TERN_INPUT_RESOLVED, .token = lookup->token};
    const struct sim_name_record *record =
        name_find(node->world, tern_view_of(lookup->name, lookup->name_size));
    if (record != NULL && lookup->kind == TERN_RESOLVE_TXT) {
        in.texts = record->texts;
        in.resolved_count = record->texts_count;
    } else if (record != NULL) {
        in.endpoints = endpoints;
        for (size_t i = 0; i < record->endpoints_count; i++) {
            if (lookup_wants(lookup, &record->endpoints[i]))
                endpoints[in.resolved_count++] = record->endpoints[i];
        }
    }
    if (in.resolved_count == 0)
        in.err = TERN_ERR_NOT_FOUND;
    sim_node_input(node, &in);
    sim_node_pump(node);
}

void sim_names_free(struct sim_world *world)
{
    TERN_LIST_FOREACH_SAFE (at, next, &world->names)
        name_free(world, TERN_LIST_ENTRY(at, struct sim_name_record, all));
}
