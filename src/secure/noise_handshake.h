/*
 * The handshake of one Noise channel: the messages, libp2p's checks of the remote's identity, and
 * the job in which both happen. Owned by the channel (secure/noise.c), freed when the handshake is
 * over.
 *
 *     job's run:  read the remote's message ─ check its payload ─ write our next message
 *
 * run may be on any thread. It uses the handshake alone, and the bytes of our muxers' names and
 * certificate hashes, which nobody changes while a channel lives. It allocates nothing from
 * tern_mem: the room for our message is taken beforehand.
 */
#ifndef TERN_SECURE_NOISE_HANDSHAKE_H
#define TERN_SECURE_NOISE_HANDSHAKE_H

#include "base/job.h"
#include "secure/noise_payload.h"
#include "secure/noise_xx.h"

enum tern_noise_step {
    TERN_NOISE_WAIT,      /* for the remote's message */
    TERN_NOISE_JOB_READY, /* to be given out */
    TERN_NOISE_JOB_AWAY,
    TERN_NOISE_COMPLETE, /* our last message may still have to be sent */
};

struct tern_noise_handshake {
    struct tern_job job;
    struct tern_mem *mem;
    enum tern_noise_step step;
    struct tern_noise_xx xx;
    struct tern_noise_list muxers;
    struct tern_noise_list certhashes;
    struct tern_view muxer_entries[TERN_NOISE_LIST_MAX];
    struct tern_view certhash_entries[TERN_NOISE_LIST_MAX];
    struct tern_peer_id expected_peer; /* none: anyone */

    uint8_t *room; /* one block of room_size: our payload, then our message with its length */
    size_t room_size;
    size_t payload_size;
    size_t out_size; /* of the message to be sent, 0: none */
    size_t out_sent;

    struct tern_chunk *in; /* the remote's message, while a job works on it */

    /* What run found. */
    tern_err err;
    tern_fault fault;
    bool has_remote;
    struct tern_public_key remote_key;
    struct tern_peer_id remote_id;
    size_t muxer; /* index of our list; SIZE_MAX: none agreed */
    struct tern_noise_keys keys;
};

/* tern_noise_handshake_new starts one; an initiator's message 1 is ready to be sent. NULL: no
 * memory. */
struct tern_noise_handshake *tern_noise_handshake_new(const struct tern_noise_options *options);

/* tern_noise_handshake_free wipes and frees. The job must not be away. */
void tern_noise_handshake_free(struct tern_noise_handshake *handshake);

/* tern_noise_handshake_check_size judges the length of the frame that carries the remote's next
 * message, before anything is kept of it: TERN_FAULT_NONE, or why not. */
tern_fault tern_noise_handshake_check_size(const struct tern_noise_handshake *handshake,
                                           size_t size);

/* tern_noise_handshake_take gets the remote's whole message, owned from now on; the job is ready.
 */
void tern_noise_handshake_take(struct tern_noise_handshake *handshake, struct tern_chunk *message);

/* tern_noise_handshake_settle takes the job back. Returns what run found; step tells what is next.
 */
TERN_NODISCARD tern_err tern_noise_handshake_settle(struct tern_noise_handshake *handshake);

/* tern_noise_handshake_unsent views our message's bytes that are still to be sent. */
struct tern_view tern_noise_handshake_unsent(const struct tern_noise_handshake *handshake);

#endif
