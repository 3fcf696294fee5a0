/* onnx.c -- the kind "onnx", and reading the parts of nodes: attributes, tensors, types. */
#include "model/onnx_internal.h"

#include "base/assert.h"
#include "model/model_internal.h"
#include "model/net_model.h"
#include "model/net_proto.h"
#include "model/tree_model.h"

#include <math.h>
#include <string.h>

/* ModelProto begins with ir_version and has no field beyond 26. */
static bool recognise(const uint8_t *bytes, size_t size)
{
    return size > 16 && bytes[0] == 0x08 && bytes[1] <= 32 &&
           mr_net_proto_looks_like(bytes, size, 1, 26);
}

static const mr_setting_spec settings[] = {MR_TREE_SETTINGS, {.name = NULL}};

const mr_model_kind mr_model_onnx = {
    .name = "onnx",
    .sentence = "ONNX graphs of scikit-learn models and small nets",
    .settings = settings,
    .recognise = recognise,
    .open = mr_onnx_open,
    .close = mr_net_model_close,
    .score = mr_net_model_score,
};

/* ---- attributes ---- */

const MrOnnx__AttributeProto *mr_onnx_attribute(const mr_onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->proto->n_attribute; i++)
        if (node->proto->attribute[i]->name != NULL &&
            strcmp(node->proto->attribute[i]->name, name) == 0)
            return node->proto->attribute[i];
    return NULL;
}

int64_t mr_onnx_int(const mr_onnx_node *node, const char *name, int64_t otherwise)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, name);
    return a != NULL && a->has_i ? a->i : otherwise;
}

float mr_onnx_float(const mr_onnx_node *node, const char *name, float otherwise)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, name);
    return a != NULL && a->has_f ? a->f : otherwise;
}

bool mr_onnx_is(const mr_onnx_node *node, const char *name, const char *text, const char *otherwise)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, name);
    if (a == NULL || !a->has_s)
        return strcmp(text, otherwise) == 0;
    return a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

size_t mr_onnx_floats(const mr_onnx_node *node, const char *name, const float **out)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, name);
    *out = a != NULL ? a->floats : NULL;
    return a != NULL ? a->n_floats : 0;
}

size_t mr_onnx_ints(const mr_onnx_node *node, const char *name, const int64_t **out)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, name);
    *out = a != NULL ? a->ints : NULL;
    return a != NULL ? a->n_ints : 0;
}

/* The bytes move to where the program lives. */
static mr_status keep_text(mr_net *net, const ProtobufCBinaryData *from, mr_text *out,
                           mr_error *err)
{
    char *copy =
        mr_arena_strndup(&net->keep, from->len > 0 ? (const char *)from->data : "", from->len);
    *out = (mr_text){(const uint8_t *)copy, from->len};
    return copy != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status keep_texts(mr_net *net, const ProtobufCBinaryData *from, size_t count,
                            mr_text **out, mr_error *err)
{
    *out = MR_ARENA_ARRAY(&net->keep, mr_text, count + 1);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < count; i++)
        MR_TRY(keep_text(net, &from[i], &(*out)[i], err));
    return MR_OK;
}

mr_status mr_onnx_texts(mr_onnx_node *node, const char *name, mr_text **out, uint32_t *out_count,
                        mr_error *err)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, name);
    *out_count = a != NULL ? (uint32_t)a->n_strings : 0;
    return keep_texts(node->net, a != NULL ? a->strings : NULL, *out_count, out, err);
}

bool mr_onnx_has_input(const mr_onnx_node *node, uint32_t index)
{
    return index < node->in_count && node->in[index] != NULL;
}

mr_status mr_onnx_integers(mr_onnx_node *node, uint32_t index, const char *name, int64_t **out,
                           size_t *out_count, mr_error *err)
{
    const int64_t *given;
    size_t count = mr_onnx_ints(node, name, &given);
    if (mr_onnx_has_input(node, index)) {
        *out_count = node->in[index]->count;
        return mr_net_integers(node->net, node->in[index], out, err);
    }
    *out_count = count;
    *out = mr_arena_alloc(&node->net->temp, sizeof **out * (count + 1));
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (count > 0)
        memcpy(*out, given, sizeof **out * count);
    return MR_OK;
}

