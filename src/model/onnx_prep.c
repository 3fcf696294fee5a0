/* onnx_prep.c -- operators of ai.onnx.ml that prepare features: scaling, imputing, encoding, joining. */
#include "model/onnx_internal.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

/* Most of them give float32 whatever comes in. */
static mr_status as_float32(mr_onnx_node *node, mr_tensor *out, mr_error *err)
{
    return mr_net_cast(node->net, node->in[0], MR_TENSOR_FLOAT32, out, err);
}

/* One number for all columns, or one for each: as a tensor of the last axis. */
static mr_status column_numbers(mr_onnx_node *node, const char *name, const mr_tensor *x,
                                mr_tensor *out, mr_error *err)
{
    const float *values;
    uint32_t count = (uint32_t)mr_onnx_floats(node, name, &values);
    uint32_t columns = x->rank > 0 ? x->dims[x->rank - 1] : 1;
    if (count == 1)
        return mr_net_constants(node->net, MR_TENSOR_FLOAT32, 0, NULL, values, out, err);
    if (count != columns)
        return MR_FAIL(err, MR_INVALID, "%u values of %s for %u columns", count, name, columns);
    return mr_net_constants(node->net, MR_TENSOR_FLOAT32, 1, &count, values, out, err);
}

/* (x - offset) * scale */
static mr_status build_scaler(mr_onnx_node *node, mr_error *err)
{
    mr_tensor x, offset, factor, moved;
    MR_TRY(as_float32(node, &x, err));
    MR_TRY(column_numbers(node, "offset", &x, &offset, err));
    MR_TRY(column_numbers(node, "scale", &x, &factor, err));
    MR_TRY(mr_net_binary(node->net, MR_NET_SUB, &x, &offset, &moved, err));
    return mr_net_binary(node->net, MR_NET_MUL, &moved, &factor, &node->out[0], err);
}

static mr_status imputed(mr_onnx_node *node, const mr_tensor *x, const mr_tensor *replaced,
                         const mr_tensor *values, bool nan, mr_error *err)
{
    mr_tensor is;
    if (nan)
        MR_TRY(mr_net_unary(node->net, MR_NET_IS_NAN, x, 0, 0, &is, err));
    else
        MR_TRY(mr_net_binary(node->net, MR_NET_EQUAL, x, replaced, &is, err));
    return mr_net_where(node->net, &is, values, x, &node->out[0], err);
}

static mr_status build_imputer(mr_onnx_node *node, mr_error *err)
{
    const mr_tensor *x = node->in[0];
    mr_tensor values, narrow, replaced;
    const int64_t *whole;
    if (x->type != MR_TENSOR_INT64) {
        float value = mr_onnx_float(node, "replaced_value_float", 0);
        MR_TRY(column_numbers(node, "imputed_value_floats", x, &narrow, err));
        MR_TRY(mr_net_cast(node->net, &narrow, x->type, &values, err));
        MR_TRY(mr_net_number(node->net, x->type, (double)value, &replaced, err));
        return imputed(node, x, &replaced, &values, isnan(value), err);
    }
    uint32_t count = (uint32_t)mr_onnx_ints(node, "imputed_value_int64s", &whole);
    int64_t value = mr_onnx_int(node, "replaced_value_int64", 0);
    if (count != 1 && (x->rank == 0 || count != x->dims[x->rank - 1]))
        return MR_FAIL(err, MR_INVALID, "%u imputed_value_int64s", count);
    MR_TRY(mr_net_constants(node->net, MR_TENSOR_INT64, 1, &count, whole, &values, err));
    MR_TRY(mr_net_constants(node->net, MR_TENSOR_INT64, 0, NULL, &value, &replaced, err));
    return imputed(node, x, &replaced, &values, false, err);
}

