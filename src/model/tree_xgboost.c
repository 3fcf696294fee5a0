/* tree_xgboost.c -- reads XGBoost's JSON and UBJSON of versions 1 to 3 into a forest, or the weights of gblinear.
 *
 *   {"learner": {"attributes", "feature_names", "feature_types",
 *                "gradient_booster": {"name", "model": {"gbtree_model_param", "trees", "tree_info", ...}}
 *                                    or {"name": "dart", "gbtree": {"model": ...}, "weight_drop"}
 *                                    or {"name": "gblinear", "model": {"weights"}},
 *                "learner_model_param": {"base_score", "num_class", "num_feature", "num_target"},
 *                "objective": {"name", ...}}, "version": [major, minor, patch]}
 *
 * Keys may come in any order; unknown ones are skipped. Numbers in *_param objects are strings. Refused
 * by name because scores would be wrong: vector leaves, unknown objectives, re-coded categories
 * (`cats.enc` of 3.1+).
 *
 * Which trees count: all by default, as XGBoost's own Booster.predict does; `trees=best` stops after
 * attributes.best_iteration, as its scikit-learn interface does. */
#include "model/tree_model.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/json_scan.h"
#include "model/linear_xgboost.h"
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

typedef struct reader {
    mr_json_scan scan;
    mr_forest_builder forest;
    mr_bytes names; /* feature names, each terminated */
    uint32_t name_count;
    mr_bytes tree_info, weight_drop, indptr, base_scores, version;
    mr_bytes weights;                                                      /* of gblinear */
    mr_bytes left, right, feature, value, cover, default_left, split_type; /* of the present tree */
    mr_bytes categories, category_nodes, category_segments, category_sizes;
    mr_bytes flags, default_flags, sets, set_words;
    int64_t num_feature, num_class, num_target, num_trees, num_parallel_tree;
    int64_t best_iteration; /* -1: not said */
    char objective[64];
    char booster[32];
    bool has_trees, has_encoding;
} reader;

