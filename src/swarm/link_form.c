/* How the link of a transport is wrapped (conn/conn.h), and what its other end is called. */
#include "swarm/private.h"

static const struct {
    enum tern_transport transport;
    enum tern_link_form form;
} link_forms[] = {
    {TERN_TRANSPORT_TCP, TERN_LINK_PLAIN},
    {TERN_TRANSPORT_WS, TERN_LINK_WEBSOCKET},
    {TERN_TRANSPORT_WSS, TERN_LINK_WEBSOCKET_TLS},
};

unsigned tern_link_forms(const struct swarm_birth *birth)
{
    uint32_t transports =
        birth->outbound ? TERN_TRANSPORT_BIT(birth->transport) : birth->transports;
    unsigned forms = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(link_forms); i++)
        if (transports & TERN_TRANSPORT_BIT(link_forms[i].transport))
            forms |= (unsigned)link_forms[i].form;
    return forms;
}

enum tern_transport tern_link_transport(enum tern_link_form form)
{
    for (size_t i = 0; i < TERN_COUNT_OF(link_forms); i++)
        if (link_forms[i].form == form)
            return link_forms[i].transport;
    TERN_UNREACHABLE();
}

struct tern_view tern_link_host(const struct swarm_birth *birth, struct tern_span room)
{
    struct tern_writer w = tern_writer_of(room.data, room.size);
    struct tern_ip ip;
    bool brackets = birth->host.size == 0 && birth->remote.family == 6;
    if (!birth->outbound || birth->transport == TERN_TRANSPORT_TCP)
        return (struct tern_view){.data = NULL};
    tern_writer_str(&w, brackets ? "[" : "");
    tern_endpoint_ip(&birth->remote, &ip);
    if (birth->host.size > 0)
        tern_writer_bytes(&w, birth->host);
    else
        tern_ip_format(&ip, &w);
    tern_writer_str(&w, brackets ? "]:" : ":");
    tern_writer_decimal(&w, birth->remote.port);
    TERN_CHECK(tern_writer_ok(&w));
    return tern_writer_view(&w);
}