/* x / norm, and x where the norm is 0. */
static mr_status divide_by(mr_onnx_node *node, const mr_tensor *x, const mr_tensor *norm,
                           const mr_tensor *divided, mr_error *err)
{
    mr_tensor zero, is;
    MR_TRY(mr_net_number(node->net, x->type, 0, &zero, err));
    MR_TRY(mr_net_binary(node->net, MR_NET_EQUAL, norm, &zero, &is, err));
    return mr_net_where(node->net, &is, x, divided, &node->out[0], err);
}

/* L2 as ONNX Runtime has it: the sign of x, the root of x^2 / sum. */
static mr_status normalize_l2(mr_onnx_node *node, const mr_tensor *x, const mr_tensor *sum,
                              mr_error *err)
{
    mr_tensor square, share, root, sign, one, zero, negative, minus, signed_root;
    mr_net *net = node->net;
    MR_TRY(mr_net_binary(net, MR_NET_MUL, x, x, &square, err));
    MR_TRY(mr_net_binary(net, MR_NET_DIV, &square, sum, &share, err));
    MR_TRY(mr_net_unary(net, MR_NET_SQRT, &share, 0, 0, &root, err));
    MR_TRY(mr_net_number(net, x->type, 0, &zero, err));
    MR_TRY(mr_net_number(net, x->type, 1, &one, err));
    MR_TRY(mr_net_number(net, x->type, -1, &minus, err));
    MR_TRY(mr_net_binary(net, MR_NET_LESS, x, &zero, &negative, err));
    MR_TRY(mr_net_where(net, &negative, &minus, &one, &sign, err));
    MR_TRY(mr_net_binary(net, MR_NET_MUL, &root, &sign, &signed_root, err));
    return divide_by(node, x, sum, &signed_root, err);
}

static mr_status build_normalizer(mr_onnx_node *node, mr_error *err)
{
    mr_tensor x, norm, divided;
    uint32_t axis;
    bool l1 = mr_onnx_is(node, "norm", "L1", "MAX"), l2 = mr_onnx_is(node, "norm", "L2", "MAX");
    if (!l1 && !l2 && !mr_onnx_is(node, "norm", "MAX", "MAX"))
        return MR_FAIL(err, MR_INVALID, "norm is none of MAX, L1, L2");
    MR_TRY(as_float32(node, &x, err));
    MR_TRY(mr_tensor_inner_axis(&x, -1, &axis, err));
    MR_TRY(mr_net_reduce(node->net,
                         l1   ? MR_NET_SUM_ABS
                         : l2 ? MR_NET_SUM_SQUARES
                              : MR_NET_GREATEST,
                         &x, 1u << axis, true, &norm, err));
    if (l2)
        return normalize_l2(node, &x, &norm, err);
    MR_TRY(mr_net_binary(node->net, MR_NET_DIV, &x, &norm, &divided, err));
    return divide_by(node, &x, &norm, &divided, err);
}

static mr_status build_binarizer(mr_onnx_node *node, mr_error *err)
{
    mr_tensor threshold, above;
    const mr_tensor *x = node->in[0];
    MR_TRY(mr_net_number(node->net, x->type, (double)mr_onnx_float(node, "threshold", 0),
                         &threshold, err));
    MR_TRY(mr_net_binary(node->net, MR_NET_LESS, &threshold, x, &above, err));
    return mr_net_cast(node->net, &above, x->type, &node->out[0], err);
}

/* ---- categories ---- */

/* One more axis, with a 1 where the category is. */
static mr_status spread_places(mr_onnx_node *node, const mr_tensor *place, uint32_t count,
                               mr_error *err)
{
    mr_tensor wide, numbers, is;
    int64_t last = place->rank, *values = MR_ARENA_ARRAY(&node->net->temp, int64_t, count + 1);
    if (values == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++)
        values[i] = i;
    MR_TRY(mr_tensor_unsqueeze(&node->net->pool, place, &last, 1, &wide, err));
    MR_TRY(mr_net_constants(node->net, MR_TENSOR_INT64, 1, &count, values, &numbers, err));
    MR_TRY(mr_net_binary(node->net, MR_NET_EQUAL, &wide, &numbers, &is, err));
    return mr_net_cast(node->net, &is, MR_TENSOR_FLOAT32, &node->out[0], err);
}

