/* model_stats.c -- see model_stats.h. */
#include "pipeline/model_stats.h"

#include "base/assert.h"
#include "base/time.h"
#include "data/encoder.h"
#include "pipeline/run_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- timings ---- */

/* 0, 1, 2, 3, then four to an octave. */
static size_t bucket_of(int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    if (value < 4)
        return (size_t)value;
    unsigned octave = 63 - (unsigned)__builtin_clzll(value);
    size_t bucket = (octave - 1) * 4 + ((value >> (octave - 2)) & 3);
    return MR_MIN(bucket, (size_t)MR_TIMING_BUCKETS - 1);
}

static double bucket_end(size_t bucket)
{
    if (bucket < 4)
        return (double)bucket + 1;
    return ldexp((double)(4 + bucket % 4 + 1), (int)(bucket / 4) - 1);
}

void mr_timing_add(mr_timing *timing, int64_t ns, uint64_t count)
{
    if (count == 0)
        return;
    timing->min_ns = timing->count == 0 ? ns : MR_MIN(timing->min_ns, ns);
    timing->max_ns = MR_MAX(timing->max_ns, ns);
    timing->count += count;
    timing->total_ns += ns * (int64_t)count;
    timing->buckets[bucket_of(ns)] += count;
}

double mr_timing_quantile(const mr_timing *timing, double q)
{
    uint64_t wanted = (uint64_t)ceil(q * (double)timing->count), seen = 0;
    for (size_t i = 0; i < MR_TIMING_BUCKETS && timing->count > 0; i++) {
        seen += timing->buckets[i];
        if (seen >= MR_MAX(wanted, 1))
            return MR_MIN(bucket_end(i), (double)timing->max_ns);
    }
    return 0;
}

/* ---- adding ---- */

static bool is_of(const mr_model_stats *entry, const cast_part *part)
{
    return entry->ref.version == part->ref.version &&
           strcmp(entry->role, cast_role_text(part->role)) == 0 &&
           strcmp(entry->ref.hash, part->ref.hash) == 0 &&
           strcmp(entry->ref.name, part->ref.name) == 0;
}

/* After a swap: who plays now. */
static void mark_playing(mr_pipeline *pipeline)
{
    struct run_model_stats *stats = pipeline->model_stats;
    const run_cast *cast = pipeline->cast;
    for (size_t i = 0; i < stats->count; i++) {
        stats->entries[i].plays = false;
        for (size_t p = 0; p < cast->part_count; p++)
            stats->entries[i].plays |= is_of(&stats->entries[i], &cast->parts[p]);
    }
    stats->swapped = false;
}

/* The place of a new entry: behind the others, or that of the longest silent. */
static mr_model_stats *make_room(struct run_model_stats *stats)
{
    if (stats->count < MR_MODEL_STATS_MAX)
        return &stats->entries[stats->count++];
    size_t oldest = 0;
    for (size_t i = 1; i < stats->count; i++)
        if (stats->entries[i].last_us < stats->entries[oldest].last_us)
            oldest = i;
    memmove(&stats->entries[oldest], &stats->entries[oldest + 1],
            (stats->count - 1 - oldest) * sizeof stats->entries[0]);
    return &stats->entries[stats->count - 1];
}

static mr_model_stats *entry_of(mr_pipeline *pipeline, const cast_part *part, int64_t now_us)
{
    struct run_model_stats *stats = pipeline->model_stats;
    for (size_t i = 0; i < stats->count; i++)
        if (is_of(&stats->entries[i], part))
            return &stats->entries[i];
    mr_model_stats *entry = make_room(stats);
    *entry = (mr_model_stats){.ref = part->ref,
                              .plays = true,
                              .since_us = now_us,
                              .since_position = pipeline->batch.position,
                              .score_min = INFINITY,
                              .score_max = -INFINITY};
    (void)snprintf(entry->role, sizeof entry->role, "%s", cast_role_text(part->role));
    return entry;
}

