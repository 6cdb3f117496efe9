/*
 * Channels of the remote's that are not taken, for want of resources or because we are about to
 * end. A stream would be charged for; of these no more is kept than what is owed to the remote: a
 * reset with its code, and our end of the channel's closing.
 */
#include "webrtc/webrtc_internal.h"

enum { REFUSALS_MIN = 16 };

struct webrtc_refusal *webrtc_refusal_find(const struct webrtc_session *s, uint16_t number)
{
    for (uint32_t i = 0; i < s->refusals.count; i++) {
        if (s->refusals.list[i].number == number)
            return &s->refusals.list[i];
    }
    return NULL;
}

/* refusals_grow makes room for one more. TERN_ERR_MEMORY; FULL: too many are not over. */
static tern_err refusals_grow(struct webrtc_session *s)
{
    struct webrtc_refusals *all = &s->refusals;
    if (all->count < all->capacity)
        return TERN_OK;
    if (all->capacity >= TERN_WEBRTC_REFUSALS_MAX)
        return TERN_ERR_FULL;
    uint32_t capacity = all->capacity == 0 ? REFUSALS_MIN : all->capacity * 2;
    struct webrtc_refusal *list = tern_mem_realloc(
        s->webrtc->mem, all->list, all->capacity * sizeof *list, capacity * sizeof *list);
    if (list == NULL)
        return TERN_ERR_MEMORY;
    all->list = list;
    all->capacity = capacity;
    return TERN_OK;
}

void webrtc_refuse(struct webrtc_session *s, uint16_t number, uint32_t code)
{
    tern_err err = refusals_grow(s);
    if (err == TERN_ERR_FULL) {
        webrtc_session_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_OPEN_FLOOD);
        return;
    }
    if (err != TERN_OK) {
        webrtc_session_fail(s, err, TERN_FAULT_NONE);
        return;
    }
    s->refusals.list[s->refusals.count++] = (struct webrtc_refusal){.number = number, .code = code};
    s->refusals.due++;
}

void webrtc_refusal_over(struct webrtc_session *s, struct webrtc_refusal *refusal)
{
    struct webrtc_refusals *all = &s->refusals;
    if (!refusal->out_done || !refusal->in_done)
        return;
    *refusal = all->list[--all->count];
    if (all->count == 0)
        webrtc_refusals_fini(s);
}

tern_err webrtc_refusals_fill(struct webrtc_session *s)
{
    struct webrtc_refusal *refusal = s->refusals.list;
    while (refusal->out_asked)
        refusal++;
    TERN_CHECK(refusal < s->refusals.list + s->refusals.count);
    /* A remote that has closed the channel already needs no code. */
    if (!refusal->said && !refusal->in_done)
        TERN_TRY(webrtc_message_flag(s, refusal->number, TERN_MESSAGE_RESET, refusal->code));
    refusal->said = true;
    TERN_TRY(tern_sctp_reset(s->sctp, refusal->number));
    refusal->out_asked = true;
    s->refusals.due--;
    return TERN_OK;
}

void webrtc_refusals_fini(struct webrtc_session *s)
{
    struct webrtc_refusals *all = &s->refusals;
    tern_mem_free(s->webrtc->mem, all->list, all->capacity * sizeof *all->list);
    *all = (struct webrtc_refusals){.list = NULL};
}
