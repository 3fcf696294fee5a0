/* cast_score.c -- what the parts of the cast say of a micro-batch.
 *
 * The live part scores every row, the canary's too: what it would have said costs nothing more and is the fairest
 * comparison. The canary's rows are then gathered, scored, and their results put over the live ones.
 *
 * (1) Results of a model by name are float64 whatever a version computes with, so that the next one may be of another
 *     family; those of a file are as it gives them. */
#include "pipeline/run_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>

#define PARALLEL_ROWS_MIN 512

/* ---- one part ---- */

typedef struct score_task {
    mr_pipeline *pipeline;
    const cast_part *part;
    uint32_t rows;
    mr_results results;
} score_task;

static void score_range(void *context, int worker)
{
    const score_task *task = context;
    mr_pipeline *pipeline = task->pipeline;
    uint32_t first, count;
    run_range(task->rows, worker, pipeline->workers, &first, &count);
    mr_error *err = &pipeline->worker_errors[worker];
    mr_error_clear(err);
    if (count == 0)
        return;
    mr_model_out out = mr_results_out(&task->results, first);
    err->status = mr_model_score(task->part->model, task->part->binding, task->part->inputs, first,
                                 count, &out, task->part->scratches[worker], err);
}

/* part->inputs are set. *out is to be deinited on MR_OK. */
static mr_status score_part(mr_pipeline *pipeline, const cast_part *part, uint32_t rows,
                            mr_results *out, mr_error *err)
{
    score_task task = {.pipeline = pipeline, .part = part, .rows = rows};
    mr_clock *clock = pipeline->options.clock;
    int64_t start_ns = clock->mono_ns(clock);
    MR_TRY(mr_results_init(&task.results, part->model, pipeline->plan->score.margin, rows, err));
    int64_t begun_ns = run_model_stats_begin(pipeline);
    if (rows >= PARALLEL_ROWS_MIN)
        mr_pool_run(pipeline->pool, score_range, &task);
    else
        for (int worker = 0; worker < pipeline->workers; worker++)
            score_range(&task, worker);
    run_trial_timed(pipeline, part, clock->mono_ns(clock) - start_ns, rows);
    mr_status status = run_worker_error(pipeline, err);
    if (status != MR_OK) {
        mr_results_deinit(&task.results);
        return status;
    }
    run_model_stats_end(pipeline, part, &task.results, begun_ns);
    *out = task.results;
    return MR_OK;
}

void run_lend_inputs(const cast_part *part, const source_rows *rows)
{
    for (uint32_t i = 0; i < part->column_count; i++)
        part->inputs[i] = rows->columns[part->columns[i]];
}

/* ---- in the plan's form ---- */

static uint32_t values_of(const mr_results *results)
{
    const mr_model_signature *signature = &results->model->signature;
    return results->margins ? signature->margin_count : signature->output_count;
}

static double value_at(const mr_results *results, uint32_t k, size_t row)
{
    size_t at = k * results->stride + row;
    return results->float_bits == 64
               ? ((const double *)(const void *)results->values->bytes)[at]
               : (double)((const float *)(const void *)results->values->bytes)[at];
}

static void put_value(mr_results *results, uint32_t k, size_t row, double value)
{
    size_t at = k * results->stride + row;
    if (results->float_bits == 64)
        ((double *)(void *)results->values->bytes)[at] = value;
    else
        ((float *)(void *)results->values->bytes)[at] = (float)value;
}

/* Results of `from` for rows 0, 1, ... become those of rows `rows[0]`, `rows[1]`, ... of `to`; rows NULL: the same. */
static void put_over(const mr_results *from, const uint32_t *rows, mr_results *to)
{
    for (uint32_t k = 0; k < values_of(to); k++)
        for (size_t i = 0; i < from->rows; i++)
            put_value(to, k, rows != NULL ? rows[i] : i, value_at(from, k, i));
    for (size_t i = 0; to->labels != NULL && i < from->rows; i++)
        to->labels[rows != NULL ? rows[i] : i] = from->labels[i];
}

static mr_status score_all_rows(mr_pipeline *pipeline, const cast_part *part,
                                const source_rows *rows, mr_results *out, mr_error *err)
{
    const plan_score *planned = &pipeline->plan->score;
    run_lend_inputs(part, rows);
    MR_TRY(score_part(pipeline, part, rows->count, out, err));
    out->model = planned->model;
    mr_status status = planned->reference != NULL ? mr_results_widen(out, err) : MR_OK;
    if (status != MR_OK)
        mr_results_deinit(out);
    return status;
}

