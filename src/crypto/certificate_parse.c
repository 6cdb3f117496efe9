#include "crypto/certificate_parse.h"

#include "base/check.h"
#include "crypto/der.h"

/* ---- time ---- */

enum {
    DAYS_PER_ERA = 146097, /* 400 years */
    DAYS_TO_1970 = 719468, /* from 0000-03-01 */
    SECONDS_PER_DAY = 86400,
};

struct civil {
    int64_t year;
    int month;      /* 1 .. 12 */
    int day;        /* 1 .. 31 */
    int64_t second; /* of the day */
};

/* Days of the proleptic Gregorian calendar since 1970, with years that begin in March, so that the
 * leap day is a year's last. Years from 0. */
static int64_t civil_days(const struct civil *c)
{
    int64_t year = c->month <= 2 ? c->year - 1 : c->year;
    int64_t era = (year + 400) / 400 - 1; /* a floor for year -1, too */
    int64_t year_of_era = year - era * 400;
    int64_t month = (c->month + 9) % 12; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + c->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static struct civil civil_of_seconds(int64_t seconds)
{
    TERN_CHECK(seconds >= 0);
    int64_t days = seconds / SECONDS_PER_DAY + DAYS_TO_1970;
    int64_t era = days / DAYS_PER_ERA;
    int64_t day_of_era = days % DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct civil c = {.second = seconds % SECONDS_PER_DAY};
    c.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    c.month = (int)(month < 10 ? month + 3 : month - 9);
    c.year = year_of_era + era * 400 + (c.month <= 2);
    return c;
}

static bool civil_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool civil_is_valid(const struct civil *c)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c->month < 1 || c->month > 12 || c->day < 1)
        return false;
    return c->day <= days[c->month - 1] + (c->month == 2 && civil_is_leap(c->year));
}