/* A category nobody knows is no 1 at all; with zeros=0, which ONNX Runtime refuses to score, the row has no answer. */
static mr_status build_one_hot(mr_onnx_node *node, mr_error *err)
{
    mr_text *texts;
    const int64_t *whole;
    uint32_t count, ints = (uint32_t)mr_onnx_ints(node, "cats_int64s", &whole);
    mr_tensor keys = *node->in[0], place;
    bool zeros = mr_onnx_int(node, "zeros", 1) != 0;
    MR_TRY(mr_onnx_texts(node, "cats_strings", &texts, &count, err));
    bool text = keys.type == MR_TENSOR_TEXT;
    const void *known = texts;
    if (!text) {
        MR_TRY(mr_net_cast(node->net, node->in[0], MR_TENSOR_INT64, &keys, err));
        known = whole;
        count = ints;
    }
    if (count == 0)
        return MR_FAIL(err, MR_INVALID, "no categories of %s values", text ? "string" : "int64");
    int64_t *kept = mr_arena_alloc_aligned(&node->net->keep, sizeof *kept * count);
    if (kept == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (!text) {
        memcpy(kept, whole, sizeof *kept * count);
        known = kept;
    }
    MR_TRY(mr_net_find(node->net, &keys, known, count, zeros ? (int64_t)count : -1, &place, err));
    return spread_places(node, &place, count, err);
}

/* Keys or values of a LabelEncoder: from whichever attribute is there, as an array of its type in `keep`. */
typedef struct list {
    mr_tensor_type type;
    uint32_t count;
    const void *values;
    bool given;
} list;

static mr_status take_list(mr_onnx_node *node, mr_tensor_type type, const void *values,
                           size_t count, list *out, mr_error *err)
{
    size_t bytes = mr_tensor_type_bytes(type) * count;
    void *copy = mr_arena_alloc_aligned(&node->net->keep, MR_MAX(bytes, (size_t)1));
    if (copy == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (bytes > 0)
        memcpy(copy, values, bytes);
    *out = (list){type, (uint32_t)count, copy, true};
    return MR_OK;
}

static mr_status read_list(mr_onnx_node *node, const char *strings, const char *int64s,
                           const char *floats, const char *tensor, list *out, mr_error *err)
{
    mr_text *texts;
    const int64_t *whole;
    const float *narrow;
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, tensor);
    mr_tensor made;
    void *values;
    uint32_t count;
    *out = (list){0};
    if (mr_onnx_attribute(node, strings) != NULL) {
        MR_TRY(mr_onnx_texts(node, strings, &texts, &count, err));
        return take_list(node, MR_TENSOR_TEXT, texts, count, out, err);
    }
    if (mr_onnx_attribute(node, int64s) != NULL) {
        count = (uint32_t)mr_onnx_ints(node, int64s, &whole);
        return take_list(node, MR_TENSOR_INT64, whole, count, out, err);
    }
    if (mr_onnx_attribute(node, floats) != NULL) {
        count = (uint32_t)mr_onnx_floats(node, floats, &narrow);
        return take_list(node, MR_TENSOR_FLOAT32, narrow, count, out, err);
    }
    if (a == NULL || a->t == NULL)
        return MR_OK;
    MR_TRY(mr_onnx_tensor(node->net, a->t, &made, err));
    MR_TRY(mr_net_values(node->net, &made, &values, err));
    *out = (list){made.type, made.count, values, true};
    return MR_OK;
}

static mr_status read_keys(mr_onnx_node *node, const char *which, list *out, mr_error *err)
{
    bool keys = which[0] == 'k';
    return read_list(node, keys ? "keys_strings" : "values_strings",
                     keys ? "keys_int64s" : "values_int64s", keys ? "keys_floats" : "values_floats",
                     keys ? "keys_tensor" : "values_tensor", out, err);
}

/* The value for keys that are not listed: the attribute's, or what the operator's definition says. */
static mr_status read_default(mr_onnx_node *node, mr_tensor_type type, void *out, mr_error *err)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, "default_tensor");
    if (a != NULL && a->t != NULL) {
        mr_tensor made;
        MR_TRY(mr_onnx_tensor(node->net, a->t, &made, err));
        if (made.type != type || made.count != 1)
            return MR_FAIL(err, MR_INVALID, "default_tensor is %u values of %s", made.count,
                           mr_tensor_type_name(made.type));
        mr_net_value(node->net, type, made.elements[0], out);
        return MR_OK;
    }
    a = mr_onnx_attribute(node, "default_string");
    const char *text = a != NULL && a->has_s ? (const char *)a->s.data : "_Unused";
    size_t size = a != NULL && a->has_s ? a->s.len : strlen(text);
    char *copy = mr_arena_strndup(&node->net->keep, size > 0 ? text : "", size);
    mr_text kept = {(const uint8_t *)copy, size};
    int64_t whole = mr_onnx_int(node, "default_int64", -1);
    float narrow = mr_onnx_float(node, "default_float", -0.0f);
    double wide = (double)narrow;
    uint8_t flag = 0;
    const void *values[MR_TENSOR_TYPES] = {&narrow, &wide, &whole, &flag, &kept};
    memcpy(out, values[type], mr_tensor_type_bytes(type));
    return copy != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* Version 1 has classes_strings and maps a string to its place, and a place to its string. */
