#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/writer.h"
#include "crypto/key.h"
#include "interop/tern/peer.h"
#include "wire/protobuf.h"

enum { SEED_SIZE = 32, POINT_SIZE = 65 };

static void identity_refuse(const char *what)
{
    fprintf(stderr, "tern-peer: %s\n", what);
    exit(2);
}

static void identity_parse_seed(const char *text, uint8_t seed[SEED_SIZE])
{
    if (strlen(text) != 2 * SEED_SIZE)
        identity_refuse("--seed takes 64 hexadecimal digits");
    for (size_t i = 0; i < SEED_SIZE; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            identity_refuse("--seed takes 64 hexadecimal digits");
        seed[i] = (uint8_t)byte;
    }
}

static void identity_write(struct tern_writer *w, enum tern_key_type type, struct tern_view data)
{
    tern_pb_write_varint(w, 1, type);
    tern_pb_write_bytes(w, 2, data);
}

/* The point of a P-256 scalar. */
static void identity_point(const uint8_t seed[SEED_SIZE], uint8_t point[POINT_SIZE])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *product = group == NULL ? NULL : EC_POINT_new(group);
    BIGNUM *scalar = BN_bin2bn(seed, SEED_SIZE, NULL);
    if (product == NULL || scalar == NULL ||
        EC_POINT_mul(group, product, scalar, NULL, NULL, NULL) != 1 ||
        EC_POINT_point2oct(group, product, POINT_CONVERSION_UNCOMPRESSED, point, POINT_SIZE,
                           NULL) != POINT_SIZE)
        identity_refuse("the seed is no scalar of P-256");
    BN_free(scalar);
    EC_POINT_free(product);
    EC_GROUP_free(group);
}

/* ECPrivateKey of SEC 1: version, scalar, curve, point. */
static void identity_write_ecdsa(struct tern_writer *w, const uint8_t seed[SEED_SIZE])
{
    static const uint8_t head[] = {0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20};
    static const uint8_t middle[] = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                     0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00};
    uint8_t der[sizeof head + SEED_SIZE + sizeof middle + POINT_SIZE];
    memcpy(der, head, sizeof head);
    memcpy(der + sizeof head, seed, SEED_SIZE);
    memcpy(der + sizeof head + SEED_SIZE, middle, sizeof middle);
    identity_point(seed, der + sizeof head + SEED_SIZE + sizeof middle);
    identity_write(w, TERN_KEY_ECDSA, tern_view_of(der, sizeof der));
}

static void identity_write_ed25519(struct tern_writer *w, const uint8_t seed[SEED_SIZE])
{
    struct tern_private_key key;
    tern_private_key_of_ed25519_seed(seed, &key);
    tern_private_key_encode(&key, w);
    tern_private_key_fini(&key);
}

size_t peer_identity(const struct peer_options *options, uint8_t *out, size_t out_size,
                     enum tern_key_kind *kind)
{
    static const char *const names[] = {"ed25519", "secp256k1", "ecdsa", "rsa"};
    uint8_t seed[SEED_SIZE];
    struct tern_writer w = tern_writer_of(out, out_size);
    size_t i = 0;
    while (i < TERN_COUNT_OF(names) && strcmp(names[i], options->key) != 0)
        i++;
    if (i == TERN_COUNT_OF(names))
        identity_refuse("--key takes ed25519, secp256k1, ecdsa or rsa");
    *kind = (enum tern_key_kind)i;
    if (options->seed == NULL)
        return 0;
    identity_parse_seed(options->seed, seed);
    switch (*kind) {
    case TERN_KEY_KIND_ED25519:
        identity_write_ed25519(&w, seed);
        break;
    case TERN_KEY_KIND_SECP256K1:
        identity_write(&w, TERN_KEY_SECP256K1, tern_view_of(seed, sizeof seed));
        break;
    case TERN_KEY_KIND_ECDSA:
        identity_write_ecdsa(&w, seed);
        break;
    case TERN_KEY_KIND_RSA:
        identity_refuse("an RSA key takes no seed");
    }
    return w.size;
}
