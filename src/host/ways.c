#include "host/ways.h"

#include "base/check.h"
#include "crypto/mlkem.h"

enum { WAYS_MAX = 8, WAYS_SHOWN_MAX = 40 };

struct ways_name {
    const char *name;
    uint32_t value;
};

static const struct ways_name ways_transports[] = {
    {"tcp", TERN_TRANSPORT_TCP},
    {"ws", TERN_TRANSPORT_WS},
    {"wss", TERN_TRANSPORT_WSS},
    {"quic-v1", TERN_TRANSPORT_QUIC},
    {"webtransport", TERN_TRANSPORT_WEBTRANSPORT},
    {"webrtc-direct", TERN_TRANSPORT_WEBRTC},
};
static const struct ways_name ways_secure[] = {
    {"noise", TERN_SECURE_NOISE},
    {"tls", TERN_SECURE_TLS},
    {"plaintext", TERN_SECURE_PLAINTEXT},
    {"noise-mlkem768", TERN_SECURE_NOISE_HYBRID}, /* the last: not every library has it */
};
static const struct ways_name ways_muxers[] = {
    {"yamux", TERN_MUXER_YAMUX},
    {"mplex", TERN_MUXER_MPLEX},
};

_Static_assert(TERN_COUNT_OF(ways_transports) <= WAYS_MAX, "values have room for all");
_Static_assert(TERN_COUNT_OF(ways_secure) <= TERN_CONN_SECURE_MAX, "so has the configuration");
_Static_assert(TERN_COUNT_OF(ways_muxers) <= TERN_CONN_MUXERS_MAX, "so has the configuration");

/* One of the three lists: what can be said, and then what was. */
struct ways_list {
    const char *what;
    const struct ways_name *names;
    size_t names_count;
    const char *text;
    uint32_t values[WAYS_MAX];
    size_t count;
};

static void ways_say_all(const struct ways_list *list, struct tern_writer *message)
{
    for (size_t i = 0; i < list->names_count; i++) {
        tern_writer_str(message, i == 0 ? "" : ", ");
        tern_writer_str(message, list->names[i].name);
    }
}

static tern_err ways_add(struct ways_list *list, struct tern_view name, struct tern_writer *message)
{
    size_t i = 0;
    while (i < list->names_count && !tern_view_equal(tern_view_str(list->names[i].name), name))
        i++;
    if (i == list->names_count) {
        tern_writer_str(message, list->what);
        tern_writer_str(message, ": there is no \"");
        tern_writer_bytes(message,
                          tern_view_of(name.data, tern_min_size(name.size, WAYS_SHOWN_MAX)));
        tern_writer_str(message, "\" here; there is ");
        ways_say_all(list, message);
        return name.size == 0 ? TERN_ERR_INVALID : TERN_ERR_UNSUPPORTED;
    }
    for (size_t k = 0; k < list->count; k++)
        if (list->values[k] == list->names[i].value)
            return TERN_OK; /* said twice */
    TERN_CHECK(list->count < WAYS_MAX);
    list->values[list->count++] = list->names[i].value;
    return TERN_OK;
}

/* The next name, without the blanks around it; *text goes behind its comma, or to NULL. */
static struct tern_view ways_next(const char **text)
{
    const char *start = *text + strspn(*text, " ");
    size_t whole = strcspn(start, ",");
    size_t size = whole;
    while (size > 0 && start[size - 1] == ' ')
        size--;
    *text = start[whole] == ',' ? start + whole + 1 : NULL;
    return tern_view_of(start, size);
}

static tern_err ways_read(struct ways_list *list, struct tern_writer *message)
{
    const char *text = list->text;
    while (text != NULL)
        TERN_TRY(ways_add(list, ways_next(&text), message));
    return TERN_OK;
}

void tern_ways_all(struct tern_swarm_config *config)
{
    config->transports = TERN_TRANSPORTS_ALL;
    config->secure[0] = TERN_SECURE_NOISE;
    config->secure[1] = TERN_SECURE_TLS;
    config->secure_count = 2;
    config->dial_first_choice = true;
    config->muxers[0] = TERN_MUXER_YAMUX;
    config->muxers[1] = TERN_MUXER_MPLEX;
    config->muxers_count = 2;
}

tern_err tern_ways_apply(const struct tern_ways *ways, struct tern_swarm_config *config,
                         struct tern_writer *message)
{
    struct ways_list transports = {.what = "transports",
                                   .names = ways_transports,
                                   .names_count = TERN_COUNT_OF(ways_transports),
                                   .text = ways->transports};
    struct ways_list secure = {.what = "secure",
                               .names = ways_secure,
                               .names_count =
                                   TERN_COUNT_OF(ways_secure) - (tern_mlkem_available() ? 0 : 1),
                               .text = ways->secure};
    struct ways_list muxers = {.what = "muxers",
                               .names = ways_muxers,
                               .names_count = TERN_COUNT_OF(ways_muxers),
                               .text = ways->muxers};
    TERN_TRY(ways_read(&transports, message));
    TERN_TRY(ways_read(&secure, message));
    TERN_TRY(ways_read(&muxers, message));
    if (transports.count > 0)
        config->transports = 0;
    for (size_t i = 0; i < transports.count; i++)
        config->transports |= TERN_TRANSPORT_BIT(transports.values[i]);
    for (size_t i = 0; i < secure.count; i++)
        config->secure[i] = (enum tern_secure_kind)secure.values[i];
    for (size_t i = 0; i < muxers.count; i++)
        config->muxers[i] = (enum tern_muxer_kind)muxers.values[i];
    if (secure.count > 0 || muxers.count > 0)
        config->dial_first_choice = false;
    config->secure_count = secure.count > 0 ? secure.count : config->secure_count;
    config->muxers_count = muxers.count > 0 ? muxers.count : config->muxers_count;
    return TERN_OK;
}
