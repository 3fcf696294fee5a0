/* eval.c -- expressions over the rows of a micro-batch, split by row range over the workers.
 *
 * (1) A row's value depends on that row alone, so ranges may be cut anywhere; they are cut at multiples of 64,
 *     so that no two workers share a word of bits.
 * (2) Columns of fixed size are written in place by all workers; text columns are made whole by the caller. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <string.h>

#define PARALLEL_ROWS_MIN 1024 /* below this a barrier costs more than it saves */

typedef struct eval_group {
    mr_pipeline *pipeline;
    const eval_item *items;
    size_t count;
    const mr_column *columns;
    uint32_t rows;
} eval_group;

void run_range(uint32_t rows, int worker, int workers, uint32_t *out_first, uint32_t *out_count)
{
    uint64_t words = (rows + 63) / 64;
    uint64_t first = words * (uint64_t)worker / (uint64_t)workers * 64;
    uint64_t end = MR_MIN(words * (uint64_t)(worker + 1) / (uint64_t)workers * 64, rows);
    *out_first = (uint32_t)first;
    *out_count = end > first ? (uint32_t)(end - first) : 0;
}

static void eval_range(void *context, int worker)
{
    eval_group *group = context;
    uint32_t first, count;
    run_range(group->rows, worker, group->pipeline->workers, &first, &count);
    mr_error *err = &group->pipeline->worker_errors[worker];
    mr_error_clear(err);
    for (size_t i = 0; i < group->count && count > 0 && err->status == MR_OK; i++) {
        mr_column *column = group->items[i].to;
        size_t nulls;
        err->status = mr_expr_eval_into(group->items[i].expr, &group->pipeline->scratches[worker],
                                        group->columns, first, count, column->owners[1]->bytes,
                                        column->owners[0]->bytes, &nulls, err);
    }
}

/* Values and a validity for every row, both filled later. */
static mr_status make_room(const mr_expr *expr, uint32_t rows, mr_column *out, mr_error *err)
{
    void *values;
    size_t padded = ((size_t)rows + 63) / 64 * 64;
    MR_TRY(mr_column_alloc(mr_expr_type(expr), padded, out, &values, err));
    out->owners[0] = mr_buffer_create(padded / 8);
    if (out->owners[0] == NULL) {
        mr_column_release(out);
        return MR_OUT_OF_MEMORY(err);
    }
    memset(out->owners[0]->bytes, 0xff, padded / 8);
    out->validity = out->owners[0]->bytes;
    out->null_count = rows; /* unknown yet: nobody may take a short cut */
    return MR_OK;
}

mr_status run_worker_error(const mr_pipeline *pipeline, mr_error *err)
{
    for (int worker = 0; worker < pipeline->workers; worker++) {
        const mr_error *own = &pipeline->worker_errors[worker];
        if (own->status == MR_OK)
            continue;
        if (err != NULL)
            *err = *own;
        return own->status;
    }
    return MR_OK;
}

static void clear_tail_bits(uint8_t *bits, uint32_t rows)
{
    if (rows % 8 != 0)
        bits[rows / 8] = (uint8_t)(bits[rows / 8] & ((1u << (rows % 8)) - 1));
}

static mr_status run_group(eval_group *group, mr_error *err)
{
    for (size_t i = 0; i < group->count; i++)
        MR_TRY(make_room(group->items[i].expr, group->rows, group->items[i].to, err));
    mr_pool_run(group->pipeline->pool, eval_range, group);
    MR_TRY(run_worker_error(group->pipeline, err));
    for (size_t i = 0; i < group->count; i++) {
        mr_column *column = group->items[i].to;
        mr_buffer *bits = column->owners[0];
        column->owners[0] = NULL;
        clear_tail_bits(bits->bytes, group->rows);
        mr_column_set_validity(column, bits, group->rows);
    }
    return MR_OK;
}

static mr_status eval_whole(mr_pipeline *pipeline, const eval_item *item, const mr_column *columns,
                            uint32_t rows, mr_error *err)
{
    uint32_t index;
    if (mr_expr_is_column(item->expr, &index)) {
        *item->to = mr_column_retain(&columns[index]);
        return MR_OK;
    }
    return mr_expr_eval(item->expr, &pipeline->scratches[0], columns, 0, rows, item->to, err);
}

static bool splits(const eval_item *item)
{
    uint32_t index;
    mr_type_id id = mr_expr_type(item->expr).id;
    return !mr_type_is_text(id) && id != MR_VECTOR && !mr_expr_is_column(item->expr, &index);
}

mr_status eval_columns(mr_pipeline *pipeline, const eval_item *items, size_t item_count,
                       const mr_column *columns, uint32_t rows, mr_error *err)
{
    bool parallel = pipeline->workers > 1 && rows >= PARALLEL_ROWS_MIN;
    for (size_t i = 0; i < item_count;) {
        if (!parallel || !splits(&items[i])) {
            MR_TRY(eval_whole(pipeline, &items[i++], columns, rows, err));
            continue;
        }
        size_t end = i + 1;
        while (end < item_count && splits(&items[end]))
            end++;
        eval_group group = {.pipeline = pipeline,
                            .items = items + i,
                            .count = end - i,
                            .columns = columns,
                            .rows = rows};
        MR_TRY(run_group(&group, err));
        i = end;
    }
    return MR_OK;
}

mr_status eval_filter(mr_pipeline *pipeline, const mr_expr *expr, const mr_column *columns,
                      uint32_t rows, size_t *out_count, mr_error *err)
{
    return mr_expr_eval_filter(expr, &pipeline->scratches[0], columns, 0, rows, pipeline->selection,
                               out_count, err);
}
