/*
 * Certificates: the specification's vectors, ours as OpenSSL sees them, OpenSSL's as we see them,
 * and each refusal by its fault.
 */
#include <stdio.h>

#include <openssl/param_build.h>

#include "crypto/certificate_parse.h"
#include "crypto/certificate_test_forge.h"
#include "crypto/test_hex.h"

#define SECONDS(n) ((tern_wall_time)(n) * TERN_SECOND)

static const tern_wall_time WALL = SECONDS(1767225600); /* 2026-01-01 */
static const tern_wall_time DAY = 24 * TERN_HOUR;

struct world {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_private_key host;
    EVP_PKEY *key; /* on P-256 */
    uint8_t bytes[FORGE_SIZE_MAX];
};

static void world_init(struct world *w, enum tern_key_type type)
{
    tern_mem_init(&w->mem, 0);
    tern_random_init_u64(&w->random, 1);
    assert_int_equal(tern_private_key_generate(type, &w->random, &w->host), TERN_OK);
    w->key = forge_key("EC", "P-256");
}

static void world_fini(struct world *w)
{
    EVP_PKEY_free(w->key);
    tern_private_key_fini(&w->host);
    tern_mem_fini(&w->mem);
}

static struct forge honest(const struct world *w)
{
    return (struct forge){.key = w->key, .md = "SHA256", .host = &w->host};
}

static tern_fault fault_of(struct tern_view der, tern_wall_time wall, tern_err *err)
{
    struct tern_public_key key;
    tern_fault fault = TERN_FAULT_COUNT;
    *err = tern_certificate_check(der, wall, &key, &fault);
    if (*err == TERN_OK)
        tern_public_key_fini(&key);
    assert_int_equal(*err == TERN_OK, fault == TERN_FAULT_NONE);
    return fault;
}

static void expect(struct tern_view der, tern_fault expected, const char *what)
{
    tern_err err;
    tern_fault fault = fault_of(der, WALL, &err);
    if (fault != expected)
        fail_msg("%s: %s %s in place of %s", what, tern_err_name(err), tern_fault_name(fault),
                 tern_fault_name(expected));
}

static void expect_forged(struct world *w, const struct forge *f, tern_fault expected,
                          const char *what)
{
    expect(forge_make(f, (struct tern_span){w->bytes, sizeof w->bytes}), expected, what);
}

/* ---- the specification's ---- */

static const struct {
    const char *der;
    const char *peer_id; /* NULL: refused */
} spec_vectors[] = {
    {"308201ae30820156a0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c69"
     "627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f3430393630313031"
     "3133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306"
     "072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f03"
     "80b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea37c307a3078"
     "060a2b0601040183a25a0101046a3068042408011220a77f1d92fedb59dddaea5a1c4abd1ac2fbde7d7b879ed364"
     "501809923d7c11b90440d90d2769db992d5e6195dbb08e706b6651e024fda6cfb8846694a435519941cac215a820"
     "7792e42849cccc6cd8136c6e4bde92a58c5e08cfd4206eb5fe0bf909300a06082a8648ce3d040302034600304302"
     "1f50f6b6c52711a881778718238f650c9fb48943ae6ee6d28427dc6071ae55e702203625f116a7a454db9c56986c"
     "82a25682f7248ea1cb764d322ea983ed36a31b77",
     "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv"},
    {"308201f63082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c69"
     "627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f3430393630313031"
     "3133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306"
     "072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f03"
     "80b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea381c23081bf"
     "3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059301306072a8648ce3d020106082a8648ce"
     "3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf6cb5d52da7563e"
     "794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f2044730450220064ea8124774caf8f50e57f436aa"
     "62350ce652418c019df5d98a3ac666c9386a022100aa59d704a931b5f72fb9222cb6cc51f954d04a4e2e5450f880"
     "5fe8918f71eaae300a06082a8648ce3d04030203470030440220799395b0b6c1e940a7e4484705f610ab51ed376f"
     "19ff9d7c16757cfbf61b8d4302206205c03fbb0f95205c779be86581d3e31c01871ad5d1f3435bcf375cb0e5088"
     "a",
     "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE"},
    {"308201ba3082015fa0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c69"
     "627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f3430393630313031"
     "3133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306"
     "072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f03"
     "80b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea38184308181"
     "307f060a2b0601040183a25a01010471306f0425080212210206dc6968726765b820f050263ececf7f71e4955892"
     "776c0970542efd689d2382044630440220145e15a991961f0d08cd15425bb95ec93f6ffa03c5a385eedc34ecf464"
     "c7a8ab022026b3109b8a3f40ef833169777eb2aa337cfb6282f188de0666d1bcec2a4690dd300a06082a8648ce3d"
     "0403020349003046022100e1a217eeef9ec9204b3f774a08b70849646b6a1e6b8b27f93dc00ed58545d9fe022100"
     "b00dafa549d0f03547878338c7b15e7502888f6d45db387e5ae6b5d46899cef0",
     "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs"},
    {"308201f73082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c69"
     "627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f3430393630313031"
     "3133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301313059301306"
     "072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132721bb9d7a84c4f03"
     "80b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37e381569ea381c23081bf"
     "3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059301306072a8648ce3d020106082a8648ce"
     "3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c973155de0bb5a96fedf6cb5d52da7563e"
     "794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f204473045022100bb6e03577b7cc7a3cd1558df0d"
     "a2b117dfdcc0399bc2504ebe7de6f65cade72802206de96e2a5be9b6202adba24ee0362e490641ac45c240db71fe"
     "955f2c5cf8df6e300a06082a8648ce3d0403020348003045022100e847f267f43717358f850355bdcabbefb2cfbf"
     "8a3c043b203a14788a092fe8db022027c1d04a2d41fd6b57a7e8b3989e470325de4406e52e084e34a3fd56eef0d0"
     "df",
     NULL},
};