static mr_status read_classes(mr_onnx_node *node, list *keys, list *values, mr_error *err)
{
    mr_text *texts;
    uint32_t count;
    MR_TRY(mr_onnx_texts(node, "classes_strings", &texts, &count, err));
    int64_t *places = MR_ARENA_ARRAY(&node->net->temp, int64_t, count + 1);
    if (places == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++)
        places[i] = i;
    list strings, numbers;
    MR_TRY(take_list(node, MR_TENSOR_TEXT, texts, count, &strings, err));
    MR_TRY(take_list(node, MR_TENSOR_INT64, places, count, &numbers, err));
    bool from_text = node->in[0]->type == MR_TENSOR_TEXT;
    *keys = from_text ? strings : numbers;
    *values = from_text ? numbers : strings;
    return MR_OK;
}

static mr_status build_label_encoder(mr_onnx_node *node, mr_error *err)
{
    list keys, values;
    mr_tensor place;
    if (mr_onnx_attribute(node, "classes_strings") != NULL) {
        MR_TRY(read_classes(node, &keys, &values, err));
    } else {
        MR_TRY(read_keys(node, "keys", &keys, err));
        MR_TRY(read_keys(node, "values", &values, err));
    }
    if (!keys.given || keys.count != values.count || keys.type != node->in[0]->type)
        return MR_FAIL(err, MR_INVALID, "%u keys of %s and %u values for an input of %s",
                       keys.count, mr_tensor_type_name(keys.type), values.count,
                       mr_tensor_type_name(node->in[0]->type));
    size_t bytes = mr_tensor_type_bytes(values.type);
    uint8_t *all = mr_arena_alloc_aligned(&node->net->temp, bytes * (values.count + 1u));
    if (all == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(all, values.values, bytes * values.count);
    MR_TRY(read_default(node, values.type, all + bytes * values.count, err));
    MR_TRY(mr_net_find(node->net, node->in[0], keys.values, keys.count, keys.count, &place, err));
    MR_TRY(mr_net_numbered(node->net, &place, values.count + 1, &place, err));
    return mr_net_tabled(node->net, &place, values.type, values.count + 1, all, &node->out[0], err);
}

/* ---- joining and picking ---- */

static mr_status build_feature_vectorizer(mr_onnx_node *node, mr_error *err)
{
    mr_tensor *in = MR_ARENA_ARRAY(&node->net->temp, mr_tensor, node->in_count);
    const int64_t *sizes;
    size_t count = mr_onnx_ints(node, "inputdimensions", &sizes);
    if (in == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i] == NULL || node->in[i]->rank == 0)
            return MR_FAIL(err, MR_INVALID, "input %u is missing", i);
        MR_TRY(mr_net_cast(node->net, node->in[i], MR_TENSOR_FLOAT32, &in[i], err));
        if (in[i].rank == 1) {
            int64_t last = 1;
            mr_tensor flat = in[i];
            MR_TRY(mr_tensor_unsqueeze(&node->net->pool, &flat, &last, 1, &in[i], err));
        }
        if (i < count && sizes[i] != in[i].dims[in[i].rank - 1])
            return MR_FAIL(err, MR_INVALID, "input %u has %u columns, inputdimensions says %lld", i,
                           in[i].dims[in[i].rank - 1], (long long)sizes[i]);
    }
    return mr_tensor_concat(&node->net->pool, in, node->in_count, -1, &node->out[0], err);
}

