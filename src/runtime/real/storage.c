/*
 * The storage thread: takes all requests that wait, lets the store serve them together (so that
 * many writes share one sync), and hands them back.
 */
#include "base/check.h"
#include "runtime/real/loop_private.h"

enum { STORAGE_BATCH_MAX = 256 };

/* Waits for requests and takes up to a batch of them; 0: asked to stop, and nothing waits. */
static size_t storage_take(struct loop_storage *storage, struct tern_store_request **batch)
{
    size_t count = 0;
    uv_mutex_lock(&storage->mutex);
    while (tern_list_empty(&storage->waiting) && !storage->stop)
        uv_cond_wait(&storage->wake, &storage->mutex);
    while (count < STORAGE_BATCH_MAX && !tern_list_empty(&storage->waiting)) {
        struct tern_list *node = tern_list_pop_front(&storage->waiting);
        batch[count++] = TERN_LIST_ENTRY(node, struct tern_store_request, link);
    }
    uv_mutex_unlock(&storage->mutex);
    return count;
}

static void storage_run(void *argument)
{
    struct tern_loop *loop = argument;
    struct loop_storage *storage = &loop->storage;
    struct tern_store_request *batch[STORAGE_BATCH_MAX];

    for (size_t count = storage_take(storage, batch); count > 0;
         count = storage_take(storage, batch)) {
        storage->ops->serve(storage->self, batch, count);
        uv_mutex_lock(&storage->mutex);
        for (size_t i = 0; i < count; i++)
            tern_list_push_back(&storage->done, &batch[i]->link);
        uv_mutex_unlock(&storage->mutex);
        uv_async_send(&loop->async);
    }
    storage->ops->close(storage->self);
}

tern_err loop_storage_open(struct tern_loop *loop, const struct tern_loop_options *options)
{
    struct loop_storage *storage = &loop->storage;
    storage->ops = options->store;
    storage->self = options->store_self;
    tern_list_init(&storage->waiting);
    tern_list_init(&storage->done);
    if (storage->ops == NULL)
        return TERN_OK;
    if (uv_mutex_init(&storage->mutex) != 0)
        return TERN_ERR_MEMORY;
    if (uv_cond_init(&storage->wake) != 0 ||
        uv_thread_create(&storage->thread, storage_run, loop) != 0)
        return TERN_ERR_MEMORY;
    storage->running = true;
    return TERN_OK;
}

void loop_storage_submit(struct tern_loop *loop, struct tern_store_request *request)
{
    struct loop_storage *storage = &loop->storage;
    if (storage->ops == NULL) {
        request->err = TERN_ERR_UNSUPPORTED;
        loop_input(loop, &(struct tern_input){.kind = TERN_INPUT_STORED, .request = request});
        return;
    }
    uv_mutex_lock(&storage->mutex);
    tern_list_push_back(&storage->waiting, &request->link);
    uv_cond_signal(&storage->wake);
    uv_mutex_unlock(&storage->mutex);
}

void loop_storage_collect(struct tern_loop *loop)
{
    struct loop_storage *storage = &loop->storage;
    struct tern_list done;
    if (storage->ops == NULL)
        return;
    tern_list_init(&done);
    uv_mutex_lock(&storage->mutex);
    tern_list_take_all(&done, &storage->done);
    uv_mutex_unlock(&storage->mutex);
    for (struct tern_list *node = tern_list_pop_front(&done); node != NULL;
         node = tern_list_pop_front(&done)) {
        struct tern_store_request *request = TERN_LIST_ENTRY(node, struct tern_store_request, link);
        loop_input(loop, &(struct tern_input){.kind = TERN_INPUT_STORED, .request = request});
    }
}

void loop_storage_close(struct tern_loop *loop)
{
    struct loop_storage *storage = &loop->storage;
    if (!storage->running)
        return;
    uv_mutex_lock(&storage->mutex);
    storage->stop = true;
    uv_cond_signal(&storage->wake);
    uv_mutex_unlock(&storage->mutex);
    uv_thread_join(&storage->thread);
    storage->running = false;
    loop_storage_collect(loop);
    TERN_CHECK(tern_list_empty(&storage->waiting));
    uv_cond_destroy(&storage->wake);
    uv_mutex_destroy(&storage->mutex);
}
