/*
 * What the commands share that are a peer by themselves, with an identity of their own: reaching
 * another peer, waiting for what comes of it, and being stopped meanwhile.
 *
 *   visit_begin ─► host, addresses ─ visit_dial ─► connected ─ visit_next, visit_wait … ─►
 * visit_end
 */
#ifndef TERN_APP_TERN_VISIT_H
#define TERN_APP_TERN_VISIT_H

#include "app/tern/command.h"
#include "tern/tern.h"

struct visit {
    const struct command_options *options;
    struct tern_host *host;
    char peer[TERN_PEER_TEXT_SIZE]; /* whom we have reached */
    char addresses[COMMAND_ARGUMENTS_MAX][TERN_ADDRESS_TEXT_SIZE];
    tern_err refused[COMMAND_ARGUMENTS_MAX]; /* what the host said of an address at once */
    size_t addresses_count;
    uint64_t token; /* of the dial; 0: there was none */
    uint64_t deadline_ns;
    uint64_t took_ns; /* to connect */
    int signals;      /* a descriptor that tells of SIGINT and SIGTERM; -1: they end the process */
    bool stopped;     /* one came */
};

/* Beside the exit codes: a signal asked for the end. */
enum { VISIT_STOPPED = -1 };

/* visit_begin makes a host with the ways that the options name, and gathers the addresses of the
 * peer in the arguments. All functions here that give an int give CODE_OK or the code to end with,
 * after the message is out; visit_end is called in any case. */
int visit_begin(struct visit *visit, const struct command_options *options);
void visit_end(struct visit *visit);

/* visit_host makes the host alone. */
int visit_host(struct visit *visit, const struct command_options *options,
               const struct tern_host_options *host);

/* visit_dial connects to the peer, and visit_reach does both. */
int visit_dial(struct visit *visit);
int visit_reach(struct visit *visit, const struct command_options *options);

/* visit_catch_signals lets SIGINT and SIGTERM end the waiting instead of the process. */
int visit_catch_signals(struct visit *visit);

/* visit_deadline sets when waiting ends: so long from now. */
void visit_deadline(struct visit *visit, uint64_t ns);

/* visit_next gives the next event; CODE_TIMEOUT when time is over and VISIT_STOPPED, both without a
 * message. */
int visit_next(struct visit *visit, struct tern_event *event);

/* visit_wait draws events until one of the kind wanted has this token (0: any); as visit_next, and
 * CODE_UNAVAILABLE with a message when the peer goes. */
int visit_wait(struct visit *visit, enum tern_event_kind wanted, uint64_t token,
               struct tern_event *event);

/* visit_pause lets so much time pass; VISIT_STOPPED, and CODE_UNAVAILABLE as visit_wait. */
int visit_pause(struct visit *visit, uint64_t ns);

/* visit_lost: has the peer ended the connection? Says so. */
bool visit_lost(const struct visit *visit, const struct tern_event *event);

uint64_t visit_now_ns(void);

#endif
