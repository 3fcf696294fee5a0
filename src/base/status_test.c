/* status_test.c -- the table is whole, and errors carry their words. */
#include "base/status.h"
#include "test/test.h"

#include <ctype.h>
#include <string.h>

TEST(status, table_is_whole)
{
    for (int i = 0; i < MR_STATUS_COUNT; i++) {
        mr_status status = (mr_status)i;
        const char *name = mr_status_name(status);
        assert_true(strlen(name) > 0 && strlen(mr_status_text(status)) > 0);
        for (const char *c = name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        assert_in_range(mr_status_http(status), 200, 599);
        assert_in_range(mr_status_exit(status), 0, 127);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, mr_status_name((mr_status)k));
    }
    assert_string_equal(mr_status_name(MR_NOT_FOUND), "not_found");
    assert_int_equal(mr_status_http(MR_NOT_FOUND), 404);
    assert_int_equal(mr_status_exit(MR_OK), 0);
    assert_true(mr_status_retriable(MR_FULL) && !mr_status_retriable(MR_INVALID));
    assert_string_equal(mr_status_name((mr_status)1000), "internal");
    assert_string_equal(mr_status_name((mr_status)-1), "internal");
}

TEST(status, errors_carry_place_and_text)
{
    char out[64];
    mr_error err = {0};
    mr_error_format(&err, out, sizeof out);
    assert_string_equal(out, "ok");
    mr_error_place(&err, "a.yaml", 3, 14);
    assert_int_equal(MR_FAIL(&err, MR_INVALID, "got %d, wanted %s", 3, "four"), MR_INVALID);
    mr_error_format(&err, out, sizeof out);
    assert_string_equal(out, "a.yaml:3:14: got 3, wanted four");
    mr_error_place(&err, "a.yaml", 3, 0);
    mr_error_prefix(&err, "open %s", "log");
    mr_error_format(&err, out, sizeof out);
    assert_string_equal(out, "a.yaml:3: open log: got 3, wanted four");
    mr_error_place(&err, "a.yaml", 0, 9);
    assert_string_equal(err.place, "a.yaml");
    mr_error_format(&err, out, 10);
    assert_string_equal(out, "a.yaml: o");
    mr_error_clear(&err);
    assert_int_equal(err.status, MR_OK);
    assert_true(err.place[0] == '\0' && err.text[0] == '\0');
}

TEST(status, errors_may_be_nobodys)
{
    assert_int_equal(MR_FAIL(NULL, MR_IO, "x"), MR_IO);
    mr_error_place(NULL, "x", 1, 1);
    mr_error_prefix(NULL, "x");
    mr_error_clear(NULL);
}

TEST(status, errors_may_quote_themselves)
{
    mr_error err = {0};
    (void)MR_FAIL(&err, MR_IO, "inner");
    (void)MR_FAIL(&err, MR_CORRUPT, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

TEST(status, long_texts_are_cut)
{
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mr_error err = {0};
    (void)MR_FAIL(&err, MR_IO, "%s", text);
    assert_int_equal(strlen(err.text), MR_ERROR_TEXT_MAX - 1);
    mr_error_prefix(&err, "short");
    assert_int_equal(strlen(err.text), MR_ERROR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "short: xxx", 10);
    mr_error_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), MR_ERROR_TEXT_MAX - 1);
    mr_error_place(&err, text, 1, 1);
    assert_int_equal(strlen(err.place), MR_ERROR_PLACE_MAX - 1);
}

static mr_status answer(mr_status status)
{
    return status;
}

static mr_status try_both(mr_status first, mr_status second)
{
    MR_TRY(answer(first));
    mr_status status;
    MR_GOTO(done, status, answer(second));
    status = MR_END;
done:
    return status;
}

TEST(status, macros_return_the_first_failure)
{
    assert_int_equal(try_both(MR_IO, MR_FULL), MR_IO);
    assert_int_equal(try_both(MR_OK, MR_FULL), MR_FULL);
    assert_int_equal(try_both(MR_OK, MR_OK), MR_END);
}
