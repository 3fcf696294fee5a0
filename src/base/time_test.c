/* time_test.c -- instants: known ones, every day of 10,000 years, and texts that are none. */
#include "base/time.h"
#include "test/test.h"

#include <string.h>

static int64_t parsed(const char *text)
{
    int64_t us = INT64_MIN;
    size_t at = 0;
    const char *expected = NULL;
    if (!mr_time_parse(text, strlen(text), false, &us, &at, &expected))
        fail_msg("%s: at byte %zu: expected %s", text, at, expected);
    return us;
}

TEST(time, reads_known_instants)
{
    assert_int_equal(parsed("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(parsed("1969-12-31T23:59:59Z"), -1000000);
    assert_int_equal(parsed("0001-01-01T00:00:00Z"), MR_TIME_MIN_US);
    assert_int_equal(parsed("9999-12-31T23:59:59.999999Z"), MR_TIME_MAX_US);
    assert_int_equal(parsed("2262-04-12T00:00:00Z"), 9223372800000000);
    assert_int_equal(parsed("2024-03-01t10:00:00z"), 1709287200000000);
    assert_int_equal(parsed("2024-03-01 10:00:00"), 1709287200000000);
    assert_int_equal(parsed("2024-03-02T00:00:00+14:00"), 1709287200000000);
    assert_int_equal(parsed("2024-03-01T06:30:00-03:30"), 1709287200000000);
    assert_int_equal(parsed("2024-03-01T10:00:00-00:00"), 1709287200000000);
    assert_int_equal(parsed("2024-03-01"), 1709251200000000);
    assert_int_equal(parsed("2024-03-01T10:00:00.25Z"), 1709287200250000);
    assert_int_equal(parsed("2024-03-01T10:00:00.1234569"), 1709287200123456);
    assert_int_equal(parsed("1969-12-31T23:59:59.9999999Z"), -1);
}

TEST(time, says_where_a_text_is_no_instant)
{
    static const struct {
        const char *text;
        size_t at;
        bool zone_required;
    } bad[] = {{"", 0, false},
               {"yesterday", 0, false},
               {"2024-13-01T10:00:00Z", 5, false},
               {"2024-00-10T10:00:00Z", 5, false},
               {"2024-02-30T10:00:00Z", 8, false},
               {"1900-02-29T10:00:00Z", 8, false},
               {"2024-03-00T10:00:00Z", 8, false},
               {"2024-3-1T10:00:00Z", 6, false},
               {"2024-03-01T24:00:00Z", 11, false},
               {"2024-03-01T10:60:00Z", 14, false},
               {"2016-12-31T23:59:60Z", 17, false},
               {"2024-03-01T10:00:00.Z", 20, false},
               {"2024-03-01T10:00:00 CET", 19, false},
               {"2024-03-01T10:00:00+24:00", 20, false},
               {"2024-03-01T10:00:00+02:60", 23, false},
               {"2024-03-01T15:30:00+0530", 22, false},
               {"2024-03-01T10:00:00Z ", 20, false},
               {"2024-03-01T10:00Z", 16, false},
               {"0000-01-01T00:00:00Z", 0, false},
               {"10000-01-01T00:00:00Z", 4, false},
               {"-0001-01-01T00:00:00Z", 0, false},
               {"0001-01-01T00:00:00+01:00", 0, false},
               {"9999-12-31T23:59:59-00:01", 0, false},
               {"2024-03-01T10:00:00", 19, true},
               {"2024-03-01", 10, true}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us = 7;
        size_t at = 99;
        const char *expected = NULL;
        if (mr_time_parse(bad[i].text, strlen(bad[i].text), bad[i].zone_required, &us, &at,
                          &expected))
            fail_msg("'%s' was taken", bad[i].text);
        if (at != bad[i].at || expected == NULL || us != 7)
            fail_msg("'%s': byte %zu (%s), not %zu", bad[i].text, at, expected, bad[i].at);
    }
}

TEST(time, every_day_follows_the_one_before)
{
    int64_t day = mr_time_days_from_civil(1, 1, 1);
    assert_int_equal(day * MR_TIME_US_PER_DAY, MR_TIME_MIN_US);
    for (int64_t year = 1; year <= 9999; year++)
        for (int32_t month = 1; month <= 12; month++)
            for (int32_t d = 1; d <= mr_time_days_in_month(year, month); d++, day++) {
                mr_civil civil = mr_time_civil(day * MR_TIME_US_PER_DAY + 1);
                if (civil.year != year || civil.month != month || civil.day != d ||
                    mr_time_days_from_civil(year, month, d) != day)
                    fail_msg("%lld-%d-%d is day %lld", (long long)year, month, d, (long long)day);
            }
    assert_int_equal(day * MR_TIME_US_PER_DAY - 1, MR_TIME_MAX_US);
}

TEST(time, what_is_written_reads_back)
{
    mr_random_seeded random = mr_test_random(5);
    char text[MR_TIME_TEXT_MAX];
    for (uint64_t i = 0; i < mr_test_rounds(100000); i++) {
        uint64_t range = (uint64_t)(MR_TIME_MAX_US - MR_TIME_MIN_US) + 1;
        int64_t us = MR_TIME_MIN_US + (int64_t)mr_random_below(&random, range);
        if (i % 3 == 0)
            us -= us % 1000000;
        int64_t back = 0;
        size_t size = mr_time_format(us, text);
        assert_true(size < sizeof text && mr_time_parse(text, size, true, &back, NULL, NULL));
        assert_int_equal(back, us);
        mr_civil civil = mr_time_civil(us);
        assert_int_equal(mr_time_from_civil(&civil), us);
    }
    assert_int_equal(mr_time_format(0, text), 20);
    assert_memory_equal(text, "1970-01-01T00:00:00Z", 20);
    assert_int_equal(mr_time_format(1500000, text), 22);
    assert_memory_equal(text, "1970-01-01T00:00:01.5Z", 22);
    assert_int_equal(mr_time_format(MR_TIME_MIN_US - 1, text), 19);
    assert_memory_equal(text, "@-62135596800000001", 19);
}

static void check_truncated(const char *from, const char *part, const char *want)
{
    mr_time_part which;
    char text[MR_TIME_TEXT_MAX + 1];
    assert_true(mr_time_part_parse(part, strlen(part), &which));
    text[mr_time_format(mr_time_truncate(parsed(from), which), text)] = '\0';
    assert_string_equal(text, want);
}

TEST(time, truncates_to_every_part)
{
    check_truncated("2024-11-20T16:54:36.5Z", "second", "2024-11-20T16:54:36Z");
    check_truncated("2024-11-20T16:54:36Z", "minute", "2024-11-20T16:54:00Z");
    check_truncated("2024-11-20T16:54:36Z", "hour", "2024-11-20T16:00:00Z");
    check_truncated("2024-11-20T16:54:36Z", "day", "2024-11-20T00:00:00Z");
    check_truncated("2024-11-20T16:54:36Z", "week", "2024-11-18T00:00:00Z");
    check_truncated("2024-11-18T00:00:00Z", "week", "2024-11-18T00:00:00Z");
    check_truncated("2024-11-20T16:54:36Z", "month", "2024-11-01T00:00:00Z");
    check_truncated("2024-11-20T16:54:36Z", "quarter", "2024-10-01T00:00:00Z");
    check_truncated("2024-11-20T16:54:36Z", "year", "2024-01-01T00:00:00Z");
    check_truncated("1969-12-31T23:59:59.5Z", "hour", "1969-12-31T23:00:00Z");
    for (int part = 0; part < MR_TIME_PART_COUNT; part++) {
        assert_true(mr_time_truncate(INT64_MIN, (mr_time_part)part) == INT64_MIN);
        assert_true(mr_time_truncate(INT64_MAX, (mr_time_part)part) <= INT64_MAX);
    }
    mr_time_part none;
    assert_false(mr_time_part_parse("decade", 6, &none));
}

TEST(time, knows_weekdays_and_hours)
{
    assert_int_equal(mr_time_weekday(0), 4);
    assert_int_equal(mr_time_weekday(-1), 3);
    assert_int_equal(mr_time_weekday(parsed("2024-11-17T12:00:00Z")), 7);
    assert_int_equal(mr_time_hour(-1), 23);
    assert_int_equal(mr_time_hour(parsed("2024-11-17T12:00:00Z")), 12);
}

TEST(time, reads_durations)
{
    int64_t us = 0;
    assert_true(mr_time_parse_duration("7d", 2, &us, NULL));
    assert_int_equal(us, 7 * MR_TIME_US_PER_DAY);
    assert_true(mr_time_parse_duration("1h30m", 5, &us, NULL));
    assert_int_equal(us, INT64_C(5400000000));
    assert_true(mr_time_parse_duration("250ms", 5, &us, NULL));
    assert_int_equal(us, 250000);
    static const char *const bad[] = {
        "", "7", "d", "7x", "-1d", "30m1h", "1h1h", "1 d", "99999999999999999999d", "9999999999w"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(mr_time_parse_duration(bad[i], strlen(bad[i]), &us, NULL));
}
