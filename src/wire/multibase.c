#include "wire/multibase.h"

#include "base/check.h"

enum base_kind { KIND_BITS, KIND_NUMBER };

enum { BASE_CHARACTERS = 128, BASE_NONE = 0xff, BASE_NUMBER_TEXT_MAX = 640, BASE_LIMBS_MAX = 72 };

struct base_row {
    const char *name;
    const char *alphabet;
    uint8_t prefix;
    enum base_kind kind;
    uint8_t bits; /* KIND_BITS: of a character */
    bool padded;
    bool folded;
};

static const struct base_row base_rows[TERN_BASE_COUNT] = {
#define X(name_, prefix_, text_, kind_, bits_, padded_, folded_, alphabet_)                        \
    [TERN_##name_] = {.name = text_,                                                               \
                      .alphabet = alphabet_,                                                       \
                      .prefix = (uint8_t)prefix_,                                                  \
                      .kind = KIND_##kind_,                                                        \
                      .bits = bits_,                                                               \
                      .padded = padded_,                                                           \
                      .folded = folded_},
#include "wire/multibase.def"
#undef X
};

static const struct base_row *base_row(enum tern_base base)
{
    TERN_CHECK((unsigned)base < TERN_BASE_COUNT);
    return &base_rows[base];
}

static uint8_t base_fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* The digit of each character, or BASE_NONE. Made per call: cheaper than a search for each
 * character, and no table lies about for every base. */
static void base_digits(const struct base_row *row, uint8_t digits[BASE_CHARACTERS])
{
    memset(digits, BASE_NONE, BASE_CHARACTERS);
    for (uint8_t i = 0; row->alphabet[i] != '\0'; i++) {
        uint8_t c = (uint8_t)row->alphabet[i];
        digits[c] = i;
        if (!row->folded)
            continue;
        if (c >= 'a' && c <= 'z')
            digits[c - 'a' + 'A'] = i;
        else
            digits[base_fold(c)] = i;
    }
}

static uint8_t base_digit(const uint8_t digits[BASE_CHARACTERS], uint8_t c)
{
    return c < BASE_CHARACTERS ? digits[c] : BASE_NONE;
}

const char *tern_base_name(enum tern_base base)
{
    return base_row(base)->name;
}

bool tern_base_of_prefix(uint8_t prefix, enum tern_base *base)
{
    if (prefix == 0)
        return false;
    for (unsigned i = 0; i < TERN_BASE_COUNT; i++) {
        if (base_rows[i].prefix == prefix) {
            *base = (enum tern_base)i;
            return true;
        }
    }
    return false;
}

/* Characters in which a padded text's length is a multiple: those of a whole number of bytes. */
static size_t base_group(const struct base_row *row)
{
    return row->bits == 5 ? 8 : 4;
}

size_t tern_base_text_size_max(enum tern_base base, size_t size)
{
    const struct base_row *row = base_row(base);
    TERN_CHECK(size <= SIZE_MAX / 16);
    if (row->kind == KIND_BITS)
        return (size * 8 + row->bits - 1) / row->bits + (row->padded ? base_group(row) : 0);
    /* log(256) / log(10) = 2.41, / log(36) = 1.55, / log(58) = 1.37 */
    if (base == TERN_BASE10)
        return size * 5 / 2 + 1;
    return size * 8 / 5 + 1;
}

static tern_err base_encode_bits(const struct base_row *row, struct tern_view bytes,
                                 struct tern_writer *text)
{
    uint32_t mask = (1U << row->bits) - 1;
    uint32_t held = 0;
    unsigned held_bits = 0;
    size_t count = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        held = (held << 8 | bytes.data[i]) & 0xffff;
        held_bits += 8;
        while (held_bits >= row->bits) {
            held_bits -= row->bits;
            tern_writer_u8(text, (uint8_t)row->alphabet[held >> held_bits & mask]);
            count++;
        }
    }
    if (held_bits > 0) {
        tern_writer_u8(text, (uint8_t)row->alphabet[held << (row->bits - held_bits) & mask]);
        count++;
    }
    while (row->padded && count % base_group(row) != 0) {
        tern_writer_u8(text, '=');
        count++;
    }
    return tern_writer_ok(text) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

