/*
 * What the environment of an official contract says. It has two spellings: the newer one is in
 * capitals, the older one in small letters with some other names. A value "null" is none.
 */
#ifndef TERN_INTEROP_CONTRACT_SETTINGS_H
#define TERN_INTEROP_CONTRACT_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTINGS_KEY_SIZE = 128 };

struct settings {
    bool dialer;
    bool older; /* the small letters, and JSON as the result */
    bool perf;  /* a dialer that measures */
    bool debug;
    const char *transport;
    const char *secure;          /* NULL: the transport has its own, or all of ours will do */
    const char *muxer;           /* likewise */
    const char *redis;           /* host:port */
    const char *ip;              /* where the listener listens */
    char key[SETTINGS_KEY_SIZE]; /* under which its address is */
    bool key_is_list;            /* pushed to a list instead of set */
    uint32_t timeout_s;          /* 0: none */
    /* perf */
    bool header16; /* the requests of some programs of that suite: see tern_perf_serving */
    uint64_t upload_bytes, download_bytes;
    uint32_t upload_iterations, download_iterations, latency_iterations;
    uint32_t duration_s; /* of an iteration, at most; 0: until all bytes have moved */
};

/* Gives the value of a variable, or NULL; names are compared with case. Values live as long as the
 * settings are used. */
typedef const char *settings_get(const void *environment, const char *name);

/* settings_asked: does the environment ask for a contract? */
bool settings_asked(settings_get *get, const void *environment);

/* settings_read fills them in. NULL, or the name of the variable that is wrong or missing. */
const char *settings_read(struct settings *settings, settings_get *get, const void *environment);

#endif
