/* profile.h -- how columns of data lie: what a model was trained on, kept to compare what it meets later.
 *
 *   {"rows": 3000, "features": [
 *      {"name": "amount", "type": "float64", "count": 2990, "nulls": 10, "mean": ..., "stddev": ..., "min": ...,
 *       "max": ..., "quantiles": [[0.01, ...], ...], "bins": [[upper edge, count], ...]},
 *      {"name": "shop", "type": "string", "count": 3000, "nulls": 0, "distinct": 12, "top": [["x", 1200], ...]}],
 *    "scores": [ ... ]}
 *
 * Bins are of equal frequency as far as equal values allow: a value belongs to the first bin whose edge it does not
 * exceed; the last edge is the maximum. NaN counts as NULL. stddev is of the sample (n - 1). Quantiles are values of
 * the data (nearest rank). */
#ifndef MR_MODEL_PROFILE_H
#define MR_MODEL_PROFILE_H

#include "data/batch.h"

#define MR_PROFILE_BINS_MAX 20
#define MR_PROFILE_TOP_MAX  20

/* The members of one column as above, with their braces. */
mr_status mr_profile_column(const char *name, const mr_column *column, size_t rows, mr_bytes *out,
                            mr_error *err);

/* ---- reading ---- */

typedef struct mr_profile_bin {
    double edge;
    uint64_t count;
} mr_profile_bin;

typedef struct mr_profile_feature {
    char name[MR_NAME_BYTES_MAX + 1];
    uint64_t count, nulls;
    double mean, stddev, min, max;
    uint32_t bin_count; /* 0: no number */
    mr_profile_bin bins[MR_PROFILE_BINS_MAX];
} mr_profile_feature;

/* Finds a feature ("features") or score ("scores") of profile.json by name; score NULL name: the first.
 * MR_NOT_FOUND, or MR_INVALID with the place. */
mr_status mr_profile_find(const void *json, size_t size, const char *list, const char *name,
                          mr_profile_feature *out, mr_error *err);

#endif