/* Takes the padding off. False: it is not exactly what the base wants. */
static bool base_strip_padding(const struct base_row *row, struct tern_view *text)
{
    if (!row->padded)
        return true;
    size_t group = base_group(row);
    if (text->size % group != 0)
        return false;
    size_t padding = 0;
    while (padding < group && padding < text->size && text->data[text->size - 1 - padding] == '=')
        padding++;
    text->size -= padding;
    return padding < group;
}

static tern_err base_decode_bits(const struct base_row *row, struct tern_view text,
                                 struct tern_writer *bytes)
{
    if (!base_strip_padding(row, &text))
        return TERN_ERR_MALFORMED;
    uint8_t digits[BASE_CHARACTERS];
    base_digits(row, digits);
    uint32_t held = 0;
    unsigned held_bits = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t digit = base_digit(digits, text.data[i]);
        if (digit == BASE_NONE)
            return TERN_ERR_MALFORMED;
        held = (held << row->bits | digit) & 0xffff;
        held_bits += row->bits;
        if (held_bits >= 8) {
            held_bits -= 8;
            tern_writer_u8(bytes, (uint8_t)(held >> held_bits));
        }
    }
    /* What is left over are the unused low bits of the last character: fewer than one character's,
     * and zero. More would be a character that carries nothing. */
    if (held_bits >= row->bits || (held & ((1U << held_bits) - 1)) != 0)
        return TERN_ERR_MALFORMED;
    return tern_writer_ok(bytes) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

/* Both directions of the number bases are one long multiplication with carry. The number is kept in
 * limbs, least significant first; a limb holds as many digits of the base it is written in as fit
 * 32 bits (five of base 58), so that most of the work is done a group of digits at a time. */
struct base_number {
    uint32_t limbs[BASE_LIMBS_MAX];
    size_t capacity;
    size_t count;
    uint64_t base; /* of a limb */
};

/* The number becomes itself times `times`, plus `digit`; digit < times <= 2^32. False: it does not
 * fit. */
static bool base_number_add(struct base_number *n, uint64_t times, uint64_t digit)
{
    uint64_t carry = digit;
    for (size_t i = 0; i < n->count; i++) {
        carry += n->limbs[i] * times;
        n->limbs[i] = (uint32_t)(carry % n->base);
        carry /= n->base;
    }
    while (carry > 0) {
        if (n->count == n->capacity)
            return false;
        n->limbs[n->count++] = (uint32_t)(carry % n->base);
        carry /= n->base;
    }
    return true;
}

/* How many digits of the base one limb takes, and how many values they have. */
static size_t base_limb_digits(uint64_t base, uint64_t *values)
{
    size_t digits = 0;
    for (*values = 1; *values * base <= UINT32_MAX; *values *= base)
        digits++;
    return digits;
}

/* Writes the digits of a number whose limbs hold limb_digits of them each. */
static void base_number_write(const struct base_number *n, const char *alphabet, size_t limb_digits,
                              struct tern_writer *text)
{
    uint32_t base = (uint32_t)strlen(alphabet);
    for (size_t i = n->count; i > 0; i--) {
        uint8_t digits[sizeof(uint32_t) * 8];
        uint32_t limb = n->limbs[i - 1];
        size_t count = 0;
        /* All digits, with leading zeros, but for the first limb. */
        while (i == n->count ? limb > 0 : count < limb_digits) {
            digits[count++] = (uint8_t)alphabet[limb % base];
            limb /= base;
        }
        while (count > 0)
            tern_writer_u8(text, digits[--count]);
    }
}

