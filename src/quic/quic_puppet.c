#include "quic/quic_puppet.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "quic/quic_path.h"

enum {
    PUPPET_CID_SIZE = 8,
    PUPPET_TAG = 16,
    PUPPET_FIRST_NUMBER = 5000,
    PUPPET_HEARD_MAX = 1 << 17,
    PUPPET_RANGES_MAX = 32,
};

struct puppet_datagram {
    uint8_t bytes[PUPPET_DATAGRAM_MAX + 64];
    size_t size;
};

struct puppet_keys {
    uint8_t key[16];
    uint8_t iv[12];
    uint8_t hp[16];
};

struct quic_puppet {
    struct quic_puppet_options options;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    ngtcp2_crypto_conn_ref ref;
    ngtcp2_conn *ng;
    ngtcp2_path_storage path;
    struct tern_random random;
    tern_time now;
    bool confirmed;
    bool closed;
    bool spoke; /* by itself */
    bool close_application;
    uint64_t close_code;
    uint64_t received_bytes;
    struct puppet_keys tx;
    struct puppet_keys rx;
    uint32_t number;
    uint8_t *heard; /* of each packet number: has it come? */
    uint32_t heard_largest;
    struct puppet_datagram *queue;
    size_t queue_count;
    size_t queue_head;
};

/* --- cryptography --- */

/* puppet_mask is five bytes of AES over the sample. */
static void puppet_mask(const uint8_t hp[16], const uint8_t sample[16], uint8_t mask[16])
{
    uint8_t key_bytes[16];
    uint8_t iv[16] = {0};
    memcpy(key_bytes, hp, sizeof key_bytes);
    gnutls_datum_t key = {.data = key_bytes, .size = sizeof key_bytes};
    gnutls_datum_t zero = {.data = iv, .size = sizeof iv};
    gnutls_cipher_hd_t cipher;
    TERN_CHECK(gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &key, &zero) == 0);
    TERN_CHECK(gnutls_cipher_encrypt2(cipher, sample, 16, mask, 16) == 0);
    gnutls_cipher_deinit(cipher);
}

static void puppet_nonce(const struct puppet_keys *keys, uint32_t number, uint8_t nonce[12])
{
    memcpy(nonce, keys->iv, 12);
    for (size_t i = 0; i < 4; i++)
        nonce[8 + i] ^= (uint8_t)(number >> (24 - 8 * i));
}

static gnutls_aead_cipher_hd_t puppet_aead(const struct puppet_keys *keys)
{
    uint8_t bytes[16];
    gnutls_aead_cipher_hd_t aead;
    memcpy(bytes, keys->key, sizeof bytes);
    gnutls_datum_t key = {.data = bytes, .size = sizeof bytes};
    TERN_CHECK(gnutls_aead_cipher_init(&aead, GNUTLS_CIPHER_AES_128_GCM, &key) == 0);
    return aead;
}

/* puppet_protect seals the payload that lies behind the header, whose last four bytes are the
 * packet number, and hides the header. Returns the packet's size. */
static size_t puppet_protect(const struct puppet_keys *keys, uint8_t *packet, size_t header_size,
                             size_t payload_size, uint32_t number)
{
    uint8_t nonce[12];
    uint8_t mask[16];
    uint8_t plain[PUPPET_DATAGRAM_MAX + 64];
    gnutls_aead_cipher_hd_t aead = puppet_aead(keys);
    puppet_nonce(keys, number, nonce);
    size_t sealed = payload_size + PUPPET_TAG;
    TERN_CHECK(payload_size <= sizeof plain);
    memcpy(plain, packet + header_size, payload_size);
    TERN_CHECK(gnutls_aead_cipher_encrypt(aead, nonce, sizeof nonce, packet, header_size,
                                          PUPPET_TAG, plain, payload_size, packet + header_size,
                                          &sealed) == 0);
    gnutls_aead_cipher_deinit(aead);
    puppet_mask(keys->hp, packet + header_size, mask);
    packet[0] ^= mask[0] & (packet[0] & 0x80 ? 0x0f : 0x1f);
    for (size_t i = 0; i < 4; i++)
        packet[header_size - 4 + i] ^= mask[1 + i];
    return header_size + sealed;
}

