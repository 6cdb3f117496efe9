#include "negotiate/multistream.h"

#include "base/check.h"

static const char multistream_header[] = TERN_MULTISTREAM_HEADER;
static const char multistream_na[] = "na";
static const char multistream_ls[] = "ls";

static struct tern_view multistream_text(const char *text)
{
    return tern_view_str(text);
}

/* ---- one message, in and out ---- */

static size_t multistream_wire_size(size_t text_size)
{
    return tern_uvarint_size(text_size + 1) + text_size + 1;
}

/* Writes a message if it fits whole. */
static bool multistream_write(struct tern_writer *out, struct tern_view text)
{
    TERN_CHECK(text.size < TERN_MULTISTREAM_SIZE_MAX);
    if (tern_writer_left(out) < multistream_wire_size(text.size))
        return false;
    tern_writer_uvarint(out, text.size + 1);
    tern_writer_bytes(out, text);
    tern_writer_u8(out, '\n');
    return true;
}

/* Takes one byte of a message's length. Two bytes are enough for every allowed length. */
static tern_fault multistream_length_byte(struct tern_multistream_message *message, uint8_t byte)
{
    TERN_DCHECK(!message->length_done && message->varint_bytes < 2);
    bool last = (byte & 0x80) == 0;
    if (message->varint_bytes == 1 && !last)
        return TERN_FAULT_MULTISTREAM_TOO_LARGE;
    if (message->varint_bytes == 1 && byte == 0)
        return TERN_FAULT_MULTISTREAM_BAD_LENGTH;
    unsigned length = message->length | ((unsigned)(byte & 0x7f) << (7 * message->varint_bytes));
    message->length = (uint16_t)length;
    message->varint_bytes++;
    if (!last)
        return TERN_FAULT_NONE;
    if (length == 0)
        return TERN_FAULT_MULTISTREAM_BAD_LENGTH;
    if (length > TERN_MULTISTREAM_SIZE_MAX)
        return TERN_FAULT_MULTISTREAM_TOO_LARGE;
    message->length_done = true;
    return TERN_FAULT_NONE;
}

/* The next piece of the message's text and newline that lies in the input. */
static struct tern_view multistream_piece(const struct tern_multistream_message *message,
                                          struct tern_view in, size_t used)
{
    size_t left = (size_t)message->length - message->offset;
    return tern_view_of(in.data + used, tern_min_size(left, in.size - used));
}

/* Is the piece what stands at the message's offset in text and newline? */
static bool multistream_piece_is(const struct tern_multistream_message *message,
                                 struct tern_view piece, struct tern_view text)
{
    if (message->length != text.size + 1)
        return false;
    size_t in_text = 0;
    if (message->offset < text.size)
        in_text = tern_min_size(piece.size, text.size - message->offset);
    if (in_text > 0 && memcmp(piece.data, text.data + message->offset, in_text) != 0)
        return false;
    return in_text == piece.size || piece.data[in_text] == '\n';
}

static void multistream_message_advance(struct tern_multistream_message *message, size_t size)
{
    TERN_DCHECK(size <= (size_t)message->length - message->offset);
    message->offset = (uint16_t)(message->offset + size);
}

static bool multistream_message_whole(const struct tern_multistream_message *message)
{
    return message->length_done && message->offset == message->length;
}

/* ---- the dialer ---- */

void tern_multistream_dialer_init(struct tern_multistream_dialer *dialer,
                                  const struct tern_multistream_dialer_options *options)
{
    TERN_CHECK(options->names_count > 0 && options->names_count <= TERN_MULTISTREAM_NAMES_MAX);
    for (size_t i = 0; i < options->names_count; i++)
        TERN_CHECK(options->names[i].size > 0 &&
                   options->names[i].size <= TERN_MULTISTREAM_NAME_SIZE_MAX);
    *dialer = (struct tern_multistream_dialer){
        .names = options->names,
        .names_count = (uint8_t)options->names_count,
        .lazy = options->lazy && options->names_count == 1,
    };
}

static tern_err dialer_fail(struct tern_multistream_dialer *dialer, tern_err err, tern_fault fault)
{
    dialer->state = TERN_MULTISTREAM_FAILED;
    dialer->err = err;
    dialer->fault = fault;
    return err;
}

/* What an answer means that is neither the echo nor "na". A listener never says a name that it was
 * not asked for, so the first answer being another name tells that the remote proposes too. */
static tern_err dialer_bad_answer(struct tern_multistream_dialer *dialer)
{
    bool proposal = dialer->starts_with_slash && dialer->index == 0;
    return dialer_fail(dialer, TERN_ERR_PROTOCOL,
                       proposal ? TERN_FAULT_MULTISTREAM_BOTH_DIAL
                                : TERN_FAULT_MULTISTREAM_BAD_ANSWER);
}

