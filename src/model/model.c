/* model.c -- the list of families, and what is the same for all: recognising, binding, scratch, conversion.
 *
 * (1) A binding has exactly one field index per input of its model, and those fields have types that fit.
 * (2) Nothing here or in a family changes a model after open: threads share it without locks. */
#include "model/model_internal.h"

#include "base/assert.h"
#include "model/artifact.h"

#include <math.h>
#include <string.h>

/* To add a family: its file, its extern in model_internal.h, its line here. */
const mr_model_kind *const mr_model_kinds[] = {
    &mr_model_xgboost,
    &mr_model_lightgbm,
    &mr_model_glm,
    &mr_model_pmml,
    &mr_model_onnx,
    &mr_model_tensorflow,
    NULL,
};

struct mr_binding {
    uint32_t count;
    uint32_t fields[];
};

const mr_model_kind *mr_model_kind_find(const char *name)
{
    for (const mr_model_kind *const *kind = mr_model_kinds; *kind != NULL; kind++)
        if (strcmp((*kind)->name, name) == 0)
            return *kind;
    return NULL;
}

/* ---- birth and death ---- */

static const mr_model_kind *recognise(const uint8_t *bytes, size_t size)
{
    for (const mr_model_kind *const *kind = mr_model_kinds; *kind != NULL; kind++)
        if ((*kind)->recognise(bytes, size))
            return *kind;
    return NULL;
}

static void list_kinds(mr_bytes *out)
{
    for (const mr_model_kind *const *kind = mr_model_kinds; *kind != NULL; kind++)
        mr_bytes_printf(out, "%s%s (%s)", out->size > 0 ? ", " : "", (*kind)->name,
                        (*kind)->sentence);
}

static mr_status refuse_kind(const char *wanted, mr_error *err)
{
    mr_bytes list = {0};
    list_kinds(&list);
    const char *known = mr_bytes_text(&list);
    mr_status status =
        wanted != NULL
            ? MR_FAIL(err, MR_UNSUPPORTED, "no kind of model is called '%s'; there are: %s", wanted,
                      known != NULL ? known : "?")
            : MR_FAIL(err, MR_UNSUPPORTED, "these bytes are no model of a known kind: %s",
                      known != NULL ? known : "?");
    mr_bytes_deinit(&list);
    return status;
}

mr_status mr_model_open_bytes(const void *bytes, size_t size, const mr_model_options *options,
                              mr_model **out, mr_error *err)
{
    static const mr_model_options none = {0};
    *out = NULL;
    if (options == NULL)
        options = &none;
    const mr_model_kind *kind =
        options->kind != NULL ? mr_model_kind_find(options->kind) : recognise(bytes, size);
    if (kind == NULL)
        return refuse_kind(options->kind, err);
    MR_TRY(mr_setting_check(kind->settings, options->settings, options->setting_count, false, err));
    return kind->open(bytes, size, options, out, err);
}

static mr_status open_file(mr_fs *fs, const char *path, const mr_model_options *options,
                           mr_model **out, mr_error *err)
{
    mr_bytes bytes = {0};
    mr_status status = mr_fs_read_file(fs, path, MR_MODEL_BYTES_MAX, &bytes, err);
    if (status == MR_OK)
        status = mr_model_open_bytes(bytes.data, bytes.size, options, out, err);
    mr_bytes_deinit(&bytes);
    if (status != MR_OK)
        mr_error_prefix(err, "model %s", path);
    return status;
}

/* A model that no longer gives what it gave when it was written must not be used. */
static mr_status check_golden(mr_fs *fs, const char *path, const mr_model *model, mr_error *err)
{
    if (!mr_fs_exists(fs, path))
        return MR_OK;
    mr_bytes golden = {0};
    mr_status status = mr_fs_read_file(fs, path, MR_ARTIFACT_GOLDEN_BYTES_MAX, &golden, err);
    if (status == MR_OK)
        status = mr_artifact_check(model, golden.data, golden.size, err);
    mr_bytes_deinit(&golden);
    if (status != MR_OK)
        mr_error_prefix(err, "%s", path);
    return status;
}

