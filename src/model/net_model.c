/* net_model.c -- columns in, a block of rows through the program, scores and labels out. */
#include "model/net_model.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/model_internal.h"
#include "model/names.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DESCRIPTION_BYTES 160

typedef struct net_model {
    mr_model model;
    mr_model_kind kind; /* the reader's; without score_row when rows are not float32 */
    mr_net net;
    mr_names inputs, outputs, classes;
    mr_type_id *types;       /* of inputs */
    uint32_t *input_columns; /* of the program */
    uint32_t *score_columns;
    uint32_t label_column;
    bool has_label, wide, has_gaps; /* gaps: inputs whose NULLs no number stands for */
    char description[DESCRIPTION_BYTES];
} net_model;

static const net_model *as_net(const mr_model *model)
{
    return (const net_model *)(const void *)model;
}

void mr_net_model_close(mr_model *model)
{
    net_model *m = (net_model *)(void *)model;
    mr_net_deinit(&m->net);
    mr_names_deinit(&m->inputs);
    mr_names_deinit(&m->outputs);
    mr_names_deinit(&m->classes);
    mr_free(m->types);
    mr_free(m->input_columns);
    mr_free(m->score_columns);
    mr_free(m);
}

/* ---- in ---- */

static void read_whole(const mr_column *column, size_t first, size_t count, int64_t *out)
{
    for (size_t r = 0; r < count; r++)
        switch (column->type.id) {
        case MR_INT32:
            out[r] = ((const int32_t *)column->values)[first + r];
            break;
        case MR_BOOL:
            out[r] = mr_bit_get(column->values, first + r);
            break;
        default:
            MR_ASSERT(column->type.id == MR_INT64 || column->type.id == MR_TIMESTAMP);
            out[r] = ((const int64_t *)column->values)[first + r];
        }
}

static void read_flags(const mr_column *column, size_t first, size_t count, uint8_t *out)
{
    MR_ASSERT(column->type.id == MR_BOOL);
    for (size_t r = 0; r < count; r++)
        out[r] = mr_bit_get(column->values, first + r);
}

static void read_texts(const mr_column *column, size_t first, size_t count, mr_text *out)
{
    MR_ASSERT(column->type.id == MR_STRING);
    for (size_t r = 0; r < count; r++)
        out[r] = mr_column_text(column, first + r);
}

static void mark_nulls(const mr_column *column, size_t first, size_t count, uint8_t *abstain)
{
    for (size_t r = 0; column->null_count > 0 && r < count; r++)
        abstain[r] |= !mr_bit_get(column->validity, first + r);
}

static void read_input(const net_model *m, uint32_t i, const mr_column *column, size_t first,
                       const mr_net_frame *frame)
{
    void *to = mr_net_column(&m->net, m->input_columns[i], frame);
    switch (m->types[i]) {
    case MR_FLOAT32:
        mr_model_convert(column, first, frame->rows, to);
        return;
    case MR_FLOAT64:
        mr_model_convert64(column, first, frame->rows, to);
        return;
    case MR_INT64:
        read_whole(column, first, frame->rows, to);
        break;
    case MR_BOOL:
        read_flags(column, first, frame->rows, to);
        break;
    default:
        read_texts(column, first, frame->rows, to);
    }
    mark_nulls(column, first, frame->rows, frame->abstain);
}

/* ---- out ---- */

static void write_scores(const net_model *m, const mr_net_frame *frame, void *to, size_t at,
                         size_t stride)
{
    const size_t rows = frame->rows, bytes = m->wide ? sizeof(double) : sizeof(float);
    for (uint32_t k = 0; k < m->model.signature.output_count; k++) {
        uint8_t *out = (uint8_t *)to + (k * stride + at) * bytes;
        memcpy(out, mr_net_column(&m->net, m->score_columns[k], frame), rows * bytes);
        for (size_t r = 0; r < rows && m->model.signature.may_abstain; r++)
            if (frame->abstain[r] != 0 && m->wide)
                ((double *)(void *)out)[r] = (double)NAN;
            else if (frame->abstain[r] != 0)
                ((float *)(void *)out)[r] = NAN;
    }
}

static void write_labels(const net_model *m, const mr_net_frame *frame, int32_t *out)
{
    const int64_t *index = mr_net_column(&m->net, m->label_column, frame);
    for (size_t r = 0; r < frame->rows; r++)
        out[r] = m->model.signature.may_abstain && frame->abstain[r] != 0 ? -1 : (int32_t)index[r];
}

