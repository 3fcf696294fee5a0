/* onnx_test.c -- ONNX models as ONNX Runtime scores them, and every way a file can be wrong. */
#include "test/test.h"

#include "base/assert.h"
#include "model/model.h"
#include "os/fs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what ONNX Runtime computes: test/make_onnx_models.py ---- */

#define CELLS_MAX 256
#define ROWS_MAX  4096

static size_t split_cells(char *line, char **cells)
{
    size_t count = 0;
    for (char *cell = line; cell != NULL && count < CELLS_MAX; count++) {
        cells[count] = cell;
        cell = strchr(cell, ',');
        if (cell != NULL)
            *cell++ = '\0';
    }
    return count;
}

static double number_of(const char *cell)
{
    return cell[0] == '\0' ? NAN : strtod(cell, NULL);
}

static const char *or_nan(const char *cell)
{
    return cell[0] == '\0' ? "nan" : cell;
}

static mr_type_id type_of(const mr_model *model, uint32_t input)
{
    return model->signature.input_types != NULL ? model->signature.input_types[input] : MR_FLOAT32;
}

static mr_schema *schema_of(const mr_model *model)
{
    mr_error err = {0};
    mr_field fields[CELLS_MAX];
    assert_true(model->signature.input_count <= CELLS_MAX);
    for (uint32_t i = 0; i < model->signature.input_count; i++)
        fields[i] = (mr_field){.name = model->signature.input_names[i],
                               .type = {type_of(model, i), 0},
                               .nullable = true};
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, model->signature.input_count, &schema, &err), &err);
    return schema;
}

typedef struct golden {
    mr_model *model;
    mr_batch *batch;
    double tolerance;
    size_t rows, label_count, score_count;
    double *scores; /* by row */
    char (*labels)[64];
} golden;

static void add_cell(mr_builder_column *column, mr_type_id type, const char *cell)
{
    switch (type) {
    case MR_FLOAT32:
        mr_builder_float32(column, cell[0] == '\0' ? NAN : strtof(cell, NULL));
        break;
    case MR_FLOAT64:
        mr_builder_float64(column, number_of(cell));
        break;
    case MR_INT64:
        mr_builder_int64(column, strtoll(cell, NULL, 10));
        break;
    case MR_BOOL:
        mr_builder_bool(column, strcmp(cell, "True") == 0);
        break;
    default:
        mr_builder_text(column, cell, strlen(cell));
    }
}

static void read_row(golden *g, mr_builder *builder, char **cells, size_t count)
{
    uint32_t inputs = g->model->signature.input_count;
    assert_int_equal(count, inputs + g->label_count + g->score_count);
    assert_true(g->rows < ROWS_MAX);
    for (uint32_t i = 0; i < inputs; i++)
        add_cell(&builder->columns[i], type_of(g->model, i), cells[i]);
    if (g->label_count > 0)
        (void)snprintf(g->labels[g->rows], sizeof g->labels[0], "%s", cells[inputs]);
    for (size_t s = 0; s < g->score_count; s++)
        g->scores[g->rows * g->score_count + s] =
            g->model->signature.float_bits == 64
                ? number_of(cells[inputs + g->label_count + s])
                : (double)strtof(or_nan(cells[inputs + g->label_count + s]), NULL);
    g->rows++;
}

