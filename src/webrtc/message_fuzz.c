/* First byte: the size of a piece. The rest: what a data channel brings. Whatever it is, the
 * outcome is the same in pieces as at once; and it may be a message of DCEP, too. */
#include "base/check.h"
#include "crypto/sha256.h"
#include "webrtc/data_channel.h"
#include "webrtc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out: a hash over bytes and flags, and where it ended. */
struct fuzz_outcome {
    uint8_t digest[TERN_SHA256_SIZE];
    bool malformed;
    bool between;
    size_t bytes;
};

static struct fuzz_outcome fuzz_read(struct tern_view in, size_t piece)
{
    struct tern_message_decoder d = {.state = TERN_MESSAGE_LENGTH};
    struct fuzz_outcome outcome = {.malformed = false};
    struct tern_sha256 sha;
    tern_sha256_init(&sha);
    for (size_t at = 0; at < in.size && !outcome.malformed;) {
        struct tern_view part = tern_view_part(in, at, tern_min_size(piece, in.size - at));
        struct tern_view bytes = tern_view_of(NULL, 0);
        at += part.size;
        enum tern_message_news news;
        while ((news = tern_message_decode(&d, &part, &bytes)) != TERN_MESSAGE_MORE) {
            outcome.malformed = news == TERN_MESSAGE_MALFORMED;
            if (outcome.malformed)
                break;
            if (news == TERN_MESSAGE_DATA) {
                TERN_CHECK(bytes.size > 0);
                tern_sha256_update(&sha, bytes);
                outcome.bytes += bytes.size;
            } else {
                TERN_CHECK(d.flag < TERN_MESSAGE_NO_FLAG);
                const uint8_t flag[] = {0xff, (uint8_t)d.flag, (uint8_t)d.code};
                tern_sha256_update(&sha, tern_view_of(flag, sizeof flag));
            }
        }
        TERN_CHECK(outcome.malformed || part.size == 0);
    }
    outcome.between = tern_message_between(&d);
    tern_sha256_final(&sha, outcome.digest);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct tern_view in = tern_view_of(data + 1, size - 1);
    struct fuzz_outcome whole = fuzz_read(in, in.size + 1);
    struct fuzz_outcome parts = fuzz_read(in, 1 + (size_t)data[0] % 40);
    TERN_CHECK(whole.malformed == parts.malformed);
    TERN_CHECK(memcmp(whole.digest, parts.digest, sizeof whole.digest) == 0);
    TERN_CHECK(whole.bytes == parts.bytes && whole.bytes <= in.size);
    TERN_CHECK(whole.malformed || whole.between == parts.between);
    struct tern_dcep dcep;
    (void)!tern_dcep_decode(in, &dcep);
    return 0;
}