/* ---- whose rows ---- */

uint64_t run_key_hash(const mr_column *column, size_t row)
{
    if (mr_column_is_null(column, row))
        return 0;
    if (mr_type_is_text(column->type.id)) {
        mr_text text = mr_column_text(column, row);
        return mr_hash64(text.bytes, text.size);
    }
    switch (column->type.id) {
    case MR_BOOL:
        return mr_hash_u64(mr_bit_get(column->values, row));
    case MR_INT32:
        return mr_hash_u64((uint64_t)((const int32_t *)column->values)[row]);
    case MR_FLOAT32:
        return mr_hash64(&((const float *)column->values)[row], sizeof(float));
    default:
        return mr_hash_u64(((const uint64_t *)column->values)[row]);
    }
}

/* Rows of the part's share of the keys, into `out`. */
static uint32_t choose_rows(const cast_part *part, const source_rows *rows, uint32_t *out)
{
    const mr_column *key = &rows->columns[part->key_column];
    uint64_t salt = mr_hash64(part->salt, strlen(part->salt));
    uint32_t count = 0;
    for (uint32_t row = 0; row < rows->count; row++) {
        uint64_t hash = mr_hash_u64(run_key_hash(key, row) ^ salt);
        if ((hash >> 32) * CAST_SHARE_ALL >> 32 < part->share)
            out[count++] = row;
    }
    return count;
}

static mr_status gather_inputs(const cast_part *part, const source_rows *rows,
                               const uint32_t *chosen, uint32_t count, mr_error *err)
{
    const uint32_t *fields = mr_binding_fields(part->binding);
    memset(part->inputs, 0, part->column_count * sizeof *part->inputs);
    for (uint32_t i = 0; i < part->model->signature.input_count; i++) {
        mr_column *input = &part->inputs[fields[i]];
        if (input->values == NULL && input->owners[1] == NULL)
            MR_TRY(mr_column_gather(&rows->columns[part->columns[fields[i]]], chosen, count, input,
                                    err));
    }
    return MR_OK;
}

static void release_inputs(const cast_part *part)
{
    for (uint32_t i = 0; i < part->column_count; i++)
        mr_column_release(&part->inputs[i]);
}

static mr_status score_share(mr_pipeline *pipeline, const cast_part *part, const source_rows *rows,
                             const uint32_t *chosen, uint32_t count, mr_results *results,
                             mr_error *err)
{
    mr_results own;
    mr_status status = gather_inputs(part, rows, chosen, count, err);
    if (status == MR_OK)
        status = score_part(pipeline, part, count, &own, err);
    release_inputs(part);
    if (status != MR_OK)
        return status;
    put_over(&own, chosen, results);
    mr_results_deinit(&own);
    return MR_OK;
}

/* ---- version and role ---- */

static mr_status version_columns(const run_cast *cast, const uint8_t *deciders, uint32_t rows,
                                 mr_column *columns, mr_error *err)
{
    void *versions;
    size_t text_bytes = 0;
    MR_TRY(mr_column_alloc((mr_type){MR_INT64, 0}, rows, &columns[0], &versions, err));
    for (uint32_t row = 0; row < rows; row++) {
        const cast_part *part = &cast->parts[deciders[row]];
        ((int64_t *)versions)[row] = (int64_t)part->ref.version;
        text_bytes += strlen(cast_role_text(part->role));
    }
    mr_buffer *texts = mr_buffer_create(MR_MAX(text_bytes, 1));
    mr_buffer *offsets = mr_buffer_create((rows + 1) * sizeof(int32_t));
    if (texts == NULL || offsets == NULL) {
        mr_buffer_release(texts);
        mr_buffer_release(offsets);
        return MR_OUT_OF_MEMORY(err);
    }
    int32_t *ends = (int32_t *)(void *)offsets->bytes;
    ends[0] = 0;
    for (uint32_t row = 0; row < rows; row++) {
        const char *role = cast_role_text(cast->parts[deciders[row]].role);
        size_t size = strlen(role);
        memcpy(texts->bytes + ends[row], role, size);
        ends[row + 1] = ends[row] + (int32_t)size;
    }
    columns[1] = (mr_column){.type = {MR_STRING, 0},
                             .values = texts->bytes,
                             .offsets = ends,
                             .owners = {NULL, texts, offsets}};
    return MR_OK;
}