static void reader_deinit(reader *r)
{
    mr_bytes *all[] = {&r->names,          &r->tree_info,      &r->weight_drop,
                       &r->indptr,         &r->base_scores,    &r->version,
                       &r->left,           &r->right,          &r->feature,
                       &r->value,          &r->default_left,   &r->split_type,
                       &r->categories,     &r->category_nodes, &r->category_segments,
                       &r->category_sizes, &r->flags,          &r->default_flags,
                       &r->sets,           &r->set_words,      &r->weights,
                       &r->cover};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_bytes_deinit(all[i]);
    mr_forest_builder_deinit(&r->forest);
    mr_json_close(&r->scan);
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* A number, given as a JSON number or as a string that holds one. */
static bool read_param(reader *r, int64_t *out)
{
    if (mr_json_peek(&r->scan) != '"')
        return mr_json_int(&r->scan, out);
    const char *text;
    if (!mr_json_string(&r->scan, &text))
        return false;
    return mr_number_is_int64(text, strlen(text), out) ||
           mr_json_fail(&r->scan, MR_INVALID, "'%.40s' is no whole number", text);
}

static bool read_word(reader *r, char *out, size_t size)
{
    const char *text;
    if (!mr_json_string(&r->scan, &text))
        return false;
    if (strlen(text) >= size)
        return mr_json_fail(&r->scan, MR_INVALID, "'%.40s...' is too long for a name here", text);
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* ---- categories ---- */

static bool fill_set(reader *r, const int32_t *codes, size_t count, mr_tree_set *out)
{
    int32_t top = -1;
    for (size_t i = 0; i < count; i++) {
        if (codes[i] < 0 || codes[i] >= (int32_t)MR_TREE_CATEGORY_MAX)
            return mr_json_fail(&r->scan, MR_INVALID, "category %d is no code (0 to %u)", codes[i],
                                MR_TREE_CATEGORY_MAX - 1);
        top = MR_MAX(top, codes[i]);
    }
    size_t words = (size_t)(top + 32) / 32, first = r->set_words.size / sizeof(uint32_t);
    if (first + words > MR_TREE_SET_WORDS_MAX)
        return mr_json_fail(&r->scan, MR_FULL, "the sets of categories are too large");
    if (!mr_bytes_reserve(&r->set_words, words * sizeof(uint32_t) + 4))
        return mr_json_fail(&r->scan, MR_NO_MEMORY, "out of memory");
    memset(r->set_words.data + r->set_words.size, 0, words * sizeof(uint32_t));
    r->set_words.size += words * sizeof(uint32_t);
    uint32_t *bits = (uint32_t *)(void *)r->set_words.data + first;
    for (size_t i = 0; i < count; i++)
        bits[codes[i] / 32] |= 1u << (codes[i] % 32);
    *out = (mr_tree_set){(uint32_t)first, (uint32_t)words};
    return true;
}

static const int32_t *ints(const mr_bytes *bytes, size_t *out_count)
{
    *out_count = bytes->size / sizeof(int32_t);
    return (const int32_t *)(const void *)bytes->data;
}

/* Category node i has codes categories[segments[i] .. + sizes[i]). */
static bool read_sets(reader *r, size_t node_count)
{
    size_t nodes, segments, sizes, codes;
    const int32_t *node = ints(&r->category_nodes, &nodes);
    const int32_t *segment = ints(&r->category_segments, &segments);
    const int32_t *size = ints(&r->category_sizes, &sizes);
    const int32_t *code = ints(&r->categories, &codes);
    if (segments != nodes || sizes != nodes)
        return mr_json_fail(&r->scan, MR_INVALID,
                            "%zu categories_nodes, %zu categories_segments, %zu categories_sizes: "
                            "they must be equally many",
                            nodes, segments, sizes);
    mr_tree_set *sets = (mr_tree_set *)(void *)r->sets.data;
    for (size_t i = 0; i < nodes; i++) {
        if (node[i] < 0 || (size_t)node[i] >= node_count || r->flags.data[node[i]] != 1)
            return mr_json_fail(&r->scan, MR_INVALID,
                                "categories_nodes[%zu] is %d: no categorical node", i, node[i]);
        if (segment[i] < 0 || size[i] < 0 || (size_t)segment[i] + (size_t)size[i] > codes)
            return mr_json_fail(&r->scan, MR_INVALID,
                                "categories_segments[%zu] is %d and its size %d, of %zu categories",
                                i, segment[i], size[i], codes);
        if (!fill_set(r, size[i] > 0 ? code + segment[i] : NULL, (size_t)size[i], &sets[node[i]]))
            return false;
        r->flags.data[node[i]] = 2;
    }
    for (size_t i = 0; i < node_count; i++)
        if (r->flags.data[i] == 1)
            return mr_json_fail(&r->scan, MR_INVALID,
                                "node %zu is categorical and not among categories_nodes", i);
    return true;
}

/* ---- one tree ---- */

static bool read_tree_param(reader *r, int64_t *num_nodes)
{
    const char *key;
    int64_t number = 0;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        if (is(key, "num_nodes")) {
            if (!read_param(r, num_nodes))
                return false;
        } else if (is(key, "size_leaf_vector")) {
            if (!read_param(r, &number))
                return false;
            if (number > 1)
                return mr_json_fail(&r->scan, MR_UNSUPPORTED,
                                    "leaves with %lld values (multi_strategy=multi_output_tree) "
                                    "are not supported; one_output_per_tree is",
                                    (long long)number);
        } else if (!mr_json_skip(&r->scan)) {
            return false;
        }
    }
    return r->scan.status == MR_OK;
}

typedef struct column {
    const char *name;
    mr_bytes *to;
    bool is_float;
    bool required; /* one a node */
    bool optional; /* one a node, or none at all */
} column;

static bool read_tree_member(reader *r, const column *columns, size_t count, const char *key,
                             int64_t *num_nodes)
{
    if (is(key, "tree_param"))
        return read_tree_param(r, num_nodes);
    if (is(key, "leaf_weights"))
        return mr_json_fail(&r->scan, MR_UNSUPPORTED, "trees with vector leaves are not supported");
    for (size_t i = 0; i < count; i++)
        if (is(key, columns[i].name))
            return columns[i].is_float ? mr_json_floats(&r->scan, columns[i].to)
                                       : mr_json_ints(&r->scan, columns[i].to);
    return mr_json_skip(&r->scan);
}

static bool check_columns(reader *r, const column *columns, size_t count, int64_t num_nodes)
{
    size_t wanted = r->left.size / 4;
    if (num_nodes >= 0 && wanted != (size_t)num_nodes)
        return mr_json_fail(&r->scan, MR_INVALID,
                            "tree_param.num_nodes is %lld, left_children has %zu",
                            (long long)num_nodes, wanted);
    for (size_t i = 0; i < count; i++)
        if (columns[i].required && columns[i].to->size / 4 != wanted)
            return mr_json_fail(&r->scan, MR_INVALID, "left_children has %zu elements, %s has %zu",
                                wanted, columns[i].name, columns[i].to->size / 4);
    for (size_t i = 0; i < count; i++)
        if (columns[i].optional && columns[i].to->size != 0 && columns[i].to->size / 4 != wanted)
            return mr_json_fail(&r->scan, MR_INVALID, "left_children has %zu elements, %s has %zu",
                                wanted, columns[i].name, columns[i].to->size / 4);
    return true;
}

/* int32 flags to bytes. */
static bool narrow(reader *r, const mr_bytes *from, mr_bytes *to, size_t count)
{
    mr_bytes_clear(to);
    if (!mr_bytes_reserve(to, count + 1))
        return mr_json_fail(&r->scan, MR_NO_MEMORY, "out of memory");
    size_t have;
    const int32_t *flags = ints(from, &have);
    for (size_t i = 0; i < count; i++)
        to->data[i] = i < have && flags[i] != 0;
    return true;
}

static bool add_tree(reader *r)
{
    size_t count = r->left.size / 4;
    if (!narrow(r, &r->default_left, &r->default_flags, count) ||
        !narrow(r, &r->split_type, &r->flags, count))
        return false;
    bool categorical =
        count > 0 && (r->category_nodes.size > 0 || memchr(r->flags.data, 1, count) != NULL);
    mr_bytes_clear(&r->sets);
    mr_bytes_clear(&r->set_words);
    if (categorical) {
        if (!mr_bytes_reserve(&r->sets, count * sizeof(mr_tree_set)))
            return mr_json_fail(&r->scan, MR_NO_MEMORY, "out of memory");
        memset(r->sets.data, 0, count * sizeof(mr_tree_set));
        if (!read_sets(r, count))
            return false;
    }
    mr_tree_arrays tree = {
        .count = (uint32_t)count,
        .left = (const int32_t *)(void *)r->left.data,
        .right = (const int32_t *)(void *)r->right.data,
        .feature = (const int32_t *)(void *)r->feature.data,
        .value = (const float *)(void *)r->value.data,
        .cover = r->cover.size > 0 ? (const float *)(void *)r->cover.data : NULL,
        .default_left = r->default_flags.data,
        .is_category = categorical ? r->flags.data : NULL,
        .sets = categorical ? (const mr_tree_set *)(void *)r->sets.data : NULL,
        .set_words = categorical ? (const uint32_t *)(void *)r->set_words.data : NULL,
    };
    mr_error inner = {0};
    mr_status status = mr_forest_add(&r->forest, &tree, &inner);
    return status == MR_OK || mr_json_fail(&r->scan, status, "%s", inner.text);
}

static bool read_tree(reader *r)
{
    const column columns[] = {
        {"left_children", &r->left, false, true, false},
        {"right_children", &r->right, false, true, false},
        {"split_indices", &r->feature, false, true, false},
        {"split_conditions", &r->value, true, true, false},
        {"sum_hessian", &r->cover, true, false, true},
        {"default_left", &r->default_left, false, true, false},
        {"split_type", &r->split_type, false, false, true},
        {"categories", &r->categories, false, false, false},
        {"categories_nodes", &r->category_nodes, false, false, false},
        {"categories_segments", &r->category_segments, false, false, false},
        {"categories_sizes", &r->category_sizes, false, false, false},
    };
    for (size_t i = 0; i < MR_COUNT_OF(columns); i++)
        mr_bytes_clear(columns[i].to);
    int64_t num_nodes = -1;
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key))
        if (!read_tree_member(r, columns, MR_COUNT_OF(columns), key, &num_nodes))
            return false;
    return r->scan.status == MR_OK && check_columns(r, columns, MR_COUNT_OF(columns), num_nodes) &&
           add_tree(r);
}