/* puppet_expand is HKDF-Expand-Label without context. */
static void puppet_expand(const uint8_t secret[32], const char *label, uint8_t *out, size_t size)
{
    uint8_t info[64];
    uint8_t secret_bytes[32];
    struct tern_writer w = tern_writer_of(info, sizeof info);
    tern_writer_u16be(&w, (uint16_t)size);
    tern_writer_u8(&w, (uint8_t)(6 + strlen(label)));
    tern_writer_str(&w, "tls13 ");
    tern_writer_str(&w, label);
    tern_writer_u8(&w, 0);
    memcpy(secret_bytes, secret, sizeof secret_bytes);
    gnutls_datum_t from = {.data = secret_bytes, .size = sizeof secret_bytes};
    gnutls_datum_t with = {.data = info, .size = (unsigned)w.size};
    TERN_CHECK(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &from, &with, out, size) == 0);
}

/* A client's keys of its first packets (RFC 9001, section 5.2). */
static void puppet_initial_keys(struct tern_view dcid, struct puppet_keys *keys)
{
    static const uint8_t salt_bytes[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
                                           0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                                           0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    uint8_t salt_copy[20];
    uint8_t dcid_copy[20];
    uint8_t initial[32];
    uint8_t client[32];
    memcpy(salt_copy, salt_bytes, sizeof salt_copy);
    tern_copy(dcid_copy, dcid.data, dcid.size);
    gnutls_datum_t salt = {.data = salt_copy, .size = sizeof salt_copy};
    gnutls_datum_t from = {.data = dcid_copy, .size = (unsigned)dcid.size};
    TERN_CHECK(gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &from, &salt, initial) == 0);
    puppet_expand(initial, "client in", client, sizeof client);
    puppet_expand(client, "quic key", keys->key, sizeof keys->key);
    puppet_expand(client, "quic iv", keys->iv, sizeof keys->iv);
    puppet_expand(client, "quic hp", keys->hp, sizeof keys->hp);
}

void quic_puppet_initial(const struct puppet_initial *initial, struct tern_view frames,
                         struct tern_writer *out)
{
    uint8_t packet[PUPPET_DATAGRAM_MAX + 64];
    struct puppet_keys keys;
    struct tern_writer w = tern_writer_of(packet, sizeof packet);
    puppet_initial_keys(initial->dcid, &keys);
    tern_writer_u8(&w, 0xc3);
    tern_writer_u32be(&w, initial->version == 0 ? 1 : initial->version);
    tern_writer_u8(&w, (uint8_t)initial->dcid.size);
    tern_writer_bytes(&w, initial->dcid);
    tern_writer_u8(&w, (uint8_t)initial->scid.size);
    tern_writer_bytes(&w, initial->scid);
    tern_writer_u16be(&w, (uint16_t)(0x4000 | initial->token.size));
    tern_writer_bytes(&w, initial->token);
    size_t header_size = w.size + 2 + 4;
    size_t payload_size = frames.size;
    if (header_size + payload_size + PUPPET_TAG < initial->size)
        payload_size = initial->size - header_size - PUPPET_TAG;
    tern_writer_u16be(&w, (uint16_t)(0x4000 | (4 + payload_size + PUPPET_TAG)));
    tern_writer_u32be(&w, initial->number);
    tern_writer_bytes(&w, frames);
    while (w.size < header_size + payload_size)
        tern_writer_u8(&w, 0);
    TERN_CHECK(tern_writer_ok(&w));
    size_t size = puppet_protect(&keys, packet, header_size, payload_size, initial->number);
    tern_writer_bytes(out, tern_view_of(packet, size));
}

void quic_puppet_varint(struct tern_writer *w, uint64_t value)
{
    TERN_CHECK(value < UINT64_C(1) << 62);
    if (value < 1 << 6)
        tern_writer_u8(w, (uint8_t)value);
    else if (value < 1 << 14)
        tern_writer_u16be(w, (uint16_t)(0x4000 | value));
    else if (value < 1 << 30)
        tern_writer_u32be(w, (uint32_t)(0x80000000 | value));
    else
        tern_writer_u64be(w, UINT64_C(0xc000000000000000) | value);
}

/* --- TLS --- */

static ngtcp2_conn *puppet_conn(ngtcp2_crypto_conn_ref *ref)
{
    struct quic_puppet *puppet = ref->user_data;
    return puppet->ng;
}