/* ---- the cast ---- */

static mr_status score_canaries(mr_pipeline *pipeline, const source_rows *rows, mr_results *results,
                                uint8_t *deciders, mr_error *err)
{
    for (size_t i = 1; i < pipeline->cast->part_count; i++) {
        const cast_part *part = &pipeline->cast->parts[i];
        if (part->role != CAST_CANARY)
            continue;
        uint32_t count = choose_rows(part, rows, pipeline->selection);
        if (count > 0)
            MR_TRY(score_share(pipeline, part, rows, pipeline->selection, count, results, err));
        for (uint32_t r = 0; r < count; r++)
            deciders[pipeline->selection[r]] = (uint8_t)i;
    }
    return MR_OK;
}

/* Takes the results. */
static mr_status give_columns(mr_pipeline *pipeline, mr_results *results, const uint8_t *deciders,
                              source_rows *rows, mr_error *err)
{
    const plan_score *plan = &pipeline->plan->score;
    mr_column *columns = &rows->columns[plan->first_output];
    rows->column_count = plan->first_output + plan->output_count;
    mr_status status = mr_results_columns(results, columns, err);
    if (status == MR_OK && plan->reference != NULL)
        status = version_columns(pipeline->cast, deciders, rows->count,
                                 columns + plan->result_count, err);
    mr_results_deinit(results);
    if (status == MR_OK && plan->reasons != NULL)
        status = run_reasons(pipeline, deciders, rows, err);
    return status;
}

static bool has_canary(const run_cast *cast)
{
    return cast->terms != NULL && cast->parts[1].role == CAST_CANARY;
}

/* What the live part says of all rows, before the canary's results go over it. */
static mr_status keep_live(mr_pipeline *pipeline, const mr_results *results, mr_error *err)
{
    mr_results *live = &pipeline->live_results;
    mr_results_deinit(live);
    MR_TRY(mr_results_init(live, results->model, results->margins, results->rows, err));
    if (results->float_bits != live->float_bits)
        MR_TRY(mr_results_widen(live, err));
    live->may_abstain = results->may_abstain;
    put_over(results, NULL, live);
    return MR_OK;
}

mr_status run_score_live(mr_pipeline *pipeline, source_rows *rows, mr_error *err)
{
    uint8_t *deciders = mr_alloc_zero(MR_MAX(rows->count, 1), 1);
    if (deciders == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_results results = pipeline->live_results;
    pipeline->live_results = (mr_results){0};
    mr_status status = give_columns(pipeline, &results, deciders, rows, err);
    mr_free(deciders);
    return status;
}

mr_status run_score(mr_pipeline *pipeline, source_rows *rows, mr_error *err)
{
    if (pipeline->plan->score.model == NULL)
        return MR_OK;
    mr_results results = {0};
    uint8_t *deciders = mr_alloc_zero(MR_MAX(rows->count, 1), 1);
    mr_status status = deciders != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = score_all_rows(pipeline, &pipeline->cast->parts[0], rows, &results, err);
    if (status == MR_OK && has_canary(pipeline->cast))
        status = keep_live(pipeline, &results, err);
    if (status == MR_OK)
        status = score_canaries(pipeline, rows, &results, deciders, err);
    if (status == MR_OK)
        status = give_columns(pipeline, &results, deciders, rows, err);
    else
        mr_results_deinit(&results);
    mr_free(pipeline->deciders);
    pipeline->deciders = deciders;
    return status;
}

mr_status run_score_as(mr_pipeline *pipeline, const cast_part *part, source_rows *rows,
                       mr_error *err)
{
    mr_results results;
    uint8_t *deciders = mr_alloc(MR_MAX(rows->count, 1));
    if (deciders == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(deciders, (int)(part - pipeline->cast->parts), rows->count);
    mr_status status = score_all_rows(pipeline, part, rows, &results, err);
    if (status == MR_OK)
        status = give_columns(pipeline, &results, deciders, rows, err);
    mr_free(deciders);
    return status;
}
