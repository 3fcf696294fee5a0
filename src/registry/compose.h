/* compose.h -- makes an artifact folder of what a person has: a model's file or folder, rows, and what to say of it.
 *
 *   model.* ........ the file as it is (another name becomes model.<its ending>)
 *   model.yaml ..... the one that is there, with what it lacks behind it: family, inputs, outputs, description,
 *                    training_data, metrics
 *   golden.csv ..... in this order: the golden text given; the one that is there; rows given; rows of the profile's
 *                    data; made up
 *   profile.json ... of the rows given; else the one that is there
 *   others ......... as they are */
#ifndef MR_REGISTRY_COMPOSE_H
#define MR_REGISTRY_COMPOSE_H

#include "data/batch.h"
#include "model/model.h"

/* One thing the model was trained on: a file, or records of a topic. */
typedef struct mr_compose_data {
    const char *file; /* NULL: a topic */
    const char *topic;
    uint32_t partition;
    uint64_t first_offset, end_offset;
} mr_compose_data;

typedef struct mr_compose_metric {
    const char *split; /* "validation" */
    const char *name;
    double value;
} mr_compose_metric;

/* A zeroed struct adds nothing but what can be told from the model. */
typedef struct mr_compose_options {
    const mr_batch *golden_rows; /* scored now, all of them */
    const void *golden_text;     /* a whole golden.csv with results: what the model must say */
    size_t golden_bytes;
    const mr_batch *profile_rows; /* the training data */
    const mr_compose_data *data;
    size_t data_count;
    const mr_compose_metric *metrics; /* of one split behind the other */
    size_t metric_count;
    const char *description;
} mr_compose_options;

/* Writes the folder `to`, which must not exist, from the file or folder `path`. MR_EXISTS: model.yaml says already what
 * an option says. */
mr_status mr_compose(mr_fs *fs, const char *path, const mr_compose_options *options, const char *to,
                     mr_error *err);

#endif
