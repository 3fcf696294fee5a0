/* evidence_columns.c -- `evidence: full`: what a decision keeps beside its columns, so that it can be asked about.
 *
 *   position ........... of the record in the pipeline's merged input: its place in the journal
 *   source_partition ... and
 *   source_offset ...... of the record in the topic of the `on` source (its number, when that is a file)
 *   NAME_rule .......... for each `decide` column that is a `case`: the condition that held, or 'else'
 *
 * (1) All of it follows from the order of records, so a replay gives the same bytes; no clock is in it.
 * (2) The columns may be NULL by declaration, so that they can be added to a topic that has records. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <string.h>

enum { POSITION, PARTITION, OFFSET, PLACES };

static const struct {
    const char *name;
    mr_type type;
} places[PLACES] = {[POSITION] = {"position", {MR_INT64, 0}},
                    [PARTITION] = {"source_partition", {MR_INT32, 0}},
                    [OFFSET] = {"source_offset", {MR_INT64, 0}}};

/* ---- the plan ---- */

static mr_status add_rule(plan_maker *maker, const plan_column *decided, const mr_schema *frame,
                          plan_columns *rules)
{
    const mr_spec_text *where = &maker->spec->evidence;
    mr_bytes text = {0};
    mr_status status = MR_OK;
    const char *name = mr_arena_printf(maker->arena, "%s_rule", decided->name);
    bool is_case = mr_expr_rule(decided->expr, &text);
    if (name == NULL || text.failed)
        status = MR_OUT_OF_MEMORY(maker->err);
    if (status == MR_OK && is_case) {
        plan_column *rule = &rules->items[rules->count];
        *rule = (plan_column){.name = name, .index = (uint32_t)maker->field_count};
        mr_expr_place place = plan_place(maker, where);
        status = mr_expr_compile((const char *)text.data, text.size, frame, &place, &rule->expr,
                                 maker->err);
        rules->count += status == MR_OK;
    }
    if (status == MR_OK && is_case)
        status = plan_add_field(maker, where, name, (mr_type){MR_STRING, 0}, true);
    mr_bytes_deinit(&text);
    return status;
}

static mr_status add_rules(plan_maker *maker, plan_evidence *evidence)
{
    const plan_columns *decide = &maker->plan->decide;
    mr_schema *frame = NULL;
    evidence->rules.items = MR_ARENA_ARRAY(maker->arena, plan_column, decide->count + 1);
    if (evidence->rules.items == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    MR_TRY(plan_frame_schema(maker, &frame));
    mr_status status = MR_OK;
    for (size_t i = 0; i < decide->count && status == MR_OK; i++)
        status = add_rule(maker, &decide->items[i], frame, &evidence->rules);
    mr_schema_release(frame);
    return status;
}

mr_status plan_make_evidence(plan_maker *maker)
{
    const mr_spec_text *said = &maker->spec->evidence;
    plan_evidence *evidence = &maker->plan->evidence;
    if (said->text == NULL || strcmp(said->text, "none") == 0)
        return MR_OK;
    if (strcmp(said->text, "full") != 0)
        return PLAN_FAIL(maker, said, MR_INVALID, "evidence: '%s' is neither full nor none",
                         said->text);
    evidence->full = true;
    evidence->first_output = (uint32_t)maker->field_count;
    for (size_t i = 0; i < PLACES; i++)
        MR_TRY(plan_add_field(maker, said, places[i].name, places[i].type, true));
    return add_rules(maker, evidence);
}

/* ---- a micro-batch ---- */

static void fill_places(const mr_pipeline *pipeline, const micro_batch *batch,
                        const source_rows *rows, void *const *values)
{
    uint64_t before[STREAMS_MAX] = {0};
    uint32_t row = 0, first = 0;
    for (size_t i = 0; i < batch->runs.count; i++) {
        const take_run *run = &batch->runs.items[i];
        for (; row < rows->count; row++) {
            uint32_t merged = rows->merged != NULL ? rows->merged[row] : row;
            if (merged >= first + run->rows)
                break;
            ((int64_t *)values[POSITION])[row] = (int64_t)(batch->position + merged);
            ((int32_t *)values[PARTITION])[row] =
                (int32_t)pipeline->streams[run->stream]->partition;
            ((int64_t *)values[OFFSET])[row] =
                (int64_t)(pipeline->starts[run->stream] + before[run->stream] + merged - first);
        }
        before[run->stream] += run->rows;
        first += run->rows;
    }
    MR_ASSERT(row == rows->count);
}

mr_status run_evidence(mr_pipeline *pipeline, const micro_batch *batch, source_rows *rows,
                       mr_error *err)
{
    const plan_evidence *evidence = &pipeline->plan->evidence;
    void *values[PLACES];
    if (!evidence->full)
        return MR_OK;
    rows->column_count = evidence->first_output + PLACES;
    for (size_t i = 0; i < PLACES; i++)
        MR_TRY(mr_column_alloc(places[i].type, rows->count,
                               &rows->columns[evidence->first_output + i], &values[i], err));
    fill_places(pipeline, batch, rows, values);
    return run_compute(pipeline, &evidence->rules, rows, err);
}
