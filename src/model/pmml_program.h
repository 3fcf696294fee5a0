/* pmml_program.h -- a PMML file compiled: arrays of small records that refer to each other by number.
 *
 *   slots ....... one double per field a row has or derives; slot 0 is minus infinity
 *   results ..... per model its value, then one probability per class
 *   a row ....... inputs into slots -> treatments -> the top model, which runs the models inside it
 *
 * Every value is a double. Numbers are themselves (of dataType float: rounded to float32); a string is the number of
 * its text among the file's symbols, or behind those the number of a text of this row only; booleans are 0 and 1.
 * NaN is the missing value, but for one NaN with bits of its own: *invalid*, the result of a function that has none
 * for its arguments. Whoever meets it in earnest gives up the row (`state.failed`), and the model abstains.
 *
 * (1) Nothing changes after compilation; a state belongs to one thread.
 * (2) Expressions, predicates, models refer only to what was compiled; nesting is bounded when compiled
 *     (MR_PMML_NESTING_MAX), so evaluation needs no check of its own. */
#ifndef MR_MODEL_PMML_PROGRAM_H
#define MR_MODEL_PMML_PROGRAM_H

#include "model/model_internal.h"
#include "model/pmml_symbols.h"

#include <math.h>
#include <string.h>

#define MR_PMML_NONE UINT32_MAX
#define MR_PMML_NESTING_MAX                                                                        \
    64 /* models in models, expressions in expressions, predicates in predicates */
#define MR_PMML_SLOTS_MAX   65535u     /* a tree's node has 16 bits for one */
#define MR_PMML_RECORDS_MAX (1u << 30) /* of any array */
#define MR_PMML_ROW_TEXTS   256        /* texts of one row that the file does not have */
#define MR_PMML_ROW_BYTES   65536      /* those that functions make */
#define MR_PMML_SLOT_LOWEST 0          /* always minus infinity: what leaves compare */

typedef enum mr_pmml_type {
    MR_PMML_DOUBLE,
    MR_PMML_FLOAT,
    MR_PMML_INTEGER,
    MR_PMML_BOOLEAN,
    MR_PMML_STRING,
} mr_pmml_type;

/* `count` records of some array from `first` on. */
typedef struct mr_pmml_range {
    uint32_t first, count;
} mr_pmml_range;

/* ---- values ---- */

#define MR_PMML_INVALID_BITS 0x7ff80bad0bad0badu

