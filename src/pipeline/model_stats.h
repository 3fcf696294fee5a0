/* model_stats.h -- what each version of a model did while a pipeline ran: how many records, how long they took, what
 * the scores were.
 *
 * One entry per version and role, from when it first scored in this process. Times are of a clock, so they stand beside
 * the flow and in no result. Thread: the pipeline's adds, any thread reads. */
#ifndef MR_PIPELINE_MODEL_STATS_H
#define MR_PIPELINE_MODEL_STATS_H

#include "pipeline/pipeline.h"

#define MR_MODEL_STATS_MAX                                                                         \
    32 /* entries; of those that play no more the longest silent is forgotten first */
#define MR_TIMING_BUCKETS 164 /* quarter octaves from 1 ns on */
#define MR_SCORE_BUCKETS  20  /* of [0, 1], a twentieth each; what lies outside is counted apart */

typedef struct mr_timing {
    uint64_t count;
    int64_t total_ns, min_ns, max_ns;
    uint64_t buckets[MR_TIMING_BUCKETS];
} mr_timing;

void mr_timing_add(mr_timing *timing, int64_t ns, uint64_t count);
double mr_timing_quantile(const mr_timing *timing, double q); /* upper end of its bucket, ns */

typedef struct mr_model_stats {
    mr_model_ref ref; /* version 0: a file */
    char role[16];
    bool plays;       /* now */
    int64_t since_us; /* wall clock of the first and the last micro-batch, in this process */
    int64_t last_us;
    uint64_t since_position;
    mr_timing record;      /* a record's share of its micro-batch */
    mr_timing micro_batch; /* wall time on all workers */
    uint64_t scores[MR_SCORE_BUCKETS];
    uint64_t scores_below, scores_above, scores_none; /* none: the model abstained */
    double score_min, score_max, score_sum;
} mr_model_stats;

/* Copies up to MR_MODEL_STATS_MAX entries, in the order in which they began to play. */
size_t mr_pipeline_model_stats(mr_pipeline *pipeline, mr_model_stats *out);
/* All of it as one JSON object. */
mr_status mr_pipeline_model_stats_json(mr_pipeline *pipeline, mr_bytes *out, mr_error *err);
/* Unless nothing has changed since it was written, by one thread at a time: writes it to <home>/pipelines/<name>/models.json: whole or not at all, but not durably. */
mr_status mr_pipeline_model_stats_write(mr_pipeline *pipeline, mr_error *err);

#endif