static void the_specifications_certificates_are_judged_as_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(spec_vectors); i++) {
        struct tern_view der = TEST_HEX(spec_vectors[i].der, 1024);
        if (spec_vectors[i].peer_id == NULL) {
            expect(der, TERN_FAULT_CERTIFICATE_HOST_SIGNATURE, "vector 4");
            continue;
        }
        struct tern_public_key key;
        struct tern_peer_id id;
        struct tern_peer_id expected;
        tern_fault fault;
        assert_int_equal(tern_certificate_check(der, WALL, &key, &fault), TERN_OK);
        tern_public_key_peer_id(&key, &id);
        tern_public_key_fini(&key);
        assert_int_equal(tern_peer_id_parse(tern_view_str(spec_vectors[i].peer_id), &expected),
                         TERN_OK);
        assert_true(tern_peer_id_equal(&id, &expected));
    }
}

/* ---- ours ---- */

static const enum tern_certificate_key key_types[] = {TERN_CERTIFICATE_P256,
                                                      TERN_CERTIFICATE_ED25519};

static struct tern_certificate make(struct world *w, enum tern_certificate_key type, uint64_t seed)
{
    struct tern_certificate certificate;
    struct tern_random random;
    tern_random_init_u64(&random, seed);
    assert_int_equal(
        tern_certificate_make(&(struct tern_certificate_options){.kind = TERN_CERTIFICATE_LIBP2P,
                                                                 .key_type = type,
                                                                 .mem = &w->mem,
                                                                 .random = &random,
                                                                 .host_key = &w->host},
                              &certificate),
        TERN_OK);
    return certificate;
}

static struct tern_certificate make_web(struct world *w, tern_wall_time from, tern_wall_time to)
{
    struct tern_certificate certificate;
    assert_int_equal(
        tern_certificate_make(&(struct tern_certificate_options){.kind = TERN_CERTIFICATE_WEB,
                                                                 .mem = &w->mem,
                                                                 .random = &w->random,
                                                                 .not_before = from,
                                                                 .not_after = to},
                              &certificate),
        TERN_OK);
    return certificate;
}

static struct tern_view der_of(const struct tern_certificate *certificate)
{
    return tern_view_of(certificate->der, certificate->der_size);
}

/* What OpenSSL makes of it: one certificate, self-signed, with the private key that goes with it.
 */
static X509 *openssl_view(const struct tern_certificate *certificate)
{
    const unsigned char *at = certificate->der;
    X509 *x = d2i_X509(NULL, &at, (long)certificate->der_size);
    assert_non_null(x);
    assert_ptr_equal(at, certificate->der + certificate->der_size);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    const unsigned char *key_at = certificate->key;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &key_at, (long)certificate->key_size);
    assert_non_null(key);
    assert_ptr_equal(key_at, certificate->key + certificate->key_size);
    assert_int_equal(X509_check_private_key(x, key), 1);
    EVP_PKEY_free(key);
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256(der_of(certificate), digest);
    assert_memory_equal(digest, certificate->sha256, sizeof digest);
    return x;
}

static void our_certificates_pass_with_every_host_key(void **state)
{
    (void)state;
    static const enum tern_key_type types[] = {TERN_KEY_ED25519, TERN_KEY_SECP256K1, TERN_KEY_ECDSA,
                                               TERN_KEY_RSA};
    for (size_t i = 0; i < TERN_COUNT_OF(types); i++) {
        struct world w;
        world_init(&w, types[i] == TERN_KEY_RSA ? TERN_KEY_ED25519 : types[i]);
        if (types[i] == TERN_KEY_RSA) {
            tern_private_key_fini(&w.host);
            assert_int_equal(tern_private_key_generate_rsa(2048, &w.host), TERN_OK);
        }
        struct tern_certificate certificate = make(&w, key_types[i % 2], 7);
        X509 *x = openssl_view(&certificate);
        assert_int_equal(X509_get_ext_count(x), 1);
        assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(x, 0)), 0);
        assert_int_equal(X509_get_version(x), 2);
        BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
        assert_int_equal(BN_num_bits(serial), 127);
        BN_free(serial);
        X509_free(x);
        struct tern_public_key key;
        tern_fault fault;
        assert_int_equal(tern_certificate_check(der_of(&certificate), WALL, &key, &fault), TERN_OK);
        assert_true(tern_public_key_equal(&key, &w.host.public_key));
        tern_public_key_fini(&key);
        tern_certificate_fini(&certificate);
        world_fini(&w);
    }
}

