/* The public vectors of Noise_XX_25519_ChaChaPoly_SHA256, driven through both ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/aead.h"
#include "crypto/x25519.h"
#include "secure/noise_xx.h"

enum { BYTES_MAX = 256, LINE_MAX_ = 2048 };

struct bytes {
    uint8_t data[BYTES_MAX];
    size_t size;
};

struct vector {
    struct bytes prologue, init_static, init_ephemeral, resp_static, resp_ephemeral, hash;
    struct bytes payloads[8], ciphertexts[8];
    size_t messages_count;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static struct bytes from_hex(const char *text)
{
    struct bytes b = {.size = 0};
    for (size_t i = 0; hex_digit(text[i]) >= 0 && hex_digit(text[i + 1]) >= 0; i += 2) {
        assert_true(b.size < BYTES_MAX);
        b.data[b.size++] = (uint8_t)(hex_digit(text[i]) * 16 + hex_digit(text[i + 1]));
    }
    return b;
}

static struct tern_view view(const struct bytes *b)
{
    return tern_view_of(b->data, b->size);
}

static struct bytes *vector_field(struct vector *v, const char *name)
{
    struct {
        const char *name;
        struct bytes *bytes;
    } fields[] = {
        {"prologue", &v->prologue},
        {"init_static", &v->init_static},
        {"init_ephemeral", &v->init_ephemeral},
        {"resp_static", &v->resp_static},
        {"resp_ephemeral", &v->resp_ephemeral},
        {"handshake_hash", &v->hash},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(fields); i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].bytes;
    return NULL;
}

/* Reads the next vector of the file; false at its end. */
static bool read_vector(FILE *f, struct vector *v)
{
    char line[LINE_MAX_];
    *v = (struct vector){.messages_count = 0};
    while (fgets(line, sizeof line, f) != NULL) {
        char name[32];
        char first[LINE_MAX_];
        char second[LINE_MAX_];
        int words = sscanf(line, "%31s %2047s %2047s", name, first, second);
        if (words == 1 && strcmp(name, "end") == 0)
            return true;
        if (words == 3 && strcmp(name, "message") == 0) {
            v->payloads[v->messages_count] = from_hex(first);
            v->ciphertexts[v->messages_count++] = from_hex(second);
        } else if (words == 2 && vector_field(v, name) != NULL) {
            *vector_field(v, name) = from_hex(first);
        }
    }
    return false;
}

static struct tern_noise_xx start(const struct vector *v, enum tern_role role)
{
    bool initiator = role == TERN_ROLE_INITIATOR;
    const struct bytes *secret = initiator ? &v->init_static : &v->resp_static;
    const struct bytes *ephemeral = initiator ? &v->init_ephemeral : &v->resp_ephemeral;
    uint8_t public_key[TERN_X25519_SIZE];
    tern_x25519_public(secret->data, public_key);
    struct tern_noise_xx xx;
    tern_noise_xx_init(&xx, &(struct tern_noise_xx_options){
                                .role = role,
                                .static_secret = secret->data,
                                .static_public = public_key,
                                .ephemeral_secret = ephemeral->data,
                                .prologue = view(&v->prologue),
                            });
    return xx;
}

static void check_handshake(const struct vector *v, struct tern_noise_xx ends[2])
{
    for (size_t i = 0; i < TERN_NOISE_XX_MESSAGES; i++) {
        struct tern_noise_xx *writer = &ends[i % 2];
        struct tern_noise_xx *reader = &ends[1 - i % 2];
        uint8_t buffer[2 * BYTES_MAX];
        struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
        tern_fault fault = TERN_FAULT_NONE;
        assert_true(tern_noise_xx_is_writer(writer));
        assert_false(tern_noise_xx_is_writer(reader));
        size_t size_min = tern_noise_xx_size_min(writer);
        assert_int_equal(tern_noise_xx_write(writer, view(&v->payloads[i]), &w, &fault), TERN_OK);
        assert_true(tern_view_equal(tern_writer_view(&w), view(&v->ciphertexts[i])));
        assert_int_equal(w.size, size_min + v->payloads[i].size);
        struct tern_view payload;
        struct tern_span message = {.data = buffer, .size = w.size};
        assert_int_equal(tern_noise_xx_read(reader, message, &payload, &fault), TERN_OK);
        assert_true(tern_view_equal(payload, view(&v->payloads[i])));
    }
}

static void check_transport(const struct vector *v, const struct tern_noise_keys keys[2])
{
    uint64_t nonces[2] = {0, 0};
    for (size_t i = TERN_NOISE_XX_MESSAGES; i < v->messages_count; i++) {
        size_t from = i % 2;
        struct tern_aead_params params = {.key = keys[from].send};
        tern_aead_counter_nonce(nonces[from]++, params.nonce);
        uint8_t out[2 * BYTES_MAX];
        tern_aead_seal_small(&params, view(&v->payloads[i]), out);
        assert_true(tern_view_equal(tern_view_of(out, v->payloads[i].size + TERN_AEAD_TAG_SIZE),
                                    view(&v->ciphertexts[i])));
    }
}

static void public_vectors_are_met(void **state)
{
    (void)state;
    char path[4096];
    const char *root = getenv("TERN_SOURCE_ROOT");
    assert_non_null(root);
    assert_true(snprintf(path, sizeof path, "%s/testing/vectors/noise_xx.txt", root) > 0);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    struct vector v;
    int count = 0;
    while (read_vector(f, &v)) {
        assert_true(v.messages_count > TERN_NOISE_XX_MESSAGES);
        struct tern_noise_xx ends[2] = {start(&v, TERN_ROLE_INITIATOR),
                                        start(&v, TERN_ROLE_RESPONDER)};
        check_handshake(&v, ends);
        assert_memory_equal(ends[0].symmetric.hash, ends[1].symmetric.hash, TERN_NOISE_HASH_SIZE);
        if (v.hash.size > 0)
            assert_memory_equal(ends[0].symmetric.hash, v.hash.data, TERN_NOISE_HASH_SIZE);
        struct tern_noise_keys keys[2];
        tern_noise_xx_split(&ends[0], &keys[0]);
        tern_noise_xx_split(&ends[1], &keys[1]);
        assert_memory_equal(keys[0].send, keys[1].receive, TERN_NOISE_KEY_SIZE);
        assert_memory_equal(keys[0].receive, keys[1].send, TERN_NOISE_KEY_SIZE);
        check_transport(&v, keys);
        count++;
    }
    fclose(f);
    assert_int_equal(count, 2);
}

static void roles_take_turns(void **state)
{
    (void)state;
    struct vector v = {.messages_count = 0};
    struct tern_noise_xx responder = start(&v, TERN_ROLE_RESPONDER);
    assert_false(tern_noise_xx_is_writer(&responder));
    responder.messages_done = 1;
    assert_true(tern_noise_xx_is_writer(&responder));
    responder.messages_done = 3; /* nobody's turn, though it is odd */
    assert_false(tern_noise_xx_is_writer(&responder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_vectors_are_met),
        cmocka_unit_test(roles_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
