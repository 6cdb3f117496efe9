/*
 * Requests and responses of HTTP/3, as far as a session of libp2p on WebTransport needs them:
 *
 *     :method CONNECT  :protocol webtransport  :scheme https  :authority …
 *     :path /.well-known/libp2p-webtransport?type=noise        sec-webtransport-http3-draft02: 1
 *                                              :status 200  sec-webtransport-http3-draft: draft02
 *
 * Rules of messages (RFC 9114, section 4.3; RFC 9220): pseudo fields first, each once and known;
 * names in lower case; none that belong to a connection. A request that keeps them and is for
 * something else is answered by a status.
 *
 * Pure, thread safe. Specifications: as webtransport/http3.h; libp2p/specs webtransport/README.md.
 */
#ifndef TERN_WEBTRANSPORT_REQUEST_H
#define TERN_WEBTRANSPORT_REQUEST_H

#include "base/fault.h"
#include "base/mem.h"
#include "base/writer.h"

enum web_status {
    WEB_STATUS_OK = 200,
    WEB_STATUS_BAD_REQUEST = 400,
    WEB_STATUS_NOT_FOUND = 404,
    WEB_STATUS_NOT_ALLOWED = 405,
    WEB_STATUS_TOO_LARGE = 431,
    WEB_STATUS_NOT_IMPLEMENTED = 501,
};

enum { WEB_MESSAGE_SIZE_MAX = 1024 }; /* of a HEADERS frame of ours */

/* web_request_read decodes a request's section and judges it: WEB_STATUS_OK, or what to answer.
 * Errors of web_qpack_decode. */
TERN_NODISCARD tern_err web_request_read(struct tern_mem *mem, struct tern_view section,
                                         enum web_status *status, tern_fault *fault);

/* web_request_write writes the HEADERS frame that asks for a session. TERN_ERR_MEMORY,
 * TERN_ERR_TOO_LARGE. */
TERN_NODISCARD tern_err web_request_write(struct tern_mem *mem, struct tern_view authority,
                                          struct tern_writer *out);

/* web_response_read decodes a response's section: *status is 100 .. 599. Errors as above. */
TERN_NODISCARD tern_err web_response_read(struct tern_mem *mem, struct tern_view section,
                                          unsigned *status, tern_fault *fault);

/* web_response_write writes the HEADERS frame that answers. Errors as above. */
TERN_NODISCARD tern_err web_response_write(struct tern_mem *mem, enum web_status status,
                                           struct tern_writer *out);

#endif
