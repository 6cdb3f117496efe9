#include "app/ternd/api_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { API_THREADS = 4, API_BODY_FIRST = 4096 };

struct api_route {
    const char *method;
    const char *path; /* a path that ends in '/' takes one more part */
    api_handler *handler;
};

static const struct api_route api_routes[] = {
    {"GET", "/v1/health", api_health},         {"GET", "/v1/status", api_status},
    {"GET", "/v1/peers", api_peers},           {"GET", "/v1/head", api_head},
    {"GET", "/v1/blocks/", api_block},         {"GET", "/v1/accounts/", api_account},
    {"GET", "/v1/market", api_market},         {"GET", "/v1/audit", api_audit},
    {"POST", "/v1/transactions", api_post_tx}, {"POST", "/v1/blocks", api_post_block},
    {"POST", "/v1/validate", api_validate},    {"GET", "/metrics", api_metrics},
};

/* --- replies --- */

void api_fail(struct api_reply *reply, unsigned status, const char *code, const char *format, ...)
{
    struct app_message message;
    va_list args;
    va_start(args, format);
    vsnprintf(message.text, sizeof message.text, format, args);
    va_end(args);
    json_decref(reply->json);
    json_t *error = json_object();
    json_object_set_new(error, "code", json_string(code));
    json_object_set_new(error, "message", json_string(message.text));
    reply->json = json_object();
    json_object_set_new(reply->json, "error", error);
    reply->status = status;
}

void api_fail_err(struct api_reply *reply, tern_err err)
{
    if (err == TERN_ERR_NOT_FOUND)
        api_fail(reply, MHD_HTTP_NOT_FOUND, "not_found", "there is no such thing on this node");
    else if (err == TERN_ERR_AGAIN)
        api_fail(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "loading", "the chain is still being loaded");
    else if (err == TERN_ERR_CLOSED)
        api_fail(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "ending", "the node is ending");
    else if (err == TERN_ERR_FULL)
        api_fail(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                 "too much is under way; try again later");
    else if (err == TERN_ERR_TIMEOUT)
        api_fail(reply, MHD_HTTP_GATEWAY_TIMEOUT, "timeout", "the node did not answer in time");
    else
        api_fail(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "failed", "%s", tern_err_text(err));
}

void api_json(struct api_reply *reply, json_t *json)
{
    json_decref(reply->json);
    reply->json = json;
}

const char *api_query(const struct api_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static struct MHD_Response *api_response(struct api_reply *reply)
{
    char *text = reply->text;
    if (reply->json != NULL) {
        text = json_dumps(reply->json, JSON_COMPACT);
        json_decref(reply->json);
        reply->type = "application/json";
    }
    if (text == NULL)
        return NULL;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return NULL;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->allow != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->status == MHD_HTTP_CONTENT_TOO_LARGE)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return response;
}

static enum MHD_Result api_send(struct api *api, struct MHD_Connection *connection,
                                struct api_reply *reply)
{
    atomic_fetch_add(&api->requests, 1);
    if (reply->status >= 500)
        atomic_fetch_add(&api->failed, 1);
    else if (reply->status >= 400)
        atomic_fetch_add(&api->refused, 1);
    struct MHD_Response *response = api_response(reply);
    if (response == NULL)
        return MHD_NO; /* no memory: the connection ends */
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* --- who may ask --- */

static bool api_host_is(const char *given, const char *name, uint16_t port)
{
    size_t size = strlen(name);
    char digits[8];
    if (strncasecmp(given, name, size) != 0)
        return false;
    snprintf(digits, sizeof digits, ":%u", port);
    return given[size] == '\0' || strcmp(given + size, digits) == 0;
}

static bool api_host_known(const struct api *api, const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < TERN_COUNT_OF(names); i++)
        if (api_host_is(host, names[i], api->port))
            return true;
    for (size_t i = 0; i < api->config->api_hosts.count; i++)
        if (api_host_is(host, api->config->api_hosts.items[i], api->port))
            return true;
    return false;
}

static bool api_may_ask(const struct api *api, struct MHD_Connection *connection,
                        struct api_reply *reply)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    const char *origin = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin");
    if (host == NULL || !api_host_known(api, host)) {
        api_fail(reply, MHD_HTTP_FORBIDDEN, "host",
                 "this name is not one of this API's; add it to api.hosts if it should be");
        return false;
    }
    if (origin == NULL)
        return true;
    const char *name = strstr(origin, "://");
    if (name == NULL || !api_host_known(api, name + 3)) {
        api_fail(reply, MHD_HTTP_FORBIDDEN, "origin", "pages of another origin may not ask");
        return false;
    }
    return true;
}

/* --- routing --- */

static bool api_path_fits(const struct api_route *route, const char *url, const char **tail)
{
    size_t size = strlen(route->path);
    bool open = route->path[size - 1] == '/';
    if (!open) {
        *tail = "";
        return strcmp(route->path, url) == 0;
    }
    *tail = url + size;
    return strncmp(route->path, url, size) == 0 && url[size] != '\0' &&
           strchr(url + size, '/') == NULL;
}

static void api_route(struct api_request *request, const char *url, const char *method,
                      struct api_reply *reply)
{
    const struct api_route *other = NULL;
    /* HEAD is GET without the body, which the library leaves out. */
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < TERN_COUNT_OF(api_routes); i++) {
        const struct api_route *route = &api_routes[i];
        if (!api_path_fits(route, url, &request->tail))
            continue;
        if (strcmp(route->method, wanted) == 0) {
            route->handler(request, reply);
            return;
        }
        other = route;
    }
    if (other == NULL) {
        api_fail(reply, MHD_HTTP_NOT_FOUND, "no_route", "there is nothing at this path");
        return;
    }
    reply->allow = strcmp(other->method, "GET") == 0 ? "GET, HEAD" : "POST";
    api_fail(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "method", "this path takes %s alone",
             other->method);
}

