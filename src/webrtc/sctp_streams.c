/* Numbers of streams, in pages that come and go. */
#include "webrtc/sctp_internal.h"

enum { STREAM_PAGES = (UINT16_MAX + 1) / SCTP_STREAM_PAGE };

struct sctp_stream *sctp_stream(const struct tern_sctp *s, uint16_t number)
{
    if (s->pages == NULL)
        return NULL;
    struct sctp_stream_page *page = s->pages[number / SCTP_STREAM_PAGE];
    return page == NULL ? NULL : &page->streams[number % SCTP_STREAM_PAGE];
}

struct sctp_stream *sctp_stream_use(struct tern_sctp *s, uint16_t number)
{
    if (s->pages == NULL)
        s->pages = tern_mem_zalloc(s->mem, STREAM_PAGES * sizeof *s->pages);
    if (s->pages == NULL)
        return NULL;
    struct sctp_stream_page **page = &s->pages[number / SCTP_STREAM_PAGE];
    if (*page == NULL)
        *page = tern_mem_zalloc(s->mem, sizeof **page);
    if (*page == NULL)
        return NULL;
    struct sctp_stream *stream = &(*page)->streams[number % SCTP_STREAM_PAGE];
    if (!stream->used) {
        stream->used = true;
        (*page)->used++;
    }
    return stream;
}

void sctp_stream_settle(struct tern_sctp *s, uint16_t number)
{
    struct sctp_stream *stream = sctp_stream(s, number);
    /* Chunks that are in line for the owner look their streams up. */
    if (s->in.ready_first != 0)
        return;
    if (stream == NULL || !stream->used || stream->ssn_in != 0 || stream->ssn_out != 0 ||
        stream->in_message || stream->resetting)
        return;
    struct sctp_stream_page **page = &s->pages[number / SCTP_STREAM_PAGE];
    stream->used = false;
    (*page)->used--;
    if ((*page)->used > 0)
        return;
    tern_mem_free(s->mem, *page, sizeof **page);
    *page = NULL;
}

void sctp_streams_fini(struct tern_sctp *s)
{
    if (s->pages == NULL)
        return;
    for (size_t i = 0; i < STREAM_PAGES; i++)
        tern_mem_free(s->mem, s->pages[i], sizeof *s->pages[i]);
    tern_mem_free(s->mem, s->pages, STREAM_PAGES * sizeof *s->pages);
    s->pages = NULL;
}
