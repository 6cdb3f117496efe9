#include "interop/tern/contract/meeting.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "interop/tern/contract/contract.h"

enum { MEETING_POLL_MS = 50, MEETING_CONNECT_S = 5, MEETING_HOST_SIZE = 256 };

static void meeting_pause(uint64_t deadline_ns, const char *what)
{
    const struct timespec pause = {.tv_nsec = MEETING_POLL_MS * 1000000L};
    if (contract_now_ns() >= deadline_ns)
        contract_fail("redis: %s in time", what);
    (void)nanosleep(&pause, NULL);
}

static redisContext *meeting_open(const struct settings *settings, uint64_t deadline_ns)
{
    char host[MEETING_HOST_SIZE];
    const struct timeval limit = {.tv_sec = MEETING_CONNECT_S};
    const char *colon = strrchr(settings->redis, ':');
    int port = colon == NULL ? 0 : atoi(colon + 1);
    if (port < 1 || port > UINT16_MAX || colon - settings->redis >= MEETING_HOST_SIZE)
        contract_fail("redis: \"%s\" is not host:port", settings->redis);
    snprintf(host, sizeof host, "%.*s", (int)(colon - settings->redis), settings->redis);
    for (;;) {
        redisContext *redis = redisConnectWithTimeout(host, port, limit);
        if (redis != NULL && redis->err == 0)
            return redis;
        if (contract_now_ns() >= deadline_ns)
            contract_fail("redis: %s: %s", settings->redis,
                          redis == NULL ? "no memory" : redis->errstr);
        redisFree(redis);
        meeting_pause(UINT64_MAX, "");
    }
}

/* An answer that is no error; the caller frees it. */
static redisReply *meeting_checked(redisContext *redis, void *answer)
{
    redisReply *reply = answer;
    if (reply == NULL)
        contract_fail("redis: %s", redis->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        contract_fail("redis: %s", reply->str);
    return reply;
}

void meeting_publish(const struct settings *settings, const char *address, uint64_t deadline_ns)
{
    redisContext *redis = meeting_open(settings, deadline_ns);
    /* What an earlier run left there may be of the other type. */
    freeReplyObject(meeting_checked(redis, redisCommand(redis, "DEL %s", settings->key)));
    freeReplyObject(meeting_checked(redis, redisCommand(redis, "%s %s %s",
                                                        settings->key_is_list ? "RPUSH" : "SET",
                                                        settings->key, address)));
    redisFree(redis);
}

static bool meeting_take(const redisReply *reply, char address[TERN_ADDRESS_TEXT_SIZE])
{
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    if (reply->len >= TERN_ADDRESS_TEXT_SIZE)
        contract_fail("redis: an address of %zu bytes", (size_t)reply->len);
    snprintf(address, TERN_ADDRESS_TEXT_SIZE, "%s", reply->str);
    return true;
}

/* Looks once. True: there was one. */
static bool meeting_look(redisContext *redis, const char *key, char address[TERN_ADDRESS_TEXT_SIZE])
{
    redisReply *type = meeting_checked(redis, redisCommand(redis, "TYPE %s", key));
    const char *get = strcmp(type->str, "string") == 0 ? "GET"
                      : strcmp(type->str, "list") == 0 ? "LPOP"
                                                       : NULL;
    bool found = false;
    freeReplyObject(type);
    if (get != NULL) {
        redisReply *reply = meeting_checked(redis, redisCommand(redis, "%s %s", get, key));
        found = meeting_take(reply, address);
        freeReplyObject(reply);
    }
    return found;
}

/* As the older contract has it. */
static void meeting_pop(redisContext *redis, const struct settings *settings,
                        char address[TERN_ADDRESS_TEXT_SIZE])
{
    redisReply *reply = meeting_checked(
        redis, redisCommand(redis, "BLPOP %s %u", settings->key, (unsigned)settings->timeout_s));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !meeting_take(reply->element[1], address))
        contract_fail("redis: nothing under \"%s\" in time", settings->key);
    freeReplyObject(reply);
}

void meeting_wait(const struct settings *settings, uint64_t deadline_ns,
                  char address[TERN_ADDRESS_TEXT_SIZE])
{
    redisContext *redis = meeting_open(settings, deadline_ns);
    if (settings->older)
        meeting_pop(redis, settings, address);
    else
        while (!meeting_look(redis, settings->key, address))
            meeting_pause(deadline_ns, "the listener has left no address");
    redisFree(redis);
}