static mr_status open_folder(mr_fs *fs, const char *path, const mr_model_options *options,
                             mr_model **out, mr_error *err)
{
    mr_bytes inner = {0};
    mr_status status = mr_artifact_model_file(fs, path, &inner, err);
    if (status == MR_OK)
        status = open_file(fs, mr_bytes_text(&inner), options, out, err);
    if (status == MR_OK) {
        mr_bytes_clear(&inner);
        mr_bytes_printf(&inner, "%s/golden.csv", path);
        const char *text = mr_bytes_text(&inner);
        status = text != NULL ? check_golden(fs, text, *out, err) : MR_OUT_OF_MEMORY(err);
    }
    mr_bytes_deinit(&inner);
    if (status != MR_OK) {
        mr_model_close(*out);
        *out = NULL;
    }
    return status;
}

mr_status mr_model_open(mr_fs *fs, const char *path, const mr_model_options *options,
                        mr_model **out, mr_error *err)
{
    *out = NULL;
    mr_file_info info;
    MR_TRY(mr_fs_info(fs, path, &info, err));
    return info.is_folder ? open_folder(fs, path, options, out, err)
                          : open_file(fs, path, options, out, err);
}

void mr_model_close(mr_model *model)
{
    if (model != NULL)
        model->kind->close(model);
}

int64_t mr_model_input_find(const mr_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->signature.input_count; i++)
        if (strcmp(model->signature.input_names[i], name) == 0)
            return i;
    return -1;
}

/* ---- binding ---- */

#define COMPLAINTS_MAX 8 /* listed in one error; the rest is counted */

static const char *field_name(const void *context, size_t i)
{
    return ((const mr_schema *)context)->fields[i].name;
}

static void complain_missing(mr_bytes *text, const char *name, const mr_schema *schema)
{
    const char *closest = mr_setting_closest(name, field_name, schema, (size_t)schema->field_count);
    mr_bytes_printf(text, "%s'%s' is missing", text->size > 0 ? "; " : "", name);
    if (closest != NULL)
        mr_bytes_printf(text, " (did you mean '%s'?)", closest);
}

static const char *wanted_text(mr_type_id wanted)
{
    return wanted == MR_STRING  ? "a string"
           : wanted == MR_BOOL  ? "a bool"
           : wanted == MR_INT64 ? "an integer"
                                : "a number or bool";
}

static void complain_type(mr_bytes *text, const mr_field *field, mr_type_id wanted)
{
    char type[32];
    mr_bytes_printf(text, "%s'%s' is a %s, %s is wanted", text->size > 0 ? "; " : "", field->name,
                    mr_type_format(field->type, type), wanted_text(wanted));
}

static void list_columns(mr_bytes *text, const mr_schema *schema)
{
    mr_bytes_append_text(text, "; the columns are ");
    for (uint32_t i = 0; i < schema->field_count && text->size < MR_ERROR_TEXT_MAX; i++)
        mr_bytes_printf(text, "%s%s", i > 0 ? ", " : "", schema->fields[i].name);
}

static mr_type_id input_type(const mr_model *model, uint32_t input)
{
    return model->signature.input_types != NULL ? model->signature.input_types[input] : MR_FLOAT32;
}

static bool fits(mr_type_id wanted, mr_type_id given)
{
    switch (wanted) {
    case MR_STRING:
        return given == MR_STRING;
    case MR_BOOL:
        return given == MR_BOOL;
    case MR_INT64:
        return given == MR_INT64 || given == MR_INT32 || given == MR_BOOL || given == MR_TIMESTAMP;
    default:
        return given == MR_BOOL || given == MR_TIMESTAMP || mr_type_is_number(given);
    }
}

