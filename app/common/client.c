#include "app/common/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

struct app_client {
    CURL *curl;
    struct curl_slist *headers;
    char url[APP_URL_MAX];
};

struct client_buffer {
    char *data;
    size_t size;
};

static size_t client_collect(char *data, size_t one, size_t count, void *context)
{
    struct client_buffer *buffer = context;
    size_t size = one * count;
    if (size > APP_ANSWER_MAX - buffer->size)
        return 0; /* ends the transfer with an error */
    char *grown = realloc(buffer->data, buffer->size + size + 1);
    if (grown == NULL)
        return 0;
    memcpy(grown + buffer->size, data, size);
    buffer->data = grown;
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return size;
}

struct app_client *app_client_new(const char *url, long timeout_ms)
{
    struct app_client *client = app_alloc(1, sizeof *client);
    snprintf(client->url, sizeof client->url, "%s", url);
    client->curl = curl_easy_init();
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (client->curl == NULL || client->headers == NULL) {
        app_client_free(client);
        return NULL;
    }
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, client_collect);
    curl_easy_setopt(client->curl, CURLOPT_PROXY, ""); /* the API is ours, near by */
    return client;
}

void app_client_free(struct app_client *client)
{
    if (client == NULL)
        return;
    curl_slist_free_all(client->headers);
    if (client->curl != NULL)
        curl_easy_cleanup(client->curl);
    free(client);
}

static bool client_perform(struct app_client *client, const char *path, struct app_answer *answer,
                           struct app_message *message)
{
    char url[2 * APP_URL_MAX];
    struct client_buffer buffer = {.data = NULL};
    memset(answer, 0, sizeof *answer);
    snprintf(url, sizeof url, "%s%s", client->url, path);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &buffer);
    CURLcode code = curl_easy_perform(client->curl);
    if (code != CURLE_OK) {
        free(buffer.data);
        return app_say(message, "%s: %s", url, curl_easy_strerror(code));
    }
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    answer->text = buffer.data == NULL ? app_copy("") : buffer.data;
    answer->json = json_loads(answer->text, JSON_ALLOW_NUL, NULL);
    return true;
}

bool app_client_get(struct app_client *client, const char *path, struct app_answer *answer,
                    struct app_message *message)
{
    curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    return client_perform(client, path, answer, message);
}

bool app_client_post(struct app_client *client, const char *path, const json_t *body,
                     struct app_answer *answer, struct app_message *message)
{
    char *text = body == NULL ? app_copy("") : json_dumps(body, JSON_COMPACT);
    if (text == NULL)
        return app_say(message, "out of memory");
    curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
    bool fine = client_perform(client, path, answer, message);
    free(text);
    return fine;
}

void app_answer_free(struct app_answer *answer)
{
    json_decref(answer->json);
    free(answer->text);
    memset(answer, 0, sizeof *answer);
}

const char *app_answer_error(const struct app_answer *answer)
{
    const json_t *error = json_object_get(answer->json, "error");
    const char *text = json_string_value(json_object_get(error, "message"));
    return text == NULL ? "" : text;
}

bool app_find_api(const char *data_dir, char url[APP_URL_MAX], struct app_message *message)
{
    char path[4096];
    json_error_t error;
    snprintf(path, sizeof path, "%s/ternd.json", data_dir);
    json_t *root = json_load_file(path, 0, &error);
    const char *api = json_string_value(json_object_get(root, "api"));
    bool fine = api != NULL && strlen(api) < APP_URL_MAX;
    if (fine)
        snprintf(url, APP_URL_MAX, "%s", api);
    json_decref(root);
    if (fine)
        return true;
    return app_say(message, "%s tells of no running node with an API: is ternd running?", path);
}