static void add_score(mr_model_stats *entry, double score)
{
    if (isnan(score)) {
        entry->scores_none++;
        return;
    }
    entry->score_min = MR_MIN(entry->score_min, score);
    entry->score_max = MR_MAX(entry->score_max, score);
    entry->score_sum += score;
    if (score < 0)
        entry->scores_below++;
    else if (score > 1)
        entry->scores_above++;
    else
        entry->scores[MR_MIN((size_t)(score * MR_SCORE_BUCKETS), MR_SCORE_BUCKETS - 1)]++;
}

static void add_scores(mr_model_stats *entry, const mr_results *results)
{
    const void *values = results->values->bytes;
    bool wide = results->model->signature.float_bits == 64;
    for (size_t row = 0; row < results->rows; row++)
        add_score(entry,
                  wide ? ((const double *)values)[row] : (double)((const float *)values)[row]);
}

static bool counts(const mr_pipeline *pipeline)
{
    return !pipeline->at_rest && !pipeline->batch.replayed && pipeline->model_stats != NULL;
}

int64_t run_model_stats_begin(const mr_pipeline *pipeline)
{
    mr_clock *clock = pipeline->options.clock;
    return counts(pipeline) ? clock->mono_ns(clock) : 0;
}

void run_model_stats_end(mr_pipeline *pipeline, const cast_part *part, const mr_results *results,
                         int64_t begun_ns)
{
    mr_clock *clock = pipeline->options.clock;
    if (!counts(pipeline) || results->rows == 0)
        return;
    int64_t ns = clock->mono_ns(clock) - begun_ns, now_us = clock->wall_us(clock);
    mr_mutex_lock(&pipeline->stats_mutex);
    if (pipeline->model_stats->swapped)
        mark_playing(pipeline);
    mr_model_stats *entry = entry_of(pipeline, part, now_us);
    entry->last_us = now_us;
    mr_timing_add(&entry->micro_batch, ns, 1);
    mr_timing_add(&entry->record, ns / (int64_t)results->rows, results->rows);
    add_scores(entry, results);
    pipeline->model_stats->changes++;
    mr_mutex_unlock(&pipeline->stats_mutex);
}