/* How many inputs do not fit; says why for the first few. */
static size_t bind_inputs(const mr_model *model, const mr_schema *schema, uint32_t *fields,
                          mr_bytes *text)
{
    size_t wrong = 0;
    for (uint32_t i = 0; i < model->signature.input_count; i++) {
        const char *name = model->signature.input_names[i];
        int field = mr_schema_find(schema, name);
        bool missing = field < 0;
        if (!missing && fits(input_type(model, i), schema->fields[field].type.id)) {
            fields[i] = (uint32_t)field;
            continue;
        }
        if (wrong++ >= COMPLAINTS_MAX)
            continue;
        if (missing)
            complain_missing(text, name, schema);
        else
            complain_type(text, &schema->fields[field], input_type(model, i));
    }
    return wrong;
}

mr_status mr_model_bind(const mr_model *model, const mr_schema *schema, mr_binding **out,
                        mr_error *err)
{
    *out = NULL;
    uint32_t count = model->signature.input_count;
    mr_binding *binding = mr_alloc(sizeof *binding + sizeof binding->fields[0] * count);
    if (binding == NULL)
        return MR_OUT_OF_MEMORY(err);
    binding->count = count;
    mr_bytes text = {0};
    size_t wrong = bind_inputs(model, schema, binding->fields, &text);
    if (wrong == 0) {
        mr_bytes_deinit(&text);
        *out = binding;
        return MR_OK;
    }
    list_columns(&text, schema);
    const char *reasons = mr_bytes_text(&text);
    mr_status status = MR_FAIL(err, MR_INVALID, "%zu of the model's %u inputs do not bind: %s",
                               wrong, count, reasons != NULL ? reasons : "(out of memory)");
    mr_bytes_deinit(&text);
    mr_binding_destroy(binding);
    return status;
}

void mr_binding_destroy(mr_binding *binding)
{
    mr_free(binding);
}

const uint32_t *mr_binding_fields(const mr_binding *binding)
{
    return binding->fields;
}

/* ---- scoring ---- */