/* ---- the booster ---- */

static bool read_trees(reader *r)
{
    if (r->has_trees)
        return mr_json_fail(&r->scan, MR_INVALID, "a second list of trees");
    r->has_trees = true;
    r->forest.feature_count = MR_MODEL_INPUTS_MAX; /* the true number may come later in the file */
    if (!mr_json_array(&r->scan))
        return false;
    while (mr_json_element(&r->scan))
        if (!read_tree(r))
            return false;
    return r->scan.status == MR_OK;
}

static bool read_cats(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        if (!is(key, "enc")) {
            if (!mr_json_skip(&r->scan))
                return false;
            continue;
        }
        if (!mr_json_array(&r->scan))
            return false;
        if (mr_json_element(&r->scan))
            return mr_json_fail(&r->scan, MR_UNSUPPORTED,
                                "the model re-codes categories by name (cats.enc of XGBoost 3.1); "
                                "train it on integer codes instead");
    }
    return r->scan.status == MR_OK;
}

static bool read_gbtree_param(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool ok = is(key, "num_trees")           ? read_param(r, &r->num_trees)
                  : is(key, "num_parallel_tree") ? read_param(r, &r->num_parallel_tree)
                                                 : mr_json_skip(&r->scan);
        if (!ok)
            return false;
    }
    return r->scan.status == MR_OK;
}

