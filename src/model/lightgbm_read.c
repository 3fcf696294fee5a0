/* lightgbm_read.c -- reads LightGBM's text files of versions 3 and 4 into a forest and what belongs to it.
 *
 *   tree                          num_leaves=4              end of trees
 *   version=v4                    num_cat=1                 feature_importances: ...
 *   num_class=1                   split_feature=0 3 0       parameters: ... end of parameters
 *   objective=binary sigmoid:1    threshold=0.31 0 -0.75    pandas_categorical:[["a", "b"]]
 *   feature_names=a b c k         decision_type=10 1 8
 *   average_output                left_child=1 2 -1   (a child below 0 is leaf ~child)
 *   Tree=0 ...                    leaf_value=...
 *
 * One line is ours, for files that cannot tell which columns have the lists: pandas_columns=NAME NAME behind the parameters.
 *
 * Lines are read straight down; `tree_sizes` is not believed, and training-only lines are passed over by name. Any other
 * line is refused with its name and number: it would make scores wrong. Like Booster.predict of the loaded file, all
 * trees of the file count: what was saved up to the best iteration was cut when it was saved. */
#include "model/lightgbm.h"

#include "base/assert.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

/* ---- lines ---- */

typedef struct line {
    const char *key, *value;
    size_t key_size, value_size;
    uint32_t number;
    bool has_value; /* there was a '=' */
} line;

typedef struct lines {
    const char *next, *end;
    uint32_t number;
} lines;

static bool next_line(lines *from, line *out)
{
    if (from->next == from->end)
        return false;
    const char *start = from->next;
    const char *end = memchr(start, '\n', (size_t)(from->end - start));
    from->next = end != NULL ? end + 1 : from->end;
    end = end != NULL ? end : from->end;
    if (end > start && end[-1] == '\r')
        end--;
    const char *sign = memchr(start, '=', (size_t)(end - start));
    *out = (line){.key = start, .number = ++from->number, .has_value = sign != NULL};
    out->key_size = (size_t)((sign != NULL ? sign : end) - start);
    out->value = sign != NULL ? sign + 1 : end;
    out->value_size = (size_t)(end - out->value);
    return true;
}

static bool is(const line *l, const char *key)
{
    return l->key_size == strlen(key) && memcmp(l->key, key, l->key_size) == 0;
}

static bool starts(const line *l, const char *with)
{
    return l->key_size >= strlen(with) && memcmp(l->key, with, strlen(with)) == 0;
}

static bool is_one_of(const line *l, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is(l, keys[i]))
            return true;
    return false;
}

/* The next word of a line of words; false at its end. */
static bool next_word(const line *l, size_t *at, const char **out, size_t *out_size)
{
    while (*at < l->value_size && l->value[*at] == ' ')
        (*at)++;
    size_t first = *at;
    while (*at < l->value_size && l->value[*at] != ' ')
        (*at)++;
    *out = l->value + first;
    *out_size = *at - first;
    return *out_size > 0;
}

static mr_status refuse_word(const line *l, const char *word, size_t size, const char *wanted,
                             mr_error *err)
{
    return MR_FAIL(err, MR_INVALID, "line %u: %.*s has '%.*s' where %s is expected", l->number,
                   (int)MR_MIN(l->key_size, 40u), l->key, (int)MR_MIN(size, 40u), word, wanted);
}

static mr_status read_int(const line *l, int64_t min, int64_t max, int64_t *out, mr_error *err)
{
    size_t size = l->value_size;
    while (size > 0 && l->value[size - 1] == ' ')
        size--;
    if (!mr_number_is_int64(l->value, size, out) || *out < min || *out > max) {
        char wanted[80];
        (void)snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)min,
                       (long long)max);
        return refuse_word(l, l->value, size, wanted, err);
    }
    return MR_OK;
}

/* Words like inf are the writer's, for bounds. */
static bool parse_double(const char *word, size_t size, double *out)
{
    bool minus = size > 0 && word[0] == '-';
    if (size == 3u + minus && memcmp(word + minus, "inf", 3) == 0) {
        *out = minus ? -INFINITY : INFINITY;
        return true;
    }
    return mr_number_is_float64(word, size, out);
}

