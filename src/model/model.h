/* model.h -- models: one interface for every family that turns a row of numbers into scores.
 *
 *   mr_model_open ........ bytes or a file -> a model, read only, shared by any number of threads
 *   mr_model_bind ........ the model's inputs by name -> columns of one schema; refuses what does not fit
 *   mr_scratch_create .... per-thread working memory
 *   mr_model_score ....... rows of a batch, columns in, columns out
 *   mr_model_score_row ... one row of floats: no allocation, no lock
 *
 * A family is a `struct mr_model_kind` in a file of its own; `mr_model_kinds` in model.c lists them, and the
 * conformance test runs every one that is listed.
 *
 * Results per row: *margins*, the raw sums of the model (bit-equal to what the training library adds up), *scores*, what
 * the model's objective makes of them (probabilities, class shares, amounts), and for classifiers that name their
 * classes a *label*. Margins and scores are float32 or float64, as the model computes (`float_bits`).
 *
 * An input has the type the model computes with (`input_types`). Numbers become float32 or float64 in one rounding, as
 * the libraries do it: float64 and int64 straight to float32 (not by way of each other), bool as 0 and 1, timestamps as
 * microseconds; NULL and NaN are the missing value. Text inputs bind to string columns only. */
#ifndef MR_MODEL_MODEL_H
#define MR_MODEL_MODEL_H

#include "data/batch.h"
#include "model/setting.h"
#include "os/fs.h"

#define MR_MODEL_INPUTS_MAX  65536
#define MR_MODEL_OUTPUTS_MAX 1024
#define MR_MODEL_BYTES_MAX   (4ull << 30)

typedef struct mr_model_kind mr_model_kind;
typedef struct mr_scratch mr_scratch;
typedef struct mr_binding mr_binding;

/* What a model says about itself; lent until it is closed. */
typedef struct mr_model_signature {
    const char *objective; /* "binary:logistic" */
    uint32_t input_count;
    const char *const
        *input_names; /* in the model's order: the file's, the caller's, or f0, f1, ... */
    /* MR_FLOAT32, MR_FLOAT64, MR_INT64, MR_BOOL or MR_STRING for each; NULL: all MR_FLOAT32 */
    const mr_type_id *input_types;
    uint32_t margin_count; /* raw sums per row */
    uint32_t output_count; /* scores per row */
    const char *const *output_names;
    uint32_t float_bits;  /* of margins and scores: 32 or 64 */
    uint32_t class_count; /* labels a classifier chooses from; 0: it names none */
    const char *const *class_names;
    bool may_abstain;        /* a score may be NaN and a label -1: no result for this row */
    const char *description; /* "100 trees, depth 6, 4568 nodes; rows by avx512, batches by ..." */
} mr_model_signature;

/* The part of a model every family has; a family's struct begins with it. */
typedef struct mr_model {
    const mr_model_kind *kind;
    mr_model_signature signature;
    size_t scratch_bytes;
} mr_model;

typedef struct mr_model_options {
    const char *kind;               /* NULL: recognised by content */
    const char *const *input_names; /* used when the file has none; must fit its count */
    size_t input_name_count;
    const mr_setting *settings; /* checked against the kind's table */
    size_t setting_count;
} mr_model_options;

/* Where results go: value k of row r at [k * stride + r], float or double as signature.float_bits says. Any pointer may
 * be NULL; labels must be when the model names no classes. */
typedef struct mr_model_out {
    void *margins;
    void *scores;
    int32_t *labels; /* index of a class name, -1: none; of row r at [r] */
    size_t stride;   /* >= count */
} mr_model_out;