static void write_block(const net_model *m, const mr_net_frame *frame, const mr_model_out *out,
                        size_t at)
{
    if (out->margins != NULL)
        write_scores(m, frame, out->margins, at, out->stride);
    if (out->scores != NULL)
        write_scores(m, frame, out->scores, at, out->stride);
    if (out->labels != NULL && m->has_label)
        write_labels(m, frame, out->labels + at);
}

mr_status mr_net_model_score(const mr_model *model, const mr_column *const *inputs, size_t first,
                             size_t count, const mr_model_out *out, mr_scratch *scratch,
                             mr_error *err)
{
    (void)err;
    const net_model *m = as_net(model);
    for (size_t at = 0; at < count; at += m->net.block_rows) {
        size_t rows = MR_MIN(count - at, (size_t)m->net.block_rows);
        mr_net_frame frame = mr_net_frame_of(&m->net, scratch->bytes, rows);
        memset(frame.abstain, 0, rows);
        for (uint32_t i = 0; i < m->model.signature.input_count; i++)
            read_input(m, i, inputs[i], first + at, &frame);
        mr_net_run(&m->net, &frame);
        write_block(m, &frame, out, at);
    }
    return MR_OK;
}

static void score_row(const mr_model *model, const float *inputs, float *out_margins,
                      float *out_scores, mr_scratch *scratch)
{
    const net_model *m = as_net(model);
    mr_net_frame frame = mr_net_frame_of(&m->net, scratch->bytes, 1);
    frame.abstain[0] = 0;
    for (uint32_t i = 0; i < m->model.signature.input_count; i++)
        *(float *)mr_net_column(&m->net, m->input_columns[i], &frame) = inputs[i];
    mr_net_run(&m->net, &frame);
    mr_model_out out = {.margins = out_margins, .scores = out_scores, .stride = 1};
    write_block(m, &frame, &out, 0);
}

/* ---- results ---- */

typedef struct chosen {
    const mr_net_result *label; /* NULL: none */
    mr_tensor scores[MR_MODEL_OUTPUTS_MAX];
    const char *names[MR_MODEL_OUTPUTS_MAX];
    uint32_t count; /* of score tensors */
} chosen;

static bool is_label(const mr_tensor *tensor)
{
    return tensor->table != NULL && tensor->count == 1;
}

static mr_status choose_scores(mr_net *net, const mr_net_source *source, chosen *c, mr_error *err)
{
    for (uint32_t i = 0; i < source->result_count; i++) {
        const mr_net_result *result = &source->results[i];
        if (c->label == NULL && is_label(&result->tensor)) {
            c->label = result;
            continue;
        }
        mr_tensor tensor = result->tensor;
        MR_TRY(mr_net_plain(net, &tensor, err));
        if (tensor.type == MR_TENSOR_TEXT)
            return MR_FAIL(err, MR_UNSUPPORTED,
                           "output '%s' holds strings that are no class labels", result->name);
        if (c->count == MR_MODEL_OUTPUTS_MAX)
            return MR_FAIL(err, MR_FULL, "more than %u outputs", MR_MODEL_OUTPUTS_MAX);
        c->names[c->count] = result->name;
        c->scores[c->count++] = tensor;
    }
    if (c->count > 0 || c->label == NULL)
        return MR_OK;
    c->scores[0] = c->label->tensor; /* a label alone: its index is the score */
    c->scores[0].table = NULL;
    c->scores[0].type = MR_TENSOR_INT64;
    c->names[c->count++] = c->label->name;
    return MR_OK;
}

static mr_tensor_type common_type(const chosen *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->scores[i].type == MR_TENSOR_FLOAT64 || c->scores[i].type == MR_TENSOR_INT64)
            return MR_TENSOR_FLOAT64;
    return MR_TENSOR_FLOAT32;
}

static mr_status check_result(const char *name, const mr_tensor *tensor, mr_error *err)
{
    char text[128];
    return tensor->batch >= 0
               ? MR_OK
               : MR_FAIL(err, MR_UNSUPPORTED, "output '%s' of shape %s is not a value for each row",
                         name, mr_tensor_shape_text(tensor, text));
}