static void the_same_seed_gives_the_same_certificate(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    for (size_t i = 0; i < TERN_COUNT_OF(key_types); i++) {
        struct tern_certificate first = make(&w, key_types[i], 7);
        struct tern_certificate again = make(&w, key_types[i], 7);
        struct tern_certificate other = make(&w, key_types[i], 8);
        assert_true(tern_view_equal(der_of(&first), der_of(&again)));
        assert_memory_equal(first.key, again.key, sizeof first.key);
        assert_memory_not_equal(first.key, other.key, sizeof first.key);
        assert_memory_not_equal(first.sha256, other.sha256, sizeof first.sha256);
        tern_certificate_fini(&first);
        tern_certificate_fini(&again);
        tern_certificate_fini(&other);
        static const uint8_t zeros[sizeof first];
        assert_memory_equal(&first, zeros, sizeof first); /* the key is wiped */
    }
    world_fini(&w);
}

/* OpenSSL takes signatures by the certificate's key for what the certificate says. */
static void the_certificates_key_signs(void **state)
{
    (void)state;
    static const char message[] = "what a handshake signs";
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    for (size_t i = 0; i < TERN_COUNT_OF(key_types); i++) {
        struct tern_certificate certificate = make(&w, key_types[i], 7);
        struct tern_certificate_signer *signer;
        uint8_t digest[TERN_SHA256_SIZE];
        uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
        struct tern_writer signature = tern_writer_of(bytes, sizeof bytes);
        bool p256 = key_types[i] == TERN_CERTIFICATE_P256;
        X509 *x = openssl_view(&certificate);
        assert_int_equal(tern_certificate_signer_open(&w.mem, &certificate, &signer), TERN_OK);
        tern_certificate_fini(&certificate);
        assert_int_equal(tern_certificate_signer_type(signer), key_types[i]);
        tern_sha256(tern_view_str(message), digest);
        assert_int_equal(tern_certificate_signer_sign(signer,
                                                      p256 ? tern_view_of(digest, sizeof digest)
                                                           : tern_view_str(message),
                                                      &signature),
                         TERN_OK);
        tern_certificate_signer_close(signer);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestVerifyInit(context, NULL, p256 ? EVP_sha256() : NULL, NULL,
                                              X509_get0_pubkey(x)),
                         1);
        assert_int_equal(EVP_DigestVerify(context, bytes, signature.size,
                                          (const unsigned char *)message, strlen(message)),
                         1);
        EVP_MD_CTX_free(context);
        X509_free(x);
    }
    assert_int_equal(w.mem.used, 0);
    world_fini(&w);
}

static void any_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    for (size_t i = 0; i < TERN_COUNT_OF(key_types); i++) {
        struct tern_certificate certificate = make(&w, key_types[i], 7);
        for (size_t bit = 0; bit < certificate.der_size * 8; bit++) {
            tern_err err;
            certificate.der[bit / 8] ^= (uint8_t)(1U << bit % 8);
            if (fault_of(der_of(&certificate), WALL, &err) == TERN_FAULT_NONE)
                fail_msg("bit %zu", bit);
            certificate.der[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        expect(der_of(&certificate), TERN_FAULT_NONE, "unchanged");
        tern_certificate_fini(&certificate);
    }
    world_fini(&w);
}

static void any_cut_is_malformed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct tern_certificate certificate = make(&w, TERN_CERTIFICATE_P256, 7);
    for (size_t size = 0; size < certificate.der_size; size++)
        expect(tern_view_of(certificate.der, size), TERN_FAULT_CERTIFICATE_MALFORMED, "cut");
    uint8_t longer[1024];
    memcpy(longer, certificate.der, certificate.der_size);
    longer[certificate.der_size] = 0;
    expect(tern_view_of(longer, certificate.der_size + 1), TERN_FAULT_CERTIFICATE_MALFORMED,
           "a byte behind it");
    tern_certificate_fini(&certificate);
    world_fini(&w);
}

/* ---- what others may send ---- */

