/* surrogate.h -- a small tree that imitates a model: for people to read, with how well it imitates beside it.
 *
 * Grown greedily on a sample of rows and the model's outputs, by the reduction of squared error (Breiman et al. 1984);
 * thresholds are quantiles of the sample. A missing value goes right. */
#ifndef MR_MODEL_SURROGATE_H
#define MR_MODEL_SURROGATE_H

#include "base/status.h"

#define MR_SURROGATE_DEPTH_MAX 8
#define MR_SURROGATE_NODES_MAX ((2u << MR_SURROGATE_DEPTH_MAX) - 1)

typedef struct mr_surrogate_node {
    uint32_t feature; /* UINT32_MAX: a leaf */
    uint32_t left, right;
    double threshold; /* left when x < threshold */
    double value;     /* mean of the outputs */
    uint32_t rows;
} mr_surrogate_node;

typedef struct mr_surrogate {
    mr_surrogate_node nodes[MR_SURROGATE_NODES_MAX]; /* the root first, children behind parents */
    uint32_t node_count;
    double r2; /* share of the outputs' variance that it explains; 1 when they are constant */
    double agreement; /* share of rows on the same side of `cut` */
} mr_surrogate;

/* columns[f][r]: feature f of row r, NaN = missing; outputs are finite. A leaf has `leaf_rows_min` rows at least. */
mr_status mr_surrogate_fit(const double *const *columns, uint32_t feature_count,
                           const double *outputs, uint32_t rows, uint32_t depth_max,
                           uint32_t leaf_rows_min, double cut, mr_surrogate *out, mr_error *err);

#endif
