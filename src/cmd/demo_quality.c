/* demo_quality.c -- how good the decisions were, once the truth is known. */
#include "base/assert.h"
#include "base/time.h"
#include "cmd/demo.h"
#include "model/metrics.h"

#include <string.h>

#define CARDS_LOOKED_AT 100

/* What the figures need of every decision, column by column. */
typedef struct judged {
    mr_bytes day;
    mr_bytes card;
    mr_bytes score;
    mr_bytes fraud;
    size_t count;
} judged;

static const mr_column *column(const mr_batch *batch, const char *name)
{
    int at = mr_schema_find(batch->schema, name);
    MR_ASSERT(at >= 0);
    return &batch->columns[at];
}

static void take_rows(judged *all, const mr_batch *batch)
{
    const int64_t *at = column(batch, "at")->values, *fraud = column(batch, "fraud")->values;
    mr_bytes_append(&all->card, column(batch, "customer")->values,
                    batch->row_count * sizeof(int64_t));
    mr_bytes_append(&all->score, column(batch, "score")->values, batch->row_count * sizeof(float));
    for (uint32_t i = 0; i < batch->row_count; i++) {
        int64_t day = mr_time_day(at[i]);
        mr_bytes_append(&all->day, &day, sizeof day);
        mr_bytes_append_byte(&all->fraud, fraud[i] != 0);
    }
    all->count += batch->row_count;
}

static mr_status read_decisions(mr_topic *decisions, uint64_t from_offset, judged *all,
                                mr_error *err)
{
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = from_offset};
    mr_log_reader *reader = NULL;
    MR_TRY(mr_log_reader_open(decisions, 0, start, NULL, &reader, err));
    mr_status status = MR_OK;
    while (status == MR_OK) {
        mr_log_block block = {0};
        status = mr_log_reader_next(reader, &block, err);
        if (status == MR_OK)
            take_rows(all, block.batch);
        mr_log_block_release(&block);
    }
    mr_log_reader_close(reader);
    bool failed = all->day.failed || all->card.failed || all->score.failed || all->fraud.failed;
    MR_TRY(status == MR_END ? MR_OK : status);
    return failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

static uint32_t count_days(const int64_t *day, size_t count)
{
    uint32_t days = count > 0 ? 1 : 0;
    for (size_t i = 1; i < count; i++)
        days += day[i] != day[i - 1];
    return days;
}

static mr_status measure(const judged *all, mr_demo_quality *out, mr_error *err)
{
    mr_metrics metrics;
    mr_grouped_rows rows = {.period = (const int64_t *)(const void *)all->day.data,
                            .group = (const int64_t *)(const void *)all->card.data,
                            .scores = (const float *)(const void *)all->score.data,
                            .labels = all->fraud.data,
                            .count = all->count};
    MR_TRY(
        mr_metrics_measure(rows.scores, rows.labels, rows.count, CARDS_LOOKED_AT, &metrics, err));
    MR_TRY(
        mr_metrics_grouped_precision(&rows, CARDS_LOOKED_AT, true, &out->card_precision_100, err));
    out->payments = metrics.rows;
    out->frauds = metrics.positives;
    out->auc_roc = metrics.auc_roc;
    out->average_precision = metrics.average_precision;
    out->days = count_days(rows.period, rows.count);
    return MR_OK;
}

mr_status mr_demo_judge(mr_topic *decisions, uint64_t from_offset, mr_demo_quality *out,
                        mr_error *err)
{
    judged all = {0};
    *out = (mr_demo_quality){0};
    mr_status status = read_decisions(decisions, from_offset, &all, err);
    if (status == MR_OK)
        status = measure(&all, out, err);
    mr_bytes_deinit(&all.day);
    mr_bytes_deinit(&all.card);
    mr_bytes_deinit(&all.score);
    mr_bytes_deinit(&all.fraud);
    return status;
}