static mr_status read_doubles(const line *l, mr_bytes *out, mr_error *err)
{
    size_t at = 0, size;
    const char *word;
    while (next_word(l, &at, &word, &size)) {
        double value;
        if (!parse_double(word, size, &value))
            return refuse_word(l, word, size, "a number", err);
        mr_bytes_append(out, &value, sizeof value);
    }
    return out->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* 32 bits, with a sign or without. */
static mr_status read_ints(const line *l, mr_bytes *out, mr_error *err)
{
    size_t at = 0, size;
    const char *word;
    while (next_word(l, &at, &word, &size)) {
        int64_t value;
        if (!mr_number_is_int64(word, size, &value) || value < INT32_MIN || value > UINT32_MAX)
            return refuse_word(l, word, size, "a whole number of 32 bits", err);
        mr_bytes_append_u32(out, (uint32_t)value);
    }
    return out->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- the reader ---- */

enum {
    SPLIT_FEATURE,
    THRESHOLD,
    DECISION_TYPE,
    LEFT_CHILD,
    RIGHT_CHILD,
    LEAF_VALUE,
    LEAF_COUNT,
    INTERNAL_COUNT,
    CAT_BOUNDARIES,
    CAT_THRESHOLD,
    LEAF_CONST,
    NUM_FEATURES,
    LEAF_FEATURES,
    LEAF_COEFF,
    COLUMNS
};

static const struct {
    const char *name;
    bool is_double;
} columns[COLUMNS] = {
    [SPLIT_FEATURE] = {"split_feature", false},   [THRESHOLD] = {"threshold", true},
    [DECISION_TYPE] = {"decision_type", false},   [LEFT_CHILD] = {"left_child", false},
    [RIGHT_CHILD] = {"right_child", false},       [LEAF_VALUE] = {"leaf_value", true},
    [LEAF_COUNT] = {"leaf_count", true},          [INTERNAL_COUNT] = {"internal_count", true},
    [CAT_BOUNDARIES] = {"cat_boundaries", false}, [CAT_THRESHOLD] = {"cat_threshold", false},
    [LEAF_CONST] = {"leaf_const", true},          [NUM_FEATURES] = {"num_features", false},
    [LEAF_FEATURES] = {"leaf_features", false},   [LEAF_COEFF] = {"leaf_coeff", true},
};

typedef struct reader {
    lines from;
    mr_lightgbm_file *file;
    int64_t class_count, trees_per_iteration, feature_max; /* -1: not said */
    bool has_objective;
    /* the present tree */
    uint32_t tree_line;
    int64_t leaf_count, set_count;
    bool is_linear;
    uint32_t lines_of[COLUMNS]; /* 0: the tree has none */
    mr_bytes column[COLUMNS];
    mr_bytes splits, sets, linear, terms, covers;
} reader;

static void reader_deinit(reader *r)
{
    mr_bytes *all[] = {&r->splits, &r->sets, &r->linear, &r->terms, &r->covers};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_bytes_deinit(all[i]);
    for (size_t i = 0; i < COLUMNS; i++)
        mr_bytes_deinit(&r->column[i]);
}

/* ---- header ---- */

static mr_status read_words(const line *l, mr_bytes *out, uint32_t *out_count, mr_error *err)
{
    size_t at = 0, size;
    const char *word;
    if (*out_count > 0)
        return MR_FAIL(err, MR_INVALID, "line %u: a second line %.*s", l->number, (int)l->key_size,
                       l->key);
    for (*out_count = 0; next_word(l, &at, &word, &size); (*out_count)++) {
        if (memchr(word, '\0', size) != NULL)
            return MR_FAIL(err, MR_INVALID, "line %u: a zero byte", l->number);
        mr_bytes_append(out, word, size);
        mr_bytes_append_byte(out, 0);
    }
    return out->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

static mr_status read_version(const line *l, mr_error *err)
{
    if (l->value_size == 2 && (memcmp(l->value, "v3", 2) == 0 || memcmp(l->value, "v4", 2) == 0))
        return MR_OK;
    return MR_FAIL(err, MR_UNSUPPORTED,
                   "line %u: version %.*s is not supported, v3 and v4 are: load the file with "
                   "LightGBM 4 and save it again",
                   l->number, (int)MR_MIN(l->value_size, 40u), l->value);
}

static mr_status read_header_line(reader *r, const line *l, mr_error *err)
{
    static const char *const training_only[] = {"label_index", "monotone_constraints",
                                                "tree_sizes"};
    if (is(l, "version"))
        return read_version(l, err);
    if (is(l, "num_class"))
        return read_int(l, 1, MR_MODEL_OUTPUTS_MAX, &r->class_count, err);
    if (is(l, "num_tree_per_iteration"))
        return read_int(l, 1, MR_MODEL_OUTPUTS_MAX, &r->trees_per_iteration, err);
    if (is(l, "max_feature_idx"))
        return read_int(l, 0, MR_MODEL_INPUTS_MAX - 1, &r->feature_max, err);
    if (is(l, "feature_names"))
        return read_words(l, &r->file->names, &r->file->name_count, err);
    if (is(l, "feature_infos"))
        return read_words(l, &r->file->infos, &r->file->info_count, err);
    if (is(l, "average_output") && !l->has_value) {
        r->file->average_output = true;
        return MR_OK;
    }
    if (is(l, "objective")) {
        r->has_objective = true;
        mr_status status = mr_lightgbm_objective_parse(
            l->value, l->value_size, r->class_count > 0 ? (uint32_t)r->class_count : 1,
            &r->file->objective, err);
        if (status != MR_OK)
            mr_error_prefix(err, "line %u", l->number);
        return status;
    }
    if (l->key_size == 0 || (is(l, "tree") && !l->has_value) ||
        is_one_of(l, training_only, MR_COUNT_OF(training_only)))
        return MR_OK;
    return MR_FAIL(err, MR_UNSUPPORTED, "line %u: '%.*s' is not known in the head of such a file",
                   l->number, (int)MR_MIN(l->key_size, 40u), l->key);
}

static mr_status check_header(const reader *r, mr_error *err)
{
    if (r->class_count < 0 || r->feature_max < 0)
        return MR_FAIL(err, MR_INVALID, "line %u: the head has no %s", r->from.number,
                       r->class_count < 0 ? "num_class" : "max_feature_idx");
    uint32_t wanted = (uint32_t)r->feature_max + 1;
    if (r->file->name_count != wanted)
        return MR_FAIL(err, MR_INVALID, "feature_names has %u names, max_feature_idx %lld means %u",
                       r->file->name_count, (long long)r->feature_max, wanted);
    if (r->file->info_count != 0 && r->file->info_count != wanted)
        return MR_FAIL(err, MR_INVALID, "feature_infos has %u words for %u features",
                       r->file->info_count, wanted);
    return MR_OK;
}

static uint32_t group_count(const reader *r)
{
    return (uint32_t)(r->trees_per_iteration > 0 ? r->trees_per_iteration : r->class_count);
}

/* ---- one tree ---- */

static mr_status read_column(reader *r, const line *l, size_t c, mr_error *err)
{
    if (r->lines_of[c] != 0)
        return MR_FAIL(err, MR_INVALID, "line %u: a second line %s in the tree of line %u",
                       l->number, columns[c].name, r->tree_line);
    r->lines_of[c] = l->number;
    return columns[c].is_double ? read_doubles(l, &r->column[c], err)
                                : read_ints(l, &r->column[c], err);
}

static mr_status read_tree_line(reader *r, const line *l, mr_error *err)
{
    static const char *const training_only[] = {"split_gain",      "leaf_weight", "internal_value",
                                                "internal_weight", "shrinkage",   "leaf_parent",
                                                "leaf_depth"};
    int64_t flag;
    for (size_t c = 0; c < COLUMNS; c++)
        if (is(l, columns[c].name))
            return read_column(r, l, c, err);
    if (is(l, "num_leaves"))
        return read_int(l, 1, MR_TREE_NODES_MAX / 2, &r->leaf_count, err);
    if (is(l, "num_cat"))
        return read_int(l, 0, MR_TREE_NODES_MAX / 2, &r->set_count, err);
    if (is(l, "is_linear")) {
        MR_TRY(read_int(l, 0, 1, &flag, err));
        r->is_linear = flag == 1;
        return MR_OK;
    }
    if (l->key_size == 0 || is_one_of(l, training_only, MR_COUNT_OF(training_only)))
        return MR_OK;
    return MR_FAIL(err, MR_UNSUPPORTED, "line %u: '%.*s' is not known in a tree", l->number,
                   (int)MR_MIN(l->key_size, 40u), l->key);
}

static size_t count_of(const reader *r, size_t c)
{
    return r->column[c].size / (columns[c].is_double ? sizeof(double) : sizeof(uint32_t));
}

static const int32_t *ints_of(const reader *r, size_t c)
{
    return (const int32_t *)(const void *)r->column[c].data;
}

static const double *doubles_of(const reader *r, size_t c)
{
    return (const double *)(const void *)r->column[c].data;
}

static mr_status want(const reader *r, size_t c, int64_t count, mr_error *err)
{
    if (count_of(r, c) == (size_t)count)
        return MR_OK;
    if (r->lines_of[c] == 0)
        return MR_FAIL(err, MR_INVALID, "line %u: the tree has no %s", r->tree_line,
                       columns[c].name);
    return MR_FAIL(err, MR_INVALID, "line %u: %s has %zu values, the tree of line %u wants %lld",
                   r->lines_of[c], columns[c].name, count_of(r, c), r->tree_line, (long long)count);
}

static mr_status make_sets(reader *r, mr_error *err)
{
    MR_TRY(want(r, CAT_BOUNDARIES, r->set_count + 1, err));
    const int32_t *bounds = ints_of(r, CAT_BOUNDARIES);
    int64_t words = (int64_t)count_of(r, CAT_THRESHOLD);
    for (int64_t i = 0; i < r->set_count; i++) {
        if (bounds[0] != 0 || bounds[i + 1] < bounds[i] || bounds[i + 1] > words)
            return MR_FAIL(err, MR_INVALID,
                           "line %u: cat_boundaries goes from %d to %d, of %lld words of "
                           "cat_threshold",
                           r->lines_of[CAT_BOUNDARIES], bounds[i], bounds[i + 1], (long long)words);
        mr_tree_set set = {(uint32_t)bounds[i], (uint32_t)(bounds[i + 1] - bounds[i])};
        mr_bytes_append(&r->sets, &set, sizeof set);
    }
    return r->sets.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* decision_type: bit 0 a category, bit 1 missing goes left, bits 2 and 3 what is missing. */
static mr_status make_split(reader *r, size_t i, mr_error *err)
{
    int32_t type = ints_of(r, DECISION_TYPE)[i];
    mr_split64 split = {.threshold = doubles_of(r, THRESHOLD)[i],
                        .feature = (uint32_t)ints_of(r, SPLIT_FEATURE)[i],
                        .left = ints_of(r, LEFT_CHILD)[i],
                        .right = ints_of(r, RIGHT_CHILD)[i],
                        .missing = (uint8_t)(type >> 2 & 3),
                        .default_left = (type & 2) != 0};
    if (type < 0 || type > 15 || split.missing > MR_MISSING_NAN)
        return MR_FAIL(err, MR_UNSUPPORTED, "line %u: decision_type[%zu] is %d",
                       r->lines_of[DECISION_TYPE], i, type);
    if ((type & 1) != 0) {
        if (!(split.threshold >= 0.0 && split.threshold < (double)r->set_count) ||
            split.threshold != floor(split.threshold))
            return MR_FAIL(err, MR_INVALID,
                           "line %u: threshold[%zu] is %g, and no set of the %lld there are",
                           r->lines_of[THRESHOLD], i, split.threshold, (long long)r->set_count);
        split.set = 1 + (uint32_t)split.threshold;
        split.threshold = 0.0;
    }
    mr_bytes_append(&r->splits, &split, sizeof split);
    return MR_OK;
}

static mr_status make_splits(reader *r, mr_error *err)
{
    static const uint8_t needed[] = {SPLIT_FEATURE, THRESHOLD, DECISION_TYPE, LEFT_CHILD,
                                     RIGHT_CHILD};
    for (size_t i = 0; i < MR_COUNT_OF(needed); i++)
        MR_TRY(want(r, needed[i], r->leaf_count - 1, err));
    if (r->set_count > 0)
        MR_TRY(make_sets(r, err));
    for (size_t i = 0; i + 1 < (size_t)r->leaf_count; i++)
        MR_TRY(make_split(r, i, err));
    return r->splits.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* Leaf i has the next num_features[i] of leaf_features and leaf_coeff. */
static mr_status make_linear(reader *r, mr_error *err)
{
    MR_TRY(want(r, LEAF_CONST, r->leaf_count, err));
    MR_TRY(want(r, NUM_FEATURES, r->leaf_count, err));
    int64_t total = (int64_t)count_of(r, LEAF_FEATURES), next = 0;
    MR_TRY(want(r, LEAF_COEFF, total, err));
    for (size_t i = 0; i < (size_t)r->leaf_count; i++) {
        int32_t count = ints_of(r, NUM_FEATURES)[i];
        if (count < 0 || next + count > total)
            return MR_FAIL(err, MR_INVALID,
                           "line %u: num_features[%zu] is %d, of %lld leaf_features",
                           r->lines_of[NUM_FEATURES], i, count, (long long)total);
        mr_linear64 linear = {doubles_of(r, LEAF_CONST)[i], (uint32_t)next, (uint32_t)count, true};
        mr_bytes_append(&r->linear, &linear, sizeof linear);
        next += count;
    }
    for (size_t i = 0; i < (size_t)total; i++) {
        mr_term64 term = {doubles_of(r, LEAF_COEFF)[i], (uint32_t)ints_of(r, LEAF_FEATURES)[i]};
        mr_bytes_append(&r->terms, &term, sizeof term);
    }
    if (next != total)
        return MR_FAIL(err, MR_INVALID, "line %u: num_features adds up to %lld of %lld",
                       r->lines_of[NUM_FEATURES], (long long)next, (long long)total);
    return r->linear.failed || r->terms.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* How many training rows came by, when the file says so for every place: for explanations only. */
static bool make_covers(reader *r)
{
    static const double alone =
        1.0; /* a leaf without splits needs no weighing, and files give it no count */
    if (r->leaf_count == 1) {
        mr_bytes_append(&r->covers, &alone, sizeof alone);
        return true;
    }
    if (count_of(r, LEAF_COUNT) != (size_t)r->leaf_count ||
        count_of(r, INTERNAL_COUNT) != (size_t)r->leaf_count - 1)
        return false;
    mr_bytes_append(&r->covers, r->column[INTERNAL_COUNT].data, r->column[INTERNAL_COUNT].size);
    mr_bytes_append(&r->covers, r->column[LEAF_COUNT].data, r->column[LEAF_COUNT].size);
    return true;
}

static void clear_tree(reader *r)
{
    mr_bytes *all[] = {&r->splits, &r->sets, &r->linear, &r->terms, &r->covers};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_bytes_clear(all[i]);
    for (size_t c = 0; c < COLUMNS; c++)
        mr_bytes_clear(&r->column[c]);
    memset(r->lines_of, 0, sizeof r->lines_of);
    r->leaf_count = -1;
    r->set_count = 0;
    r->is_linear = false;
    r->tree_line = r->from.number;
}

static mr_status add_tree(reader *r, mr_error *err)
{
    if (r->leaf_count < 0)
        return MR_FAIL(err, MR_INVALID, "line %u: the tree has no num_leaves", r->tree_line);
    MR_TRY(want(r, LEAF_VALUE, r->leaf_count, err));
    if (r->leaf_count > 1)
        MR_TRY(make_splits(r, err));
    if (r->is_linear)
        MR_TRY(make_linear(r, err));
    bool covered = make_covers(r);
    if (r->covers.failed)
        return MR_OUT_OF_MEMORY(err);
    mr_tree64 tree = {
        .leaf_count = (uint32_t)r->leaf_count,
        .splits = (const mr_split64 *)(void *)r->splits.data,
        .leaves = doubles_of(r, LEAF_VALUE),
        .sets = (const mr_tree_set *)(void *)r->sets.data,
        .set_count = (uint32_t)(r->sets.size / sizeof(mr_tree_set)),
        .set_words = (const uint32_t *)(void *)r->column[CAT_THRESHOLD].data,
        .set_word_count = count_of(r, CAT_THRESHOLD),
        .linear = r->is_linear ? (const mr_linear64 *)(void *)r->linear.data : NULL,
        .terms = (const mr_term64 *)(void *)r->terms.data,
        .term_count = r->terms.size / sizeof(mr_term64),
        .covers = covered ? (const double *)(void *)r->covers.data : NULL,
    };
    mr_status status =
        mr_forest64_add(&r->file->forest, &tree, r->file->forest.tree_count % group_count(r), err);
    if (status != MR_OK)
        mr_error_prefix(err, "the tree of line %u", r->tree_line);
    return status;
}

/* The head, or a tree, is over. */
static bool ends_part(const line *l)
{
    return l->has_value ? is(l, "Tree") : is(l, "end of trees");
}

/* From `Tree=0` to `end of trees`. */
static mr_status read_trees(reader *r, line *l, mr_error *err)
{
    r->file->forest.feature_count = (uint32_t)r->feature_max + 1;
    for (bool more = true; more;) {
        int64_t number;
        MR_TRY(read_int(l, 0, MR_TREES_MAX, &number, err));
        if (number != r->file->forest.tree_count)
            return MR_FAIL(err, MR_INVALID, "line %u: Tree=%lld where %u comes next", l->number,
                           (long long)number, r->file->forest.tree_count);
        clear_tree(r);
        for (;;) {
            if (!next_line(&r->from, l))
                return MR_FAIL(err, MR_INVALID,
                               "line %u: the file ends inside the trees: 'end of trees' is missing",
                               r->from.number);
            if (ends_part(l))
                break;
            MR_TRY(read_tree_line(r, l, err));
        }
        more = l->has_value; /* not `end of trees` */
        MR_TRY(add_tree(r, err));
    }
    return MR_OK;
}

/* ---- what is behind the trees ---- */

static mr_status read_tail(reader *r, mr_error *err)
{
    static const char pandas[] = "pandas_categorical:";
    line l;
    bool in_parameters = false;
    while (next_line(&r->from, &l)) {
        if (is(&l, "parameters:"))
            in_parameters = true;
        if (is(&l, "end of parameters"))
            in_parameters = false;
        if (!in_parameters && l.has_value && is(&l, "pandas_columns"))
            MR_TRY(read_words(&l, &r->file->columns, &r->file->column_count, err));
        if (in_parameters || !starts(&l, pandas))
            continue;
        size_t skip = strlen(pandas);
        mr_lightgbm_categories_deinit(&r->file->categories);
        const char *end = l.value + l.value_size;
        mr_status status = mr_lightgbm_categories_parse(l.key + skip, (size_t)(end - l.key) - skip,
                                                        &r->file->categories, err);
        if (status != MR_OK) {
            mr_error_prefix(err, "line %u: pandas_categorical", l.number);
            return status;
        }
    }
    return in_parameters ? MR_FAIL(err, MR_INVALID,
                                   "line %u: the file ends inside the parameters: 'end of "
                                   "parameters' is missing",
                                   r->from.number)
                         : MR_OK;
}

static mr_status read_file(reader *r, mr_error *err)
{
    line l;
    for (;;) {
        if (!next_line(&r->from, &l))
            return MR_FAIL(err, MR_INVALID, "line %u: the file ends before the trees",
                           r->from.number);
        if (ends_part(&l))
            break;
        MR_TRY(read_header_line(r, &l, err));
    }
    MR_TRY(check_header(r, err));
    if (l.has_value)
        MR_TRY(read_trees(r, &l, err));
    return read_tail(r, err);
}

/* ---- the whole ---- */

static mr_status check_trees(reader *r, mr_error *err)
{
    uint32_t groups = group_count(r), trees = r->file->forest.tree_count;
    if (r->class_count > 1 && r->class_count != groups)
        return MR_FAIL(err, MR_UNSUPPORTED, "num_class is %lld and num_tree_per_iteration %u",
                       (long long)r->class_count, groups);
    if (trees % groups != 0)
        return MR_FAIL(err, MR_INVALID, "%u trees are no multiple of num_tree_per_iteration %u",
                       trees, groups);
    if (r->file->average_output && trees == 0)
        return MR_FAIL(err, MR_INVALID, "average_output of no trees");
    if (!r->has_objective)
        return mr_lightgbm_objective_parse("custom", 6, (uint32_t)r->class_count,
                                           &r->file->objective, err);
    return MR_OK;
}

void mr_lightgbm_file_deinit(mr_lightgbm_file *file)
{
    mr_bytes_deinit(&file->names);
    mr_bytes_deinit(&file->infos);
    mr_bytes_deinit(&file->columns);
    mr_forest64_builder_deinit(&file->forest);
    mr_lightgbm_categories_deinit(&file->categories);
}

mr_status mr_lightgbm_read(const uint8_t *bytes, size_t size, mr_lightgbm_file *out, mr_error *err)
{
    *out = (mr_lightgbm_file){0};
    reader r = {.file = out, .class_count = -1, .trees_per_iteration = -1, .feature_max = -1};
    r.from.next = (const char *)bytes;
    r.from.end = r.from.next + size;
    mr_status status = read_file(&r, err);
    if (status == MR_OK)
        status = check_trees(&r, err);
    reader_deinit(&r);
    if (status == MR_OK) {
        out->feature_count = (uint32_t)r.feature_max + 1;
        out->group_count = group_count(&r);
    } else {
        mr_lightgbm_file_deinit(out);
    }
    return status;
}