static void keys_and_algorithms_of_others_are_taken(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_SECP256K1);
    EVP_PKEY *p256 = forge_key("EC", "P-256");
    EVP_PKEY *p384 = forge_key("EC", "P-384");
    EVP_PKEY *ed25519 = forge_key("ED25519", NULL);
    EVP_PKEY *rsa = forge_rsa(2048);
    EVP_PKEY *longer_rsa = forge_rsa(3072);
    const struct {
        EVP_PKEY *key;
        const char *md;
        bool pss;
        EVP_PKEY *other; /* that signs in its place */
    } cases[] = {
        {p256, "SHA256", false, w.key},     {p256, "SHA384", false, w.key},
        {p384, "SHA384", false, w.key},     {p384, "SHA512", false, w.key},
        {ed25519, NULL, false, NULL},       {rsa, "SHA256", false, longer_rsa},
        {rsa, "SHA384", false, longer_rsa}, {longer_rsa, "SHA512", false, rsa},
        {rsa, "SHA256", true, longer_rsa},  {rsa, "SHA384", true, longer_rsa},
        {longer_rsa, "SHA512", true, rsa},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct forge f = honest(&w);
        f.key = cases[i].key;
        f.md = cases[i].md;
        f.pss = cases[i].pss;
        char what[32];
        (void)snprintf(what, sizeof what, "case %zu", i);
        expect_forged(&w, &f, TERN_FAULT_NONE, what);
        if (cases[i].other == NULL)
            continue;
        f.signer = cases[i].other;
        expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_SELF_SIGNATURE, what);
    }
    EVP_PKEY *const keys[] = {p256, p384, ed25519, rsa, longer_rsa};
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++)
        EVP_PKEY_free(keys[i]);
    world_fini(&w);
}

/* A modulus of any size, without the primes it would take to sign. */
static EVP_PKEY *rsa_of_bits(int bits)
{
    BIGNUM *n = BN_new();
    BIGNUM *e = BN_new();
    assert_int_equal(BN_set_bit(n, bits - 1), 1);
    assert_int_equal(BN_set_bit(n, 0), 1);
    assert_int_equal(BN_set_word(e, 65537), 1);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "n", n), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "e", e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key;
}

/* Huge keys cost a verifier dearly (CVE-2023-39533, CVE-2023-29409); a curve's parameters in full
 * are a way into the library's general arithmetic (CVE-2022-0778). */
static void keys_beyond_the_profile_are_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    EVP_PKEY *explicit_curve = forge_key("EC", "P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(explicit_curve, "encoding", "explicit"), 1);
    EVP_PKEY *rsa = forge_rsa(2048);
    struct {
        const char *what;
        EVP_PKEY *key;
        EVP_PKEY *signer;
    } cases[] = {
        {"RSA of 1,024 bits", rsa_of_bits(1024), rsa},
        {"RSA of 2,047 bits", rsa_of_bits(2047), rsa},
        {"RSA of 8,193 bits", rsa_of_bits(8193), rsa},
        {"RSA of 16,384 bits", rsa_of_bits(16384), rsa},
        {"P-521", forge_key("EC", "P-521"), NULL},
        {"secp256k1", forge_key("EC", "secp256k1"), NULL},
        {"a curve by its parameters", explicit_curve, NULL},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct forge f = honest(&w);
        f.key = cases[i].key;
        f.signer = cases[i].signer;
        expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_KEY, cases[i].what);
        EVP_PKEY_free(cases[i].key);
    }
    EVP_PKEY_free(rsa);
    world_fini(&w);
}

static void weak_or_strange_algorithms_are_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    EVP_PKEY *rsa = forge_rsa(2048);
    EVP_PKEY *ed25519 = forge_key("ED25519", NULL);
    const struct {
        const char *what;
        EVP_PKEY *key;
        EVP_PKEY *signer;
        const char *md;
        int pss_salt;
    } cases[] = {
        {"ECDSA with SHA-1", w.key, NULL, "SHA1", 0},
        {"ECDSA with SHA-224", w.key, NULL, "SHA224", 0},
        {"RSA with SHA-1", rsa, NULL, "SHA1", 0},
        {"PSS with SHA-1", rsa, NULL, "SHA1", 20},
        {"PSS with a short salt", rsa, NULL, "SHA256", 8},
        {"ECDSA where the key is of RSA", rsa, w.key, "SHA256", 0},
        {"Ed25519 where the key is of ECDSA", w.key, ed25519, NULL, 0},
        {"RSA where the key is of Ed25519", ed25519, rsa, "SHA256", 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct forge f = honest(&w);
        f.key = cases[i].key;
        f.signer = cases[i].signer;
        f.md = cases[i].md;
        f.pss = cases[i].pss_salt != 0;
        f.pss_salt = cases[i].pss_salt;
        expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_ALGORITHM, cases[i].what);
    }
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ed25519);
    world_fini(&w);
}

