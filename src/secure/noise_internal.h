/*
 * The struct behind a Noise channel, for noise.c and for tests that set a counter near its end.
 */
#ifndef TERN_SECURE_NOISE_INTERNAL_H
#define TERN_SECURE_NOISE_INTERNAL_H

#include "secure/noise_xx.h"

struct tern_noise_handshake;

struct tern_noise {
    struct tern_mem *mem;
    struct tern_aead_engine *aead;
    struct tern_noise_handshake *handshake; /* NULL when it is over */
    struct tern_noise_keys keys;
    uint64_t send_nonce;
    uint64_t receive_nonce;

    /* The frame that has come in part. After it is whole, its chunk is what DATA borrows from. */
    uint8_t length[2];
    uint8_t length_bytes;
    bool frame_delivered;
    size_t frame_size;
    struct tern_chunk *frame;

    struct tern_slice data; /* borrowed */
    bool data_pending;
    bool done_pending;
    tern_err err;
    tern_fault fault;

    struct tern_secure_remote remote; /* peer_id is NULL until the handshake is done */
    struct tern_peer_id remote_id;
    struct tern_public_key remote_key;
};

#endif