static bool read_model(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool ok = is(key, "gbtree_model_param") ? read_gbtree_param(r)
                  : is(key, "trees")            ? read_trees(r)
                  : is(key, "tree_info")        ? mr_json_ints(&r->scan, &r->tree_info)
                  : is(key, "iteration_indptr") ? mr_json_ints(&r->scan, &r->indptr)
                  : is(key, "weight_drop")      ? mr_json_floats(&r->scan, &r->weight_drop)
                  : is(key, "weights")          ? mr_json_floats(&r->scan, &r->weights)
                  : is(key, "cats")             ? read_cats(r)
                                                : mr_json_skip(&r->scan);
        if (!ok)
            return false;
    }
    return r->scan.status == MR_OK;
}

static bool read_booster(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool ok;
        if (is(key, "name")) {
            char name[sizeof r->booster];
            ok = read_word(r, name, sizeof name);
            /* DART wraps a gbtree that has a name of its own: the outer one is closer to the truth. */
            if (ok && !is(r->booster, "dart"))
                memcpy(r->booster, name, sizeof name);
        } else {
            ok = is(key, "model")         ? read_model(r)
                 : is(key, "gbtree")      ? read_booster(r)
                 : is(key, "weight_drop") ? mr_json_floats(&r->scan, &r->weight_drop)
                                          : mr_json_skip(&r->scan);
        }
        if (!ok)
            return false;
    }
    return r->scan.status == MR_OK;
}