static inline double mr_pmml_invalid(void)
{
    uint64_t bits = MR_PMML_INVALID_BITS;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline bool mr_pmml_is_invalid(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == MR_PMML_INVALID_BITS;
}

/* ---- what is done to a field before a model sees it ---- */

typedef enum mr_pmml_invalid_rule {
    MR_PMML_RETURN_INVALID,
    MR_PMML_AS_IS,
    MR_PMML_AS_MISSING,
    MR_PMML_AS_VALUE,
} mr_pmml_invalid_rule;

typedef enum mr_pmml_outlier_rule {
    MR_PMML_OUTLIER_AS_IS,
    MR_PMML_OUTLIER_AS_MISSING,
    MR_PMML_OUTLIER_AS_EXTREME,
} mr_pmml_outlier_rule;

typedef struct mr_pmml_interval {
    double low, high;
    bool low_open, high_open;
} mr_pmml_interval;

static inline bool mr_pmml_interval_has(const mr_pmml_interval *interval, double x)
{
    return (interval->low_open ? x > interval->low : x >= interval->low) &&
           (interval->high_open ? x < interval->high : x <= interval->high);
}

typedef struct mr_pmml_treatment {
    uint32_t from, to;                     /* slots */
    uint8_t type;                          /* mr_pmml_type */
    uint8_t invalid, outliers;             /* rules */
    bool missing_is_invalid;               /* missingValueTreatment="returnInvalid" */
    double missing_to, invalid_to;         /* NaN: none */
    double low, high;                      /* of outliers */
    mr_pmml_range intervals;               /* what is valid; none of both: everything */
    mr_pmml_range valid, unwanted, absent; /* numbers[]: values with that property */
} mr_pmml_treatment;

/* ---- expressions ---- */

typedef enum mr_pmml_op {
    MR_PMML_CONSTANT,
    MR_PMML_FIELD,      /* slot a */
    MR_PMML_CONVERT,    /* expression a, of type b */
    MR_PMML_FUNCTION,   /* function a, arguments indexes[list] */
    MR_PMML_CALL,       /* arguments indexes[list] as pairs (slot, expression), then expression a */
    MR_PMML_CONTINUOUS, /* slot a, points numbers[list] as pairs (from, to) */
    MR_PMML_DISCRETE,   /* 1 when slot a has the value */
    MR_PMML_BINS,       /* slot a, intervals[list], their values from numbers[b] on */
    MR_PMML_MAP,        /* slots indexes[a ...], b of them, rows numbers[list]: b keys, value */
} mr_pmml_op;

typedef struct mr_pmml_expression {
    uint8_t op;   /* mr_pmml_op */
    uint8_t type; /* of the value: mr_pmml_type */
    uint8_t rule; /* of functions: mr_pmml_invalid_rule; of points: mr_pmml_outlier_rule */
    uint32_t a, b;
    mr_pmml_range list;
    double value;         /* the constant */
    double missing_to;    /* what it is of missing arguments (NaN: missing) */
    double default_value; /* what it is when nothing fits, or the result is missing */
} mr_pmml_expression;

/* Computes a slot when a model is entered. */
typedef struct mr_pmml_step {
    uint32_t expression; /* MR_PMML_NONE: a treatment */
    uint32_t index;      /* slot, or the treatment */
} mr_pmml_step;

/* ---- predicates ---- */

typedef enum mr_pmml_test {
    MR_PMML_FALSE,
    MR_PMML_TRUE,
    MR_PMML_UNKNOWN,
} mr_pmml_test;

typedef struct mr_pmml_predicate {
    uint8_t op; /* mr_pmml_predicate_op */
    uint32_t slot;
    double value;       /* compared with */
    mr_pmml_range list; /* members of a set in numbers[], ascending; or parts in indexes[] */
} mr_pmml_predicate;

/* ---- trees ---- */

/* One step of a walk: next = base + (x > at), or base + miss when x is missing. Children are neighbours. A leaf is its
 * own base and compares slot 0, which is less than anything, with its number in leaves[]. */
typedef struct mr_pmml_node {
    double at; /* threshold; of a question: the predicate's number */
    uint32_t base;
    uint16_t slot;
    uint8_t op;   /* mr_pmml_node_op */
    uint8_t miss; /* 0, 1 or 2 */
} mr_pmml_node;

typedef enum mr_pmml_node_op {
    MR_PMML_NODE_LEVEL, /* x > at */
    MR_PMML_NODE_ASK,   /* the predicate is false: base + 1 */
    MR_PMML_NODE_LEAF,
} mr_pmml_node_op;

typedef struct mr_pmml_leaf {
    double value;    /* of a regression; class of a classification; NaN: no result */
    uint32_t shares; /* class_count numbers[] */
} mr_pmml_leaf;

typedef struct mr_pmml_tree {
    uint32_t root, depth; /* depth: of most rows; a walk ends at a leaf, not there */
} mr_pmml_tree;

/* A node of a tree whose missing values need all branches (weightedConfidence, aggregateNodes). */
typedef struct mr_pmml_branch {
    uint32_t predicate, leaf;
    double records;
    mr_pmml_range children; /* in indexes[] */
    uint32_t counts;        /* class_count numbers[] */
} mr_pmml_branch;

/* ---- models ---- */

typedef enum mr_pmml_model_type {
    MR_PMML_TREE,
    MR_PMML_BRANCHES, /* a tree of branches */
    MR_PMML_FOREST,   /* segments that are trees, always true, nothing between: walked together */
    MR_PMML_MINING,
    MR_PMML_REGRESSION,
    MR_PMML_GENERAL,
    MR_PMML_NETWORK,
} mr_pmml_model_type;

typedef enum mr_pmml_method {
    MR_PMML_SUM,
    MR_PMML_AVERAGE,
    MR_PMML_WEIGHTED_AVERAGE,
    MR_PMML_MEDIAN,
    MR_PMML_MAX,
    MR_PMML_MAJORITY,
    MR_PMML_WEIGHTED_MAJORITY,
    MR_PMML_CHAIN,
    MR_PMML_FIRST,
} mr_pmml_method;

typedef enum mr_pmml_missing_part {
    MR_PMML_PART_CONTINUE,
    MR_PMML_PART_SKIP,
    MR_PMML_PART_RETURN_MISSING,
} mr_pmml_missing_part;

typedef struct mr_pmml_segment {
    uint32_t predicate, model;
    double weight;
} mr_pmml_segment;

/* What becomes of a regression's number, in this order. */
typedef struct mr_pmml_target {
    double min, max, factor, constant;
    double when_missing;
    mr_pmml_range priors; /* class_count numbers[], or none */
    uint8_t cast;         /* mr_pmml_cast */
} mr_pmml_target;

typedef enum mr_pmml_cast {
    MR_PMML_CAST_NONE,
    MR_PMML_CAST_ROUND,
    MR_PMML_CAST_CEILING,
    MR_PMML_CAST_FLOOR,
} mr_pmml_cast;

typedef enum mr_pmml_feature {
    MR_PMML_PREDICTED,
    MR_PMML_PROBABILITY,
    MR_PMML_TRANSFORMED,
} mr_pmml_feature;

typedef struct mr_pmml_output {
    uint32_t name; /* symbol */
    uint32_t slot;
    uint8_t feature, type;
    uint32_t
        index; /* class of a probability (MR_PMML_NONE: the predicted one), or the expression */
    mr_pmml_range
        codes; /* of a predicted class: its value as a field, one per class, in numbers[] */
} mr_pmml_output;

/* One term of a linear sum: coefficient x slot^exponent, or coefficient when slot is `value`, or a product. */
typedef struct mr_pmml_term {
    uint8_t op; /* mr_pmml_term_op */
    uint32_t slot;
    double coefficient, value; /* exponent or category */
    mr_pmml_range factors;     /* of a product: slots in indexes[] */
} mr_pmml_term;

/* One table of a regression; of a GeneralRegressionModel one parameter, its terms are cells. */
typedef struct mr_pmml_table {
    double intercept;
    mr_pmml_range terms;
    uint32_t index; /* class */
} mr_pmml_table;

/* A neuron is a sum of earlier activations; a layer whose neurons see the same ones in the same order is a matrix. */
typedef struct mr_pmml_layer {
    uint32_t first, count;  /* neurons */
    mr_pmml_range sources;  /* indexes[]: of a matrix one list for all, else one per connection */
    uint32_t weights, bias; /* numbers[]: of a matrix [source][neuron] */
    mr_pmml_range ends;     /* indexes[]: where each neuron's connections end; none: a matrix */
    double threshold;       /* of the activation of that name */
    uint32_t shapes;        /* numbers[]: of radial neurons, width and altitude of each */
    uint8_t activation, normalization;
} mr_pmml_layer;

typedef struct mr_pmml_neural_output {
    uint32_t neuron;
    uint32_t index; /* class */
    mr_pmml_range
        points; /* numbers[]: of a regression, the NormContinuous to undo; none: as it is */
} mr_pmml_neural_output;

typedef struct mr_pmml_model {
    uint8_t type, method, normalization, kind; /* as the type says */
    bool classifies, single;                   /* single: floats (x-mathContext) */
    bool ordinal;
    uint32_t result;       /* in results: the value, then the probabilities */
    mr_pmml_range classes; /* symbols in indexes[] */
    mr_pmml_range steps, outputs;
    uint32_t target;     /* MR_PMML_NONE */
    mr_pmml_range parts; /* segments, trees, tables, layers, ... */
    mr_pmml_range more;  /* weights of a forest, coefficients, inputs of a network */
    mr_pmml_range slots; /* indexes[]: those a forest looks at; of a network its neural_outputs */
    uint32_t root;       /* node or branch */
    uint32_t work;       /* in results: room for what the parts said */
    bool plain;          /* a forest of levels and leaves only */
    uint8_t missing;     /* what a missing part does: mr_pmml_missing_part */
    double threshold;
    /* of GeneralRegressionModel */
    uint8_t link;
    double link_parameter, offset, trials;
    uint32_t offset_slot, trials_slot; /* MR_PMML_NONE: none */
    uint32_t base_class;               /* the reference; MR_PMML_NONE */
} mr_pmml_model;

typedef struct mr_pmml {
    mr_pmml_symbols symbols;
    /* arrays of the records above */
    mr_bytes treatments, intervals, expressions, steps, predicates, nodes, leaves, trees, branches,
        models, segments, targets, outputs, terms, tables, layers, neural_outputs;
    mr_bytes numbers, indexes; /* doubles and uint32_t lists of all of them */
    uint32_t input_count;      /* slots 1 .. input_count */
    mr_bytes inputs;           /* mr_pmml_input */
    uint32_t slot_count, result_count;
    uint32_t top; /* the model that is asked */
} mr_pmml;

typedef struct mr_pmml_input {
    uint32_t name; /* symbol */
    uint8_t type;
} mr_pmml_input;

/* Every list has memory, so that none of no records needs a case of its own. Deinit in any case. */
mr_status mr_pmml_init(mr_pmml *program, mr_error *err);
void mr_pmml_deinit(mr_pmml *program);

#define MR_PMML_LIST(program, list, type)  ((const type *)(const void *)(program)->list.data)
#define MR_PMML_COUNT(program, list, type) ((uint32_t)((program)->list.size / sizeof(type)))

/* ---- a row in work ---- */

typedef struct mr_pmml_text {
    const uint8_t *bytes;
    size_t size;
} mr_pmml_text;

typedef struct mr_pmml_state {
    const mr_pmml *program;
    double *slots, *results;
    mr_pmml_text *texts; /* of this row; their values begin behind the symbols' */
    uint8_t *text_bytes;
    uint32_t text_count;
    size_t text_size;
    bool failed;   /* this row has no result */
    bool declared; /* the top model's OutputFields are wanted too */
} mr_pmml_state;

size_t mr_pmml_state_bytes(const mr_pmml *program);
void mr_pmml_state_init(mr_pmml_state *state, const mr_pmml *program, void *memory);
/* Forgets the row before; slots of inputs are then the caller's to fill. */
void mr_pmml_state_begin(mr_pmml_state *state);
/* A text as a value, and back. Equal texts have equal values. Invalid, and the row fails, when a row has too many. */
double mr_pmml_text_value(mr_pmml_state *state, const void *text, size_t size);
/* As value; the text is lent for the row. */
double mr_pmml_text_lend(mr_pmml_state *state, const void *text, size_t size);
mr_pmml_text mr_pmml_value_text(const mr_pmml_state *state, double value);

/* ---- evaluation, one file each ---- */

double mr_pmml_evaluate(mr_pmml_state *state, uint32_t expression); /* pmml_expression.c */
/* Function `a` of an APPLY; the arguments are expressions. pmml_function.c */
double mr_pmml_apply(mr_pmml_state *state, const mr_pmml_expression *apply);
/* A value of one type as another; invalid when it cannot be. */
double mr_pmml_convert(mr_pmml_state *state, double value, uint8_t from, uint8_t to);
mr_pmml_test mr_pmml_ask(mr_pmml_state *state, uint32_t predicate);           /* pmml_predicate.c */
void mr_pmml_treat(mr_pmml_state *state, const mr_pmml_treatment *treatment); /* pmml_fields.c */

/* The model's result goes to state->results[model->result ...]: pmml_model.c calls the type's own. */
void mr_pmml_run(mr_pmml_state *state, uint32_t model);
void mr_pmml_apply_target(mr_pmml_state *state, const mr_pmml_model *model, double *result);
void mr_pmml_fill_outputs(mr_pmml_state *state, const mr_pmml_model *model, const double *result);
/* The leaf a tree's walk ends in; and those of many trees. */
uint32_t mr_pmml_walk(mr_pmml_state *state, uint32_t root);
#define MR_PMML_TREES_AT_ONCE 8
/* Of MR_PMML_TREES_AT_ONCE trees of levels, when no slot they look at is missing. */
void mr_pmml_walk_plain(const mr_pmml_state *state, const mr_pmml_tree *trees, uint32_t *leaves);
void mr_pmml_run_tree(mr_pmml_state *state, const mr_pmml_model *model, double *result);
void mr_pmml_run_branches(mr_pmml_state *state, const mr_pmml_model *model, double *result);
void mr_pmml_run_forest(mr_pmml_state *state, const mr_pmml_model *model, double *result);
void mr_pmml_run_mining(mr_pmml_state *state, const mr_pmml_model *model, double *result);
void mr_pmml_run_regression(mr_pmml_state *state, const mr_pmml_model *model, double *result);
/* A table's sum and one of its terms, before anything is normalized. */
double mr_pmml_regression_sum(mr_pmml_state *state, const mr_pmml_model *model,
                              const mr_pmml_table *table);
double mr_pmml_regression_term(mr_pmml_state *state, const mr_pmml_term *term);
/* The linear predictor of a class, of the row that was just run. */
double mr_pmml_general_sum(mr_pmml_state *state, const mr_pmml_model *model, uint32_t class);
void mr_pmml_run_general(mr_pmml_state *state, const mr_pmml_model *model, double *result);
void mr_pmml_run_network(mr_pmml_state *state, const mr_pmml_model *model, double *result);

#endif
