/* model_test.c -- what holds for every family in the table, and what binding says. */
#include "test/test.h"

#include "base/assert.h"
#include "model/artifact.h"
#include "model/model.h"
#include "os/thread.h"
#include "test/cards.h"
#include "test/models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A small model of each kind, so that a kind without one fails the conformance test. */
static const struct {
    const char *kind;
    const char *bytes; /* of the model itself, when it is text */
    const char *path;  /* or where it is */
} examples[] = {
    {"xgboost", MR_TEST_MODEL_XGBOOST, NULL},
    {"lightgbm", MR_TEST_MODEL_LIGHTGBM, NULL},
    {"linear", MR_TEST_MODEL_GLM, NULL},
    {"pmml", MR_TEST_MODEL_PMML, NULL},
    {"onnx", NULL, "test/onnx/conformance/model.onnx"},
    {"tensorflow", NULL, "test/tensorflow/dense.pb"},
};

/* The caller frees them. */
static mr_bytes example_of(const mr_model_kind *kind)
{
    mr_error err = {0};
    mr_bytes bytes = {0};
    for (size_t i = 0; i < MR_COUNT_OF(examples); i++) {
        if (strcmp(examples[i].kind, kind->name) != 0)
            continue;
        if (examples[i].bytes != NULL)
            mr_bytes_append_text(&bytes, examples[i].bytes);
        else
            assert_ok(mr_fs_read_file(mr_fs_real(), examples[i].path, 1u << 20, &bytes, &err),
                      &err);
        return bytes;
    }
    fail_msg("kind %s has no example in model_test.c", kind->name);
    return bytes;
}

static mr_model *open_example(const mr_model_kind *kind)
{
    mr_error err = {0};
    mr_model *model;
    mr_bytes bytes = example_of(kind);
    assert_ok(mr_model_open_bytes(bytes.data, bytes.size, NULL, &model, &err), &err);
    mr_bytes_deinit(&bytes);
    return model;
}

static mr_schema *schema_of(const char *text)
{
    mr_error err = {0};
    mr_schema *schema;
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    return schema;
}

static bool takes_text(const mr_model *model, uint32_t input)
{
    return model->signature.input_types != NULL && model->signature.input_types[input] == MR_STRING;
}

/* A schema with the model's inputs in reverse order and a column the model does not know. */
static mr_schema *reversed_schema(const mr_model *model)
{
    mr_error err = {0};
    uint32_t n = model->signature.input_count;
    mr_field *fields = mr_alloc_zero(n + 1, sizeof *fields);
    fields[0] = (mr_field){.name = "unrelated column", .type = {MR_STRING, 0}};
    for (uint32_t i = 0; i < n; i++)
        fields[1 + i] = (mr_field){.name = model->signature.input_names[n - 1 - i],
                                   .type = {takes_text(model, n - 1 - i) ? MR_STRING
                                            : i % 2 == 0                 ? MR_FLOAT64
                                                                         : MR_INT64,
                                            0}};
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, n + 1, &schema, &err), &err);
    mr_free(fields);
    return schema;
}

#define ROWS 700

/* Columns by the reversed schema; every value is a small whole number, so that all types hold it; texts
 * are letters. */
static mr_batch *reversed_batch(mr_schema *schema, mr_random_seeded *random)
{
    mr_error err = {0};
    mr_builder builder;
    mr_batch *batch;
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (int r = 0; r < ROWS; r++)
        for (uint32_t c = 0; c < schema->field_count; c++) {
            int64_t value = (int64_t)mr_random_below(random, 9) - 4;
            if (schema->fields[c].type.id == MR_STRING)
                mr_builder_text(&builder.columns[c], &"abcdefghi"[value + 4], 1);
            else if (schema->fields[c].type.id == MR_FLOAT64)
                mr_builder_float64(&builder.columns[c], (double)value);
            else
                mr_builder_int64(&builder.columns[c], value);
        }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    return batch;
}

/* A row of floats gives what the row of the batch gave. */
static void check_row(const mr_model *model, const mr_binding *binding, const mr_batch *batch,
                      size_t r, const void *expected, mr_scratch *scratch)
{
    uint32_t n = model->signature.input_count,
             results = model->signature.margin_count + model->signature.output_count;
    if (model->kind->score_row == NULL)
        return;
    float *row = mr_alloc(sizeof(float) * (n + results));
    for (uint32_t i = 0; i < n; i++)
        mr_model_convert(&batch->columns[mr_binding_fields(binding)[i]], r, 1, &row[i]);
    (void)mr_model_score_row(model, row, row + n, row + n + model->signature.margin_count, scratch,
                             NULL);
    assert_memory_equal(row + n, expected, sizeof(float) * results);
    mr_free(row);
}