static void puppet_keep(struct puppet_keys *keys, const uint8_t *key, const uint8_t *iv,
                        const uint8_t *hp)
{
    memcpy(keys->key, key, sizeof keys->key);
    memcpy(keys->iv, iv, sizeof keys->iv);
    memcpy(keys->hp, hp, sizeof keys->hp);
}

/* puppet_secret installs keys and keeps a copy of those of data. */
static int puppet_secret(gnutls_session_t session, gnutls_record_encryption_level_t level,
                         const void *rx, const void *tx, size_t size)
{
    ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);
    struct quic_puppet *puppet = ref->user_data;
    ngtcp2_encryption_level where = ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(level);
    uint8_t key[64];
    uint8_t iv[64];
    uint8_t hp[64];
    bool data = where == NGTCP2_ENCRYPTION_LEVEL_1RTT;
    if (rx != NULL &&
        ngtcp2_crypto_derive_and_install_rx_key(puppet->ng, key, iv, hp, where, rx, size) != 0)
        return -1;
    if (rx != NULL && data)
        puppet_keep(&puppet->rx, key, iv, hp);
    if (tx != NULL &&
        ngtcp2_crypto_derive_and_install_tx_key(puppet->ng, key, iv, hp, where, tx, size) != 0)
        return -1;
    if (tx != NULL && data)
        puppet_keep(&puppet->tx, key, iv, hp);
    return 0;
}

static gnutls_datum_t puppet_datum(struct tern_view view)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } data = {.in = view.data};
    return (gnutls_datum_t){.data = data.out, .size = (unsigned)view.size};
}