static void read_rows(golden *g, const char *path)
{
    mr_error err = {0};
    mr_bytes text = {0};
    mr_builder builder;
    char *cells[CELLS_MAX];
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 64u << 20, &text, &err), &err);
    mr_bytes_append_byte(&text, 0);
    mr_schema *schema = schema_of(g->model);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    char *line = strtok((char *)text.data, "\n");
    assert_int_equal(split_cells(line, cells), 3);
    g->tolerance = number_of(cells[0]);
    g->label_count = strtoul(cells[1], NULL, 10);
    g->score_count = strtoul(cells[2], NULL, 10);
    g->scores = mr_alloc(sizeof *g->scores * ROWS_MAX * (g->score_count + 1));
    g->labels = mr_alloc(sizeof *g->labels * ROWS_MAX);
    while ((line = strtok(NULL, "\n")) != NULL)
        read_row(g, &builder, cells, split_cells(line, cells));
    assert_ok(mr_builder_finish(&builder, &g->batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    mr_bytes_deinit(&text);
}

static void check_score(const char *name, const golden *g, size_t r, size_t s, double got)
{
    double wanted = g->scores[r * g->score_count + s];
    if (isnan(wanted) ? isnan(got) : got == wanted)
        return;
    if (!(fabs(got - wanted) <= g->tolerance * fmax(1, fabs(wanted))))
        fail_msg("%s, row %zu, score %zu: %.9g, ONNX Runtime says %.9g", name, r, s, got, wanted);
}

/* Rows [first, first + count), all at once. */
static void check_rows(const char *name, const golden *g, const mr_binding *binding,
                       mr_scratch *scratch, size_t first, size_t count)
{
    mr_error err = {0};
    const mr_model_signature *signature = &g->model->signature;
    uint32_t outputs = signature->output_count;
    bool wide = signature->float_bits == 64;
    double *scores = mr_alloc(sizeof *scores * outputs * count);
    int32_t *labels = mr_alloc(sizeof *labels * count);
    mr_model_out out = {
        .scores = scores, .labels = signature->class_count > 0 ? labels : NULL, .stride = count};
    assert_ok(
        mr_model_score(g->model, binding, g->batch->columns, first, count, &out, scratch, &err),
        &err);
    for (size_t r = 0; r < count; r++) {
        for (size_t s = 0; s < g->score_count; s++)
            check_score(name, g, first + r, s,
                        wide ? scores[s * count + r]
                             : (double)((const float *)scores)[s * count + r]);
        if (g->label_count > 0 &&
            strcmp(signature->class_names[labels[r]], g->labels[first + r]) != 0)
            fail_msg("%s, row %zu: class %s, ONNX Runtime says %s", name, first + r,
                     signature->class_names[labels[r]], g->labels[first + r]);
    }
    mr_free(scores);
    mr_free(labels);
}

static void check_model(const char *folder, const char *name, const char *cpu)
{
    char path[1024];
    mr_error err = {0};
    golden g = {0};
    mr_binding *binding;
    mr_scratch *scratch;
    mr_setting setting = {"cpu", cpu};
    mr_model_options options = {.settings = &setting, .setting_count = 1};
    (void)snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    assert_ok(mr_model_open(mr_fs_real(), path, &options, &g.model, &err), &err);
    assert_string_equal(g.model->kind->name, "onnx");
    (void)snprintf(path, sizeof path, "%s/%s/rows.csv", folder, name);
    read_rows(&g, path);
    if (g.score_count != g.model->signature.output_count ||
        (g.label_count > 0) != (g.model->signature.class_count > 0))
        fail_msg("%s: %u scores, %u classes", name, g.model->signature.output_count,
                 g.model->signature.class_count);
    assert_ok(mr_model_bind(g.model, g.batch->schema, &binding, &err), &err);
    assert_ok(mr_scratch_create(g.model, &scratch, &err), &err);
    check_rows(name, &g, binding, scratch, 0, g.rows);
    for (size_t r = 0; r < g.rows; r++)
        check_rows(name, &g, binding, scratch, r, 1);
    for (size_t r = 0; r + 17 <= g.rows; r += 17)
        check_rows(name, &g, binding, scratch, r, 17);
    mr_scratch_destroy(scratch);
    mr_binding_destroy(binding);
    mr_batch_release(g.batch);
    mr_model_close(g.model);
    mr_free(g.scores);
    mr_free(g.labels);
}

static size_t check_folder(const char *folder, const char *cpu)
{
    mr_error err = {0};
    char **names;
    size_t count;
    assert_ok(mr_fs_list(mr_fs_real(), folder, &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++)
        check_model(folder, names[i], cpu);
    mr_fs_free_names(names, count);
    return count;
}

TEST(onnx, scores_as_onnx_runtime)
{
    const char *more = getenv("MILLRACE_ONNX_MODELS");
    assert_true(check_folder("test/onnx", "auto") >= 40);
    if (more != NULL)
        (void)check_folder(more, "auto");
}

TEST(onnx, scores_alike_on_every_processor)
{
    (void)check_folder("test/onnx", "plain");
    (void)check_folder("test/onnx", "avx2");
}

/* ---- what a model says about itself ---- */

static mr_model *open_named(const char *name)
{
    char path[256];
    mr_error err = {0};
    mr_model *model;
    (void)snprintf(path, sizeof path, "test/onnx/%s/model.onnx", name);
    assert_ok(mr_model_open(mr_fs_real(), path, NULL, &model, &err), &err);
    return model;
}

TEST(onnx, names_and_types_come_from_the_file)
{
    mr_model *model = open_named("columns");
    const mr_model_signature *s = &model->signature;
    assert_int_equal(s->input_count, 4);
    assert_string_equal(s->input_names[0], "amount");
    assert_string_equal(s->input_names[3], "code");
    assert_int_equal(s->input_types[2], MR_STRING);
    assert_int_equal(s->input_types[3], MR_INT64);
    assert_int_equal(s->class_count, 2);
    assert_string_equal(s->class_names[1], "fraud");
    assert_string_equal(s->output_names[1], "probability_fraud");
    assert_true(s->may_abstain);
    mr_model_close(model);
    model = open_named("net");
    assert_string_equal(model->signature.input_names[10], "column 10");
    assert_false(model->signature.may_abstain);
    assert_non_null(model->kind->score_row);
    mr_model_close(model);
    model = open_named("perceptron_double");
    assert_int_equal(model->signature.float_bits, 64);
    assert_null(model->kind->score_row);
    assert_string_equal(model->signature.input_names[0], "f0");
    mr_model_close(model);
}

TEST(onnx, a_null_that_no_number_stands_for_has_no_score)
{
    mr_error err = {0};
    mr_model *model = open_named("columns");
    mr_schema *schema = schema_of(model);
    mr_builder builder;
    mr_batch *batch;
    mr_binding *binding;
    mr_scratch *scratch;
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (int r = 0; r < 4; r++)
        for (uint32_t c = 0; c < 4; c++) {
            if (r == (int)c) /* each input is missing once */
                mr_builder_null(&builder.columns[c]);
            else
                add_cell(&builder.columns[c], schema->fields[c].type.id, c == 2 ? "DE" : "3");
        }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    assert_ok(mr_model_bind(model, schema, &binding, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    float scores[8];
    int32_t labels[4];
    mr_model_out out = {.scores = scores, .labels = labels, .stride = 4};
    assert_ok(mr_model_score(model, binding, batch->columns, 0, 4, &out, scratch, &err), &err);
    assert_true(!isnan(scores[0]) && labels[0] >= 0); /* an amount is imputed */
    assert_true(isnan(scores[1]) || labels[1] >= 0);  /* an age is not: NaN goes through */
    assert_true(isnan(scores[2]) && isnan(scores[6]) && labels[2] == -1);
    assert_true(isnan(scores[3]) && isnan(scores[7]) && labels[3] == -1);
    mr_builder_deinit(&builder);
    mr_batch_release(batch);
    mr_schema_release(schema);
    mr_scratch_destroy(scratch);
    mr_binding_destroy(binding);
    mr_model_close(model);
}

/* ---- files that are wrong ---- */

static mr_bytes file_of(const char *name)
{
    char path[256];
    mr_error err = {0};
    mr_bytes bytes = {0};
    (void)snprintf(path, sizeof path, "test/onnx/%s/model.onnx", name);
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &bytes, &err), &err);
    return bytes;
}

static const char *const hostile[] = {"columns", "forest_two", "shapes", "ensemble5_sets", "net"};

/* Whatever it is, it is refused with words, or scores. */
static void open_anything(const mr_bytes *bytes, size_t size)
{
    mr_error err = {0};
    mr_model *model;
    mr_setting settings[] = {{"row_kernel", "walk"}, {"batch_kernel", "walk"}};
    mr_model_options options = {.kind = "onnx", .settings = settings, .setting_count = 2};
    mr_status status = mr_model_open_bytes(bytes->data, size, &options, &model, &err);
    if (status == MR_OK)
        mr_model_close(model);
    else
        assert_true(err.text[0] != '\0' && status != MR_INTERNAL);
}

TEST(onnx, every_prefix_of_a_file_is_refused)
{
    for (size_t f = 0; f < MR_COUNT_OF(hostile); f++) {
        mr_bytes bytes = file_of(hostile[f]);
        uint64_t before = mr_memory_used_bytes();
        for (size_t size = 0; size < bytes.size; size++) {
            uint8_t *exact = mr_alloc(size); /* so that a read beyond is seen */
            memcpy(exact, bytes.data, size);
            open_anything(&(mr_bytes){.data = exact, .size = size}, size);
            mr_free(exact);
        }
        assert_int_equal(mr_memory_used_bytes(), before);
        mr_bytes_deinit(&bytes);
    }
}

TEST(onnx, damaged_files_are_refused_or_score)
{
    mr_random_seeded random = mr_test_random(5);
    for (size_t f = 0; f < MR_COUNT_OF(hostile); f++) {
        mr_bytes bytes = file_of(hostile[f]);
        for (uint64_t round = 0; round < mr_test_rounds(600); round++) {
            size_t at = mr_random_below(&random, bytes.size);
            uint8_t kept = bytes.data[at];
            bytes.data[at] = (uint8_t)mr_random_below(&random, 256);
            open_anything(&bytes, bytes.size);
            bytes.data[at] = kept;
        }
        mr_bytes_deinit(&bytes);
    }
}

/* A byte string put in the place of another of the same length, everywhere. */
static void replace(mr_bytes *bytes, const char *from, const char *to)
{
    size_t size = strlen(from), found = 0;
    assert_int_equal(size, strlen(to));
    for (size_t i = 0; i + size <= bytes->size; i++)
        if (memcmp(bytes->data + i, from, size) == 0) {
            memcpy(bytes->data + i, to, size);
            found++;
        }
    assert_true(found > 0);
}

TEST(onnx, refusals_name_the_node)
{
    static const struct {
        const char *file, *from, *to, *says;
    } cases[] = {
        {"net", "Sigmoid", "Sigmund",
         "graph.node[6] 'Sigmund_7' (Sigmund of ai.onnx, opset 17): this operator is not "
         "supported"},
        {"net", "transB", "transX",
         "(Gemm of ai.onnx, opset 17): attribute 'transX' is not supported"},
        {"forest_two", "BRANCH_LEQ", "BRANCH_LXQ", "nodes_modes holds 'BRANCH_LXQ'"},
        {"forest_two", "nodes_values", "nodes_valves", "attribute 'nodes_valves' is not supported"},
        {"columns", "cats_strings", "cats_strinks", "attribute 'cats_strinks' is not supported"},
        {"logistic", "ai.onnx.ml", "ai.onnx.mx", "of ai.onnx.mx, opset 1): this operator"},
        {"logistic", "post_transform", "post_transfork", "'post_transfork' is not supported"},
        {"classes_four_softmax", "SOFTMAX", "HARDMAX", "post_transform is none of NONE, SOFTMAX"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model;
        mr_bytes bytes = file_of(cases[i].file);
        replace(&bytes, cases[i].from, cases[i].to);
        assert_true(mr_model_open_bytes(bytes.data, bytes.size, NULL, &model, &err) != MR_OK);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, err.text);
        mr_bytes_deinit(&bytes);
    }
}

TEST(onnx, a_broken_message_is_named_by_its_place)
{
    mr_error err = {0};
    mr_model *model;
    mr_bytes bytes = file_of("net");
    mr_model_options options = {.kind = "onnx"};
    assert_int_equal(mr_model_open_bytes(bytes.data, bytes.size - 30, &options, &model, &err),
                     MR_INVALID);
    if (strstr(err.text, "ONNX model: at byte ") == NULL)
        fail_msg("%s", err.text);
    mr_bytes_deinit(&bytes);
}