static void critical_extensions_must_be_understood(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct forge_extension extension;
        tern_fault fault;
    } cases[] = {
        {"unknown", {"1.2.3.4", false, {(const uint8_t *)"x", 1}}, TERN_FAULT_NONE},
        {"unknown and critical",
         {"1.2.3.4", true, {(const uint8_t *)"x", 1}},
         TERN_FAULT_CERTIFICATE_CRITICAL_EXTENSION},
        {"basicConstraints",
         {"2.5.29.19", true, {(const uint8_t *)"\x30\x03\x01\x01\xff", 5}},
         TERN_FAULT_NONE},
        {"keyUsage for signatures",
         {"2.5.29.15", true, {(const uint8_t *)"\x03\x02\x07\x80", 4}},
         TERN_FAULT_NONE},
        {"keyUsage for other things",
         {"2.5.29.15", true, {(const uint8_t *)"\x03\x02\x01\x06", 4}},
         TERN_FAULT_CERTIFICATE_CRITICAL_EXTENSION},
        {"keyUsage without a bit",
         {"2.5.29.15", true, {(const uint8_t *)"\x03\x01\x00", 3}},
         TERN_FAULT_CERTIFICATE_CRITICAL_EXTENSION},
        {"nameConstraints",
         {"2.5.29.30", true, {(const uint8_t *)"\x30\x00", 2}},
         TERN_FAULT_CERTIFICATE_CRITICAL_EXTENSION},
    };
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct forge f = honest(&w);
        f.extensions[0] = cases[i].extension;
        for (int critical = 0; critical < 2; critical++) { /* libp2p's own may be either */
            f.identity_critical = critical != 0;
            expect_forged(&w, &f, cases[i].fault, cases[i].what);
        }
    }
    world_fini(&w);
}

static void extensions_are_bounded_and_there_once(void **state)
{
    (void)state;
    static char names[FORGE_EXTENSIONS_MAX][16];
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct forge f = honest(&w);
    for (int i = 0; i < TERN_CERTIFICATE_EXTENSIONS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "1.2.3.%d", i);
        f.extensions[i].oid = names[i];
        /* with the identity, one less than the loop's count is the most */
        expect_forged(&w, &f,
                      i + 1 < TERN_CERTIFICATE_EXTENSIONS_MAX ? TERN_FAULT_NONE
                                                              : TERN_FAULT_CERTIFICATE_MALFORMED,
                      names[i]);
    }
    f = honest(&w);
    uint8_t value[1024];
    f.extensions[0].oid = "1.3.6.1.4.1.53594.1.1"; /* a second identity: which one would count? */
    f.extensions[0].value = forge_identity(&f, (struct tern_span){value, sizeof value});
    expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_MALFORMED, "twice");
    world_fini(&w);
}

static void the_identity_must_be_there_and_whole(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct forge f = honest(&w);
    f.no_identity = true;
    expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_NO_IDENTITY, "none, and no extensions at all");
    f.extensions[0].oid = "1.3.6.1.4.1.53594.1.2";
    expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_NO_IDENTITY, "another of libp2p's names");
    static const struct {
        const char *what;
        const char *bytes;
        size_t size;
        tern_fault fault;
    } cases[] = {
        {"no SEQUENCE", "\x04\x01x", 3, TERN_FAULT_CERTIFICATE_BAD_IDENTITY},
        {"cut", "\x30\x05\x04\x01k\x04", 6, TERN_FAULT_CERTIFICATE_BAD_IDENTITY},
        {"no signature", "\x30\x03\x04\x01k", 5, TERN_FAULT_CERTIFICATE_BAD_IDENTITY},
        {"three strings", "\x30\x09\x04\x01k\x04\x01s\x04\x01t", 11,
         TERN_FAULT_CERTIFICATE_BAD_IDENTITY},
        {"bytes behind it", "\x30\x06\x04\x01k\x04\x01s\x00", 9,
         TERN_FAULT_CERTIFICATE_BAD_IDENTITY},
        {"the key is junk", "\x30\x06\x04\x01k\x04\x01s", 8, TERN_FAULT_CERTIFICATE_HOST_KEY},
        {"the key is of no known type", "\x30\x09\x04\x04\x08\x09\x12\x00\x04\x01s", 11,
         TERN_FAULT_CERTIFICATE_HOST_KEY},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        f = honest(&w);
        f.identity = tern_view_of(cases[i].bytes, cases[i].size);
        expect_forged(&w, &f, cases[i].fault, cases[i].what);
    }
    world_fini(&w);
}

static void the_host_must_have_signed_this_key(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct forge f = honest(&w);
    f.host_signs_other = true;
    expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_HOST_SIGNATURE, "another key");
    /* A proof taken out of an honest host's certificate, put beside a key of one's own. */
    uint8_t value[1024];
    f = honest(&w);
    f.identity = forge_identity(&f, (struct tern_span){value, sizeof value});
    f.key = forge_key("EC", "P-256");
    expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_HOST_SIGNATURE, "a stolen proof");
    EVP_PKEY_free(f.key);
    world_fini(&w);
}

/* Each is an error and nothing worse: GHSA-5hq8-qhww-jm7q (rust-libp2p) was a panic over a
 * certificate that had expired. */