static tern_err base_encode_number(const struct base_row *row, struct tern_view bytes,
                                   struct tern_writer *text)
{
    if (bytes.size > TERN_BASE_NUMBER_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    struct base_number n = {.capacity = BASE_LIMBS_MAX};
    size_t limb_digits = base_limb_digits(strlen(row->alphabet), &n.base);
    size_t zeros = 0;
    while (zeros < bytes.size && bytes.data[zeros] == 0)
        zeros++;
    for (size_t i = zeros; i < bytes.size;) {
        uint64_t times = 1;
        uint64_t group = 0;
        for (; i < bytes.size && times <= UINT32_MAX; i++, times <<= 8)
            group = group << 8 | bytes.data[i];
        bool fits = base_number_add(&n, times, group);
        TERN_CHECK(fits); /* 256 bytes are 617 decimal digits: 69 limbs */
    }
    for (size_t i = 0; i < zeros; i++)
        tern_writer_u8(text, (uint8_t)row->alphabet[0]);
    base_number_write(&n, row->alphabet, limb_digits, text);
    return tern_writer_ok(text) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

/* Reads the digits of a text from start, a limb's worth at a time, into limbs of 32 bits. */
static tern_err base_number_read(const struct base_row *row, struct tern_view text, size_t start,
                                 struct base_number *n)
{
    uint8_t digits[BASE_CHARACTERS];
    uint64_t values;
    base_digits(row, digits);
    uint64_t base = strlen(row->alphabet);
    size_t limb_digits = base_limb_digits(base, &values);
    for (size_t i = start; i < text.size;) {
        uint64_t times = 1;
        uint64_t group = 0;
        for (size_t j = 0; j < limb_digits && i < text.size; j++, i++, times *= base) {
            uint8_t digit = base_digit(digits, text.data[i]);
            if (digit == BASE_NONE)
                return TERN_ERR_MALFORMED;
            group = group * base + digit;
        }
        if (!base_number_add(n, times, group))
            return TERN_ERR_TOO_LARGE;
    }
    return TERN_OK;
}

static tern_err base_decode_number(const struct base_row *row, struct tern_view text,
                                   struct tern_writer *bytes)
{
    if (text.size > BASE_NUMBER_TEXT_MAX)
        return TERN_ERR_TOO_LARGE;
    size_t zeros = 0;
    while (zeros < text.size && text.data[zeros] == (uint8_t)row->alphabet[0])
        zeros++;
    struct base_number n = {.capacity = TERN_BASE_NUMBER_SIZE_MAX / sizeof(uint32_t),
                            .base = UINT64_C(1) << 32};
    TERN_TRY(base_number_read(row, text, zeros, &n));
    uint8_t number[TERN_BASE_NUMBER_SIZE_MAX];
    struct tern_writer w = tern_writer_of(number, sizeof number);
    for (size_t i = n.count; i > 0; i--)
        tern_writer_u32be(&w, n.limbs[i - 1]);
    struct tern_view value = tern_writer_view(&w);
    while (value.size > 0 && value.data[0] == 0)
        value = tern_view_of(value.data + 1, value.size - 1);
    if (zeros + value.size > TERN_BASE_NUMBER_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    for (size_t i = 0; i < zeros; i++)
        tern_writer_u8(bytes, 0);
    tern_writer_bytes(bytes, value);
    return tern_writer_ok(bytes) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

tern_err tern_base_encode(enum tern_base base, struct tern_view bytes, struct tern_writer *text)
{
    const struct base_row *row = base_row(base);
    if (row->kind == KIND_BITS)
        return base_encode_bits(row, bytes, text);
    return base_encode_number(row, bytes, text);
}

tern_err tern_base_decode(enum tern_base base, struct tern_view text, struct tern_writer *bytes)
{
    const struct base_row *row = base_row(base);
    if (row->kind == KIND_BITS)
        return base_decode_bits(row, text, bytes);
    return base_decode_number(row, text, bytes);
}

tern_err tern_multibase_encode(enum tern_base base, struct tern_view bytes,
                               struct tern_writer *text)
{
    const struct base_row *row = base_row(base);
    TERN_CHECK(row->prefix != 0);
    tern_writer_u8(text, row->prefix);
    return tern_base_encode(base, bytes, text);
}

tern_err tern_multibase_decode(struct tern_view text, struct tern_writer *bytes,
                               enum tern_base *base)
{
    if (text.size == 0)
        return TERN_ERR_MALFORMED;
    enum tern_base found;
    if (!tern_base_of_prefix(text.data[0], &found))
        return TERN_ERR_UNSUPPORTED;
    if (base != NULL)
        *base = found;
    return tern_base_decode(found, tern_view_of(text.data + 1, text.size - 1), bytes);
}
