/* reasons.h -- why a row was scored as it was: its largest contributions, as codes and sentences for people.
 *
 *   mr_reasons_create ... a model and what its user wants said -> reasons, immutable, any thread
 *   mr_reasons_write .... rows -> one JSON text each:
 *
 *   [{"reason":"spending","text":"900 spent in a week","feature":"amount_sum_7d","value":900,"contribution":0.31}, ...]
 *
 * A reason is a feature, or a group of features whose contributions are added; `feature` is the member that weighs most
 * and stands only with groups, `text` only where one is given. Largest first; equal ones in the order of the model's
 * inputs. A model with several margins explains the largest of the row. The same row gives the same bytes everywhere. */
#ifndef MR_MODEL_REASONS_H
#define MR_MODEL_REASONS_H

#include "model/model.h"

#define MR_REASONS_COUNT_MAX 64

typedef enum mr_reasons_direction {
    MR_REASONS_HIGHER,  /* what raised the margin */
    MR_REASONS_LOWER,   /* what lowered it */
    MR_REASONS_ABSOLUTE /* either */
} mr_reasons_direction;

typedef struct mr_reasons_group {
    const char *name;
    const char *const *members; /* inputs of the model */
    size_t member_count;
} mr_reasons_group;

/* {value}, {feature} and {contribution} in it are replaced. */
typedef struct mr_reasons_text {
    const char *name; /* of an input or a group */
    const char *text;
} mr_reasons_text;

typedef struct mr_reasons_options {
    uint32_t count; /* 1 to MR_REASONS_COUNT_MAX */
    mr_reasons_direction direction;
    double contribution_min; /* smaller ones (in magnitude) are no reasons; those of 0 never are */
    const mr_reasons_group *groups;
    size_t group_count;
    const mr_reasons_text *texts;
    size_t text_count;
    bool lenient; /* names that are not the model's are passed over instead of refused */
} mr_reasons_options;

typedef struct mr_reasons mr_reasons;

/* "higher", "lower", "absolute". */
bool mr_reasons_direction_parse(const char *text, mr_reasons_direction *out);
/* Copies what it needs of the options; the model outlives it. Plans the model's explanations: MR_UNSUPPORTED when it
 * has none. */
mr_status mr_reasons_create(const mr_model *model, const mr_reasons_options *options,
                            mr_reasons **out, mr_error *err);
void mr_reasons_destroy(mr_reasons *reasons); /* NULL is allowed */
/* Rows rows[0], rows[1], ... (ascending) of the bound columns; rows NULL: 0, 1, ... The text of the i-th is appended to
 * `out` and ends at ends[i]. */
mr_status mr_reasons_write(const mr_reasons *reasons, const mr_binding *binding,
                           const mr_column *columns, const uint32_t *rows, size_t count,
                           mr_scratch *scratch, mr_bytes *out, size_t *ends, mr_error *err);
/* A nullable string column of `count` texts; one with NULL bytes is NULL. */
mr_status mr_reasons_column(const mr_text *texts, size_t count, mr_column *out, mr_error *err);

#endif
