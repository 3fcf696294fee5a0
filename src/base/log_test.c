/* log_test.c -- a line is one line, whatever is in it. */
#include "base/log.h"
#include "test/test.h"

#include <math.h>
#include <string.h>

typedef struct heard {
    mr_log_writer writer;
    char text[2 * MR_LOG_LINE_BYTES_MAX];
    size_t lines;
} heard;

static int64_t fixed_time(void *context)
{
    (void)context;
    return 1767323045123456; /* 2026-01-02T03:04:05.123456Z */
}

static void hear(void *context, const char *line, size_t bytes)
{
    heard *self = context;
    assert_true(bytes <= MR_LOG_LINE_BYTES_MAX);
    assert_ptr_equal(memchr(line, '\n', bytes), line + bytes - 1);
    memcpy(self->text, line, bytes);
    self->text[bytes] = '\0';
    self->lines++;
}

static void listen(heard *self, const char *words)
{
    mr_error err = {0};
    *self = (heard){.writer = {fixed_time, hear, self}};
    assert_ok(mr_log_configure(words, &err), &err);
    mr_log_install(&self->writer);
}

static void stop_listening(void)
{
    mr_error err = {0};
    mr_log_install(NULL);
    assert_ok(mr_log_configure("info,text", &err), &err);
}

TEST(log, writes_pairs_and_quotes_where_needed)
{
    heard self;
    listen(&self, "info,text");
    mr_log_event(MR_LOG_INFO, "topic", "tail_cut topic=%s bytes=%zu", "a/b/c", (size_t)812);
    assert_string_equal(self.text,
                        "2026-01-02T03:04:05.123456Z INFO  topic tail_cut topic=a/b/c bytes=812\n");
    mr_log_event(MR_LOG_WARN, "x", "bare");
    assert_string_equal(self.text + 28, "WARN  x bare\n");
    mr_log_event(MR_LOG_ERROR, "x", "e a=%s b=%s c=%s d=%.*s e=%.2s f=word", "two words", "",
                 "q\"\\\n\x01=", 2, "abc", "xyz");
    assert_string_equal(
        self.text + 28,
        "ERROR x e a=\"two words\" b=\"\" c=\"q\\\"\\\\\\n\\x01=\" d=ab e=xy f=word\n");
    mr_log_event(MR_LOG_INFO, "x", "n a=%d b=%lld c=%u d=%llu e=%zu f=%x g=%g h=%.3f i=%ld", -1,
                 (long long)INT64_MIN, UINT32_MAX, (unsigned long long)UINT64_MAX, (size_t)3, 255u,
                 0.1, 2.0 / 3, -5L);
    assert_string_equal(self.text + 28, "INFO  x n a=-1 b=-9223372036854775808 c=4294967295 "
                                        "d=18446744073709551615 e=3 f=ff g=0.1 h=0.667 i=-5\n");
    stop_listening();
}

TEST(log, writes_valid_json)
{
    heard self;
    listen(&self, "json");
    mr_log_event(MR_LOG_INFO, "topic", "tail_cut topic=%s bytes=%d x=%x nan=%g bad=%s", "a\tb", 812,
                 10u, (double)NAN, "\xff\xc3\xa9");
    assert_string_equal(
        self.text,
        "{\"time\":\"2026-01-02T03:04:05.123456Z\",\"level\":\"info\",\"component\":\"topic\","
        "\"event\":\"tail_cut\",\"topic\":\"a\\u0009b\",\"bytes\":812,\"x\":\"a\",\"nan\":\"nan\","
        "\"bad\":\"\xef\xbf\xbd\xc3\xa9\"}\n");
    stop_listening();
}

TEST(log, appends_an_error)
{
    heard self;
    mr_error err = {0};
    mr_error_place(&err, "p.yaml", 3, 4);
    (void)MR_FAIL(&err, MR_INVALID, "no such column");
    listen(&self, "info,text");
    mr_log_failure(MR_LOG_ERROR, "run", &err, "start_failed pipeline=%s", "fraud");
    assert_string_equal(self.text + 28,
                        "ERROR run start_failed pipeline=fraud status=invalid place=p.yaml:3:4 "
                        "error=\"no such column\"\n");
    stop_listening();
}

TEST(log, leaves_out_what_finds_no_room)
{
    char longest[MR_LOG_LINE_BYTES_MAX * 2];
    memset(longest, '"', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const forms[] = {"text", "json"};
    for (size_t i = 0; i < 2; i++) {
        heard self;
        listen(&self, forms[i]);
        for (int bytes = 0; bytes < (int)sizeof longest; bytes += 7) {
            mr_log_event(MR_LOG_INFO, "x", "e long=%.*s short=%d", bytes, longest, 7);
            const char *end = self.text + strlen(self.text);
            bool cut = strstr(self.text, i == 0 ? " cut=true\n" : ",\"cut\":true}\n") != NULL;
            bool has_long = strstr(self.text, "long") != NULL,
                 has_short = strstr(self.text, "short") != NULL;
            assert_int_equal(cut, !has_long || !has_short);
            assert_true(has_long ? bytes < 2100 : has_short && bytes > 1900);
            assert_true(i == 0 || end[-2] == '}');
        }
        stop_listening();
    }
}

TEST(log, respects_level_and_words)
{
    heard self;
    mr_error err = {0};
    listen(&self, "warn,text");
    mr_log_event(MR_LOG_INFO, "x", "quiet");
    assert_int_equal(self.lines, 0);
    assert_false(mr_log_wants(MR_LOG_INFO));
    assert_true(mr_log_wants(MR_LOG_WARN));
    assert_int_equal(mr_log_configure("debug,loud", &err), MR_INVALID);
    assert_non_null(strstr(err.text, "loud"));
    assert_false(mr_log_wants(MR_LOG_INFO));
    assert_ok(mr_log_configure("debug,json,text,", &err), &err);
    assert_true(mr_log_wants(MR_LOG_DEBUG));
    stop_listening();
    assert_false(mr_log_wants(MR_LOG_ERROR));
}