mr_status mr_scratch_create(const mr_model *model, mr_scratch **out, mr_error *err)
{
    uint32_t inputs = model->signature.input_count;
    size_t row_columns = model->kind->score_row == NULL ? inputs * sizeof(mr_column) : 0;
    size_t head = sizeof(mr_scratch) + sizeof(mr_column *) * inputs + row_columns;
    head = (head + MR_ALIGN - 1) / MR_ALIGN * MR_ALIGN;
    mr_scratch *scratch = mr_alloc_aligned(head + model->scratch_bytes + MR_ALIGN);
    *out = scratch;
    if (scratch == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(scratch, 0, head + model->scratch_bytes + MR_ALIGN);
    scratch->inputs = (const mr_column **)(void *)(scratch + 1);
    scratch->row = (mr_column *)(void *)(scratch->inputs + inputs);
    scratch->bytes = (uint8_t *)scratch + head;
    return MR_OK;
}

void mr_scratch_destroy(mr_scratch *scratch)
{
    if (scratch != NULL)
        mr_free(scratch->explain);
    mr_free(scratch);
}

uint8_t *mr_scratch_explain(mr_scratch *scratch, size_t bytes)
{
    if (scratch->explain_bytes < bytes) {
        mr_free(scratch->explain);
        scratch->explain = mr_alloc_aligned(bytes);
        scratch->explain_bytes = scratch->explain != NULL ? bytes : 0;
    }
    return scratch->explain;
}

mr_status mr_model_score(const mr_model *model, const mr_binding *binding, const mr_column *columns,
                         size_t first, size_t count, const mr_model_out *out, mr_scratch *scratch,
                         mr_error *err)
{
    MR_ASSERT(binding->count == model->signature.input_count && out->stride >= count);
    for (uint32_t i = 0; i < binding->count; i++)
        scratch->inputs[i] = &columns[binding->fields[i]];
    return count == 0 ? MR_OK
                      : model->kind->score(model, scratch->inputs, first, count, out, scratch, err);
}

bool mr_model_takes_numbers(const mr_model *model)
{
    for (uint32_t i = 0; i < model->signature.input_count; i++)
        if (input_type(model, i) != MR_FLOAT32 && input_type(model, i) != MR_FLOAT64)
            return false;
    return true;
}

static void narrow(const double *from, uint32_t count, float *to)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

/* Of a family that takes columns only: each input is a column of one row. */
static mr_status score_row_as_columns(const mr_model *model, const float *inputs,
                                      float *out_margins, float *out_scores, mr_scratch *scratch,
                                      mr_error *err)
{
    const mr_model_signature *signature = &model->signature;
    double margins[MR_MODEL_OUTPUTS_MAX], scores[MR_MODEL_OUTPUTS_MAX];
    bool wide = signature->float_bits == 64;
    for (uint32_t i = 0; i < signature->input_count; i++) {
        scratch->row[i] = (mr_column){.type = {MR_FLOAT32, 0}, .values = &inputs[i]};
        scratch->inputs[i] = &scratch->row[i];
    }
    mr_model_out out = {.margins = wide ? (void *)margins : out_margins,
                        .scores = wide ? (void *)scores : out_scores,
                        .stride = 1};
    MR_TRY(model->kind->score(model, scratch->inputs, 0, 1, &out, scratch, err));
    if (wide && out_margins != NULL)
        narrow(margins, signature->margin_count, out_margins);
    if (wide && out_scores != NULL)
        narrow(scores, signature->output_count, out_scores);
    return MR_OK;
}

mr_status mr_model_score_row(const mr_model *model, const float *inputs, float *out_margins,
                             float *out_scores, mr_scratch *scratch, mr_error *err)
{
    if (model->kind->score_row == NULL)
        return score_row_as_columns(model, inputs, out_margins, out_scores, scratch, err);
    model->kind->score_row(model, inputs, out_margins, out_scores, scratch);
    return MR_OK;
}

mr_status mr_model_explain_prepare(const mr_model *model, mr_error *err)
{
    if (model->kind->explain == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "models of kind %s cannot say what each input adds to a score",
                       model->kind->name);
    return model->kind->explain(model, NULL, 0, 0, NULL, NULL, err);
}

mr_status mr_model_explain(const mr_model *model, const mr_binding *binding,
                           const mr_column *columns, size_t first, size_t count, double *out,
                           mr_scratch *scratch, mr_error *err)
{
    if (model->kind->explain == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "models of kind %s cannot say what each input adds to a score",
                       model->kind->name);
    for (uint32_t i = 0; i < binding->count; i++)
        scratch->inputs[i] = &columns[binding->fields[i]];
    return count == 0
               ? MR_OK
               : model->kind->explain(model, scratch->inputs, first, count, out, scratch, err);
}

/* ---- conversion ---- */

#define CONVERT(type, to)                                                                          \
    do {                                                                                           \
        const type *from = (const type *)column->values + first;                                   \
        for (size_t i = 0; i < count; i++)                                                         \
            out[i] = (to)from[i];                                                                  \
    } while (0)

#define CONVERT_COLUMN(to)                                                                         \
    do {                                                                                           \
        switch (column->type.id) {                                                                 \
        case MR_FLOAT64:                                                                           \
            CONVERT(double, to);                                                                   \
            break;                                                                                 \
        case MR_FLOAT32:                                                                           \
            CONVERT(float, to);                                                                    \
            break;                                                                                 \
        case MR_INT64:                                                                             \
        case MR_TIMESTAMP:                                                                         \
            CONVERT(int64_t, to);                                                                  \
            break;                                                                                 \
        case MR_INT32:                                                                             \
            CONVERT(int32_t, to);                                                                  \
            break;                                                                                 \
        default:                                                                                   \
            MR_ASSERT(column->type.id == MR_BOOL);                                                 \
            for (size_t i = 0; i < count; i++)                                                     \
                out[i] = mr_bit_get(column->values, first + i) ? 1 : 0;                            \
        }                                                                                          \
        for (size_t i = 0; column->null_count > 0 && i < count; i++)                               \
            if (!mr_bit_get(column->validity, first + i))                                          \
                out[i] = (to)NAN;                                                                  \
    } while (0)

void mr_model_convert(const mr_column *column, size_t first, size_t count, float *out)
{
    CONVERT_COLUMN(float);
}

void mr_model_convert64(const mr_column *column, size_t first, size_t count, double *out)
{
    CONVERT_COLUMN(double);
}