static bool time_digits(struct tern_reader *r, int count, int64_t *number)
{
    *number = 0;
    for (int i = 0; i < count; i++) {
        uint8_t digit;
        if (!tern_reader_u8(r, &digit))
            return false;
        if (digit < '0' || digit > '9')
            return tern_reader_fail(r, TERN_ERR_MALFORMED);
        *number = *number * 10 + (digit - '0');
    }
    return true;
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, the only forms of DER for a certificate. */
static bool time_read(struct tern_reader *r, int64_t *seconds)
{
    bool utc = tern_der_is(r, TERN_DER_UTC_TIME);
    struct tern_view text;
    *seconds = 0;
    if (!tern_der_read(r, utc ? TERN_DER_UTC_TIME : TERN_DER_GENERALIZED_TIME, &text))
        return false;
    struct tern_reader t = tern_reader_of(text);
    struct civil c = {0};
    int64_t month;
    int64_t day;
    int64_t clock[3];
    uint8_t zone;
    if (!time_digits(&t, utc ? 2 : 4, &c.year) || !time_digits(&t, 2, &month) ||
        !time_digits(&t, 2, &day) || !time_digits(&t, 2, &clock[0]) ||
        !time_digits(&t, 2, &clock[1]) || !time_digits(&t, 2, &clock[2]) ||
        !tern_reader_u8(&t, &zone) || zone != 'Z' || tern_reader_left(&t) != 0)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    if (utc)
        c.year += c.year < 50 ? 2000 : 1900;
    c.month = (int)month;
    c.day = (int)day;
    if (!civil_is_valid(&c) || clock[0] > 23 || clock[1] > 59 || clock[2] > 59)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    c.second = clock[0] * 3600 + clock[1] * 60 + clock[2];
    *seconds = civil_days(&c) * SECONDS_PER_DAY + c.second;
    return true;
}

static void time_write_digits(struct tern_writer *w, int count, int64_t number)
{
    int64_t divisor = 1;
    for (int i = 1; i < count; i++)
        divisor *= 10;
    for (; divisor > 0; divisor /= 10)
        tern_writer_u8(w, (uint8_t)('0' + number / divisor % 10));
}

void tern_certificate_write_time(struct tern_writer *w, int64_t seconds)
{
    struct civil c = civil_of_seconds(seconds);
    bool utc = c.year < 2050;
    TERN_CHECK(c.year <= 9999);
    tern_der_write_header(w, utc ? TERN_DER_UTC_TIME : TERN_DER_GENERALIZED_TIME, utc ? 13 : 15);
    time_write_digits(w, utc ? 2 : 4, c.year);
    time_write_digits(w, 2, c.month);
    time_write_digits(w, 2, c.day);
    time_write_digits(w, 2, c.second / 3600);
    time_write_digits(w, 2, c.second / 60 % 60);
    time_write_digits(w, 2, c.second % 60);
    tern_writer_u8(w, 'Z');
}

/* ---- structure ---- */

/* [0] { INTEGER 2 }: version 3. Earlier ones have no extensions. */
static bool parse_version(struct tern_reader *r)
{
    static const uint8_t version[] = {TERN_DER_INTEGER, 1, 2};
    struct tern_view contents;
    return tern_der_read(r, TERN_DER_EXPLICIT_0, &contents) &&
           tern_view_equal(contents, tern_view_of(version, sizeof version));
}

/* AttributeTypeAndValue { OID, a string of some kind } */
static bool parse_attribute(struct tern_reader *r)
{
    struct tern_view contents;
    struct tern_view oid;
    struct tern_view text;
    if (!tern_der_read(r, TERN_DER_SEQUENCE, &contents))
        return false;
    struct tern_reader pair = tern_reader_of(contents);
    if (!tern_der_read_oid(&pair, &oid) || tern_reader_left(&pair) == 0)
        return false;
    return tern_der_read(&pair, pair.data[pair.offset], &text) && tern_reader_left(&pair) == 0;
}

/* Name: SEQUENCE of SET of attributes. It means nothing here, but it must be one. */
static bool parse_name(struct tern_reader *r)
{
    struct tern_view name;
    struct tern_view set;
    if (!tern_der_read(r, TERN_DER_SEQUENCE, &name))
        return false;
    struct tern_reader sets = tern_reader_of(name);
    while (tern_reader_left(&sets) > 0) {
        if (!tern_der_read(&sets, TERN_DER_SET, &set) || set.size == 0)
            return false;
        struct tern_reader attributes = tern_reader_of(set);
        while (tern_reader_left(&attributes) > 0)
            if (!parse_attribute(&attributes))
                return false;
    }
    return true;
}

static bool parse_validity(struct tern_reader *r, struct tern_certificate_parts *parts)
{
    struct tern_view contents;
    if (!tern_der_read(r, TERN_DER_SEQUENCE, &contents))
        return false;
    struct tern_reader pair = tern_reader_of(contents);
    return time_read(&pair, &parts->not_before) && time_read(&pair, &parts->not_after) &&
           tern_reader_left(&pair) == 0;
}

static bool parse_spki(struct tern_reader *r, struct tern_certificate_parts *parts)
{
    struct tern_view contents;
    struct tern_view bits;
    if (!tern_der_read_element(r, TERN_DER_SEQUENCE, &parts->spki))
        return false;
    struct tern_reader element = tern_reader_of(parts->spki);
    if (!tern_der_read(&element, TERN_DER_SEQUENCE, &contents))
        return false;
    struct tern_reader spki = tern_reader_of(contents);
    return tern_der_read(&spki, TERN_DER_SEQUENCE, &parts->spki_algorithm) &&
           tern_der_read_bits(&spki, &bits) && tern_reader_left(&spki) == 0;
}

/* SEQUENCE { OID, BOOLEAN DEFAULT FALSE, OCTET STRING }; a default is not written in DER. */
static bool parse_extension(struct tern_reader *r, struct tern_certificate_extension *extension)
{
    struct tern_view contents;
    *extension = (struct tern_certificate_extension){.critical = false};
    if (!tern_der_read(r, TERN_DER_SEQUENCE, &contents))
        return false;
    struct tern_reader e = tern_reader_of(contents);
    if (!tern_der_read_oid(&e, &extension->oid))
        return false;
    if (tern_der_is(&e, TERN_DER_BOOLEAN)) {
        struct tern_view flag;
        if (!tern_der_read(&e, TERN_DER_BOOLEAN, &flag) || flag.size != 1 || flag.data[0] != 0xff)
            return false;
        extension->critical = true;
    }
    return tern_der_read(&e, TERN_DER_OCTET_STRING, &extension->value) && tern_reader_left(&e) == 0;
}

/* [3] { SEQUENCE of at least one }, or nothing. No extension is there twice. */
static bool parse_extensions(struct tern_reader *r, struct tern_certificate_parts *parts)
{
    struct tern_view wrapped;
    struct tern_view contents;
    parts->extensions_count = 0;
    if (tern_reader_left(r) == 0)
        return true;
    if (!tern_der_read(r, TERN_DER_EXPLICIT_3, &wrapped) || tern_reader_left(r) != 0)
        return false;
    struct tern_reader outer = tern_reader_of(wrapped);
    if (!tern_der_read(&outer, TERN_DER_SEQUENCE, &contents) || tern_reader_left(&outer) != 0)
        return false;
    struct tern_reader list = tern_reader_of(contents);
    while (tern_reader_left(&list) > 0) {
        if (parts->extensions_count == TERN_CERTIFICATE_EXTENSIONS_MAX)
            return false;
        struct tern_certificate_extension *next = &parts->extensions[parts->extensions_count];
        if (!parse_extension(&list, next))
            return false;
        for (size_t i = 0; i < parts->extensions_count; i++)
            if (tern_view_equal(parts->extensions[i].oid, next->oid))
                return false;
        parts->extensions_count++;
    }
    return parts->extensions_count > 0;
}

/* TBSCertificate. The unique identifiers [1] and [2] would come before the extensions; they are
 * forbidden, and so they are no extensions. */
static bool parse_to_be_signed(struct tern_certificate_parts *parts)
{
    struct tern_reader element = tern_reader_of(parts->to_be_signed);
    struct tern_view contents;
    struct tern_view serial;
    struct tern_view algorithm;
    if (!tern_der_read(&element, TERN_DER_SEQUENCE, &contents))
        return false;
    struct tern_reader r = tern_reader_of(contents);
    return parse_version(&r) && tern_der_read(&r, TERN_DER_INTEGER, &serial) && serial.size > 0 &&
           tern_der_read(&r, TERN_DER_SEQUENCE, &algorithm) &&
           tern_view_equal(algorithm, parts->algorithm) && parse_name(&r) &&
           parse_validity(&r, parts) && parse_name(&r) && parse_spki(&r, parts) &&
           parse_extensions(&r, parts);
}

bool tern_certificate_parse(struct tern_view der, struct tern_certificate_parts *parts)
{
    struct tern_reader whole = tern_reader_of(der);
    struct tern_view contents;
    if (!tern_der_read(&whole, TERN_DER_SEQUENCE, &contents) || tern_reader_left(&whole) != 0)
        return false;
    struct tern_reader r = tern_reader_of(contents);
    return tern_der_read_element(&r, TERN_DER_SEQUENCE, &parts->to_be_signed) &&
           tern_der_read(&r, TERN_DER_SEQUENCE, &parts->algorithm) &&
           tern_der_read_bits(&r, &parts->signature) && tern_reader_left(&r) == 0 &&
           parse_to_be_signed(parts);
}