static void validity_is_judged_with_patience(void **state)
{
    (void)state;
    static const tern_wall_time from = SECONDS(1748736000); /* 2025-06-01 */
    static const tern_wall_time to = SECONDS(1751328000);   /* 2025-07-01 */
    const struct {
        tern_wall_time wall;
        tern_fault fault;
    } cases[] = {
        {0, TERN_FAULT_NONE}, /* no clock */
        {from - DAY - TERN_SECOND, TERN_FAULT_CERTIFICATE_NOT_YET_VALID},
        {from - DAY, TERN_FAULT_NONE},
        {from, TERN_FAULT_NONE},
        {to, TERN_FAULT_NONE},
        {to + DAY, TERN_FAULT_NONE},
        {to + DAY + TERN_SECOND, TERN_FAULT_CERTIFICATE_EXPIRED},
        {1, TERN_FAULT_CERTIFICATE_NOT_YET_VALID},
        {UINT64_MAX, TERN_FAULT_CERTIFICATE_EXPIRED},
    };
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct forge f = honest(&w);
    f.not_before = "20250601000000Z";
    f.not_after = "20250701000000Z";
    struct tern_view der = forge_make(&f, (struct tern_span){w.bytes, sizeof w.bytes});
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        tern_err err;
        if (fault_of(der, cases[i].wall, &err) != cases[i].fault)
            fail_msg("case %zu: %s", i, tern_err_name(err));
    }
    struct tern_certificate ours = make(&w, TERN_CERTIFICATE_P256, 7);
    static const tern_wall_time good[] = {1, SECONDS(4733510400)};
    for (size_t i = 0; i < TERN_COUNT_OF(good); i++) {
        tern_err err;
        assert_int_equal(fault_of(der_of(&ours), good[i], &err), TERN_FAULT_NONE);
    }
    tern_certificate_fini(&ours);
    world_fini(&w);
}

static void size_is_judged_first(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    static const uint8_t filling[TERN_CERTIFICATE_SIZE_MAX];
    struct forge f = honest(&w);
    f.extensions[0].oid = "1.2.3.4";
    f.extensions[0].value = tern_view_of(filling, TERN_CERTIFICATE_SIZE_MAX - 1024);
    expect_forged(&w, &f, TERN_FAULT_NONE, "large");
    f.extensions[0].value.size = TERN_CERTIFICATE_SIZE_MAX;
    expect_forged(&w, &f, TERN_FAULT_CERTIFICATE_TOO_LARGE, "too large");
    world_fini(&w);
}

/* ---- structure ---- */

/* A certificate of ours with some bytes of what is signed replaced by others. Its signature is
 * wrong then, but it is the reader that is asked. */
static bool parses_with(struct world *w, const struct tern_certificate *certificate,
                        struct tern_view old, struct tern_view new)
{
    struct tern_certificate_parts parts;
    assert_true(tern_certificate_parse(der_of(certificate), &parts));
    struct tern_reader r = tern_reader_of(parts.to_be_signed);
    struct tern_view fields;
    assert_true(tern_der_read(&r, TERN_DER_SEQUENCE, &fields));
    const uint8_t *at = memmem(fields.data, fields.size, old.data, old.size);
    assert_non_null(at);
    size_t before = (size_t)(at - fields.data);
    uint8_t bytes[2][1024];
    struct tern_writer tbs = tern_writer_of(bytes[0], sizeof bytes[0]);
    tern_writer_bytes(&tbs, tern_view_part(fields, 0, before));
    tern_writer_bytes(&tbs, new);
    tern_writer_bytes(&tbs,
                      tern_view_part(fields, before + old.size, fields.size - before - old.size));
    struct tern_writer inner = tern_writer_of(bytes[1], sizeof bytes[1]);
    tern_der_write(&inner, TERN_DER_SEQUENCE, tern_writer_view(&tbs));
    struct tern_view rest = tern_view_of(parts.to_be_signed.data + parts.to_be_signed.size, 0);
    rest.size = (size_t)(certificate->der + certificate->der_size - rest.data);
    tern_writer_bytes(&inner, rest);
    struct tern_writer whole = tern_writer_of(w->bytes, sizeof w->bytes);
    tern_der_write(&whole, TERN_DER_SEQUENCE, tern_writer_view(&inner));
    assert_true(tern_writer_ok(&tbs) && tern_writer_ok(&inner) && tern_writer_ok(&whole));
    return tern_certificate_parse(tern_writer_view(&whole), &parts);
}