mr_status run_model_stats_open(mr_pipeline *pipeline, mr_error *err)
{
    if (pipeline->plan->score.model == NULL)
        return MR_OK;
    pipeline->model_stats = MR_NEW(struct run_model_stats);
    return pipeline->model_stats != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

void run_model_stats_swapped(mr_pipeline *pipeline)
{
    if (pipeline->model_stats == NULL)
        return;
    mr_mutex_lock(&pipeline->stats_mutex);
    pipeline->model_stats->swapped = true;
    mr_mutex_unlock(&pipeline->stats_mutex);
}

/* ---- asking ---- */

size_t mr_pipeline_model_stats(mr_pipeline *pipeline, mr_model_stats *out)
{
    if (pipeline->model_stats == NULL)
        return 0;
    mr_mutex_lock(&pipeline->stats_mutex);
    size_t count = pipeline->model_stats->count;
    memcpy(out, pipeline->model_stats->entries, count * sizeof *out);
    mr_mutex_unlock(&pipeline->stats_mutex);
    return count;
}

static void write_time(const char *key, int64_t us, mr_bytes *out)
{
    char text[MR_TIME_TEXT_MAX];
    mr_bytes_printf(out, ",\"%s\":", key);
    mr_encode_json_text(text, mr_time_format(us, text), out);
}

static void write_timing(const char *key, const mr_timing *timing, mr_bytes *out)
{
    mr_bytes_printf(out,
                    ",\"%s\":{\"count\":%" PRIu64 ",\"total\":%" PRId64 ",\"min\":%" PRId64
                    ",\"max\":%" PRId64 ",\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"p999\":%.0f}",
                    key, timing->count, timing->total_ns, timing->min_ns, timing->max_ns,
                    mr_timing_quantile(timing, 0.5), mr_timing_quantile(timing, 0.9),
                    mr_timing_quantile(timing, 0.99), mr_timing_quantile(timing, 0.999));
}

static void write_scores(const mr_model_stats *entry, mr_bytes *out)
{
    uint64_t count = entry->record.count - entry->scores_none;
    mr_bytes_printf(out, ",\"scores\":{\"count\":%" PRIu64, count);
    if (count > 0)
        mr_bytes_printf(out, ",\"min\":%.9g,\"mean\":%.9g,\"max\":%.9g", entry->score_min,
                        entry->score_sum / (double)count, entry->score_max);
    mr_bytes_printf(out, ",\"none\":%" PRIu64 ",\"below_0\":%" PRIu64 ",\"above_1\":%" PRIu64,
                    entry->scores_none, entry->scores_below, entry->scores_above);
    mr_bytes_append_text(out, ",\"twentieths\":[");
    for (size_t i = 0; i < MR_SCORE_BUCKETS; i++)
        mr_bytes_printf(out, "%s%" PRIu64, i > 0 ? "," : "", entry->scores[i]);
    mr_bytes_append_text(out, "]}");
}

static void write_entry(const mr_plan *plan, const mr_model_stats *entry, mr_bytes *out)
{
    const char *name = plan->score.path != NULL ? plan->score.path : entry->ref.name;
    mr_bytes_append_text(out, "{\"model\":");
    mr_encode_json_text(name, strlen(name), out);
    mr_bytes_printf(out, ",\"version\":%" PRIu64 ",\"role\":\"%s\",\"plays\":%s",
                    entry->ref.version, entry->role, entry->plays ? "true" : "false");
    write_time("since", entry->since_us, out);
    write_time("last", entry->last_us, out);
    mr_bytes_printf(out, ",\"since_position\":%" PRIu64 ",\"records\":%" PRIu64,
                    entry->since_position, entry->record.count);
    write_timing("record_ns", &entry->record, out);
    write_timing("micro_batch_ns", &entry->micro_batch, out);
    write_scores(entry, out);
    mr_bytes_append_byte(out, '}');
}

mr_status mr_pipeline_model_stats_json(mr_pipeline *pipeline, mr_bytes *out, mr_error *err)
{
    mr_model_stats *entries = mr_alloc(MR_MODEL_STATS_MAX * sizeof *entries);
    if (entries == NULL)
        return MR_OUT_OF_MEMORY(err);
    size_t count = mr_pipeline_model_stats(pipeline, entries);
    mr_bytes_printf(out, "{\"pipeline\":\"%s\",\"models\":[", pipeline->plan->name);
    for (size_t i = 0; i < count; i++) {
        mr_bytes_append_text(out, i > 0 ? "," : "");
        write_entry(pipeline->plan, &entries[i], out);
    }
    mr_bytes_append_text(out, "]}\n");
    mr_free(entries);
    return out->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* A reader sees the old file or the new one; after a power failure perhaps neither, which loses nothing. */
static mr_status replace(mr_fs *fs, const char *path, const mr_bytes *text, mr_error *err)
{
    char beside[MR_PATH_MAX + 32];
    mr_file *file;
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    MR_TRY(mr_fs_open(fs, beside, MR_OPEN_CREATE, &file, err));
    mr_status status = mr_file_truncate(file, 0, err);
    if (status == MR_OK)
        status = mr_file_write(file, 0, text->data, text->size, err);
    mr_file_close(file);
    return status == MR_OK ? mr_fs_rename(fs, beside, path, err) : status;
}

mr_status mr_pipeline_model_stats_write(mr_pipeline *pipeline, mr_error *err)
{
    char path[MR_PATH_MAX + 16];
    struct run_model_stats *stats = pipeline->model_stats;
    mr_bytes text = {0};
    if (stats == NULL)
        return MR_OK;
    mr_mutex_lock(&pipeline->stats_mutex);
    uint64_t changes = stats->changes;
    mr_mutex_unlock(&pipeline->stats_mutex);
    if (changes == stats->written)
        return MR_OK;
    (void)snprintf(path, sizeof path, "%s/models.json", pipeline->folder);
    mr_status status = mr_pipeline_model_stats_json(pipeline, &text, err);
    if (status == MR_OK)
        status = replace(pipeline->options.fs, path, &text, err);
    mr_bytes_deinit(&text);
    if (status == MR_OK)
        stats->written = changes;
    return status;
}