/* ---- the learner ---- */

/* "5E-1", "[5E-1]", "[1E0,2E0]", "(5E-1)". */
static bool read_base_score(reader *r)
{
    const char *text;
    if (mr_json_peek(&r->scan) != '"') {
        float value;
        if (!mr_json_float(&r->scan, &value))
            return false;
        mr_bytes_append(&r->base_scores, &value, sizeof value);
        return true;
    }
    if (!mr_json_string(&r->scan, &text))
        return false;
    const char *at = text + strspn(text, " \t[("), *end = text + strlen(text);
    while (at < end && strchr(" \t])", *at) == NULL) {
        float value;
        size_t used;
        if (mr_number_parse_float32(at, (size_t)(end - at), &value, &used) != MR_NUMBER_OK)
            return mr_json_fail(&r->scan, MR_INVALID, "'%.60s' is no number or list of numbers",
                                text);
        mr_bytes_append(&r->base_scores, &value, sizeof value);
        at += used;
        at += strspn(at, " \t,");
    }
    if (r->base_scores.failed)
        return mr_json_fail(&r->scan, MR_NO_MEMORY, "out of memory");
    return r->base_scores.size > 0 ||
           mr_json_fail(&r->scan, MR_INVALID, "'%.60s' is no number or list of numbers", text);
}

static bool read_learner_param(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool ok = is(key, "base_score")    ? read_base_score(r)
                  : is(key, "num_class")   ? read_param(r, &r->num_class)
                  : is(key, "num_feature") ? read_param(r, &r->num_feature)
                  : is(key, "num_target")  ? read_param(r, &r->num_target)
                                           : mr_json_skip(&r->scan);
        if (!ok)
            return false;
    }
    return r->scan.status == MR_OK;
}

static bool read_names(reader *r)
{
    if (!mr_json_array(&r->scan))
        return false;
    while (mr_json_element(&r->scan)) {
        const char *name;
        if (!mr_json_string(&r->scan, &name))
            return false;
        if (r->name_count == MR_MODEL_INPUTS_MAX)
            return mr_json_fail(&r->scan, MR_FULL, "more than %d names", MR_MODEL_INPUTS_MAX);
        mr_bytes_append(&r->names, name, strlen(name) + 1);
        r->name_count++;
    }
    return r->scan.status == MR_OK;
}

static bool read_attributes(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool ok =
            is(key, "best_iteration") ? read_param(r, &r->best_iteration) : mr_json_skip(&r->scan);
        if (!ok)
            return false;
    }
    return r->scan.status == MR_OK;
}

static bool read_objective(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool ok = is(key, "name") ? read_word(r, r->objective, sizeof r->objective)
                                  : mr_json_skip(&r->scan);
        if (!ok)
            return false;
    }
    return r->scan.status == MR_OK;
}

static bool read_learner(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool ok = is(key, "attributes")            ? read_attributes(r)
                  : is(key, "feature_names")       ? read_names(r)
                  : is(key, "gradient_booster")    ? read_booster(r)
                  : is(key, "learner_model_param") ? read_learner_param(r)
                  : is(key, "objective")           ? read_objective(r)
                                                   : mr_json_skip(&r->scan);
        if (!ok)
            return false;
    }
    return r->scan.status == MR_OK;
}

static bool read_document(reader *r)
{
    const char *key;
    bool has_learner = false;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key)) {
        bool learner = is(key, "learner");
        if (learner && has_learner)
            return mr_json_fail(&r->scan, MR_INVALID, "a second learner");
        has_learner = has_learner || learner;
        bool ok = learner              ? read_learner(r)
                  : is(key, "version") ? mr_json_ints(&r->scan, &r->version)
                                       : mr_json_skip(&r->scan);
        if (!ok)
            return false;
    }
    return mr_json_end(&r->scan) &&
           (has_learner || mr_json_fail(&r->scan, MR_INVALID, "there is no 'learner'"));
}