/* Columns for every score, and for the label. */
static mr_status place_results(net_model *m, chosen *c, mr_error *err)
{
    mr_tensor_type type = common_type(c);
    uint32_t total = 0, at = 0;
    m->wide = type == MR_TENSOR_FLOAT64;
    for (uint32_t i = 0; i < c->count; i++) {
        mr_tensor narrow = c->scores[i];
        MR_TRY(check_result(c->names[i], &narrow, err));
        MR_TRY(mr_net_cast(&m->net, &narrow, type, &c->scores[i], err));
        total += c->scores[i].count;
        if (total > MR_MODEL_OUTPUTS_MAX)
            return MR_FAIL(err, MR_FULL, "more than %u values come out", MR_MODEL_OUTPUTS_MAX);
    }
    m->score_columns = mr_alloc(sizeof *m->score_columns * (total + 1));
    if (m->score_columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t e = 0; e < c->scores[i].count; e++)
            m->score_columns[at++] = c->scores[i].elements[e];
    m->model.signature.output_count = m->model.signature.margin_count = total;
    if (total == 0)
        return MR_FAIL(err, MR_INVALID, "nothing comes out of the graph");
    return MR_OK;
}

/* A result must be computed: constants are copied to columns. */
static mr_status make_columns(mr_net *net, mr_tensor_type type, uint32_t *columns, uint32_t count,
                              mr_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        mr_net_operand made;
        if ((columns[i] & MR_TENSOR_CONSTANT) == 0)
            continue;
        MR_TRY(mr_net_together(net, type, &columns[i], 1, true, &made, err));
        const mr_net_buffer *buffer =
            (const mr_net_buffer *)(const void *)net->buffers.data + made.buffer;
        columns[i] = buffer->first + made.first;
    }
    return MR_OK;
}

static mr_status finish_net(net_model *m, chosen *c, mr_error *err)
{
    mr_tensor scores = {.count = m->model.signature.output_count, .elements = m->score_columns};
    mr_tensor label = {.count = c->label != NULL ? 1 : 0, .elements = &m->label_column};
    const mr_tensor *results[] = {&scores, &label};
    m->has_label = c->label != NULL;
    if (m->has_label) {
        MR_TRY(check_result(c->label->name, &c->label->tensor, err));
        m->label_column = c->label->tensor.elements[0];
    }
    MR_TRY(make_columns(&m->net, m->wide ? MR_TENSOR_FLOAT64 : MR_TENSOR_FLOAT32, m->score_columns,
                        scores.count, err));
    MR_TRY(make_columns(&m->net, MR_TENSOR_INT64, &m->label_column, label.count, err));
    return mr_net_finish(&m->net, results, 2, err);
}

/* ---- names ---- */

static void append_value(mr_bytes *out, const mr_tensor_table *table, uint32_t i)
{
    char text[MR_NUMBER_TEXT_MAX];
    size_t size = 0;
    switch (table->type) {
    case MR_TENSOR_TEXT: {
        const mr_text *value = (const mr_text *)table->values + i;
        size_t end = value->size > 0 ? strnlen((const char *)value->bytes, value->size) : 0;
        mr_bytes_append(out, value->bytes, end);
        return;
    }
    case MR_TENSOR_FLOAT32:
        size = mr_number_format_float32(((const float *)table->values)[i], text);
        break;
    case MR_TENSOR_FLOAT64:
        size = mr_number_format_float64(((const double *)table->values)[i], text);
        break;
    case MR_TENSOR_BOOL:
        mr_bytes_append_text(out, ((const uint8_t *)table->values)[i] != 0 ? "true" : "false");
        return;
    default:
        size = mr_number_format_int64(((const int64_t *)table->values)[i], text);
    }
    mr_bytes_append(out, text, size);
}

/* "probability" for what any maker calls so; else the output's own name. */
static const char *base_name(const char *name)
{
    char lower[32];
    size_t n = strlen(name);
    for (size_t i = 0; i + 6 < n; i++) {
        for (size_t k = 0; k < 7; k++)
            lower[k] = (char)tolower((unsigned char)name[i + k]);
        if (memcmp(lower, "probabi", 7) == 0)
            return "probability";
    }
    return n > 0 ? name : "score";
}

static void append_outputs(const chosen *c, const mr_tensor_table *classes, mr_bytes *out)
{
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t e = 0; e < c->scores[i].count; e++) {
            mr_bytes_append_text(out, base_name(c->names[i]));
            if (c->scores[i].count > 1 && classes != NULL && classes->count == c->scores[i].count) {
                mr_bytes_append_text(out, "_");
                append_value(out, classes, e);
            } else if (c->scores[i].count > 1) {
                mr_bytes_printf(out, "_%u", e);
            }
            mr_bytes_append_byte(out, 0);
        }
}

static mr_status name_classes(net_model *m, const mr_tensor_table *classes, mr_error *err)
{
    mr_bytes text = {0};
    if (classes->count > INT32_MAX)
        return MR_FAIL(err, MR_FULL, "%u classes", classes->count);
    for (uint32_t i = 0; i < classes->count; i++) {
        append_value(&text, classes, i);
        mr_bytes_append_byte(&text, 0);
    }
    MR_TRY(mr_names_take(&m->classes, &text, classes->count, err));
    m->model.signature.class_count = classes->count;
    m->model.signature.class_names = m->classes.list;
    return MR_OK;
}