/* ---- types ---- */

static const struct {
    const char *name;
    int type; /* -1: not supported */
} types[] = {
    {"undefined", -1},
    {"float", MR_TENSOR_FLOAT32},
    {"uint8", MR_TENSOR_INT64},
    {"int8", MR_TENSOR_INT64},
    {"uint16", MR_TENSOR_INT64},
    {"int16", MR_TENSOR_INT64},
    {"int32", MR_TENSOR_INT64},
    {"int64", MR_TENSOR_INT64},
    {"string", MR_TENSOR_TEXT},
    {"bool", MR_TENSOR_BOOL},
    {"float16", -1},
    {"double", MR_TENSOR_FLOAT64},
    {"uint32", MR_TENSOR_INT64},
    {"uint64", -1},
};

#define ONNX_INT32 6

mr_status mr_onnx_type(int32_t data_type, mr_tensor_type *out, mr_error *err)
{
    bool known = data_type > 0 && data_type < (int32_t)MR_COUNT_OF(types);
    if (!known || types[data_type].type < 0)
        return MR_FAIL(err, MR_UNSUPPORTED, "values of type %s (%d) are not supported",
                       known ? types[data_type].name : "unknown", data_type);
    *out = (mr_tensor_type)types[data_type].type;
    return MR_OK;
}

/* ---- tensors ---- */

/* Bytes of a value in raw_data. */
static size_t raw_bytes(int32_t data_type)
{
    static const size_t bytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 0, 8, 4, 0};
    return bytes[data_type];
}

static int64_t raw_whole(int32_t data_type, const uint8_t *at)
{
    uint64_t bits = 0;
    size_t bytes = raw_bytes(data_type);
    memcpy(&bits, at, bytes); /* little endian, as everything here */
    bool is_signed = data_type == 3 || data_type == 5 || data_type == ONNX_INT32;
    if (is_signed && (bits >> (bytes * 8 - 1)) != 0)
        bits |= ~UINT64_C(0) << (bytes * 8 - 1);
    return (int64_t)bits;
}

typedef union value {
    float narrow;
    double wide;
    int64_t whole;
    uint8_t flag;
    mr_text text;
} value;

/* How many values the field that is used holds. */
static size_t count_values(const MrOnnx__TensorProto *t, mr_tensor_type type)
{
    if (t->has_raw_data)
        return raw_bytes(t->data_type) > 0 ? t->raw_data.len / raw_bytes(t->data_type) : 0;
    switch (type) {
    case MR_TENSOR_FLOAT32:
        return t->n_float_data;
    case MR_TENSOR_FLOAT64:
        return t->n_double_data;
    case MR_TENSOR_TEXT:
        return t->n_string_data;
    case MR_TENSOR_BOOL:
        return t->n_int32_data;
    default:
        return t->data_type == 7    ? t->n_int64_data
               : t->data_type == 12 ? t->n_uint64_data
                                    : t->n_int32_data;
    }
}

static mr_status read_value(mr_net *net, const MrOnnx__TensorProto *t, mr_tensor_type type,
                            size_t i, value *out, mr_error *err)
{
    const uint8_t *raw = t->has_raw_data ? t->raw_data.data + i * raw_bytes(t->data_type) : NULL;
    switch (type) {
    case MR_TENSOR_FLOAT32:
        if (raw != NULL)
            memcpy(&out->narrow, raw, sizeof out->narrow);
        else
            out->narrow = t->float_data[i];
        return MR_OK;
    case MR_TENSOR_FLOAT64:
        if (raw != NULL)
            memcpy(&out->wide, raw, sizeof out->wide);
        else
            out->wide = t->double_data[i];
        return MR_OK;
    case MR_TENSOR_TEXT:
        return keep_text(net, &t->string_data[i], &out->text, err);
    case MR_TENSOR_BOOL:
        out->flag = raw != NULL ? raw[0] != 0 : t->int32_data[i] != 0;
        return MR_OK;
    default:
        out->whole = raw != NULL          ? raw_whole(t->data_type, raw)
                     : t->data_type == 7  ? t->int64_data[i]
                     : t->data_type == 12 ? (int64_t)t->uint64_data[i]
                                          : t->int32_data[i];
        return MR_OK;
    }
}