/* Takes a part of the body in. A body beyond the limit is read to its end and dropped, within
 * reason: the library answers only then. */
static void api_collect(const struct api *api, struct api_body *body, const char *data, size_t size)
{
    if (body->too_large || size > api->body_max - body->size) {
        body->too_large = true;
        return;
    }
    if (body->size + size > body->capacity) {
        size_t capacity = tern_max_size(2 * body->capacity, body->size + size);
        uint8_t *grown = realloc(body->data, tern_max_size(capacity, API_BODY_FIRST));
        if (grown == NULL) {
            body->too_large = true;
            return;
        }
        body->data = grown;
        body->capacity = tern_max_size(capacity, API_BODY_FIRST);
    }
    memcpy(body->data + body->size, data, size);
    body->size += size;
}

static bool api_length_fits(const struct api *api, struct MHD_Connection *connection)
{
    uint64_t length = 0;
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return text == NULL || (app_number(text, UINT64_MAX, &length) && length <= api->body_max);
}

static enum MHD_Result api_begin(struct api *api, struct MHD_Connection *connection, void **context)
{
    struct api_reply reply = {.status = MHD_HTTP_OK};
    if (!api_length_fits(api, connection)) {
        api_fail(&reply, MHD_HTTP_CONTENT_TOO_LARGE, "too_large",
                 "the body is larger than %zu bytes", api->body_max);
        return api_send(api, connection, &reply);
    }
    struct api_body *body = calloc(1, sizeof *body);
    *context = body;
    return body == NULL ? MHD_NO : MHD_YES;
}

static enum MHD_Result api_answer(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **context)
{
    struct api *api = self;
    struct api_reply reply = {.status = MHD_HTTP_OK};
    (void)version;
    if (*context == NULL)
        return api_begin(api, connection, context);
    struct api_body *body = *context;
    if (*data_size > 0) {
        api_collect(api, body, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    struct api_request request = {.api = api, .connection = connection, .body = *body};
    if (body->too_large)
        api_fail(&reply, MHD_HTTP_CONTENT_TOO_LARGE, "too_large",
                 "the body is larger than %zu bytes", api->body_max);
    else if (api_may_ask(api, connection, &reply))
        api_route(&request, url, method, &reply);
    if (reply.status >= 400)
        LOG_LINE(api->log, reply.status >= 500 ? CONFIG_LOG_WARN : CONFIG_LOG_DEBUG, "api",
                 "request refused", {.name = "method", .text = method},
                 {.name = "path", .text = url}, {.name = "status", .number = reply.status});
    return api_send(api, connection, &reply);
}

static void api_completed(void *self, struct MHD_Connection *connection, void **context,
                          enum MHD_RequestTerminationCode code)
{
    struct api_body *body = *context;
    (void)self;
    (void)connection;
    (void)code;
    if (body == NULL)
        return;
    free(body->data);
    free(body);
    *context = NULL;
}

/* --- starting and ending --- */

/* Opens the listening socket ourselves: then the message can say what is wrong with it. */
static int api_listen(struct api *api, struct app_message *message)
{
    char host[64];
    char port[8];
    uint16_t number = 0;
    const char *address = api->config->api_address;
    struct addrinfo *info = NULL;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    if (!config_split_address(address, host, &number)) {
        app_say(message, "%s: not an address", address);
        return -1;
    }
    snprintf(port, sizeof port, "%u", number);
    if (getaddrinfo(host, port, &hints, &info) != 0) {
        app_say(message, "%s: not an address", address);
        return -1;
    }
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, 128) != 0) {
        app_say(message, "the API cannot listen at %s: %m; choose another by api.address or --api",
                address);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(info);
    return fd;
}

static void api_name(struct api *api, int fd)
{
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof bound;
    char host[INET6_ADDRSTRLEN];
    char port[8];
    getsockname(fd, (struct sockaddr *)&bound, &size);
    getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    api->port = (uint16_t)strtoul(port, NULL, 10);
    bool six = bound.ss_family == AF_INET6;
    snprintf(api->url, sizeof api->url, "http://%s%s%s:%s", six ? "[" : "", host, six ? "]" : "",
             port);
}

bool api_start(const struct config *config, struct node *node, struct log *log, struct api **out,
               struct app_message *message)
{
    struct api *api = app_alloc(1, sizeof *api);
    api->config = config;
    api->node = node;
    api->log = log;
    api->body_max = (size_t)config->api_body_max_kib * 1024;
    int fd = api_listen(api, message);
    if (fd < 0) {
        free(api);
        return false;
    }
    api_name(api, fd);
    api->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, api_answer, api,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)API_THREADS,
        MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)tern_max_size((size_t)config->api_connections_max, API_THREADS),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)config->api_timeout_s, MHD_OPTION_NOTIFY_COMPLETED,
        api_completed, api, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536, MHD_OPTION_END);
    if (api->daemon == NULL) {
        close(fd);
        free(api);
        return app_say(message, "the HTTP API could not be started");
    }
    *out = api;
    return true;
}

void api_stop(struct api *api)
{
    if (api == NULL)
        return;
    MHD_stop_daemon(api->daemon);
    free(api);
}

const char *api_url(const struct api *api)
{
    return api->url;
}