static void odd_structures_are_malformed(void **state)
{
    (void)state;
#define BYTES(s) {(const uint8_t *)(s), sizeof(s) - 1}
    static const struct {
        const char *what;
        struct tern_view old;
        struct tern_view new;
        bool good;
    } cases[] = {
        {"nothing changed", BYTES("\xa0\x03\x02\x01\x02"), BYTES("\xa0\x03\x02\x01\x02"), true},
        {"version 1", BYTES("\xa0\x03\x02\x01\x02"), BYTES(""), false},
        {"version 2", BYTES("\xa0\x03\x02\x01\x02"), BYTES("\xa0\x03\x02\x01\x01"), false},
        {"version 4", BYTES("\xa0\x03\x02\x01\x02"), BYTES("\xa0\x03\x02\x01\x03"), false},
        {"a unique identifier", BYTES("\xa3\x81"), BYTES("\x81\x02\x00\x01\xa3\x81"), false},
        {"two unique identifiers", BYTES("\xa3\x81"),
         BYTES("\x81\x02\x00\x01\x82\x02\x00\x01\xa3\x81"), false},
        {"another algorithm inside", BYTES("\x3d\x04\x03\x02"), BYTES("\x3d\x04\x03\x03"), false},
        {"a name without attributes", BYTES("\x30\x14\x31\x12"), BYTES("\x30\x16\x31\x00\x31\x12"),
         false},
        {"a name that is no SET", BYTES("\x30\x14\x31\x12"), BYTES("\x30\x14\x30\x12"), false},
        {"an attribute without a value", BYTES("\x55\x04\x0a\x0c\x09libp2p.io"),
         BYTES("\x55\x04\x0a\x03\x30\x00"), false},
        {"an extension's name that is not minimal", BYTES("\x06\x0a\x2b\x06"),
         BYTES("\x06\x0a\x2b\x80"), false},
        {"an extension that is FALSE", BYTES("\x5a\x01\x01\x04"),
         BYTES("\x5a\x01\x01\x01\x01\x00\x04"), false},
        {"a point with unused bits", BYTES("\x03\x42\x00\x04"), BYTES("\x03\x42\x01\x04"), false},
    };
    struct world w;
    world_init(&w, TERN_KEY_ECDSA);
    struct tern_certificate certificate = make(&w, TERN_CERTIFICATE_P256, 7);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++)
        if (parses_with(&w, &certificate, cases[i].old, cases[i].new) != cases[i].good)
            fail_msg("%s", cases[i].what);
    tern_certificate_fini(&certificate);
    world_fini(&w);
}

static void only_true_times_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"700101000000Z", true},  {"491231235959Z", true},  {"500101000000Z", true},
        {"000229000000Z", true},  {"200229000000Z", true},  {"010229000000Z", false},
        {"201301000000Z", false}, {"200001000000Z", false}, {"200100000000Z", false},
        {"200431000000Z", false}, {"200101240000Z", false}, {"200101006000Z", false},
        {"200101000060Z", false}, {"2001010000000", false}, {"20010100000aZ", false},
        {"-20101000000Z", false},
    };
    static const struct tern_view old = BYTES("\x17\x0d"
                                              "700101000000Z");
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct tern_certificate certificate = make(&w, TERN_CERTIFICATE_P256, 7);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        uint8_t bytes[15] = "\x17\x0d";
        memcpy(bytes + 2, cases[i].text, 13);
        if (parses_with(&w, &certificate, old, tern_view_of(bytes, sizeof bytes)) != cases[i].good)
            fail_msg("%s", cases[i].text);
    }
    static const struct tern_view forms[] = {
        BYTES("\x17\x0b"
              "2001010000Z"),
        BYTES("\x17\x11"
              "200101000000+0000"),
        BYTES("\x18\x11"
              "20200101000000.0Z"),
        BYTES("\x18\x0d"
              "200101000000Z"),
        BYTES("\x17\x0f"
              "20200101000000Z"),
    };
    for (size_t i = 0; i < TERN_COUNT_OF(forms); i++)
        assert_false(parses_with(&w, &certificate, old, forms[i]));
    tern_certificate_fini(&certificate);
    world_fini(&w);
}

static void written_times_are_read_as_they_were(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    static const struct {
        int64_t seconds;
        const char *text;
    } known[] = {
        {0, "700101000000Z"},
        {951782400, "000229000000Z"},
        {1767225599, "251231235959Z"},
        {2524607999, "491231235959Z"},
        {2524608000, "20500101000000Z"},
        {4107542400, "21000301000000Z"},
        {18446744073, "25540721233433Z"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(known); i++) {
        uint8_t bytes[17];
        struct tern_writer text = tern_writer_of(bytes, sizeof bytes);
        tern_certificate_write_time(&text, known[i].seconds);
        assert_int_equal(text.size - 2, strlen(known[i].text));
        assert_memory_equal(bytes + 2, known[i].text, text.size - 2);
    }
    for (int i = 0; i < 300; i++) {
        int64_t from = (int64_t)tern_random_below(&w.random, 18000000000);
        int64_t to = from + (int64_t)tern_random_below(&w.random, 400000000);
        struct tern_certificate certificate = make_web(&w, SECONDS(from), SECONDS(to));
        struct tern_certificate_parts parts;
        assert_true(tern_certificate_parse(der_of(&certificate), &parts));
        assert_int_equal(parts.not_before, from);
        assert_int_equal(parts.not_after, to);
        tern_certificate_fini(&certificate);
    }
    world_fini(&w);
}

/* ---- pinned by hash ---- */

static tern_fault web_fault(struct tern_view der, tern_wall_time wall, struct tern_view pinned,
                            tern_err *err)
{
    static const uint8_t other[34] = {0x12, 0x20, 0xff};
    uint8_t hash[34] = {0x12, 0x20};
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256(pinned, digest);
    memcpy(hash + 2, digest, sizeof digest);
    const struct tern_view list[] = {tern_view_of(other, sizeof other),
                                     tern_view_of(hash, sizeof hash)};
    tern_fault fault = TERN_FAULT_COUNT;
    *err =
        tern_certificate_check_web(der, wall, &(struct tern_certificate_hashes){list, 2}, &fault);
    assert_int_equal(*err == TERN_OK, fault == TERN_FAULT_NONE);
    return fault;
}

static void our_pinned_certificates_are_what_browsers_take(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct tern_certificate certificate = make_web(&w, WALL, WALL + 14 * DAY);
    X509 *x = openssl_view(&certificate);
    assert_int_equal(X509_get_version(x), 2);
    assert_int_equal(X509_get_ext_count(x), 2);
    assert_int_equal(X509_get_key_usage(x), X509v3_KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(x)), 256);
    X509_free(x);
    const struct {
        tern_wall_time wall;
        tern_fault fault;
    } cases[] = {
        {0, TERN_FAULT_NONE},
        {WALL - TERN_SECOND, TERN_FAULT_CERTIFICATE_NOT_YET_VALID},
        {WALL, TERN_FAULT_NONE},
        {WALL + 14 * DAY, TERN_FAULT_NONE},
        {WALL + 14 * DAY + TERN_SECOND, TERN_FAULT_CERTIFICATE_EXPIRED},
    };
    struct tern_view der = der_of(&certificate);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        tern_err err;
        assert_int_equal(web_fault(der, cases[i].wall, der, &err), cases[i].fault);
    }
    expect(der, TERN_FAULT_CERTIFICATE_NO_IDENTITY, "it is nobody's");
    tern_certificate_fini(&certificate);
    world_fini(&w);
}

