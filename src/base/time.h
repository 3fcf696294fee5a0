/* time.h -- instants as int64 microseconds since 1970-01-01T00:00:00Z, and their text.
 *
 *   2024-03-01T10:00:00.25+02:00     RFC 3339, the profile of ISO 8601 that is read
 *   'T' may be 't' or a space, 'Z' may be 'z'; +hh:mm with hh 00-23 and mm 00-59
 *
 * Read strictly: years 0001 to 9999 (also after the zone is taken off), no roll-over (30 February
 * is an error, not 1 March), no second 60 (the clock of the data has none: POSIX time). A fraction
 * may have any number of digits; those behind the sixth are cut off (towards the past), as
 * microseconds are what is kept. Without a zone the text is UTC, and a date alone is its midnight,
 * unless a zone is required. Civil arithmetic: Hinnant, "chrono-compatible low-level date
 * algorithms" (2013), proleptic Gregorian. */
#ifndef MR_BASE_TIME_H
#define MR_BASE_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MR_TIME_US_PER_SECOND INT64_C(1000000)
#define MR_TIME_US_PER_DAY    INT64_C(86400000000)
#define MR_TIME_MIN_US        INT64_C(-62135596800000000) /* 0001-01-01T00:00:00Z */
#define MR_TIME_MAX_US        INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */
#define MR_TIME_TEXT_MAX      32                          /* room that mr_time_format needs */

typedef struct mr_civil {
    int64_t year;
    int32_t month; /* 1 .. 12 */
    int32_t day;   /* 1 .. 31 */
    int32_t hour, minute, second;
    int32_t microsecond;
} mr_civil;

typedef enum mr_time_part {
    MR_TIME_PART_SECOND,
    MR_TIME_PART_MINUTE,
    MR_TIME_PART_HOUR,
    MR_TIME_PART_DAY,
    MR_TIME_PART_WEEK, /* starts on Monday (ISO 8601) */
    MR_TIME_PART_MONTH,
    MR_TIME_PART_QUARTER,
    MR_TIME_PART_YEAR,
    MR_TIME_PART_COUNT
} mr_time_part;

/* Days since 1970-01-01, any year of +-10^9. Month and day are taken as valid. */
int64_t mr_time_days_from_civil(int64_t year, int32_t month, int32_t day);
/* Every int64 has a civil form (years up to about +-292277). */
mr_civil mr_time_civil(int64_t us);
int64_t mr_time_from_civil(const mr_civil *civil);
int32_t mr_time_days_in_month(int64_t year, int32_t month);

int32_t mr_time_weekday(int64_t us); /* 1 = Monday .. 7 = Sunday (ISO 8601) */
int32_t mr_time_hour(int64_t us);
int64_t mr_time_day(int64_t us); /* days since 1970-01-01, rounded down */

/* The start of the part that holds `us` (SQL's date_trunc); never later than `us`. Saturates at
 * INT64_MIN. */
int64_t mr_time_truncate(int64_t us, mr_time_part part);
/* "hour" -> MR_TIME_PART_HOUR; false when it is none of second .. year. */
bool mr_time_part_parse(const char *text, size_t size, mr_time_part *out);

/* The whole text is one instant. On false, *out_at (nullable) is the byte where it went wrong, and
 * *out_expected (nullable) a static sentence: "a month from 01 to 12". */
bool mr_time_parse(const char *text, size_t size, bool zone_required, int64_t *out_us,
                   size_t *out_at, const char **out_expected);

/* Writes the shortest exact form, "2024-03-01T10:00:00Z" or with up to six digits behind the
 * second, and returns the number of bytes; no terminator. An instant outside MR_TIME_MIN_US ..
 * MR_TIME_MAX_US has no such form and is written as '@' and its microseconds. */
size_t mr_time_format(int64_t us, char *out);

/* Durations as in YAML: "7d", "1h30m", "250ms", "90s", "2w". False with the place on anything else.
 */
bool mr_time_parse_duration(const char *text, size_t size, int64_t *out_us, size_t *out_at);

#endif
