/*
 * The routes that take something.
 */
#include <stdlib.h>

#include "app/ternd/api_private.h"

/* Bodies: raw bytes (application/octet-stream), or JSON: {"hex":"…"} or, for a transaction, its
 * members. */
enum post_body_kind { POST_BYTES, POST_OBJECT };

struct post_body {
    enum post_body_kind kind;
    uint8_t *bytes; /* owned */
    size_t size;
    json_t *object; /* owned */
};

static void post_body_free(struct post_body *body)
{
    free(body->bytes);
    json_decref(body->object);
}

static bool post_type_is(const struct api_request *request, const char *type)
{
    const char *given =
        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Content-Type");
    size_t size = strlen(type);
    return given != NULL && strncasecmp(given, type, size) == 0 &&
           (given[size] == '\0' || given[size] == ';' || given[size] == ' ');
}

static bool post_take_hex(const json_t *object, size_t max, struct post_body *body,
                          struct api_reply *reply)
{
    const json_t *hex = json_object_get(object, "hex");
    const char *text = json_string_value(hex);
    body->bytes = malloc(max);
    if (body->bytes == NULL) {
        api_fail_err(reply, TERN_ERR_MEMORY);
        return false;
    }
    if (json_object_size(object) != 1 || text == NULL ||
        !app_unhex_any(text, json_string_length(hex), body->bytes, max, &body->size)) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "hex",
                 "\"hex\" must be the only member and hold at most %zu bytes as hexadecimal digits",
                 max);
        return false;
    }
    return true;
}

static bool post_take_json(struct api_request *request, size_t max, struct post_body *body,
                           struct api_reply *reply)
{
    json_error_t error;
    body->object = json_loadb((const char *)request->body.data, request->body.size,
                              JSON_REJECT_DUPLICATES, &error);
    if (body->object == NULL) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "json", "line %d: %s", error.line, error.text);
        return false;
    }
    if (!json_is_object(body->object)) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "json", "a JSON object is expected");
        return false;
    }
    body->kind = POST_OBJECT;
    if (json_object_get(body->object, "hex") == NULL)
        return true;
    body->kind = POST_BYTES;
    return post_take_hex(body->object, max, body, reply);
}

/* Reads the body as its type says; at most max bytes when they are raw. */
static bool post_take(struct api_request *request, size_t max, struct post_body *body,
                      struct api_reply *reply)
{
    if (request->body.size == 0) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "empty", "the body is empty");
        return false;
    }
    if (post_type_is(request, "application/json"))
        return post_take_json(request, max, body, reply);
    if (!post_type_is(request, "application/octet-stream")) {
        api_fail(reply, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "type",
                 "the Content-Type must be application/json or application/octet-stream");
        return false;
    }
    if (request->body.size > max) {
        api_fail(reply, MHD_HTTP_CONTENT_TOO_LARGE, "too_large", "at most %zu bytes", max);
        return false;
    }
    body->kind = POST_BYTES;
    body->size = request->body.size;
    body->bytes = malloc(body->size);
    if (body->bytes == NULL) {
        api_fail_err(reply, TERN_ERR_MEMORY);
        return false;
    }
    memcpy(body->bytes, request->body.data, body->size);
    return true;
}

/* What the chain said of it. 200: taken, now or before; 202: a block whose parent is not known yet;
 * 422: it is not valid. */
static void post_verdict(const struct node_verdict *verdict, struct api_reply *reply)
{
    if (verdict->err != TERN_OK && verdict->err != TERN_ERR_EXISTS &&
        verdict->err != TERN_ERR_AGAIN) {
        if (verdict->fault == TERN_FAULT_NONE)
            api_fail_err(reply, verdict->err);
        else
            api_fail(reply, MHD_HTTP_UNPROCESSABLE_CONTENT, tern_fault_name(verdict->fault), "%s",
                     tern_fault_text(verdict->fault));
        return;
    }
    json_t *json = json_object();
    json_object_set_new(json, "id", app_json_hex(verdict->hash.bytes, TERN_HASH_SIZE));
    json_object_set_new(json, "known", json_boolean(verdict->err == TERN_ERR_EXISTS));
    if (verdict->err == TERN_ERR_AGAIN) {
        json_object_set_new(json, "waits", json_true());
        reply->status = MHD_HTTP_ACCEPTED;
    }
    api_json(reply, json);
}

