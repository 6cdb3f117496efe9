/*
 * What the commands share that are a peer by themselves, with an identity of their own: reaching
 * another peer, and waiting for what comes of it.
 */
#ifndef TERN_APP_TERN_VISIT_H
#define TERN_APP_TERN_VISIT_H

#include "app/tern/command.h"
#include "tern/tern.h"

struct visit {
    const struct command_options *options;
    struct tern_host *host;
    char peer[TERN_PEER_TEXT_SIZE]; /* whom we have reached */
    char address[TERN_ADDRESS_TEXT_SIZE];
    uint64_t deadline_ms;
    uint64_t took_ms; /* to connect */
};

/* visit_begin reaches the peer of the first argument. The code to end with, after the message is
 * out; visit_end in any case. */
int visit_begin(struct visit *visit, const struct command_options *options);
void visit_end(struct visit *visit);

/* visit_wait draws events until one of the kind wanted has this token (0: any); CODE_TIMEOUT when
 * time is over, other codes after the message is out. */
int visit_wait(struct visit *visit, enum tern_event_kind wanted, uint64_t token,
               struct tern_event *event);

uint64_t visit_now_ms(void);

#endif
