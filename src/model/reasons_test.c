/* reasons_test.c -- which contributions become reasons, in which order, and how they are said. */
#include "test/test.h"

#include "base/assert.h"
#include "model/reasons.h"
#include "test/models.h"

#include <math.h>
#include <string.h>

#define ROWS 3

/* Stumps on one feature each, half of the rows on either side: what a feature adds is half the step between its leaves. */
#define STUMP(feature, step)                                                                       \
    "{\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],\"split_indices\":[" feature        \
    ",0,0],\"split_conditions\":[0.5,-" step "," step "],\"default_left\":[1,0,0],"                \
    "\"sum_hessian\":[2,1,1]}"
#define STUMPS(amount, night, count)                                                               \
    "{\"learner\":{\"feature_names\":[\"amount\",\"night\",\"count\"],\"gradient_booster\":{"      \
    "\"model\":{\"tree_info\":[0,0,0],\"trees\":[" STUMP("0", amount) "," STUMP(                   \
        "1", night) "," STUMP("2", count) "]},\"name\":\"gbtree\"},\"learner_model_param\":{"      \
                                          "\"base_score\":\"0\","                                  \
                                          "\"num_class\":\"0\",\"num_feature\":\"3\"},"            \
                                          "\"objective\":{\"name\":\"reg:squarederror\"}}}"

typedef struct subject {
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    double amounts[ROWS];
    double counts[ROWS];
    uint8_t nights;
    mr_column columns[3];
} subject;

/* Row 0: all high. Row 1: amount and count low, night. Row 2: amount missing (low), no night, count high. */
static void subject_init(subject *s, const char *json)
{
    mr_error err = {0};
    mr_schema *schema;
    *s = (subject){.amounts = {120.5, 0.25, (double)NAN}, .counts = {7, 0, 1}, .nights = 3};
    mr_field fields[] = {{.name = "amount", .type = {MR_FLOAT64, 0}},
                         {.name = "night", .type = {MR_BOOL, 0}},
                         {.name = "count", .type = {MR_FLOAT64, 0}}};
    s->columns[0] = (mr_column){.type = {MR_FLOAT64, 0}, .values = s->amounts};
    s->columns[1] = (mr_column){.type = {MR_BOOL, 0}, .values = &s->nights};
    s->columns[2] = (mr_column){.type = {MR_FLOAT64, 0}, .values = s->counts};
    assert_ok(mr_model_open_bytes(json, strlen(json), NULL, &s->model, &err), &err);
    assert_ok(mr_schema_create(fields, 3, &schema, &err), &err);
    assert_ok(mr_model_bind(s->model, schema, &s->binding, &err), &err);
    assert_ok(mr_scratch_create(s->model, &s->scratch, &err), &err);
    mr_schema_release(schema);
}

static void subject_deinit(subject *s)
{
    mr_scratch_destroy(s->scratch);
    mr_binding_destroy(s->binding);
    mr_model_close(s->model);
}

static mr_status write(const subject *s, const mr_reasons_options *options, const uint32_t *rows,
                       size_t count, mr_bytes *out, size_t *ends, mr_error *err)
{
    mr_reasons *reasons;
    MR_TRY(mr_reasons_create(s->model, options, &reasons, err));
    mr_status status =
        mr_reasons_write(reasons, s->binding, s->columns, rows, count, s->scratch, out, ends, err);
    mr_reasons_destroy(reasons);
    return status;
}

static void expect(const subject *s, const mr_reasons_options *options, uint32_t row,
                   const char *text)
{
    mr_error err = {0};
    mr_bytes out = {0};
    size_t end;
    assert_ok(write(s, options, &row, 1, &out, &end, &err), &err);
    assert_int_equal(end, out.size);
    assert_string_equal(mr_bytes_text(&out), text);
    mr_bytes_deinit(&out);
}

TEST(reasons, are_the_largest_towards_the_side_asked_for)
{
    subject s;
    subject_init(&s, STUMPS("0.5", "0.25", "1"));
    mr_reasons_options two = {.count = 2};
    expect(&s, &two, 0,
           "[{\"reason\":\"count\",\"value\":7,\"contribution\":1},"
           "{\"reason\":\"amount\",\"value\":120.5,\"contribution\":0.5}]");
    expect(&s, &two, 1, "[{\"reason\":\"night\",\"value\":true,\"contribution\":0.25}]");
    two.direction = MR_REASONS_LOWER;
    expect(&s, &two, 0, "[]");
    expect(&s, &two, 2,
           "[{\"reason\":\"amount\",\"value\":null,\"contribution\":-0.5},"
           "{\"reason\":\"night\",\"value\":false,\"contribution\":-0.25}]");
    mr_reasons_options all = {
        .count = 9, .direction = MR_REASONS_ABSOLUTE, .contribution_min = 0.3};
    expect(&s, &all, 2,
           "[{\"reason\":\"count\",\"value\":1,\"contribution\":1},"
           "{\"reason\":\"amount\",\"value\":null,\"contribution\":-0.5}]");
    subject_deinit(&s);
}

TEST(reasons, equal_ones_stand_in_the_order_of_the_inputs)
{
    subject s;
    subject_init(&s, STUMPS("0.5", "0.5", "0.5"));
    mr_reasons_options two = {.count = 2};
    expect(&s, &two, 0,
           "[{\"reason\":\"amount\",\"value\":120.5,\"contribution\":0.5},"
           "{\"reason\":\"night\",\"value\":true,\"contribution\":0.5}]");
    subject_deinit(&s);
}