static bool post_tx_bytes(struct post_body *body, uint8_t bytes[TERN_TX_SIZE_MAX], size_t *size,
                          struct api_reply *reply)
{
    struct tern_tx tx;
    if (body->kind == POST_OBJECT) {
        struct app_message message;
        struct tern_writer w = tern_writer_of(bytes, TERN_TX_SIZE_MAX);
        if (!app_json_to_tx(body->object, true, &tx, &message)) {
            api_fail(reply, MHD_HTTP_BAD_REQUEST, "transaction", "%s", message.text);
            return false;
        }
        tern_tx_encode(&tx, &w);
        *size = w.size;
        return true;
    }
    if (tern_tx_decode(tern_view_of(body->bytes, body->size), &tx) != TERN_OK) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "transaction", "these bytes are no transaction");
        return false;
    }
    memcpy(bytes, body->bytes, body->size);
    *size = body->size;
    return true;
}

void api_post_tx(struct api_request *request, struct api_reply *reply)
{
    struct post_body body = {.kind = POST_BYTES};
    uint8_t bytes[TERN_TX_SIZE_MAX];
    size_t size = 0;
    struct node_verdict verdict = {.err = TERN_OK};
    if (post_take(request, TERN_TX_SIZE_MAX, &body, reply) &&
        post_tx_bytes(&body, bytes, &size, reply)) {
        tern_err err = node_submit_tx(request->api->node, tern_view_of(bytes, size), &verdict);
        if (err != TERN_OK)
            api_fail_err(reply, err);
        else
            post_verdict(&verdict, reply);
    }
    post_body_free(&body);
}

static void post_block_bytes(struct api_request *request, const struct post_body *body,
                             struct api_reply *reply)
{
    struct tern_block block;
    tern_fault fault = TERN_FAULT_NONE;
    struct node_verdict verdict = {.err = TERN_OK};
    struct tern_view bytes = tern_view_of(body->bytes, body->size);
    if (body->kind == POST_OBJECT) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "hex", "a block is given as {\"hex\":\"…\"}");
        return;
    }
    if (tern_block_decode(bytes, &block, &fault) != TERN_OK) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, tern_fault_name(fault), "%s", tern_fault_text(fault));
        return;
    }
    tern_err err = node_submit_block(request->api->node, bytes, &verdict);
    if (err != TERN_OK)
        api_fail_err(reply, err);
    else
        post_verdict(&verdict, reply);
}

void api_post_block(struct api_request *request, struct api_reply *reply)
{
    struct post_body body = {.kind = POST_BYTES};
    if (post_take(request, TERN_BLOCK_SIZE_MAX, &body, reply))
        post_block_bytes(request, &body, reply);
    post_body_free(&body);
}

void api_validate(struct api_request *request, struct api_reply *reply)
{
    struct node_validation validation = {.valid = false};
    const char *peer = api_query(request, "peer");
    tern_err err = node_validate(request->api->node, peer, &validation);
    if (err == TERN_ERR_INVALID) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "peer", "this is no peer id");
        return;
    }
    if (err == TERN_ERR_EXISTS) {
        api_fail(reply, MHD_HTTP_CONFLICT, "running", "a validation is under way already");
        return;
    }
    if (err == TERN_ERR_NOT_FOUND) {
        api_fail(reply, MHD_HTTP_NOT_FOUND, "peer", "this node is not connected to that peer");
        return;
    }
    if (err != TERN_OK) {
        api_fail_err(reply, err);
        return;
    }
    json_t *json = json_object();
    json_object_set_new(json, "valid", json_boolean(validation.valid));
    json_object_set_new(json, "height", app_json_u64(validation.height));
    json_object_set_new(json, "head_height", app_json_u64(validation.head_height));
    if (!validation.valid) {
        json_t *fault = json_string(validation.fault); /* NULL: a peer's text that is not UTF-8 */
        json_object_set_new(json, "bad_height", app_json_u64(validation.bad_height));
        json_object_set_new(json, "fault", fault == NULL ? json_string("") : fault);
    }
    api_json(reply, json);
}