/* ---- after reading: what the parts say about each other ---- */

static mr_status check_booster(const reader *r, mr_error *err)
{
    bool linear = is(r->booster, "gblinear");
    if (!linear && !is(r->booster, "gbtree") && !is(r->booster, "dart"))
        return MR_FAIL(
            err, MR_UNSUPPORTED,
            "learner.gradient_booster.name is '%s': gbtree, dart and gblinear are supported",
            r->booster);
    if (!linear && !r->has_trees)
        return MR_FAIL(err, MR_INVALID, "learner.gradient_booster.model has no trees");
    if (!linear && r->num_trees >= 0 && r->num_trees != r->forest.tree_count)
        return MR_FAIL(err, MR_INVALID, "gbtree_model_param.num_trees is %lld, there are %u trees",
                       (long long)r->num_trees, r->forest.tree_count);
    if (r->num_feature < 1 || r->num_feature > MR_MODEL_INPUTS_MAX)
        return MR_FAIL(err, MR_INVALID,
                       "learner_model_param.num_feature is %lld: 1 to %d is supported",
                       (long long)r->num_feature, MR_MODEL_INPUTS_MAX);
    if (r->name_count != 0 && r->name_count != r->num_feature)
        return MR_FAIL(err, MR_INVALID, "learner.feature_names has %u names, num_feature is %lld",
                       r->name_count, (long long)r->num_feature);
    return MR_OK;
}

static mr_status check_features(const reader *r, mr_error *err)
{
    const mr_tree_node *nodes = (const mr_tree_node *)(const void *)r->forest.nodes.data;
    size_t count = r->forest.nodes.size / sizeof *nodes;
    for (size_t i = 0; i < count; i++)
        if (nodes[i].feature != MR_TREE_LEAF && nodes[i].feature >= r->num_feature)
            return MR_FAIL(err, MR_INVALID, "a tree splits on feature %u, num_feature is %lld",
                           nodes[i].feature, (long long)r->num_feature);
    return MR_OK;
}

static mr_status apply_weights(reader *r, mr_error *err)
{
    size_t count = r->weight_drop.size / sizeof(float);
    bool dart = is(r->booster, "dart");
    if (count == 0 && !dart)
        return MR_OK;
    if (count > r->forest.tree_count || (dart && count != r->forest.tree_count))
        return MR_FAIL(err, MR_INVALID, "weight_drop has %zu weights for %u trees", count,
                       r->forest.tree_count);
    for (uint32_t t = 0; t < count; t++)
        mr_forest_weigh(&r->forest, t, ((const float *)(void *)r->weight_drop.data)[t]);
    return MR_OK;
}

static mr_status check_groups(const reader *r, uint32_t groups, mr_error *err)
{
    size_t count;
    const int32_t *info = ints(&r->tree_info, &count);
    if (count != r->forest.tree_count)
        return MR_FAIL(err, MR_INVALID, "tree_info has %zu entries for %u trees", count,
                       r->forest.tree_count);
    for (size_t i = 0; i < count; i++)
        if (info[i] < 0 || (uint32_t)info[i] >= groups)
            return MR_FAIL(err, MR_INVALID, "tree_info[%zu] is %d, the model has %u output groups",
                           i, info[i], groups);
    return MR_OK;
}

static mr_status count_groups(const reader *r, uint32_t *out, mr_error *err)
{
    int64_t classes = MR_MAX(r->num_class, 1), targets = MR_MAX(r->num_target, 1);
    int64_t groups = MR_MAX(classes, targets);
    if (groups > MR_MODEL_OUTPUTS_MAX)
        return MR_FAIL(err, MR_FULL, "%lld classes or targets: %d are supported", (long long)groups,
                       MR_MODEL_OUTPUTS_MAX);
    *out = (uint32_t)groups;
    return MR_OK;
}

