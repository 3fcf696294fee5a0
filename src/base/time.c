/* time.c -- civil time, and reading and writing it (see time.h). */
#include "base/time.h"

#include "base/number.h"

#include <string.h>

#define SECONDS_PER_DAY INT64_C(86400)

/* ---- civil arithmetic ---- */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t mr_time_days_from_civil(int64_t year, int32_t month, int32_t day)
{
    /* Years start on 1 March, so that the leap day is the last one. */
    year -= month <= 2;
    int64_t era = divide_down(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void civil_from_days(int64_t days, mr_civil *out)
{
    days += 719468;
    int64_t era = divide_down(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    out->day = (int32_t)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (int32_t)(month < 10 ? month + 3 : month - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2);
}

int64_t mr_time_day(int64_t us)
{
    return divide_down(us, MR_TIME_US_PER_DAY);
}

mr_civil mr_time_civil(int64_t us)
{
    mr_civil civil;
    int64_t day = mr_time_day(us);
    uint64_t rest = (uint64_t)us - (uint64_t)day * (uint64_t)MR_TIME_US_PER_DAY;
    civil_from_days(day, &civil);
    uint32_t seconds = (uint32_t)(rest / 1000000);
    civil.microsecond = (int32_t)(rest % 1000000);
    civil.second = (int32_t)(seconds % 60);
    civil.minute = (int32_t)(seconds / 60 % 60);
    civil.hour = (int32_t)(seconds / 3600);
    return civil;
}

int64_t mr_time_from_civil(const mr_civil *civil)
{
    int64_t days = mr_time_days_from_civil(civil->year, civil->month, civil->day);
    int64_t seconds =
        days * SECONDS_PER_DAY + civil->hour * 3600 + civil->minute * 60 + civil->second;
    return seconds * MR_TIME_US_PER_SECOND + civil->microsecond;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int32_t mr_time_days_in_month(int64_t year, int32_t month)
{
    static const int8_t days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month];
}

int32_t mr_time_weekday(int64_t us)
{
    int64_t from_monday = (mr_time_day(us) + 3) % 7; /* 1970-01-01 was a Thursday */
    return (int32_t)(from_monday < 0 ? from_monday + 7 : from_monday) + 1;
}

int32_t mr_time_hour(int64_t us)
{
    int64_t in_day = us % MR_TIME_US_PER_DAY;
    return (int32_t)((in_day < 0 ? in_day + MR_TIME_US_PER_DAY : in_day) / INT64_C(3600000000));
}

/* ---- truncation ---- */

static int64_t days_to_us(int64_t days)
{
    int64_t us;
    return __builtin_mul_overflow(days, MR_TIME_US_PER_DAY, &us) ? INT64_MIN : us;
}

static int64_t truncate_to(int64_t us, int64_t unit_us)
{
    int64_t rest = us % unit_us, start;
    rest += rest < 0 ? unit_us : 0;
    return __builtin_sub_overflow(us, rest, &start) ? INT64_MIN : start;
}

static int64_t truncate_civil(int64_t us, mr_time_part part)
{
    mr_civil civil = mr_time_civil(us);
    int32_t month = part == MR_TIME_PART_YEAR      ? 1
                    : part == MR_TIME_PART_QUARTER ? (civil.month - 1) / 3 * 3 + 1
                                                   : civil.month;
    return days_to_us(mr_time_days_from_civil(civil.year, month, 1));
}

int64_t mr_time_truncate(int64_t us, mr_time_part part)
{
    switch (part) {
    case MR_TIME_PART_SECOND:
        return truncate_to(us, MR_TIME_US_PER_SECOND);
    case MR_TIME_PART_MINUTE:
        return truncate_to(us, 60 * MR_TIME_US_PER_SECOND);
    case MR_TIME_PART_HOUR:
        return truncate_to(us, 3600 * MR_TIME_US_PER_SECOND);
    case MR_TIME_PART_DAY:
        return truncate_to(us, MR_TIME_US_PER_DAY);
    case MR_TIME_PART_WEEK:
        return days_to_us(mr_time_day(us) - (mr_time_weekday(us) - 1));
    default:
        return truncate_civil(us, part);
    }
}

bool mr_time_part_parse(const char *text, size_t size, mr_time_part *out)
{
    static const char *const names[MR_TIME_PART_COUNT] = {
        [MR_TIME_PART_SECOND] = "second",   [MR_TIME_PART_MINUTE] = "minute",
        [MR_TIME_PART_HOUR] = "hour",       [MR_TIME_PART_DAY] = "day",
        [MR_TIME_PART_WEEK] = "week",       [MR_TIME_PART_MONTH] = "month",
        [MR_TIME_PART_QUARTER] = "quarter", [MR_TIME_PART_YEAR] = "year"};
    for (int i = 0; i < MR_TIME_PART_COUNT; i++)
        if (strlen(names[i]) == size && memcmp(names[i], text, size) == 0) {
            *out = (mr_time_part)i;
            return true;
        }
    return false;
}

/* ---- reading ---- */

/* A cursor that remembers where it first failed and what would have been right there. */
typedef struct cursor {
    const char *text;
    size_t size, at;
    const char *expected; /* NULL: all well */
} cursor;

static void fail_at(cursor *c, size_t at, const char *expected)
{
    if (c->expected == NULL) {
        c->at = at;
        c->expected = expected;
    }
}

static bool take(cursor *c, const char *choices, const char *expected)
{
    if (c->expected != NULL)
        return false;
    if (c->at < c->size && c->text[c->at] != '\0' && strchr(choices, c->text[c->at]) != NULL) {
        c->at++;
        return true;
    }
    fail_at(c, c->at, expected);
    return false;
}

/* `count` digits whose value is in [low, high]. */
static int32_t take_digits(cursor *c, size_t count, int32_t low, int32_t high, const char *expected)
{
    int32_t value = 0;
    size_t start = c->at;
    for (size_t i = 0; i < count && c->expected == NULL; i++) {
        if (c->at >= c->size || c->text[c->at] < '0' || c->text[c->at] > '9') {
            fail_at(c, c->at, expected);
            return low;
        }
        value = value * 10 + (c->text[c->at++] - '0');
    }
    if (value < low || value > high)
        fail_at(c, start, expected);
    return value;
}

static void take_date(cursor *c, mr_civil *civil)
{
    civil->year = take_digits(c, 4, 1, 9999, "a year from 0001 to 9999");
    take(c, "-", "'-' behind the year");
    civil->month = take_digits(c, 2, 1, 12, "a month from 01 to 12");
    take(c, "-", "'-' behind the month");
    size_t day_at = c->at;
    civil->day = take_digits(c, 2, 1, 31, "a day from 01 to 31");
    if (c->expected == NULL && civil->day > mr_time_days_in_month(civil->year, civil->month))
        fail_at(c, day_at, "a day that this month has");
}

static void take_fraction(cursor *c, mr_civil *civil)
{
    if (c->expected != NULL || c->at >= c->size || c->text[c->at] != '.')
        return;
    c->at++;
    if (c->at >= c->size || c->text[c->at] < '0' || c->text[c->at] > '9')
        fail_at(c, c->at, "a digit behind the point");
    int32_t unit = 100000;
    for (; c->expected == NULL && c->at < c->size && c->text[c->at] >= '0' && c->text[c->at] <= '9';
         c->at++) {
        civil->microsecond += (c->text[c->at] - '0') * unit;
        unit /= 10;
    }
}

static void take_clock(cursor *c, mr_civil *civil)
{
    take(c, "Tt ", "'T' behind the date");
    civil->hour = take_digits(c, 2, 0, 23, "an hour from 00 to 23");
    take(c, ":", "':' behind the hour");
    civil->minute = take_digits(c, 2, 0, 59, "a minute from 00 to 59");
    take(c, ":", "':' behind the minute");
    civil->second = take_digits(c, 2, 0, 59, "a second from 00 to 59");
    take_fraction(c, civil);
}

/* Minutes east of UTC. */
static int32_t take_zone(cursor *c, bool required)
{
    static const char expected[] = "a zone: Z, +hh:mm or -hh:mm";
    if (c->expected != NULL || (c->at == c->size && !required))
        return 0;
    char sign = c->at < c->size ? c->text[c->at] : '\0';
    if (!take(c, "Zz+-", expected) || sign == 'Z' || sign == 'z')
        return 0;
    int32_t hours = take_digits(c, 2, 0, 23, "zone hours from 00 to 23");
    take(c, ":", "':' in the zone");
    int32_t minutes = hours * 60 + take_digits(c, 2, 0, 59, "zone minutes from 00 to 59");
    return sign == '-' ? -minutes : minutes;
}

bool mr_time_parse(const char *text, size_t size, bool zone_required, int64_t *out_us,
                   size_t *out_at, const char **out_expected)
{
    cursor c = {.text = text, .size = size};
    mr_civil civil = {0};
    int32_t zone_minutes = 0;
    take_date(&c, &civil);
    if (c.expected != NULL || c.at < size || zone_required) {
        take_clock(&c, &civil);
        zone_minutes = take_zone(&c, zone_required);
    }
    if (c.expected == NULL && c.at < size)
        fail_at(&c, c.at, "the end of the time");
    if (c.expected == NULL) {
        int64_t us = mr_time_from_civil(&civil) - zone_minutes * INT64_C(60000000);
        if (us >= MR_TIME_MIN_US && us <= MR_TIME_MAX_US) {
            *out_us = us;
            return true;
        }
        fail_at(&c, 0, "an instant of the years 0001 to 9999 in UTC");
    }
    if (out_at != NULL)
        *out_at = c.at;
    if (out_expected != NULL)
        *out_expected = c.expected;
    return false;
}

/* ---- writing ---- */

static void write_two(int32_t value, char *out)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

static size_t write_fraction(int32_t microsecond, char *out)
{
    if (microsecond == 0)
        return 0;
    size_t digits = 6;
    for (; microsecond % 10 == 0; microsecond /= 10)
        digits--;
    out[0] = '.';
    for (size_t i = digits; i > 0; i--, microsecond /= 10)
        out[i] = (char)('0' + microsecond % 10);
    return digits + 1;
}

size_t mr_time_format(int64_t us, char *out)
{
    if (us < MR_TIME_MIN_US || us > MR_TIME_MAX_US) {
        out[0] = '@';
        return 1 + mr_number_format_int64(us, out + 1);
    }
    mr_civil civil = mr_time_civil(us);
    memcpy(out, "0000-00-00T00:00:00", 19);
    write_two((int32_t)civil.year / 100, out);
    write_two((int32_t)civil.year % 100, out + 2);
    write_two(civil.month, out + 5);
    write_two(civil.day, out + 8);
    write_two(civil.hour, out + 11);
    write_two(civil.minute, out + 14);
    write_two(civil.second, out + 17);
    size_t used = 19 + write_fraction(civil.microsecond, out + 19);
    out[used++] = 'Z';
    return used;
}

/* ---- durations ---- */

static int64_t duration_unit(const char *text, size_t size, size_t *out_size)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"us", 1},
                 {"ms", 1000},
                 {"s", 1000000},
                 {"m", 60000000},
                 {"h", 3600000000},
                 {"d", 86400000000},
                 {"w", INT64_C(604800000000)}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t length = strlen(units[i].name);
        if (size >= length && memcmp(text, units[i].name, length) == 0) {
            *out_size = length;
            return units[i].us;
        }
    }
    return 0;
}

bool mr_time_parse_duration(const char *text, size_t size, int64_t *out_us, size_t *out_at)
{
    int64_t total = 0, last_unit = INT64_MAX;
    size_t at = 0;
    bool good = size > 0;
    while (good && at < size) {
        int64_t count, part;
        size_t used = 0, unit_size = 0;
        good = text[at] >= '0' && text[at] <= '9' &&
               mr_number_parse_int64(text + at, size - at, &count, &used) == MR_NUMBER_OK;
        int64_t unit = good ? duration_unit(text + at + used, size - at - used, &unit_size) : 0;
        /* Larger units first, each at most once: "1h30m", not "30m1h". */
        good = good && unit > 0 && unit < last_unit &&
               !__builtin_mul_overflow(count, unit, &part) &&
               !__builtin_add_overflow(total, part, &total);
        at += good ? used + unit_size : 0;
        last_unit = unit;
    }
    if (out_at != NULL)
        *out_at = at;
    if (good)
        *out_us = total;
    return good;
}
