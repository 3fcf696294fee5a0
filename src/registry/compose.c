/* compose.c -- an artifact of what is there and what can be made. The model is opened once and asked for all of it. */
#include "registry/compose.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/number.h"
#include "model/artifact.h"
#include "model/facts.h"
#include "model/profile.h"
#include "model/results.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX (UINT64_C(4) << 30)

typedef struct compose_file {
    char name[MR_ARTIFACT_NAME_MAX + 1];
    mr_bytes content;
} compose_file;

typedef struct composer {
    mr_fs *fs;
    const mr_compose_options *options;
    mr_error *err;
    mr_arena arena;
    compose_file files[MR_ARTIFACT_FILES_MAX];
    size_t count;
    mr_model *model;
    const mr_yaml *facts; /* of the model.yaml that is there; NULL: none */
} composer;

/* ---- files ---- */

static compose_file *find(composer *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->files[i].name, name) == 0)
            return &c->files[i];
    return NULL;
}

static mr_status add(composer *c, const char *name, compose_file **out)
{
    if (!mr_artifact_is_name(name))
        return MR_FAIL(c->err, MR_INVALID, "a file called '%.120s' cannot be in an artifact", name);
    if (c->count == MR_ARTIFACT_FILES_MAX)
        return MR_FAIL(c->err, MR_FULL, "an artifact has at most %d files", MR_ARTIFACT_FILES_MAX);
    compose_file *file = &c->files[c->count++];
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    *out = file;
    return MR_OK;
}

/* The file of that name, empty. */
static mr_status renew(composer *c, const char *name, compose_file **out)
{
    *out = find(c, name);
    if (*out == NULL)
        return add(c, name, out);
    mr_bytes_clear(&(*out)->content);
    return MR_OK;
}

static mr_status load(composer *c, const char *path, const char *name)
{
    compose_file *file;
    MR_TRY(add(c, name, &file));
    return mr_fs_read_file(c->fs, path, FILE_BYTES_MAX, &file->content, c->err);
}

static mr_status load_folder(composer *c, const char *path)
{
    char **names = NULL;
    size_t count = 0;
    MR_TRY(mr_fs_list(c->fs, path, &names, &count, c->err));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count; i++) {
        const char *inner = mr_arena_printf(&c->arena, "%s/%s", path, names[i]);
        status = inner != NULL ? load(c, inner, names[i]) : MR_OUT_OF_MEMORY(c->err);
    }
    mr_fs_free_names(names, count);
    return status;
}

/* "runs/7/best.onnx" becomes model.onnx. */
static mr_status load_file(composer *c, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    const char *name =
        mr_arena_printf(&c->arena, "model.%s", dot != NULL && dot[1] != '\0' ? dot + 1 : "bin");
    return name != NULL ? load(c, path, name) : MR_OUT_OF_MEMORY(c->err);
}

static mr_status open_model(composer *c, const char *path, bool folder)
{
    mr_bytes file = {0};
    mr_status status = MR_OK;
    if (folder)
        status = mr_artifact_model_file(c->fs, path, &file, c->err);
    if (status == MR_OK)
        status =
            mr_model_open(c->fs, folder ? mr_bytes_text(&file) : path, NULL, &c->model, c->err);
    mr_bytes_deinit(&file);
    return status;
}

/* ---- golden rows ---- */

static uint32_t input_count(const composer *c)
{
    return c->model->signature.input_count;
}

/* Values at which models tend to differ; which one where is told by row and input. */
static void put_number(mr_builder_column *column, mr_type_id type, size_t row, uint32_t input)
{
    static const double values[] = {0, 1, -1, 0.5, 2, 10, -0.25, 100, 1000, -37.5, 3.25, 1e6};
    size_t at = (size_t)(mr_hash_u64(row * 65537 + input) % MR_COUNT_OF(values));
    double value = values[at];
    if (type == MR_FLOAT64)
        mr_builder_float64(column, value);
    else if (type == MR_INT64)
        mr_builder_int64(column, (int64_t)value);
    else if (type == MR_BOOL)
        mr_builder_bool(column, at % 2 != 0);
    else
        mr_builder_float32(column, (float)value);
}