/* From 3.2 on the writer keeps logistic base scores away from 0 and 1. */
static bool clamps_base(const reader *r)
{
    size_t count;
    const int32_t *version = ints(&r->version, &count);
    return count >= 2 && (version[0] > 3 || (version[0] == 3 && version[1] >= 2));
}

static mr_status make_base(const reader *r, const mr_tree_objective *objective, uint32_t groups,
                           float *base, mr_error *err)
{
    size_t count = r->base_scores.size / sizeof(float);
    const float *scores = (const float *)(const void *)r->base_scores.data;
    if (count != 1 && count != groups)
        return MR_FAIL(err, MR_INVALID, "base_score has %zu values for %u output groups", count,
                       groups);
    for (uint32_t g = 0; g < groups; g++)
        MR_TRY(mr_tree_objective_base(objective, scores[count == 1 ? 0 : g], clamps_base(r),
                                      &base[g], err));
    return MR_OK;
}

static mr_status find_objective(const reader *r, const mr_tree_objective **out, mr_error *err)
{
    *out = mr_tree_objective_find(r->objective);
    if (*out != NULL)
        return MR_OK;
    mr_bytes known = {0};
    mr_tree_objective_list(&known);
    const char *list = mr_bytes_text(&known);
    mr_status status = MR_FAIL(err, MR_UNSUPPORTED, "learner.objective.name is '%s'; known are %s",
                               r->objective, list != NULL ? list : "?");
    mr_bytes_deinit(&known);
    return status;
}

/* How many trees count under `trees=all|best`. */
static mr_status count_trees(const reader *r, const mr_model_options *options, uint32_t groups,
                             uint32_t *out, mr_error *err)
{
    *out = r->forest.tree_count;
    const char *which = mr_setting_text(mr_model_xgboost.settings, options->settings,
                                        options->setting_count, "trees");
    if (!is(which, "best") || r->best_iteration < 0)
        return MR_OK;
    size_t count;
    const int32_t *indptr = ints(&r->indptr, &count);
    int64_t per_round = groups * MR_MAX(r->num_parallel_tree, 1);
    int64_t end = count > 0 && r->best_iteration + 1 < (int64_t)count
                      ? indptr[r->best_iteration + 1]
                      : (r->best_iteration + 1) * per_round;
    if (r->best_iteration > (int64_t)MR_TREES_MAX || end < 0 || end > r->forest.tree_count)
        return MR_FAIL(
            err, MR_INVALID,
            "attributes.best_iteration is %lld, which needs more than the %u trees there are",
            (long long)r->best_iteration, r->forest.tree_count);
    *out = (uint32_t)end;
    return MR_OK;
}

static mr_tree_source source_of(const reader *r, const mr_tree_objective *objective)
{
    return (mr_tree_source){.objective = objective,
                            .names = r->name_count > 0 ? (const char *)r->names.data : NULL};
}

static mr_status assemble_trees(reader *r, const mr_tree_objective *objective, uint32_t groups,
                                const float *base, const mr_model_options *options, mr_model **out,
                                mr_error *err)
{
    uint32_t keep;
    MR_TRY(check_features(r, err));
    MR_TRY(check_groups(r, groups, err));
    MR_TRY(apply_weights(r, err));
    MR_TRY(count_trees(r, options, groups, &keep, err));
    r->forest.feature_count = (uint32_t)r->num_feature;
    mr_forest *forest = NULL;
    MR_TRY(mr_forest_finish(&r->forest, keep, (const uint32_t *)(void *)r->tree_info.data, base,
                            groups, &forest, err));
    mr_tree_source source = source_of(r, objective);
    return mr_tree_model_create(&mr_model_xgboost, forest, &source, options, out, err);
}

