/*
 * The HTTP API: JSON over HTTP/1.1, by libmicrohttpd on threads of its own; what it tells it asks
 * the node (ternd/node.h). app/README.md lists the routes.
 *
 * An error is a status of 4xx or 5xx with {"error":{"code","message"}}. Limits: the body's size,
 * connections, idle time. On loopback a request is answered only when its Host (and Origin, if it
 * has one) is a name of loopback with our port, or one that the configuration names: a web page
 * that lets its own name point here gets nothing.
 */
#ifndef TERN_APP_TERND_API_H
#define TERN_APP_TERND_API_H

#include "app/ternd/config.h"
#include "app/ternd/log.h"
#include "app/ternd/node.h"

struct api;

/* api_start listens; the config, node and log are borrowed until api_stop. False with a message. */
bool api_start(const struct config *config, struct node *node, struct log *log, struct api **api,
               struct app_message *message);

/* api_stop answers what has come in and ends. NULL is allowed. */
void api_stop(struct api *api);

/* api_url is such as "http://127.0.0.1:7780". */
const char *api_url(const struct api *api);

#endif