static void put_made_up(mr_builder_column *column, mr_type_id type, size_t row, uint32_t input)
{
    static const char *const texts[] = {"a", "b", "", "unknown"};
    uint64_t chance = mr_hash_u64(row * 92821 + input);
    if (row > 0 && chance % 8 == 0) /* the first row has all its values */
        mr_builder_null(column);
    else if (type == MR_STRING)
        mr_builder_text(column, texts[chance / 8 % 4], strlen(texts[chance / 8 % 4]));
    else
        put_number(column, type, row, input);
}

static mr_status make_up_rows(composer *c, mr_batch **out)
{
    mr_schema *schema;
    mr_builder builder;
    MR_TRY(mr_artifact_inputs(c->model, &schema, c->err));
    mr_status status = mr_builder_init(&builder, schema, c->err);
    if (status == MR_OK) {
        for (size_t row = 0; row < MR_ARTIFACT_GOLDEN_ROWS; row++)
            for (uint32_t i = 0; i < input_count(c); i++)
                put_made_up(&builder.columns[i], schema->fields[i].type.id, row, i);
        status = mr_builder_finish(&builder, out, c->err);
        mr_builder_deinit(&builder);
    }
    mr_schema_release(schema);
    return status;
}

/* Spread evenly over the data. */
static mr_status pick_rows(composer *c, const mr_batch *from, mr_batch **out)
{
    uint32_t rows[MR_ARTIFACT_GOLDEN_ROWS];
    size_t count = MR_MIN(from->row_count, (size_t)MR_ARTIFACT_GOLDEN_ROWS);
    for (size_t i = 0; i < count; i++)
        rows[i] = (uint32_t)((uint64_t)i * from->row_count / count);
    return mr_batch_gather(from, rows, count, out, c->err);
}

static mr_status golden_of_rows(composer *c, const mr_batch *rows)
{
    compose_file *file;
    MR_TRY(renew(c, "golden.csv", &file));
    return mr_artifact_golden_batch(c->model, rows, &file->content, c->err);
}

static mr_status make_golden(composer *c)
{
    const mr_compose_options *options = c->options;
    compose_file *file = find(c, "golden.csv");
    mr_batch *rows = NULL;
    if (options->golden_text != NULL) {
        MR_TRY(renew(c, "golden.csv", &file));
        mr_bytes_append(&file->content, options->golden_text, options->golden_bytes);
        return MR_OK;
    }
    if (options->golden_rows != NULL)
        return golden_of_rows(c, options->golden_rows);
    if (file != NULL)
        return MR_OK;
    bool data = options->profile_rows != NULL && options->profile_rows->row_count > 0;
    MR_TRY(data ? pick_rows(c, options->profile_rows, &rows) : make_up_rows(c, &rows));
    mr_status status = golden_of_rows(c, rows);
    mr_batch_release(rows);
    return status;
}

/* ---- the profile ---- */

static mr_status profile_inputs(composer *c, const mr_batch *rows, const mr_binding *binding,
                                mr_bytes *out)
{
    for (uint32_t i = 0; i < input_count(c); i++) {
        const mr_column *column = &rows->columns[mr_binding_fields(binding)[i]];
        mr_bytes_append_text(out, i > 0 ? ",\n  " : "\n  ");
        MR_TRY(mr_profile_column(c->model->signature.input_names[i], column, rows->row_count, out,
                                 c->err));
    }
    return MR_OK;
}