static mr_status name_all(net_model *m, const chosen *c, const mr_net_source *source,
                          const mr_model_options *options, mr_error *err)
{
    const mr_tensor_table *classes = c->label != NULL ? c->label->tensor.table : NULL;
    mr_bytes text = {0};
    MR_TRY(mr_names_of_inputs(&m->inputs, source->names, options, m->model.signature.input_count,
                              err));
    append_outputs(c, classes, &text);
    MR_TRY(mr_names_take(&m->outputs, &text, m->model.signature.output_count, err));
    return classes != NULL ? name_classes(m, classes, err) : MR_OK;
}

/* ---- birth ---- */

static mr_type_id input_type(mr_tensor_type type)
{
    static const mr_type_id types[MR_TENSOR_TYPES] = {MR_FLOAT32, MR_FLOAT64, MR_INT64, MR_BOOL,
                                                      MR_STRING};
    return types[type];
}

static mr_status place_inputs(net_model *m, const mr_net_source *source, mr_error *err)
{
    uint64_t total = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < source->input_count; i++)
        total += source->inputs[i].count;
    if (total > MR_MODEL_INPUTS_MAX)
        return MR_FAIL(err, MR_FULL, "%llu inputs; the limit is %d", (unsigned long long)total,
                       MR_MODEL_INPUTS_MAX);
    m->types = mr_alloc(sizeof *m->types * (total + 1));
    m->input_columns = mr_alloc(sizeof *m->input_columns * (total + 1));
    if (m->types == NULL || m->input_columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < source->input_count; i++)
        for (uint32_t e = 0; e < source->inputs[i].count; e++, at++) {
            m->types[at] = input_type(source->inputs[i].type);
            m->input_columns[at] = source->inputs[i].elements[e];
            m->has_gaps = m->has_gaps || (m->types[at] != MR_FLOAT32 && m->types[at] != MR_FLOAT64);
        }
    m->model.signature.input_count = at;
    m->model.signature.input_types = m->types;
    return MR_OK;
}

static bool all_float32(const net_model *m)
{
    for (uint32_t i = 0; i < m->model.signature.input_count; i++)
        if (m->types[i] != MR_FLOAT32)
            return false;
    return !m->wide;
}

static void describe(net_model *m, const mr_net_source *source)
{
    mr_model_signature *signature = &m->model.signature;
    (void)snprintf(m->description, sizeof m->description,
                   "%zu steps over %zu values a row, %zu bytes of scratch, %u rows at once; %s",
                   m->net.steps.size / sizeof(mr_net_step), m->net.columns.size / sizeof(uint32_t),
                   m->net.memory_bytes, m->net.block_rows, m->net.kernels->name);
    signature->objective = source->objective;
    signature->input_names = m->inputs.list;
    signature->output_names = m->outputs.list;
    signature->float_bits = m->wide ? 64 : 32;
    signature->may_abstain = m->net.abstains || m->has_gaps;
    signature->description = m->description;
    m->model.scratch_bytes = m->net.memory_bytes + MR_ALIGN;
    m->kind.score_row = all_float32(m) ? score_row : NULL;
}

static mr_status build(net_model *m, const mr_net_source *source, const mr_model_options *options,
                       mr_error *err)
{
    chosen *c = MR_ARENA_NEW(&m->net.temp, chosen);
    if (c == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(place_inputs(m, source, err));
    MR_TRY(choose_scores(&m->net, source, c, err));
    MR_TRY(place_results(m, c, err));
    MR_TRY(finish_net(m, c, err));
    MR_TRY(name_all(m, c, source, options, err));
    describe(m, source);
    return MR_OK;
}

mr_status mr_net_model_create(const mr_model_kind *kind, mr_net *net, const mr_net_source *source,
                              const mr_model_options *options, mr_model **out, mr_error *err)
{
    net_model *m = MR_NEW(net_model);
    if (m == NULL) {
        mr_net_deinit(net);
        return MR_OUT_OF_MEMORY(err);
    }
    m->kind = *kind;
    m->model.kind = &m->kind;
    m->net = *net;
    memset(net, 0, sizeof *net);
    m->net.pool.arena = &m->net.temp;
    mr_status status = build(m, source, options, err);
    if (status != MR_OK) {
        mr_net_model_close(&m->model);
        return status;
    }
    mr_net_seal(&m->net);
    *out = &m->model;
    return MR_OK;
}