static mr_status check_size(const MrOnnx__TensorProto *t, const mr_tensor *made, mr_error *err)
{
    size_t have = count_values(t, made->type);
    char text[128];
    bool ragged = t->has_raw_data && have * raw_bytes(t->data_type) != t->raw_data.len;
    if (have != made->count || ragged)
        return MR_FAIL(err, MR_INVALID, "tensor '%.80s' of shape %s holds %zu values%s",
                       t->name != NULL ? t->name : "", mr_tensor_shape_text(made, text), have,
                       ragged ? " and a part" : "");
    return MR_OK;
}

mr_status mr_onnx_tensor(mr_net *net, const MrOnnx__TensorProto *t, mr_tensor *out, mr_error *err)
{
    uint32_t dims[MR_TENSOR_RANK_MAX];
    mr_tensor_type type;
    if (t->data_location == 1 || t->n_external_data > 0)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "tensor '%.80s' is in another file; save the model with its data inside",
                       t->name != NULL ? t->name : "");
    if (t->n_dims > MR_TENSOR_RANK_MAX)
        return MR_FAIL(err, MR_FULL, "a tensor of %zu axes", t->n_dims);
    for (size_t a = 0; a < t->n_dims; a++) {
        if (t->dims[a] < 0 || t->dims[a] > MR_TENSOR_ELEMENTS_MAX)
            return MR_FAIL(err, MR_INVALID, "a tensor with an axis of %lld", (long long)t->dims[a]);
        dims[a] = (uint32_t)t->dims[a];
    }
    MR_TRY(mr_onnx_type(t->data_type, &type, err));
    uint64_t count = 1;
    for (size_t a = 0; a < t->n_dims; a++)
        count = MR_MIN(count * dims[a], (uint64_t)MR_TENSOR_ELEMENTS_MAX * 2);
    *out = (mr_tensor){.type = type, .rank = (uint32_t)t->n_dims, .batch = -1};
    memcpy(out->dims, dims, sizeof dims);
    out->count = (uint32_t)count;
    MR_TRY(check_size(t, out, err)); /* before anything of that size is made */
    MR_TRY(mr_tensor_make(&net->pool, type, (uint32_t)t->n_dims, dims, -1, out, err));
    for (uint32_t i = 0; i < out->count; i++) {
        value v;
        MR_TRY(read_value(net, t, type, i, &v, err));
        MR_TRY(mr_net_constant(net, type, &v, &out->elements[i], err));
    }
    return MR_OK;
}

mr_status mr_onnx_doubles(mr_onnx_node *node, const char *name, const double **out,
                          size_t *out_count, mr_error *err)
{
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, name);
    mr_tensor tensor, wide;
    *out_count = 0;
    *out = NULL;
    if (a == NULL)
        return MR_OK;
    size_t count = a->n_floats;
    if (a->t != NULL) {
        MR_TRY(mr_onnx_tensor(node->net, a->t, &tensor, err));
        MR_TRY(mr_net_cast(node->net, &tensor, MR_TENSOR_FLOAT64, &wide, err));
        count = wide.count;
    }
    double *values = mr_arena_alloc(&node->net->temp, sizeof *values * (count + 1));
    if (values == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < count; i++)
        if (a->t != NULL)
            mr_net_value(node->net, MR_TENSOR_FLOAT64, wide.elements[i], &values[i]);
        else
            values[i] = (double)a->floats[i];
    *out = values;
    *out_count = count;
    return MR_OK;
}