struct mr_model_kind {
    const char *name;                /* "xgboost" */
    const char *sentence;            /* what it reads, for help */
    const mr_setting_spec *settings; /* ended by a NULL name */
    /* Whether the bytes look like an artifact of this kind; cheap. Any thread. */
    bool (*recognise)(const uint8_t *bytes, size_t size);
    /* The bytes are lent for the call only. options is never NULL and its settings are checked. */
    mr_status (*open)(const uint8_t *bytes, size_t size, const mr_model_options *options,
                      mr_model **out, mr_error *err);
    void (*close)(mr_model *model);
    /* Rows [first, first + count) of the columns `inputs[i]`, one per input of the model. Any
     * thread; the scratch is the caller's alone. */
    mr_status (*score)(const mr_model *model, const mr_column *const *inputs, size_t first,
                       size_t count, const mr_model_out *out, mr_scratch *scratch, mr_error *err);
    /* One row; `inputs` are float32, NaN = missing. Must not allocate, lock or fail. NULL: rows go through `score`.
     * Only for models whose inputs and results are float32. */
    void (*score_row)(const mr_model *model, const float *inputs, float *out_margins,
                      float *out_scores, mr_scratch *scratch);
    /* What each input adds to each margin: that of input i to margin k of row r at
     * [(r * margin_count + k) * (input_count + 1) + i], the base value behind the inputs; they add up to the margin.
     * Same rows and scratch as for score. With count 0 it only prepares what the first explanation needs (all else may
     * be NULL). NULL: this family cannot say. */
    mr_status (*explain)(const mr_model *model, const mr_column *const *inputs, size_t first,
                         size_t count, double *out, mr_scratch *scratch, mr_error *err);
};

/* All kinds, ended by NULL. To add a family: write its file, add a line to the table in model.c. */
extern const mr_model_kind *const mr_model_kinds[];
const mr_model_kind *mr_model_kind_find(const char *name); /* NULL: none */

/* ---- birth and death ---- */

/* Reads a model from bytes (lent for the call). options may be NULL. Refuses what it cannot score
 * exactly, naming the element. */
mr_status mr_model_open_bytes(const void *bytes, size_t size, const mr_model_options *options,
                              mr_model **out, mr_error *err);
/* Reads a file, or the model of an artifact folder, which must reproduce its golden rows (see artifact.h). */
mr_status mr_model_open(mr_fs *fs, const char *path, const mr_model_options *options,
                        mr_model **out, mr_error *err);
void mr_model_close(mr_model *model); /* NULL is allowed */

/* Index of an input, -1: no such name. */
int64_t mr_model_input_find(const mr_model *model, const char *name);

/* ---- binding ---- */

/* Finds every input by name among the schema's fields. MR_INVALID, listing all that is wrong at
 * once: an input that is missing (with the closest name there is) or whose type is not a number.
 * Columns the model does not know are ignored. Immutable; any thread may use it. It does not keep
 * the schema or the model alive. */
mr_status mr_model_bind(const mr_model *model, const mr_schema *schema, mr_binding **out,
                        mr_error *err);
void mr_binding_destroy(mr_binding *binding); /* NULL is allowed */
/* Field index for each input of the model. */
const uint32_t *mr_binding_fields(const mr_binding *binding);

/* ---- scoring ---- */

/* Working memory of one thread for one model; reusable without end. */
mr_status mr_scratch_create(const mr_model *model, mr_scratch **out, mr_error *err);
void mr_scratch_destroy(mr_scratch *scratch); /* NULL is allowed */

/* Rows [first, first + count) of `columns` (those of a batch with the bound schema). The same row
 * gives the same bits whatever the cut, the kernel and the thread. Does not allocate. */
mr_status mr_model_score(const mr_model *model, const mr_binding *binding, const mr_column *columns,
                         size_t first, size_t count, const mr_model_out *out, mr_scratch *scratch,
                         mr_error *err);
/* Whether rows of numbers are all the model needs: every input is float32 or float64. */
bool mr_model_takes_numbers(const mr_model *model);
/* One row of numbers, inputs in the model's order, NaN = missing; writes margin_count margins and output_count scores
 * (either may be NULL), rounded to float32 if the model computes wider. No allocation, no lock. MR_OK always for
 * families with score_row. */
mr_status mr_model_score_row(const mr_model *model, const float *inputs, float *out_margins,
                             float *out_scores, mr_scratch *scratch, mr_error *err);

/* What each input adds to each margin (see mr_model_kind.explain). MR_UNSUPPORTED when the family cannot say. */
mr_status mr_model_explain(const mr_model *model, const mr_binding *binding,
                           const mr_column *columns, size_t first, size_t count, double *out,
                           mr_scratch *scratch, mr_error *err);

/* Makes what the first explanation would make, and says whether the model can be explained at all. */
mr_status mr_model_explain_prepare(const mr_model *model, mr_error *err);

/* Rows [first, first + count) of a bool or number column as float32 or float64, NULL as NaN: the conversion
 * every family uses. `out` may have any alignment. */
void mr_model_convert(const mr_column *column, size_t first, size_t count, float *out);
void mr_model_convert64(const mr_column *column, size_t first, size_t count, double *out);

#endif
