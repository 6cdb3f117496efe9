/*
 * The seam of channels: what turns one byte stream into another. Noise and TLS secure a connection;
 * WebSocket frames, a private network's cipher and HTTPS wrap its link before that. A connection
 * stacks them.
 *
 * A channel is a byte-stream core. Ciphertext goes in by recv, events come out by next; ciphertext
 * goes out in two ways: control produces handshake bytes, and seal_begin/seal_end wrap application
 * bytes that the caller writes in place, so plaintext is written once, straight into the transmit
 * buffer.
 *
 *     recv(in) ── HANDSHAKE_DONE {peer id, early muxer} ── DATA {slice} …
 *     seal_begin(out) → room ── the muxer writes into it ── seal_end(size)
 *
 * The handshake's public-key work is taken out of line, always: when next gives a JOB event, the
 * owner runs the job (on a worker or at once) and calls job_done; meanwhile recv takes nothing
 * (used = 0), which is back-pressure.
 *
 * The owner's loop: recv; drain next (run or post the job it gives); when control_pending, control;
 * then seal. recv again with what is left, until it takes nothing. A channel may look at bytes
 * without taking them and give a job for them: next is drained after every recv.
 */
#ifndef TERN_SECURE_CHANNEL_H
#define TERN_SECURE_CHANNEL_H

#include "base/chunk.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/job.h"
#include "base/types.h"
#include "base/writer.h"
#include "crypto/key.h"
#include "wire/peer_id.h"

enum tern_role { TERN_ROLE_INITIATOR, TERN_ROLE_RESPONDER };

enum tern_channel_event_kind {
    TERN_CHANNEL_JOB,            /* run event.job, then call job_done */
    TERN_CHANNEL_HANDSHAKE_DONE, /* the remote is who it says; see remote_* below */
    TERN_CHANNEL_DATA, /* plaintext, never empty; a slice of the chunk that was given to recv or
                         of one the channel holds; borrowed until the next call of next or recv */
    TERN_CHANNEL_END,  /* the remote ended the channel in good order */
};

struct tern_channel_event {
    enum tern_channel_event_kind kind;
    struct tern_job *job;
    struct tern_slice data;
};

/* What the handshake told. Borrowed from the channel; valid from HANDSHAKE_DONE until fini. */
struct tern_secure_remote {
    const struct tern_peer_id *peer_id;
    const struct tern_public_key *public_key;
    struct tern_view muxer; /* agreed early; size 0: negotiate it by multistream-select */
};

struct tern_channel_ops {
    const char *protocol_id; /* such as "/noise" */

    /* recv takes ciphertext from in (changed in place) and says how much in *used, also when it
     * fails; less than all means that next has to be drained (one frame at a time), or a job is
     * under way. The first fatal error sticks, and fault names it when it is of the peer's making.
     */
    tern_err (*recv)(void *self, tern_time now, struct tern_slice in, size_t *used);
    bool (*next)(void *self, struct tern_channel_event *event);

    /* job_done takes the job back; events or control bytes may follow. Its error is fatal and
     * sticks, as recv's does. */
    tern_err (*job_done)(void *self, tern_time now, struct tern_job *job);

    /* control writes pending handshake bytes, as many as fit; nothing when there are none. After an
     * error they are an alert that tells the remote of it, or nothing. */
    void (*control)(void *self, tern_time now, struct tern_writer *out);
    bool (*control_pending)(const void *self);

    /* seal_begin returns room for plaintext inside out (its size is the most that fits one frame);
     * an empty span when out is too small for a useful frame, while control bytes are pending (they
     * go first), and after an error. seal_end seals the first size bytes of it and advances out;
     * size 0 takes the frame back. Nothing else may write to out in between. Only after
     * HANDSHAKE_DONE. */
    struct tern_span (*seal_begin)(void *self, struct tern_writer *out);
    void (*seal_end)(void *self, struct tern_writer *out, size_t size);

    /* shut makes control give the channel's farewell (TLS, WebSocket); nothing may be sealed after
     * it. NULL: there is none. */
    void (*shut)(void *self);

    /* NULL of channels that do not secure: there is nobody to be known. */
    const struct tern_secure_remote *(*remote)(const void *self);
    tern_fault (*fault)(const void *self);
    void (*fini)(void *self); /* wipes secrets; a job under way must have come back before */
};

struct tern_channel {
    const struct tern_channel_ops *ops;
    void *self;
};

#endif