TEST(model, every_kind_scores_rows_and_batches_alike)
{
    for (const mr_model_kind *const *kind = mr_model_kinds; *kind != NULL; kind++) {
        mr_error err = {0};
        mr_model *model = open_example(*kind);
        assert_ptr_equal(mr_model_kind_find((*kind)->name), *kind);
        mr_random_seeded random = mr_test_random(1);
        mr_schema *schema = reversed_schema(model);
        mr_batch *batch = reversed_batch(schema, &random);
        mr_binding *binding;
        mr_scratch *scratch;
        assert_ok(mr_model_bind(model, schema, &binding, &err), &err);
        assert_ok(mr_scratch_create(model, &scratch, &err), &err);
        uint32_t m = model->signature.margin_count, k = model->signature.output_count;
        size_t width = model->signature.float_bits / 8;
        uint8_t *whole = mr_alloc(width * ROWS * (m + k)), *row = mr_alloc(width * (m + k));
        int32_t *labels = mr_alloc(sizeof *labels * (ROWS + 1));
        bool classes = model->signature.class_count > 0;
        mr_model_out out = {whole, whole + width * ROWS * m, classes ? labels : NULL, ROWS};
        assert_ok(mr_model_score(model, binding, batch->columns, 0, ROWS, &out, scratch, &err),
                  &err);
        for (size_t r = 0; r < ROWS; r++) {
            mr_model_out one = {row, row + width * m, classes ? labels + ROWS : NULL, 1};
            assert_ok(mr_model_score(model, binding, batch->columns, r, 1, &one, scratch, &err),
                      &err);
            for (uint32_t g = 0; g < m + k; g++)
                assert_memory_equal(row + g * width, whole + (g * (size_t)ROWS + r) * width, width);
            assert_true(!classes || labels[r] == labels[ROWS]);
            check_row(model, binding, batch, r, row, scratch);
        }
        mr_free(labels);
        mr_free(whole);
        mr_free(row);
        mr_scratch_destroy(scratch);
        mr_binding_destroy(binding);
        mr_batch_release(batch);
        mr_schema_release(schema);
        mr_model_close(model);
    }
}

TEST(model, scoring_takes_no_memory)
{
    for (const mr_model_kind *const *kind = mr_model_kinds; *kind != NULL; kind++) {
        mr_error err = {0};
        mr_model *model = open_example(*kind);
        mr_random_seeded random = mr_test_random(2);
        mr_schema *schema = reversed_schema(model);
        mr_batch *batch = reversed_batch(schema, &random);
        mr_binding *binding;
        mr_scratch *scratch;
        assert_ok(mr_model_bind(model, schema, &binding, &err), &err);
        assert_ok(mr_scratch_create(model, &scratch, &err), &err);
        double *scores = mr_alloc(sizeof(double) * ROWS * model->signature.output_count);
        mr_model_out out = {.scores = scores, .stride = ROWS};
        (void)mr_memory_fail_after(-1, false);
        assert_ok(mr_model_score(model, binding, batch->columns, 0, ROWS, &out, scratch, &err),
                  &err);
        float row[MR_MODEL_OUTPUTS_MAX] = {0};
        if (mr_model_takes_numbers(model) && model->signature.input_count <= MR_COUNT_OF(row))
            (void)mr_model_score_row(model, row, NULL, row, scratch, NULL);
        assert_int_equal(mr_memory_fail_after(-1, false), 0);
        mr_free(scores);
        mr_scratch_destroy(scratch);
        mr_binding_destroy(binding);
        mr_batch_release(batch);
        mr_schema_release(schema);
        mr_model_close(model);
    }
}

/* Every allocation of open, bind and scratch fails once: a clean error and nothing left behind. */
TEST(model, survives_any_failing_allocation)
{
    for (const mr_model_kind *const *kind = mr_model_kinds; *kind != NULL; kind++) {
        mr_bytes bytes = example_of(*kind);
        mr_model *named = open_example(*kind);
        mr_schema *schema = reversed_schema(named);
        mr_model_close(named);
        mr_status status = MR_NO_MEMORY;
        int64_t n = 0;
        for (; status != MR_OK; n++) {
            mr_error err = {0};
            mr_model *model = NULL;
            mr_binding *binding = NULL;
            mr_scratch *scratch = NULL;
            uint64_t before = mr_memory_used_bytes();
            (void)mr_memory_fail_after(n, n % 2 == 1);
            status = mr_model_open_bytes(bytes.data, bytes.size, NULL, &model, &err);
            if (status == MR_OK)
                status = mr_model_bind(model, schema, &binding, &err);
            if (status == MR_OK)
                status = mr_scratch_create(model, &scratch, &err);
            (void)mr_memory_fail_after(-1, false);
            if (status != MR_OK && status != MR_NO_MEMORY)
                fail_msg("allocation %lld: %s", (long long)n, err.text);
            mr_scratch_destroy(scratch);
            mr_binding_destroy(binding);
            mr_model_close(model);
            assert_int_equal(mr_memory_used_bytes(), before);
        }
        assert_true(n > 10);
        mr_bytes_deinit(&bytes);
        mr_schema_release(schema);
    }
}