static tern_err dialer_answer(struct tern_multistream_dialer *dialer)
{
    if (!dialer->proposal_sent || (!dialer->maybe_echo && !dialer->maybe_na))
        return dialer_bad_answer(dialer);
    if (dialer->maybe_echo) {
        dialer->state = TERN_MULTISTREAM_NEGOTIATED;
        return TERN_OK;
    }
    if (dialer->index + 1 == dialer->names_count)
        return dialer_fail(dialer, TERN_ERR_NO_PROTOCOL, TERN_FAULT_NONE);
    dialer->index++;
    dialer->proposal_sent = false;
    return TERN_OK;
}

static void dialer_match(struct tern_multistream_dialer *dialer, struct tern_view piece)
{
    const struct tern_multistream_message *message = &dialer->in;
    struct tern_view echo = dialer->names[dialer->index];
    if (message->offset == 0) {
        dialer->starts_with_slash = piece.data[0] == '/';
        dialer->maybe_echo = true;
        dialer->maybe_na = true;
    }
    dialer->maybe_echo = dialer->maybe_echo && multistream_piece_is(message, piece, echo);
    dialer->maybe_na =
        dialer->maybe_na && multistream_piece_is(message, piece, multistream_text(multistream_na));
}

/* Takes the part of the current message that is in the input. */
static tern_err dialer_take(struct tern_multistream_dialer *dialer, struct tern_view piece)
{
    bool is_header = !dialer->header_received;
    if (is_header &&
        !multistream_piece_is(&dialer->in, piece, multistream_text(multistream_header)))
        return dialer_fail(dialer, TERN_ERR_PROTOCOL, TERN_FAULT_MULTISTREAM_NO_HEADER);
    if (!is_header)
        dialer_match(dialer, piece);
    multistream_message_advance(&dialer->in, piece.size);
    if (!multistream_message_whole(&dialer->in))
        return TERN_OK;
    dialer->in = (struct tern_multistream_message){.length = 0};
    dialer->header_received = true;
    return is_header ? TERN_OK : dialer_answer(dialer);
}

tern_err tern_multistream_dialer_recv(struct tern_multistream_dialer *dialer, struct tern_view in,
                                      size_t *used)
{
    *used = 0;
    while (*used < in.size && dialer->state == TERN_MULTISTREAM_PENDING) {
        if (dialer->in.length_done) {
            uint8_t index = dialer->index;
            struct tern_view piece = multistream_piece(&dialer->in, in, *used);
            *used += piece.size;
            TERN_TRY(dialer_take(dialer, piece));
            if (dialer->index != index)
                break; /* what follows can only be read when the next name has been proposed */
            continue;
        }
        tern_fault fault = multistream_length_byte(&dialer->in, in.data[*used]);
        *used += 1;
        if (fault != TERN_FAULT_NONE)
            return dialer_fail(dialer, TERN_ERR_PROTOCOL, fault);
    }
    return dialer->err;
}

void tern_multistream_dialer_send(struct tern_multistream_dialer *dialer, struct tern_writer *out)
{
    if (!tern_multistream_dialer_want_send(dialer))
        return;
    if (!dialer->header_sent)
        dialer->header_sent = multistream_write(out, multistream_text(multistream_header));
    if (dialer->header_sent)
        dialer->proposal_sent = multistream_write(out, dialer->names[dialer->index]);
}

bool tern_multistream_dialer_want_send(const struct tern_multistream_dialer *dialer)
{
    return dialer->state == TERN_MULTISTREAM_PENDING && !dialer->proposal_sent;
}

bool tern_multistream_dialer_can_write(const struct tern_multistream_dialer *dialer)
{
    switch (dialer->state) {
    case TERN_MULTISTREAM_PENDING:
        return dialer->lazy && dialer->proposal_sent;
    case TERN_MULTISTREAM_NEGOTIATED:
        return true;
    case TERN_MULTISTREAM_FAILED:
        return false;
    }
    TERN_UNREACHABLE();
}

size_t tern_multistream_dialer_index(const struct tern_multistream_dialer *dialer)
{
    TERN_CHECK(dialer->state == TERN_MULTISTREAM_NEGOTIATED);
    return dialer->index;
}

/* ---- the listener ---- */

void tern_multistream_listener_init(struct tern_multistream_listener *listener,
                                    struct tern_mem *mem)
{
    *listener = (struct tern_multistream_listener){.mem = mem};
}

static void listener_free_text(struct tern_multistream_listener *listener)
{
    tern_mem_free(listener->mem, listener->text, listener->text_size);
    listener->text = NULL;
    listener->text_size = 0;
}

void tern_multistream_listener_fini(struct tern_multistream_listener *listener)
{
    listener_free_text(listener);
}

static tern_err listener_fail(struct tern_multistream_listener *listener, tern_err err,
                              tern_fault fault)
{
    listener_free_text(listener);
    listener->state = TERN_MULTISTREAM_FAILED;
    listener->err = err;
    listener->fault = fault;
    return err;
}

/* What does not parse behind a refusal is most likely a lazy dialer's application data: no blame.
 */
