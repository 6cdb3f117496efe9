/*
 * The programs' HTTP client of ternd's API, over libcurl: JSON there and back, with time limits.
 */
#ifndef TERN_APP_COMMON_CLIENT_H
#define TERN_APP_COMMON_CLIENT_H

#include <jansson.h>

#include "app/common/text.h"

enum { APP_ANSWER_MAX = 16 << 20, APP_URL_MAX = 256 };

struct app_client;

/* app_client_new opens a client of an API such as "http://127.0.0.1:7780"; connections are kept.
 * NULL: no memory. One thread at a time. */
struct app_client *app_client_new(const char *url, long timeout_ms);
void app_client_free(struct app_client *client);

/* What the server said. */
struct app_answer {
    long status;  /* of HTTP; 0: the server could not be reached */
    json_t *json; /* NULL: the answer was not JSON; to be freed by json_decref */
    char *text;   /* the answer as it came; to be freed */
};

/* app_client_get and _post ask; post sends the JSON (borrowed; NULL: an empty body). False: the
 * server could not be reached, and the message says why. An answer that tells of an error is true.
 */
bool app_client_get(struct app_client *client, const char *path, struct app_answer *answer,
                    struct app_message *message);
bool app_client_post(struct app_client *client, const char *path, const json_t *body,
                     struct app_answer *answer, struct app_message *message);
void app_answer_free(struct app_answer *answer);

/* app_answer_error is the message of an answer that tells of an error, or "". */
const char *app_answer_error(const struct app_answer *answer);

/* app_find_api finds a node's API: the file ternd.json in its data folder says where it is. */
bool app_find_api(const char *data_dir, char url[APP_URL_MAX], struct app_message *message);

#endif