static mr_status profile_results(composer *c, const mr_results *results, mr_bytes *out)
{
    mr_field *fields;
    uint32_t count;
    MR_TRY(mr_results_fields(c->model, "score", false, &c->arena, &fields, &count, c->err));
    mr_column *columns = mr_alloc_zero(count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(c->err);
    if (status == MR_OK)
        status = mr_results_columns(results, columns, c->err);
    for (uint32_t i = 0; status == MR_OK && i < count; i++) {
        mr_bytes_append_text(out, i > 0 ? ",\n  " : "\n  ");
        status = mr_profile_column(fields[i].name, &columns[i], results->rows, out, c->err);
    }
    for (uint32_t i = 0; columns != NULL && i < count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status;
}

static mr_status profile_scores(composer *c, const mr_batch *rows, const mr_binding *binding,
                                mr_bytes *out)
{
    mr_results results = {0};
    mr_scratch *scratch;
    MR_TRY(mr_scratch_create(c->model, &scratch, c->err));
    mr_status status = mr_results_init(&results, c->model, false, rows->row_count, c->err);
    if (status == MR_OK) {
        mr_model_out to = mr_results_out(&results, 0);
        status = mr_model_score(c->model, binding, rows->columns, 0, rows->row_count, &to, scratch,
                                c->err);
    }
    if (status == MR_OK)
        status = profile_results(c, &results, out);
    mr_results_deinit(&results);
    mr_scratch_destroy(scratch);
    return status;
}

static mr_status make_profile(composer *c)
{
    const mr_batch *rows = c->options->profile_rows;
    compose_file *file;
    mr_binding *binding;
    if (rows == NULL)
        return MR_OK;
    MR_TRY(renew(c, "profile.json", &file));
    MR_TRY(mr_model_bind(c->model, rows->schema, &binding, c->err));
    mr_bytes *out = &file->content;
    mr_bytes_printf(out, "{\"rows\": %" PRIu32 ", \"features\": [", rows->row_count);
    mr_status status = profile_inputs(c, rows, binding, out);
    mr_bytes_append_text(out, "],\n\"scores\": [");
    if (status == MR_OK)
        status = profile_scores(c, rows, binding, out);
    mr_bytes_append_text(out, "]}\n");
    mr_binding_destroy(binding);
    return status;
}

/* ---- model.yaml ---- */

static void put_text(mr_bytes *out, const char *key, const char *value)
{
    mr_bytes_printf(out, "%s: ", key);
    mr_facts_quote(out, value);
    mr_bytes_append_byte(out, '\n');
}

static void put_inputs(const composer *c, mr_bytes *out)
{
    const mr_model_signature *signature = &c->model->signature;
    char type[32];
    mr_bytes_append_text(out, "inputs:\n");
    for (uint32_t i = 0; i < signature->input_count; i++) {
        mr_type_id id = signature->input_types != NULL ? signature->input_types[i] : MR_FLOAT32;
        mr_bytes_append_text(out, "  - {name: ");
        mr_facts_quote(out, signature->input_names[i]);
        mr_bytes_printf(out, ", type: %s}\n", mr_type_format((mr_type){id, 0}, type));
    }
}

static void put_outputs(const composer *c, mr_bytes *out)
{
    const mr_model_signature *signature = &c->model->signature;
    mr_bytes_append_text(out, "outputs:\n");
    for (uint32_t i = 0; i < signature->output_count; i++) {
        mr_bytes_append_text(out, "  - {name: ");
        mr_facts_quote(out, signature->output_names[i]);
        mr_bytes_printf(out, ", type: float%" PRIu32 "}\n", signature->float_bits);
    }
}

static mr_status put_file(composer *c, const char *path, mr_bytes *out)
{
    char hash[MR_SHA256_TEXT_BYTES];
    uint64_t bytes;
    MR_TRY(mr_artifact_hash_file(c->fs, path, hash, &bytes, c->err));
    mr_bytes_append_text(out, "  - {file: ");
    mr_facts_quote(out, path);
    mr_bytes_printf(out, ", sha256: \"%s\", bytes: %" PRIu64, hash, bytes);
    return MR_OK;
}

static void put_topic(const mr_compose_data *data, mr_bytes *out)
{
    mr_bytes_append_text(out, "  - {topic: ");
    mr_facts_quote(out, data->topic);
    mr_bytes_printf(out,
                    ", partition: %" PRIu32 ", first_offset: %" PRIu64 ", end_offset: %" PRIu64,
                    data->partition, data->first_offset, data->end_offset);
}

static mr_status put_data(composer *c, mr_bytes *out)
{
    mr_bytes_append_text(out, "training_data:\n");
    for (size_t i = 0; i < c->options->data_count; i++) {
        const mr_compose_data *data = &c->options->data[i];
        if (data->file != NULL)
            MR_TRY(put_file(c, data->file, out));
        else
            put_topic(data, out);
        mr_bytes_append_text(out, "}\n");
    }
    return MR_OK;
}

static void put_metrics(const composer *c, mr_bytes *out)
{
    const char *split = NULL;
    char text[MR_NUMBER_TEXT_MAX];
    mr_bytes_append_text(out, "metrics:\n");
    for (size_t i = 0; i < c->options->metric_count; i++) {
        const mr_compose_metric *metric = &c->options->metrics[i];
        if (split == NULL || strcmp(split, metric->split) != 0) {
            mr_bytes_append_text(out, "  ");
            mr_facts_quote(out, metric->split);
            mr_bytes_append_text(out, ":\n");
        }
        split = metric->split;
        mr_bytes_append_text(out, "    ");
        mr_facts_quote(out, metric->name);
        mr_bytes_append_text(out, ": ");
        mr_bytes_append(out, text, mr_number_format_float64(metric->value, text));
        mr_bytes_append_byte(out, '\n');
    }
}

static bool says(const composer *c, const char *key)
{
    return mr_yaml_get(c->facts, key) != NULL;
}

static mr_status check_unsaid(const composer *c, const char *key, bool wanted)
{
    return wanted && says(c, key)
               ? MR_FAIL(c->err, MR_EXISTS, "the model.yaml that is there has %s already", key)
               : MR_OK;
}

static mr_status complete_yaml(composer *c, mr_bytes *out)
{
    const mr_compose_options *options = c->options;
    MR_TRY(check_unsaid(c, "description", options->description != NULL));
    MR_TRY(check_unsaid(c, "training_data", options->data_count > 0));
    MR_TRY(check_unsaid(c, "metrics", options->metric_count > 0));
    if (!says(c, "family"))
        put_text(out, "family", c->model->kind->name);
    if (!says(c, "objective") && c->model->signature.objective != NULL)
        put_text(out, "objective", c->model->signature.objective);
    if (options->description != NULL)
        put_text(out, "description", options->description);
    if (!says(c, "inputs"))
        put_inputs(c, out);
    if (!says(c, "outputs"))
        put_outputs(c, out);
    if (options->metric_count > 0)
        put_metrics(c, out);
    return options->data_count > 0 ? put_data(c, out) : MR_OK;
}

/* A document in flow style ("{a: 1}") cannot be added to by lines behind it. */
static mr_status read_yaml(composer *c, mr_bytes *text)
{
    mr_yaml *root;
    const char *begin = mr_bytes_text(text);
    if (begin == NULL)
        return MR_OUT_OF_MEMORY(c->err);
    MR_TRY(mr_yaml_parse(begin, text->size, "model.yaml", &c->arena, &root, c->err));
    if (root->kind != MR_YAML_MAPPING)
        return MR_FAIL(c->err, MR_INVALID, "model.yaml must be a mapping");
    if (begin[strspn(begin, " \t\r\n")] == '{')
        return MR_FAIL(c->err, MR_INVALID, "model.yaml must have one key a line, not braces");
    c->facts = root;
    return MR_OK;
}

static mr_status make_yaml(composer *c)
{
    compose_file *file = find(c, "model.yaml");
    if (file != NULL)
        MR_TRY(read_yaml(c, &file->content));
    else
        MR_TRY(add(c, "model.yaml", &file));
    if (file->content.size > 0 && file->content.data[file->content.size - 1] != '\n')
        mr_bytes_append_byte(&file->content, '\n');
    return complete_yaml(c, &file->content);
}

/* ---- all ---- */

static mr_status write_all(composer *c, const char *to)
{
    mr_artifact_file files[MR_ARTIFACT_FILES_MAX];
    for (size_t i = 0; i < c->count; i++) {
        if (c->files[i].content.failed)
            return MR_OUT_OF_MEMORY(c->err);
        files[i] = (mr_artifact_file){c->files[i].name, c->files[i].content.data,
                                      c->files[i].content.size};
    }
    return mr_artifact_write(c->fs, to, files, c->count, c->err);
}

static mr_status compose(composer *c, const char *path, const char *to)
{
    mr_file_info info;
    MR_TRY(mr_fs_info(c->fs, path, &info, c->err));
    MR_TRY(info.is_folder ? load_folder(c, path) : load_file(c, path));
    MR_TRY(open_model(c, path, info.is_folder));
    MR_TRY(make_golden(c));
    MR_TRY(make_profile(c));
    MR_TRY(make_yaml(c));
    return write_all(c, to);
}

mr_status mr_compose(mr_fs *fs, const char *path, const mr_compose_options *options, const char *to,
                     mr_error *err)
{
    composer *c = MR_NEW(composer);
    if (c == NULL)
        return MR_OUT_OF_MEMORY(err);
    c->fs = fs;
    c->options = options;
    c->err = err;
    mr_status status = compose(c, path, to);
    mr_model_close(c->model);
    for (size_t i = 0; i < c->count; i++)
        mr_bytes_deinit(&c->files[i].content);
    mr_arena_deinit(&c->arena);
    mr_free(c);
    return status;
}