TEST(reasons, groups_add_up_and_texts_speak)
{
    subject s;
    subject_init(&s, STUMPS("0.5", "0.25", "1"));
    static const char *const members[] = {"amount", "night"};
    mr_reasons_group group = {"pay\"ment", members, 2};
    mr_reasons_text texts[] = {{"pay\"ment", "{feature} of {value} adds {contribution} {x"},
                               {"count", "{value} in a week"}};
    mr_reasons_options options = {
        .count = 3, .groups = &group, .group_count = 1, .texts = texts, .text_count = 2};
    expect(&s, &options, 0,
           "[{\"reason\":\"count\",\"text\":\"7 in a week\",\"value\":7,\"contribution\":1},"
           "{\"reason\":\"pay\\\"ment\",\"text\":\"amount of 120.5 adds 0.75 "
           "{x\",\"feature\":\"amount\",\"value\":120.5,\"contribution\":0.75}]");
    options.direction = MR_REASONS_LOWER; /* -0.5 + 0.25 */
    expect(&s, &options, 1,
           "[{\"reason\":\"count\",\"text\":\"0 in a week\",\"value\":0,\"contribution\":-1},"
           "{\"reason\":\"pay\\\"ment\",\"text\":\"amount of 0.25 adds -0.25 "
           "{x\",\"feature\":\"amount\",\"value\":0.25,\"contribution\":-0.25}]");
    subject_deinit(&s);
}

TEST(reasons, of_a_row_do_not_depend_on_the_others)
{
    subject s;
    mr_error err = {0};
    subject_init(&s, STUMPS("0.5", "0.25", "1"));
    mr_reasons_options options = {.count = 3, .direction = MR_REASONS_ABSOLUTE};
    mr_bytes whole = {0}, parts = {0};
    size_t ends[ROWS], end;
    static const uint32_t some[] = {0, 2};
    assert_ok(write(&s, &options, NULL, ROWS, &whole, ends, &err), &err);
    for (uint32_t r = 0; r < ROWS; r++)
        assert_ok(write(&s, &options, &r, 1, &parts, &end, &err), &err);
    assert_string_equal(mr_bytes_text(&whole), mr_bytes_text(&parts));
    mr_bytes_clear(&parts);
    size_t two[2];
    assert_ok(write(&s, &options, some, 2, &parts, two, &err), &err);
    assert_int_equal(two[0], ends[0]);
    assert_int_equal(two[1] - two[0], ends[2] - ends[1]);
    assert_memory_equal(parts.data + two[0], whole.data + ends[1], two[1] - two[0]);
    mr_bytes_deinit(&whole);
    mr_bytes_deinit(&parts);
    subject_deinit(&s);
}

TEST(reasons, what_does_not_fit_the_model_is_refused_unless_it_may_change)
{
    subject s;
    mr_error err = {0};
    subject_init(&s, STUMPS("0.5", "0.25", "1"));
    static const char *const unknown[] = {"amuont"}, *const twice[] = {"night"};
    mr_reasons_group groups[] = {{"a", unknown, 1}, {"b", twice, 1}, {"c", twice, 1}};
    mr_reasons_text text = {"nigth", "x"};
    const struct {
        mr_reasons_options options;
        const char *says;
    } wrong[] = {
        {{.count = 0}, "1 to 64"},
        {{.count = 65}, "1 to 64"},
        {{.count = 1, .groups = groups, .group_count = 1}, "no input amuont"},
        {{.count = 1, .groups = groups + 1, .group_count = 2}, "group b and in group c"},
        {{.count = 1, .texts = &text, .text_count = 1}, "a text for nigth"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(wrong); i++) {
        mr_reasons *reasons;
        assert_int_equal(mr_reasons_create(s.model, &wrong[i].options, &reasons, &err), MR_INVALID);
        if (strstr(err.text, wrong[i].says) == NULL)
            fail_msg("'%s' does not say '%s'", err.text, wrong[i].says);
    }
    mr_reasons_options may = {.count = 1,
                              .groups = groups,
                              .group_count = 1,
                              .texts = &text,
                              .text_count = 1,
                              .lenient = true};
    expect(&s, &may, 0, "[{\"reason\":\"count\",\"value\":7,\"contribution\":1}]");
    subject_deinit(&s);
}

TEST(reasons, a_model_that_cannot_be_explained_is_refused_at_once)
{
    mr_error err = {0};
    mr_model *model;
    mr_reasons *reasons;
    const char *json = MR_TEST_MODEL_XGBOOST;
    assert_ok(mr_model_open_bytes(json, strlen(json), NULL, &model, &err), &err);
    mr_reasons_options options = {.count = 1};
    assert_int_equal(mr_reasons_create(model, &options, &reasons, &err), MR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "sum_hessian"));
    assert_null(reasons);
    mr_model_close(model);
}

TEST(reasons, become_a_column_and_survive_lost_memory)
{
    subject s;
    mr_error err = {0};
    subject_init(&s, STUMPS("0.5", "0.25", "1"));
    mr_reasons_options options = {.count = 1};
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n++) {
        mr_bytes out = {0};
        mr_column column = {0};
        size_t end;
        uint32_t row = 1;
        (void)mr_memory_fail_after(n, false);
        status = write(&s, &options, &row, 1, &out, &end, &err);
        if (status == MR_OK) {
            mr_text texts[2] = {{NULL, 0}, {out.data, out.size}};
            status = mr_reasons_column(texts, 2, &column, &err);
        }
        (void)mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        if (status == MR_OK) {
            assert_true(mr_column_is_null(&column, 0));
            assert_int_equal(mr_column_text(&column, 1).size, out.size);
            assert_memory_equal(mr_column_text(&column, 1).bytes, out.data, out.size);
        }
        mr_column_release(&column);
        mr_bytes_deinit(&out);
    }
    subject_deinit(&s);
}