TEST(model, binding_names_what_is_wrong)
{
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {"amount: float64, night: bool", "1 of the model's 3 inputs do not bind: 'count 7d' is "
                                         "missing; the columns are amount, night"},
        {"amount: float64, nigth: bool, 'x y': int32, \"count 7d\": int64", NULL},
        {"amount: string, night: bool, count: int64",
         "'amount' is a string, a number or bool is wanted"},
        {"Amount: float64, night: bool", "'amount' is missing (did you mean 'Amount'?)"},
    };
    mr_model *model = open_example(&(const mr_model_kind){.name = "xgboost"});
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        if (cases[i].says == NULL)
            continue;
        mr_error err = {0};
        mr_binding *binding;
        mr_schema *schema = schema_of(cases[i].schema);
        assert_int_equal(mr_model_bind(model, schema, &binding, &err), MR_INVALID);
        assert_null(binding);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, err.text);
        mr_schema_release(schema);
    }
    mr_model_close(model);
}

TEST(model, settings_and_kinds_are_checked)
{
    static const struct {
        mr_setting setting;
        const char *kind, *says;
    } cases[] = {
        {{"cpu", "avx9"}, NULL, "cpu is 'avx9': it must be one of auto|plain|avx2|avx512"},
        {{"cpus", "plain"}, NULL, "no setting is called 'cpus'; did you mean 'cpu'?"},
        {{"cpu", "plain"}, "pickle", "no kind of model is called 'pickle'; there are: xgboost"},
    };
    const char *bytes = MR_TEST_MODEL_XGBOOST;
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model;
        mr_model_options options = {
            .kind = cases[i].kind, .settings = &cases[i].setting, .setting_count = 1};
        assert_true(mr_model_open_bytes(bytes, strlen(bytes), &options, &model, &err) != MR_OK);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, err.text);
    }
    mr_error err = {0};
    mr_model *model;
    assert_int_equal(mr_model_open_bytes("\x80\x02", 2, NULL, &model, &err), MR_UNSUPPORTED);
}

/* ---- conversion ---- */

TEST(model, numbers_become_float32_in_one_rounding)
{
    mr_error err = {0};
    mr_schema *schema =
        schema_of("b: bool null, i: int32, l: int64, f: float32, d: float64, t: timestamp");
    mr_builder builder;
    mr_batch *batch;
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    const int64_t tricky =
        (INT64_C(1) << 54) + (INT64_C(1) << 30) + 1; /* by way of a double it would round down */
    for (int r = 0; r < 40; r++) {
        if (r == 3)
            mr_builder_null(&builder.columns[0]);
        else
            mr_builder_bool(&builder.columns[0], r % 2 == 1);
        mr_builder_int32(&builder.columns[1], 16777217 + r);
        mr_builder_int64(&builder.columns[2], tricky + r);
        mr_builder_float32(&builder.columns[3], 0.1f);
        mr_builder_float64(&builder.columns[4], r == 0 ? 1e300 : 0.1 * r);
        mr_builder_int64(&builder.columns[5], tricky - r);
    }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    float out[40];
    for (uint32_t c = 0; c < 6; c++) {
        mr_model_convert(&batch->columns[c], 1, 39, out);
        for (int r = 1; r < 40; r++) {
            float expected = c == 0   ? (float)(r % 2)
                             : c == 1 ? (float)(16777217 + r)
                             : c == 2 ? (float)(tricky + r)
                             : c == 3 ? 0.1f
                             : c == 4 ? (float)(0.1 * r)
                                      : (float)(tricky - r);
            if (c == 0 && r == 3)
                assert_true(isnan(out[r - 1]));
            else
                assert_true(out[r - 1] == expected);
        }
    }
    mr_model_convert(&batch->columns[4], 0, 1, out);
    assert_true(out[0] == INFINITY);
    mr_builder_deinit(&builder);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

/* ---- threads ---- */

typedef struct race {
    const mr_model *model;
    mr_scratch *scratch[4];
    float sums[4];
} race;

static void score_many(void *context, int worker)
{
    race *r = context;
    float inputs[8] = {0}, score;
    for (int i = 0; i < 2000; i++) {
        for (int f = 0; f < 8; f++)
            inputs[f] = (float)((i * 7 + f * 3) % 11) - 5;
        (void)mr_model_score_row(r->model, inputs, NULL, &score, r->scratch[worker], NULL);
        r->sums[worker] += score;
    }
}

TEST(model, threads_share_a_model)
{
    mr_error err = {0};
    race r = {.model = open_example(&(const mr_model_kind){.name = "xgboost"})};
    mr_pool *pool;
    assert_ok(mr_pool_create(4, &pool, &err), &err);
    for (int i = 0; i < 4; i++)
        assert_ok(mr_scratch_create(r.model, &r.scratch[i], &err), &err);
    mr_pool_run(pool, score_many, &r);
    for (int i = 0; i < 4; i++) {
        assert_true(r.sums[i] == r.sums[0] && r.sums[0] != 0);
        mr_scratch_destroy(r.scratch[i]);
    }
    mr_pool_destroy(pool);
    mr_model *model;
    memcpy(&model, &r.model, sizeof model);
    mr_model_close(model);
}