static void other_pinned_certificates_are_refused(void **state)
{
    (void)state;
    struct world w;
    tern_err err;
    world_init(&w, TERN_KEY_ED25519);
    struct tern_certificate certificate = make_web(&w, WALL, WALL + 14 * DAY + TERN_SECOND);
    struct tern_view der = der_of(&certificate);
    assert_int_equal(web_fault(der, WALL, der, &err), TERN_FAULT_CERTIFICATE_LONG_LIVED);
    assert_int_equal(web_fault(der, WALL, tern_view_str("another"), &err),
                     TERN_FAULT_CERTIFICATE_NOT_LISTED);
    assert_int_equal(err, TERN_ERR_PEER_MISMATCH);
    der.size--;
    assert_int_equal(web_fault(der, WALL, der, &err), TERN_FAULT_CERTIFICATE_MALFORMED);
    tern_certificate_fini(&certificate);
    EVP_PKEY *keys[] = {forge_rsa(2048), forge_key("EC", "P-384"), forge_key("ED25519", NULL)};
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++) {
        struct forge f = {.key = keys[i],
                          .md = i == 2 ? NULL : "SHA256",
                          .no_identity = true,
                          .not_before = "20260101000000Z",
                          .not_after = "20260110000000Z"};
        der = forge_make(&f, (struct tern_span){w.bytes, sizeof w.bytes});
        assert_int_equal(web_fault(der, WALL, der, &err), TERN_FAULT_CERTIFICATE_KEY);
        EVP_PKEY_free(keys[i]);
    }
    world_fini(&w);
}

/* ---- memory ---- */

static void making_may_find_no_memory(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_KEY_ED25519);
    struct tern_certificate certificate;
    tern_mem_fail_at(&w.mem, 1, false);
    assert_int_equal(
        tern_certificate_make(&(struct tern_certificate_options){.kind = TERN_CERTIFICATE_LIBP2P,
                                                                 .mem = &w.mem,
                                                                 .random = &w.random,
                                                                 .host_key = &w.host},
                              &certificate),
        TERN_ERR_MEMORY);
    tern_mem_fail_at(&w.mem, 0, false);
    assert_int_equal(w.mem.used, 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specifications_certificates_are_judged_as_it_says),
        cmocka_unit_test(our_certificates_pass_with_every_host_key),
        cmocka_unit_test(the_same_seed_gives_the_same_certificate),
        cmocka_unit_test(the_certificates_key_signs),
        cmocka_unit_test(any_flipped_bit_is_refused),
        cmocka_unit_test(any_cut_is_malformed),
        cmocka_unit_test(keys_and_algorithms_of_others_are_taken),
        cmocka_unit_test(keys_beyond_the_profile_are_refused),
        cmocka_unit_test(weak_or_strange_algorithms_are_refused),
        cmocka_unit_test(critical_extensions_must_be_understood),
        cmocka_unit_test(extensions_are_bounded_and_there_once),
        cmocka_unit_test(the_identity_must_be_there_and_whole),
        cmocka_unit_test(the_host_must_have_signed_this_key),
        cmocka_unit_test(validity_is_judged_with_patience),
        cmocka_unit_test(size_is_judged_first),
        cmocka_unit_test(odd_structures_are_malformed),
        cmocka_unit_test(only_true_times_are_read),
        cmocka_unit_test(written_times_are_read_as_they_were),
        cmocka_unit_test(our_pinned_certificates_are_what_browsers_take),
        cmocka_unit_test(other_pinned_certificates_are_refused),
        cmocka_unit_test(making_may_find_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
