/* decoder_check.c -- records that decode, but for which the caller's condition is not true: rejects like the others.
 *
 * The condition is evaluated over the columns of the finished batch; what fails leaves it. (1) Rejects stay in the
 * order of the input. (2) The place is the value of the first column that the condition names. */
#include "data/decoder_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static int by_offset(const void *a, const void *b)
{
    const mr_reject *left = a, *right = b;
    return left->record_offset < right->record_offset ? -1
                                                      : left->record_offset > right->record_offset;
}

static int first_column(const mr_expr *check)
{
    size_t count;
    const uint32_t *columns = mr_expr_columns(check, &count);
    return count > 0 ? (int)columns[0] : -1;
}

static mr_status reject_row(mr_decoder *decoder, uint32_t row, const char *reason, mr_error *err)
{
    int field = first_column(decoder->options.check);
    mr_row_place place;
    mr_decoder_place(decoder, row, field, &place);
    mr_reject *reject = &decoder->rejects[decoder->reject_count];
    *reject = (mr_reject){.line = place.line,
                          .column = place.column,
                          .record_line = place.record_line,
                          .record_offset = place.record_offset,
                          .field = field >= 0 ? decoder->schema->fields[field].name : "",
                          .reason = mr_arena_strdup(&decoder->reject_texts, reason),
                          .bytes = place.bytes,
                          .size = place.size};
    if (reject->reason == NULL)
        return MR_OUT_OF_MEMORY(err);
    decoder->reject_count++;
    decoder->counts.rejected++;
    return MR_OK;
}

/* Rows that stay move together; each reject learns how many of them came before it. */
static void close_ranks(mr_decoder *decoder, const uint32_t *kept, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        decoder->row_starts[i] = decoder->row_starts[kept[i]];
        decoder->row_lines[i] = decoder->row_lines[kept[i]];
    }
    decoder->row_count = count;
    qsort(decoder->rejects, decoder->reject_count, sizeof *decoder->rejects, by_offset);
    uint32_t before = 0;
    for (uint32_t i = 0; i < decoder->reject_count; i++) {
        mr_reject *reject = &decoder->rejects[i];
        while (before < count &&
               decoder->window_offset + decoder->row_starts[before] < reject->record_offset)
            before++;
        reject->row_index = before;
    }
}

static mr_status reject_others(mr_decoder *decoder, const uint32_t *kept, size_t count,
                               mr_error *err)
{
    mr_bytes text = {0};
    mr_bytes_append_text(&text, "the check is not true: ");
    mr_expr_format(decoder->options.check, &text);
    const char *reason = mr_bytes_text(&text);
    mr_status status = reason != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    size_t next = 0;
    for (uint32_t row = 0; row < decoder->row_count && status == MR_OK; row++) {
        if (next < count && kept[next] == row)
            next++;
        else
            status = reject_row(decoder, row, reason, err);
    }
    mr_bytes_deinit(&text);
    return status;
}

mr_status mr_decoder_apply_check(mr_decoder *decoder, mr_batch **batch, mr_error *err)
{
    size_t count;
    uint32_t *kept = decoder->check_rows;
    mr_batch *left = NULL;
    MR_TRY(mr_expr_eval_filter(decoder->options.check, &decoder->check_scratch, (*batch)->columns,
                               0, decoder->row_count, kept, &count, err));
    if (count == decoder->row_count)
        return MR_OK;
    MR_TRY(reject_others(decoder, kept, count, err));
    if (count > 0)
        MR_TRY(mr_batch_gather(*batch, kept, count, &left, err));
    close_ranks(decoder, kept, (uint32_t)count);
    mr_batch_release(*batch);
    *batch = left;
    return MR_OK;
}