static mr_status assemble_linear(const reader *r, const mr_tree_objective *objective,
                                 uint32_t groups, float base, const mr_model_options *options,
                                 mr_model **out, mr_error *err)
{
    const float *weights = (const float *)(const void *)r->weights.data;
    size_t count = r->weights.size / sizeof *weights;
    size_t wanted = ((size_t)r->num_feature + 1) * groups;
    if (count != wanted)
        return MR_FAIL(err, MR_INVALID,
                       "learner.gradient_booster.model has %zu weights: %lld features and a bias "
                       "for %u output groups make %zu",
                       count, (long long)r->num_feature, groups, wanted);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(weights[i]))
            return MR_FAIL(err, MR_INVALID, "learner.gradient_booster.model.weights[%zu] is %g", i,
                           (double)weights[i]);
    mr_tree_source source = source_of(r, objective);
    return mr_linear_create(&mr_model_xgboost, &source, (uint32_t)r->num_feature, groups, weights,
                            base, options, out, err);
}

static mr_status assemble(reader *r, const mr_model_options *options, mr_model **out, mr_error *err)
{
    const mr_tree_objective *objective;
    uint32_t groups;
    MR_TRY(check_booster(r, err));
    MR_TRY(find_objective(r, &objective, err));
    MR_TRY(count_groups(r, &groups, err));
    if (objective->transform != MR_TRANSFORM_SOFTMAX &&
        objective->transform != MR_TRANSFORM_ARGMAX && r->num_class > 1)
        return MR_FAIL(err, MR_INVALID, "num_class is %lld under objective %s",
                       (long long)r->num_class, objective->name);
    float *base = mr_alloc(sizeof *base * groups);
    if (base == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = make_base(r, objective, groups, base, err);
    if (status == MR_OK)
        status = is(r->booster, "gblinear")
                     ? assemble_linear(r, objective, groups, base[0], options, out, err)
                     : assemble_trees(r, objective, groups, base, options, out, err);
    mr_free(base);
    return status;
}

static bool any_failed(const reader *r)
{
    return r->names.failed || r->base_scores.failed;
}

static mr_status open_xgboost(const uint8_t *bytes, size_t size, const mr_model_options *options,
                              mr_model **out, mr_error *err)
{
    reader r = {.num_trees = -1, .best_iteration = -1, .num_feature = -1};
    mr_json_open(&r.scan, bytes, size, err);
    mr_status status = read_document(&r) ? MR_OK : r.scan.status;
    if (status == MR_OK && any_failed(&r))
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = assemble(&r, options, out, err);
    reader_deinit(&r);
    if (status != MR_OK)
        mr_error_prefix(err, r.scan.binary ? "XGBoost UBJSON" : "XGBoost JSON");
    return status;
}

/* An object whose first kilobytes name a learner: keys are sorted by the writer, "learner" is first. */
static bool recognise_xgboost(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size &&
           (bytes[at] == ' ' || bytes[at] == '\n' || bytes[at] == '\r' || bytes[at] == '\t'))
        at++;
    if (at == size || bytes[at] != '{')
        return false;
    const char *name = mr_json_is_binary(bytes, size) ? "learner" : "\"learner\"";
    return memmem(bytes, MR_MIN(size, 4096u), name, strlen(name)) != NULL;
}

static const mr_setting_spec settings[] = {
    MR_TREE_SETTINGS,
    {"trees", MR_SETTING_CHOICE, "all", 0, 0, "all|best",
     "all trees, as Booster.predict of XGBoost; or those up to best_iteration, as its scikit-learn "
     "interface"},
    {0},
};

const mr_model_kind mr_model_xgboost = {
    .name = "xgboost",
    .sentence =
        "boosted trees, forests and linear boosters as XGBoost 1 to 3 saves them in JSON or UBJSON",
    .settings = settings,
    .recognise = recognise_xgboost,
    .open = open_xgboost,
    .close = mr_tree_model_close,
    .score = mr_tree_model_score,
    .score_row = mr_tree_model_score_row,
    .explain = mr_tree_model_explain,
};