static tern_err listener_malformed(struct tern_multistream_listener *listener, tern_fault fault)
{
    if (listener->proposals_count > 0)
        return listener_fail(listener, TERN_ERR_NO_PROTOCOL,
                             TERN_FAULT_MULTISTREAM_GARBAGE_AFTER_REFUSAL);
    return listener_fail(listener, TERN_ERR_PROTOCOL, fault);
}

/* The length of a message is known: make room for a proposal. */
static tern_err listener_start(struct tern_multistream_listener *listener)
{
    if (!listener->header_received)
        return TERN_OK;
    if (listener->proposals_count == TERN_MULTISTREAM_PROPOSALS_MAX)
        return listener_fail(listener, TERN_ERR_PROTOCOL,
                             TERN_FAULT_MULTISTREAM_TOO_MANY_PROPOSALS);
    TERN_CHECK(listener->text == NULL);
    listener->text = tern_mem_alloc(listener->mem, listener->in.length);
    if (listener->text == NULL)
        return listener_fail(listener, TERN_ERR_MEMORY, TERN_FAULT_NONE);
    listener->text_size = listener->in.length;
    return TERN_OK;
}

static struct tern_view listener_name(const struct tern_multistream_listener *listener)
{
    TERN_CHECK(listener->text_size > 0);
    return tern_view_of(listener->text, (size_t)listener->text_size - 1);
}

static tern_err listener_message_end(struct tern_multistream_listener *listener)
{
    listener->in = (struct tern_multistream_message){.length = 0};
    if (!listener->header_received) {
        listener->header_received = true;
        return TERN_OK;
    }
    if (listener->text[listener->text_size - 1] != '\n')
        return listener_malformed(listener, TERN_FAULT_MULTISTREAM_NO_NEWLINE);
    listener->proposals_count++;
    listener->proposal_waits = true;
    struct tern_view name = listener_name(listener);
    /* An empty name and a request for a list are nobody's protocols: not worth an event. */
    if (name.size == 0 || tern_view_equal(name, multistream_text(multistream_ls)))
        tern_multistream_listener_refuse(listener);
    return TERN_OK;
}

static tern_err listener_take(struct tern_multistream_listener *listener, struct tern_view piece)
{
    if (listener->header_received)
        memcpy(listener->text + listener->in.offset, piece.data, piece.size);
    else if (!multistream_piece_is(&listener->in, piece, multistream_text(multistream_header)))
        return listener_fail(listener, TERN_ERR_PROTOCOL, TERN_FAULT_MULTISTREAM_NO_HEADER);
    multistream_message_advance(&listener->in, piece.size);
    if (!multistream_message_whole(&listener->in))
        return TERN_OK;
    return listener_message_end(listener);
}

tern_err tern_multistream_listener_recv(struct tern_multistream_listener *listener,
                                        struct tern_view in, size_t *used)
{
    *used = 0;
    while (listener->state == TERN_MULTISTREAM_PENDING && !listener->proposal_waits &&
           *used < in.size) {
        if (listener->in.length_done) {
            struct tern_view piece = multistream_piece(&listener->in, in, *used);
            *used += piece.size;
            TERN_TRY(listener_take(listener, piece));
            continue;
        }
        tern_fault fault = multistream_length_byte(&listener->in, in.data[*used]);
        *used += 1;
        if (fault != TERN_FAULT_NONE)
            return listener_malformed(listener, fault);
        if (listener->in.length_done)
            TERN_TRY(listener_start(listener));
    }
    return listener->err;
}

bool tern_multistream_listener_proposal(const struct tern_multistream_listener *listener,
                                        struct tern_view *name)
{
    if (!listener->proposal_waits)
        return false;
    *name = listener_name(listener);
    return true;
}

void tern_multistream_listener_accept(struct tern_multistream_listener *listener)
{
    TERN_CHECK(listener->proposal_waits);
    listener->proposal_waits = false;
    listener->echo_to_send = true;
    listener->state = TERN_MULTISTREAM_NEGOTIATED;
}

void tern_multistream_listener_refuse(struct tern_multistream_listener *listener)
{
    TERN_CHECK(listener->proposal_waits);
    listener->proposal_waits = false;
    listener->refusals_to_send++;
    listener_free_text(listener);
}

void tern_multistream_listener_send(struct tern_multistream_listener *listener,
                                    struct tern_writer *out)
{
    if (!tern_multistream_listener_want_send(listener))
        return;
    if (!listener->header_sent)
        listener->header_sent = multistream_write(out, multistream_text(multistream_header));
    if (!listener->header_sent)
        return;
    while (listener->refusals_to_send > 0) {
        if (!multistream_write(out, multistream_text(multistream_na)))
            return;
        listener->refusals_to_send--;
    }
    if (listener->echo_to_send && multistream_write(out, listener_name(listener))) {
        listener->echo_to_send = false;
        listener_free_text(listener);
    }
}

bool tern_multistream_listener_want_send(const struct tern_multistream_listener *listener)
{
    return listener->header_received &&
           (!listener->header_sent || listener->refusals_to_send > 0 || listener->echo_to_send);
}
