/*
 * The API's insides: a request and its reply, as the routes' handlers see them.
 */
#ifndef TERN_APP_TERND_API_PRIVATE_H
#define TERN_APP_TERND_API_PRIVATE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "app/ternd/api.h"

struct api {
    const struct config *config;
    struct node *node;
    struct log *log;
    struct MHD_Daemon *daemon;
    size_t body_max;
    uint16_t port;
    char url[96];
    atomic_ullong requests; /* answered */
    atomic_ullong refused;  /* of them with 4xx */
    atomic_ullong failed;   /* and with 5xx */
};

struct api_body {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool too_large;
};

struct api_request {
    struct api *api;
    struct MHD_Connection *connection;
    const char *tail; /* what follows the route's path: an id, or "" */
    struct api_body body;
};

struct api_reply {
    unsigned status;
    json_t *json;     /* owned; or */
    char *text;       /* owned */
    const char *type; /* of text */
    const char *allow;
};

typedef void api_handler(struct api_request *request, struct api_reply *reply);

/* api_fail fills in an error: status, a word for programs, a sentence for people. */
void api_fail(struct api_reply *reply, unsigned status, const char *code, const char *format, ...)
    TERN_PRINTF(4, 5);

/* api_fail_err says what a node function's error means over HTTP. */
void api_fail_err(struct api_reply *reply, tern_err err);

void api_json(struct api_reply *reply, json_t *json);

/* api_query is a query argument, or NULL. */
const char *api_query(const struct api_request *request, const char *name);

api_handler api_health, api_status, api_peers, api_head, api_block, api_account, api_market,
    api_audit, api_metrics, api_post_tx, api_post_block, api_validate;

#endif
