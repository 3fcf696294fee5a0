/* questions.c -- what one may ask a pipeline: its statistics, and the features of one key. */
#include "pipeline/run_internal.h"

#include "base/assert.h"
#include "base/number.h"
#include "base/time.h"

#include <math.h>
#include <string.h>

/* ---- statistics ---- */

static void add_state(mr_pipeline *pipeline, mr_pipeline_stats *out)
{
    out->state_keys = out->state_keys_spilled = out->late = 0;
    for (size_t i = 0; i < pipeline->plan->view_count; i++) {
        mr_table_stats table;
        mr_view_stats view;
        mr_table_stats_get(mr_view_table(pipeline->views[i].view), &table);
        mr_view_stats_get(pipeline->views[i].view, &view);
        out->state_keys += table.keys;
        out->state_keys_spilled += table.keys_spilled;
        out->late += view.late;
    }
    out->state_bytes = mr_budget_used(&pipeline->budget);
}

void mr_pipeline_stats_get(mr_pipeline *pipeline, mr_pipeline_stats *out)
{
    mr_mutex_lock(&pipeline->stats_mutex);
    *out = pipeline->stats;
    mr_mutex_unlock(&pipeline->stats_mutex);
    add_state(pipeline, out);
    out->lag = 0;
    for (size_t i = 0; i < pipeline->stream_count; i++)
        out->lag += mr_stream_lag(pipeline->streams[i]);
}

static double bucket_end_us(size_t bucket)
{
    if (bucket < 4)
        return (double)bucket + 1;
    size_t octave = (bucket + 4) / 4, quarter = bucket % 4;
    return ldexp((double)(4 + quarter + 1), (int)octave - 2);
}

double mr_latency_quantile(const uint64_t *buckets, double q)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < MR_LATENCY_BUCKETS; i++)
        total += buckets[i];
    if (total == 0)
        return 0;
    uint64_t wanted = (uint64_t)ceil(q * (double)total);
    for (size_t i = 0; i < MR_LATENCY_BUCKETS; i++) {
        seen += buckets[i];
        if (seen >= MR_MAX(wanted, 1))
            return bucket_end_us(i);
    }
    return bucket_end_us(MR_LATENCY_BUCKETS - 1);
}

/* ---- the features of one key ---- */

#define STATE_BYTES "state_bytes" /* the last column of an answer: memory that the key takes */

static run_view *find_view(mr_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->plan->view_count; i++)
        if (strcmp(pipeline->views[i].plan->name, name) == 0)
            return &pipeline->views[i];
    return NULL;
}

static bool read_word(mr_type type, const char *text, size_t bytes, int64_t *out)
{
    if (type.id == MR_TIMESTAMP)
        return mr_time_parse(text, bytes, false, out, NULL, NULL);
    if (type.id == MR_BOOL) {
        *out = bytes == 4 && memcmp(text, "true", 4) == 0;
        return *out == 1 || (bytes == 5 && memcmp(text, "false", 5) == 0);
    }
    return mr_number_is_int64(text, bytes, out) &&
           (type.id != MR_INT32 || (*out >= INT32_MIN && *out <= INT32_MAX));
}

/* "4711" or "4711,DE": one piece per key column; the last one takes what is left. */
static mr_status read_key(const plan_view *plan, const char *text, mr_view_key *keys, mr_error *err)
{
    char type[32];
    for (size_t i = 0; i < plan->spec.key_count; i++) {
        const char *comma = i + 1 < plan->spec.key_count ? strchr(text, ',') : NULL;
        size_t bytes = comma != NULL ? (size_t)(comma - text) : strlen(text);
        mr_type wanted = plan->spec.keys[i];
        keys[i] = (mr_view_key){.text = {(const uint8_t *)text, bytes}};
        if (!mr_type_is_text(wanted.id) && !read_word(wanted, text, bytes, &keys[i].word))
            return MR_FAIL(err, MR_INVALID, "key '%.*s' of view %s is no %s", (int)bytes, text,
                           plan->name, mr_type_format(wanted, type));
        if (comma == NULL && i + 1 < plan->spec.key_count)
            return MR_FAIL(err, MR_INVALID, "view %s has %zu key columns; join their values by ','",
                           plan->name, plan->spec.key_count);
        text = comma != NULL ? comma + 1 : text + bytes;
    }
    return MR_OK;
}

static mr_status outputs_schema(const run_view *view, mr_schema **out, mr_error *err)
{
    mr_field fields[MR_VIEW_AGGREGATES_MAX + 1];
    size_t count = mr_view_output_count(view->view);
    for (size_t i = 0; i < count; i++) {
        mr_view_output output = mr_view_output_at(view->view, i);
        fields[i] = (mr_field){.name = output.name, .type = output.type, .nullable = true};
    }
    fields[count++] = (mr_field){.name = STATE_BYTES, .type = {MR_INT64, 0}};
    return mr_schema_create(fields, count, out, err);
}

mr_status mr_pipeline_features(mr_pipeline *pipeline, const char *view_name, const char *key,
                               mr_batch **out, mr_error *err)
{
    *out = NULL;
    run_view *view = find_view(pipeline, view_name);
    if (view == NULL)
        return MR_FAIL(err, MR_NOT_FOUND, "pipeline %s has no feature view %s",
                       pipeline->plan->name, view_name);
    mr_view_key keys[MR_VIEW_KEYS_MAX];
    MR_TRY(read_key(view->plan, key, keys, err));
    mr_schema *schema = NULL;
    MR_TRY(outputs_schema(view, &schema, err));
    mr_column *columns = mr_alloc_zero(schema->field_count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    void *state_bytes = NULL;
    uint64_t bytes = 0;
    if (status == MR_OK)
        status = mr_column_alloc((mr_type){MR_INT64, 0}, 1, &columns[schema->field_count - 1],
                                 &state_bytes, err);
    if (status == MR_OK)
        status = mr_view_get(view->view, keys, MR_VIEW_AS_OF_LAST, columns, NULL, &bytes, err);
    if (status == MR_OK)
        *(int64_t *)state_bytes = (int64_t)bytes;
    if (status == MR_OK)
        status = mr_batch_create(schema, 1, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < schema->field_count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    mr_schema_release(schema);
    return status;
}