/* puppet_certificates loads what is shown. */
static void puppet_certificates(struct quic_puppet *puppet)
{
    const struct quic_puppet_options *o = &puppet->options;
    TERN_CHECK(gnutls_certificate_allocate_credentials(&puppet->credentials) == 0);
    if (o->certificates_count == 0)
        return;
    gnutls_pcert_st pcerts[PUPPET_CERTIFICATES_MAX];
    gnutls_privkey_t key;
    TERN_CHECK(o->certificates_count <= PUPPET_CERTIFICATES_MAX);
    for (size_t i = 0; i < o->certificates_count; i++) {
        gnutls_datum_t der =
            puppet_datum(tern_view_of(o->certificates[i].der, o->certificates[i].der_size));
        TERN_CHECK(gnutls_pcert_import_x509_raw(&pcerts[i], &der, GNUTLS_X509_FMT_DER, 0) == 0);
    }
    const struct tern_certificate *signer = o->signer == NULL ? &o->certificates[0] : o->signer;
    gnutls_datum_t pkcs8 = puppet_datum(tern_view_of(signer->key, signer->key_size));
    TERN_CHECK(gnutls_privkey_init(&key) == 0);
    TERN_CHECK(gnutls_privkey_import_x509_raw(key, &pkcs8, GNUTLS_X509_FMT_DER, NULL, 0) == 0);
    gnutls_certificate_set_flags(puppet->credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
    TERN_CHECK(gnutls_certificate_set_key(puppet->credentials, NULL, 0, pcerts,
                                          (int)o->certificates_count, key) >= 0);
}

/* puppet_trust takes every certificate. */
static int puppet_trust(gnutls_session_t session)
{
    (void)session;
    return 0;
}

static void puppet_tls(struct quic_puppet *puppet)
{
    const struct quic_puppet_options *o = &puppet->options;
    unsigned flags = (o->server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_AUTO_SEND_TICKET |
                     GNUTLS_FORCE_CLIENT_CERT | GNUTLS_NO_END_OF_EARLY_DATA;
    char priority[256];
    const char *signatures = o->signatures == NULL ? "" : o->signatures;
    int size = snprintf(priority, sizeof priority,
                        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:%s%s"
                        "%%DISABLE_TLS13_COMPAT_MODE",
                        *signatures == '\0' ? "" : "-SIGN-ALL:", signatures);
    TERN_CHECK(size > 0 && (size_t)size < sizeof priority);
    TERN_CHECK(gnutls_priority_init(&puppet->priority, priority, NULL) == 0);
    puppet_certificates(puppet);
    gnutls_certificate_set_verify_function(puppet->credentials, puppet_trust);
    TERN_CHECK(gnutls_init(&puppet->session, flags) == 0);
    puppet->ref = (ngtcp2_crypto_conn_ref){.get_conn = puppet_conn, .user_data = puppet};
    gnutls_session_set_ptr(puppet->session, &puppet->ref);
    TERN_CHECK(gnutls_priority_set(puppet->session, puppet->priority) == 0);
    TERN_CHECK(
        gnutls_credentials_set(puppet->session, GNUTLS_CRD_CERTIFICATE, puppet->credentials) == 0);
    if (o->server) {
        TERN_CHECK(ngtcp2_crypto_gnutls_configure_server_session(puppet->session) == 0);
        gnutls_certificate_server_set_request(puppet->session, GNUTLS_CERT_REQUEST);
    } else {
        TERN_CHECK(ngtcp2_crypto_gnutls_configure_client_session(puppet->session) == 0);
    }
    gnutls_handshake_set_secret_function(puppet->session, puppet_secret);
    gnutls_datum_t alpn = puppet_datum(tern_view_str(o->alpn == NULL ? "libp2p" : o->alpn));
    TERN_CHECK(gnutls_alpn_set_protocols(puppet->session, &alpn, 1, 0) == 0);
    ngtcp2_conn_set_tls_native_handle(puppet->ng, puppet->session);
}

/* --- ngtcp2 --- */

static int puppet_completed(ngtcp2_conn *ng, void *user_data)
{
    struct quic_puppet *puppet = user_data;
    (void)ng;
    puppet->confirmed = true;
    return 0;
}

static void puppet_rand(uint8_t *to, size_t size, const ngtcp2_rand_ctx *context)
{
    tern_random_bytes(context->native_handle, to, size);
}

static int puppet_cid(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t size,
                      void *user_data)
{
    struct quic_puppet *puppet = user_data;
    (void)ng;
    cid->datalen = size;
    tern_random_bytes(&puppet->random, cid->data, size);
    tern_random_bytes(&puppet->random, token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

static const ngtcp2_callbacks puppet_callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = puppet_completed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .rand = puppet_rand,
    .get_new_connection_id = puppet_cid,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

static void puppet_params(const struct quic_puppet *puppet, ngtcp2_transport_params *params)
{
    ngtcp2_transport_params_default(params);
    params->initial_max_stream_data_bidi_local = 1 << 20;
    params->initial_max_stream_data_bidi_remote = 1 << 20;
    params->initial_max_stream_data_uni = 1 << 20;
    params->initial_max_data = 1 << 22;
    params->initial_max_streams_bidi = 100;
    params->max_idle_timeout = 30 * NGTCP2_SECONDS;
    params->active_connection_id_limit =
        puppet->options.cids_max == 0 ? 7 : puppet->options.cids_max;
    params->disable_active_migration = puppet->options.no_migration;
}

/* puppet_spoil_params makes what will be shown of the parameters wrong, behind ngtcp2's back, which
 * would not make such. */
static void puppet_spoil_params(const struct quic_puppet *puppet)
{
    union {
        const ngtcp2_transport_params *in;
        ngtcp2_transport_params *out;
    } local = {.in = ngtcp2_conn_get_local_transport_params(puppet->ng)};
    ngtcp2_transport_params *params = local.out;
    switch (puppet->options.params) {
    case PUPPET_PARAMS_GOOD:
    case PUPPET_PARAMS_COUNT:
        break;
    case PUPPET_PARAMS_FEW_IDS:
        params->active_connection_id_limit = 1;
        break;
    case PUPPET_PARAMS_SMALL_DATAGRAMS:
        params->max_udp_payload_size = 1199;
        break;
    case PUPPET_PARAMS_ACK_EXPONENT:
        params->ack_delay_exponent = 21;
        break;
    case PUPPET_PARAMS_ACK_DELAY:
        params->max_ack_delay = NGTCP2_SECONDS * 20;
        break;
    }
}

static void puppet_settings(struct quic_puppet *puppet, ngtcp2_settings *settings)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = puppet->now;
    settings->rand_ctx.native_handle = &puppet->random;
    settings->no_pmtud = 1;
}

static void puppet_start_client(struct quic_puppet *puppet)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid dcid = {.datalen = 16};
    ngtcp2_cid scid = {.datalen = PUPPET_CID_SIZE};
    uint32_t version = puppet->options.version == 0 ? 1 : puppet->options.version;
    puppet_settings(puppet, &settings);
    puppet_params(puppet, &params);
    tern_random_bytes(&puppet->random, dcid.data, dcid.datalen);
    tern_random_bytes(&puppet->random, scid.data, scid.datalen);
    tern_quic_path_set(&puppet->path, 1, NULL, &puppet->options.remote);
    TERN_CHECK(ngtcp2_conn_client_new(&puppet->ng, &dcid, &scid, &puppet->path.path, version,
                                      &puppet_callbacks, &settings, &params, NULL, puppet) == 0);
    puppet_spoil_params(puppet);
    puppet_tls(puppet);
}

static bool puppet_start_server(struct quic_puppet *puppet, const struct tern_datagrams *in,
                                struct tern_view bytes)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_pkt_hd header;
    ngtcp2_cid scid = {.datalen = PUPPET_CID_SIZE};
    if (ngtcp2_accept(&header, bytes.data, bytes.size) != 0)
        return false;
    puppet_settings(puppet, &settings);
    puppet_params(puppet, &params);
    params.original_dcid = header.dcid;
    params.original_dcid_present = 1;
    tern_random_bytes(&puppet->random, scid.data, scid.datalen);
    tern_quic_path_set(&puppet->path, 1, NULL, &in->path.remote);
    TERN_CHECK(ngtcp2_conn_server_new(&puppet->ng, &header.scid, &scid, &puppet->path.path,
                                      header.version, &puppet_callbacks, &settings, &params, NULL,
                                      puppet) == 0);
    puppet_tls(puppet);
    return true;
}

/* --- a transport --- */

/* puppet_hear opens a 1-RTT packet by itself and notes its number. */
static void puppet_hear(struct quic_puppet *puppet, struct tern_view bytes)
{
    uint8_t packet[2048];
    uint8_t nonce[12];
    uint8_t mask[16];
    uint8_t plain[2048];
    size_t at = 1 + PUPPET_CID_SIZE;
    if (bytes.size < at + 4 + 16 || bytes.size > sizeof packet || (bytes.data[0] & 0x80))
        return;
    memcpy(packet, bytes.data, bytes.size);
    puppet_mask(puppet->rx.hp, packet + at + 4, mask);
    packet[0] ^= mask[0] & 0x1f;
    size_t number_size = 1 + (packet[0] & 3);
    uint32_t number = 0;
    for (size_t i = 0; i < number_size; i++) {
        packet[at + i] ^= mask[1 + i];
        number = number << 8 | packet[at + i];
    }
    /* Near what is expected next. */
    uint32_t window = number_size == 4 ? 0 : 1u << (8 * number_size);
    while (window > 0 && number + window / 2 < puppet->heard_largest + 1)
        number += window;
    puppet_nonce(&puppet->rx, number, nonce);
    gnutls_aead_cipher_hd_t aead = puppet_aead(&puppet->rx);
    size_t size = sizeof plain;
    size_t header_size = at + number_size;
    int code =
        gnutls_aead_cipher_decrypt(aead, nonce, sizeof nonce, packet, header_size, PUPPET_TAG,
                                   packet + header_size, bytes.size - header_size, plain, &size);
    gnutls_aead_cipher_deinit(aead);
    if (code != 0 || number >= PUPPET_HEARD_MAX)
        return;
    puppet->heard[number] = 1;
    if (number > puppet->heard_largest)
        puppet->heard_largest = number;
}

void quic_puppet_put_ack(const struct quic_puppet *puppet, struct tern_writer *w)
{
    uint32_t ranges[PUPPET_RANGES_MAX][2]; /* first, last; the largest range first */
    size_t count = 0;
    for (uint32_t i = puppet->heard_largest + 1; i-- > 0 && count < PUPPET_RANGES_MAX;) {
        if (!puppet->heard[i])
            continue;
        if (count > 0 && ranges[count - 1][0] == i + 1)
            ranges[count - 1][0] = i;
        else
            ranges[count][0] = i, ranges[count][1] = i, count++;
    }
    if (count == 0)
        return;
    quic_puppet_varint(w, 0x02);
    quic_puppet_varint(w, ranges[0][1]);
    quic_puppet_varint(w, 0);
    quic_puppet_varint(w, count - 1);
    quic_puppet_varint(w, ranges[0][1] - ranges[0][0]);
    for (size_t i = 1; i < count; i++) {
        quic_puppet_varint(w, ranges[i - 1][0] - ranges[i][1] - 2);
        quic_puppet_varint(w, ranges[i][1] - ranges[i][0]);
    }
}

static void puppet_over(struct quic_puppet *puppet, int code)
{
    puppet->closed = true;
    if (code != NGTCP2_ERR_DRAINING)
        return;
    const ngtcp2_ccerr *reason = ngtcp2_conn_get_ccerr(puppet->ng);
    puppet->close_application = reason->type == NGTCP2_CCERR_TYPE_APPLICATION;
    puppet->close_code = reason->error_code;
}

static void puppet_recv(void *self, tern_time now, tern_link_id socket,
                        const struct tern_datagrams *in)
{
    struct quic_puppet *puppet = self;
    (void)socket;
    puppet->now = now;
    puppet->received_bytes += in->data.size;
    for (size_t at = 0; at < in->data.size; at += in->segment_size) {
        size_t size = tern_min_size(in->segment_size, in->data.size - at);
        struct tern_view bytes = tern_view_part(in->data, at, size);
        if (puppet->spoke)
            puppet_hear(puppet, bytes);
        if (puppet->closed || puppet->spoke)
            continue;
        if (puppet->ng == NULL && !puppet_start_server(puppet, in, bytes))
            continue;
        const ngtcp2_pkt_info info = {0};
        int code = ngtcp2_conn_read_pkt(puppet->ng, &puppet->path.path, &info, bytes.data,
                                        bytes.size, now);
        if (code != 0)
            puppet_over(puppet, code);
    }
}

static bool puppet_send(void *self, tern_time now, tern_link_id socket,
                        struct tern_datagrams_out *out)
{
    struct quic_puppet *puppet = self;
    (void)socket;
    puppet->now = now;
    if (puppet->path.path.remote.addrlen == 0)
        return false; /* nobody has called yet */
    tern_quic_path_get(&puppet->path.path, &out->path);
    if (puppet->queue_head < puppet->queue_count) {
        const struct puppet_datagram *datagram = &puppet->queue[puppet->queue_head++];
        tern_writer_bytes(&out->writer, tern_view_of(datagram->bytes, datagram->size));
        out->segment_size = (uint16_t)datagram->size;
        return true;
    }
    puppet->queue_head = puppet->queue_count = 0;
    if (puppet->ng == NULL || puppet->closed || puppet->spoke)
        return false;
    ngtcp2_pkt_info info;
    ngtcp2_ssize size =
        ngtcp2_conn_write_pkt(puppet->ng, NULL, &info, out->writer.data, PUPPET_DATAGRAM_MAX, now);
    if (size < 0)
        puppet_over(puppet, (int)size);
    if (size <= 0)
        return false;
    (void)tern_writer_reserve(&out->writer, (size_t)size);
    out->segment_size = (uint16_t)size;
    ngtcp2_conn_update_pkt_tx_time(puppet->ng, now);
    return true;
}

static bool puppet_want_send(const void *self, tern_link_id socket)
{
    const struct quic_puppet *puppet = self;
    (void)socket;
    return puppet->queue_head < puppet->queue_count;
}

static bool puppet_next(void *self, struct tern_session_event *event)
{
    (void)self;
    (void)event;
    return false;
}

static tern_time puppet_deadline(const void *self)
{
    const struct quic_puppet *puppet = self;
    if (puppet->ng == NULL || puppet->closed || puppet->spoke)
        return TERN_TIME_NEVER;
    return ngtcp2_conn_get_expiry(puppet->ng);
}

static void puppet_tick(void *self, tern_time now)
{
    struct quic_puppet *puppet = self;
    puppet->now = now;
    int code = ngtcp2_conn_handle_expiry(puppet->ng, now);
    if (code != 0)
        puppet_over(puppet, code);
}

static void puppet_socket_closed(void *self, tern_time now, tern_link_id socket)
{
    (void)self;
    (void)now;
    (void)socket;
}

static void puppet_fini(void *self)
{
    struct quic_puppet *puppet = self;
    if (puppet->session != NULL) {
        ngtcp2_conn_set_tls_native_handle(puppet->ng, NULL);
        gnutls_deinit(puppet->session);
        gnutls_certificate_free_credentials(puppet->credentials);
        gnutls_priority_deinit(puppet->priority);
    }
    if (puppet->ng != NULL)
        ngtcp2_conn_del(puppet->ng);
    free(puppet->heard);
    free(puppet->queue);
    free(puppet);
}

static const struct tern_session_transport_ops puppet_ops = {
    .name = "puppet",
    .recv = puppet_recv,
    .next = puppet_next,
    .send = puppet_send,
    .want_send = puppet_want_send,
    .deadline = puppet_deadline,
    .tick = puppet_tick,
    .socket_closed = puppet_socket_closed,
    .fini = puppet_fini,
};

struct quic_puppet *quic_puppet_new(const struct quic_puppet_options *options)
{
    struct quic_puppet *puppet = calloc(1, sizeof *puppet);
    TERN_CHECK(puppet != NULL);
    puppet->options = *options;
    puppet->now = options->now;
    puppet->number = PUPPET_FIRST_NUMBER;
    puppet->queue = calloc(PUPPET_QUEUE_MAX, sizeof *puppet->queue);
    puppet->heard = calloc(PUPPET_HEARD_MAX, 1);
    TERN_CHECK(puppet->queue != NULL && puppet->heard != NULL);
    tern_random_init_u64(&puppet->random, 4711);
    if (!options->server && options->remote.family != 0)
        puppet_start_client(puppet);
    return puppet;
}

struct tern_session_transport quic_puppet_transport(struct quic_puppet *puppet)
{
    return (struct tern_session_transport){.ops = &puppet_ops, .self = puppet};
}

/* --- what the test lets it do --- */

enum tern_certificate_key quic_puppet_shown(const struct quic_puppet *puppet)
{
    unsigned count = 0;
    const gnutls_datum_t *der = gnutls_certificate_get_peers(puppet->session, &count);
    gnutls_pcert_st certificate;
    TERN_CHECK(count == 1 &&
               gnutls_pcert_import_x509_raw(&certificate, der, GNUTLS_X509_FMT_DER, 0) == 0);
    int type = gnutls_pubkey_get_pk_algorithm(certificate.pubkey, NULL);
    gnutls_pcert_deinit(&certificate);
    TERN_CHECK(type == GNUTLS_PK_EDDSA_ED25519 || type == GNUTLS_PK_ECDSA);
    return type == GNUTLS_PK_ECDSA ? TERN_CERTIFICATE_P256 : TERN_CERTIFICATE_ED25519;
}

bool quic_puppet_confirmed(const struct quic_puppet *puppet)
{
    return puppet->confirmed;
}

bool quic_puppet_closed(const struct quic_puppet *puppet, bool *application, uint64_t *code)
{
    *application = puppet->close_application;
    *code = puppet->close_code;
    return puppet->closed;
}

void quic_puppet_raw(struct quic_puppet *puppet, struct tern_view datagram)
{
    TERN_CHECK(puppet->queue_count < PUPPET_QUEUE_MAX);
    struct puppet_datagram *to = &puppet->queue[puppet->queue_count++];
    TERN_CHECK(datagram.size <= sizeof to->bytes);
    tern_copy(to->bytes, datagram.data, datagram.size);
    to->size = datagram.size;
}

void quic_puppet_say(struct quic_puppet *puppet, struct tern_view frames)
{
    uint8_t packet[PUPPET_DATAGRAM_MAX + 64];
    struct tern_writer w = tern_writer_of(packet, sizeof packet);
    const ngtcp2_cid *dcid = ngtcp2_conn_get_dcid(puppet->ng);
    TERN_CHECK(puppet->confirmed);
    puppet->spoke = true;
    tern_writer_u8(&w, 0x43);
    tern_writer_bytes(&w, tern_view_of(dcid->data, dcid->datalen));
    tern_writer_u32be(&w, puppet->number);
    size_t header_size = w.size;
    tern_writer_bytes(&w, frames);
    while (w.size < header_size + 4)
        tern_writer_u8(&w, 0);
    TERN_CHECK(tern_writer_ok(&w));
    size_t size =
        puppet_protect(&puppet->tx, packet, header_size, w.size - header_size, puppet->number);
    puppet->number++;
    quic_puppet_raw(puppet, tern_view_of(packet, size));
}

void quic_puppet_copy_dcid(const struct quic_puppet *puppet, uint8_t to[8])
{
    const ngtcp2_cid *dcid = ngtcp2_conn_get_dcid(puppet->ng);
    TERN_CHECK(dcid->datalen == 8);
    memcpy(to, dcid->data, 8);
}

uint64_t quic_puppet_received(const struct quic_puppet *puppet)
{
    return puppet->received_bytes;
}