/* Columns by constant numbers, or an element of a constant list by a number of the row: [1, N] then. */
static mr_status build_extractor(mr_onnx_node *node, mr_error *err)
{
    const mr_tensor *x = node->in[0], *y = node->in[1];
    mr_tensor flat, result;
    uint32_t axis;
    void *values;
    if (mr_tensor_is_constant(x) && !mr_tensor_is_constant(y)) {
        if (x->count != x->dims[MR_MAX(x->rank, 1u) - 1] || y->count != 1)
            return MR_FAIL(err, MR_UNSUPPORTED, "one number a row into one list is supported");
        MR_TRY(mr_net_values(node->net, x, &values, err));
        MR_TRY(mr_net_tabled(node->net, y, x->type, x->count, values, &result, err));
        int64_t sizes[2] = {1, MR_TENSOR_SIZE_ROWS};
        return mr_tensor_reshape(&node->net->pool, &result, sizes, 2, true, &node->out[0], err);
    }
    MR_TRY(mr_tensor_inner_axis(x, -1, &axis, err));
    int64_t *given, sizes = y->count;
    MR_TRY(mr_tensor_reshape(&node->net->pool, y, &sizes, 1, true, &flat, err));
    MR_TRY(mr_net_integers(node->net, &flat, &given, err));
    uint32_t *index = MR_ARENA_ARRAY(&node->net->temp, uint32_t, y->count + 1);
    if (index == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < y->count; i++)
        index[i] = given[i] >= 0 && given[i] < x->dims[axis] ? (uint32_t)given[i] : UINT32_MAX;
    return mr_tensor_take(&node->net->pool, x, axis, index, y->count, &node->out[0], err);
}

/* A list of maps from class to score: we keep the scores. */
static mr_status build_zip_map(mr_onnx_node *node, mr_error *err)
{
    (void)err;
    node->out[0] = *node->in[0];
    return MR_OK;
}

const mr_onnx_operator mr_onnx_prep[] = {
    {"Scaler", 1, 1, 1, "offset,scale", build_scaler, 0},
    {"Imputer", 1, 1, 1,
     "imputed_value_floats,imputed_value_int64s,replaced_value_float,replaced_value_int64",
     build_imputer, 0},
    {"Normalizer", 1, 1, 1, "norm", build_normalizer, 0},
    {"Binarizer", 1, 1, 1, "threshold", build_binarizer, 0},
    {"OneHotEncoder", 1, 1, 1, "cats_int64s,cats_strings,zeros", build_one_hot, 0},
    {"LabelEncoder", 1, 1, 1,
     "classes_strings,keys_strings,keys_int64s,keys_floats,keys_tensor,values_strings,values_"
     "int64s,"
     "values_floats,values_tensor,default_string,default_int64,default_float,default_tensor",
     build_label_encoder, 0},
    {"FeatureVectorizer", 1, MR_ONNX_INPUTS_MAX, 1, "inputdimensions", build_feature_vectorizer, 0},
    {"ArrayFeatureExtractor", 2, 2, 1, "", build_extractor, 0},
    {"ZipMap", 1, 1, 1, "classlabels_int64s,classlabels_strings", build_zip_map, 0},
    {.name = NULL},
};
