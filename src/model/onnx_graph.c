/* onnx_graph.c -- an ONNX graph, node by node, into a tensor program.
 *
 * Nodes come in an order where inputs are known before they are used (the format demands it); names are looked up in one
 * table. What is not supported is refused here, with the node's number and name, the operator, its domain and version. */
#include "model/onnx_internal.h"

#include "base/assert.h"
#include "base/hash.h"
#include "model/json_scan.h"
#include "model/model_internal.h"
#include "model/net_model.h"
#include "model/net_proto.h"

#include <stdio.h>
#include <string.h>

#define NODES_MAX (1u << 18)

static const mr_onnx_operator *const general[] = {mr_onnx_math, mr_onnx_shape, NULL};
static const mr_onnx_operator *const learning[] = {mr_onnx_prep, mr_onnx_score, mr_onnx_trees,
                                                   NULL};

/* ---- names ---- */

typedef struct named {
    const char *name; /* NULL: free */
    mr_tensor tensor;
} named;

typedef struct graph {
    const MrOnnx__ModelProto *model;
    const MrOnnx__GraphProto *proto;
    const mr_model_options *options;
    mr_net net;
    named *values;
    uint32_t mask;
    mr_tensor *inputs;
    uint32_t input_count;
    mr_bytes names;
    bool has_names;
} graph;

static named *find_slot(const graph *g, const char *name)
{
    uint32_t slot = (uint32_t)mr_hash64(name, strlen(name)) & g->mask;
    while (g->values[slot].name != NULL && strcmp(g->values[slot].name, name) != 0)
        slot = (slot + 1) & g->mask;
    return &g->values[slot];
}

static mr_status define(graph *g, const char *name, const mr_tensor *tensor, mr_error *err)
{
    named *slot = find_slot(g, name);
    if (slot->name != NULL)
        return MR_FAIL(err, MR_INVALID, "two values are called '%.120s'", name);
    *slot = (named){name, *tensor};
    return MR_OK;
}

static mr_status make_table(graph *g, mr_error *err)
{
    const MrOnnx__GraphProto *p = g->proto;
    uint64_t values = p->n_initializer + p->n_input;
    for (size_t i = 0; i < p->n_node; i++)
        values += p->node[i]->n_output;
    uint64_t room = 16;
    while (room < values * 2)
        room *= 2;
    g->values = MR_ARENA_ARRAY(&g->net.temp, named, room);
    g->mask = (uint32_t)room - 1;
    return g->values != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

/* ---- constants and inputs ---- */

static mr_status read_constants(graph *g, mr_error *err)
{
    if (g->proto->n_sparse_initializer > 0)
        return MR_FAIL(err, MR_UNSUPPORTED, "sparse tensors are not supported");
    for (size_t i = 0; i < g->proto->n_initializer; i++) {
        mr_tensor tensor;
        mr_status status = mr_onnx_tensor(&g->net, g->proto->initializer[i], &tensor, err);
        if (status == MR_OK)
            status = define(g, text_of(g->proto->initializer[i]->name), &tensor, err);
        if (status != MR_OK) {
            mr_error_prefix(err, "graph.initializer[%zu]", i);
            return status;
        }
    }
    return MR_OK;
}

/* [N, k], [N] or [1, k]; a size that is not stated follows from the caller's names. */
static mr_status input_shape(const graph *g, const MrOnnx__TensorTypeProto *type, bool alone,
                             uint32_t *rank, uint32_t *dims, mr_error *err)
{
    size_t given = alone ? g->options->input_name_count : 0;
    const MrOnnx__TensorShapeProto *shape = type->shape;
    *rank = 2;
    dims[0] = dims[1] = 1;
    if (shape != NULL && shape->n_dim > 0) {
        if (shape->n_dim > MR_TENSOR_RANK_MAX)
            return MR_FAIL(err, MR_FULL, "an input of %zu axes", shape->n_dim);
        *rank = (uint32_t)shape->n_dim;
        if (shape->dim[0]->has_dim_value && shape->dim[0]->dim_value > 1)
            return MR_FAIL(
                err, MR_UNSUPPORTED,
                "the model takes %lld rows at once and no other number; export it with a "
                "dynamic first axis",
                (long long)shape->dim[0]->dim_value);
    }
    for (uint32_t a = 1; a < *rank; a++) {
        const MrOnnx__Dimension *dim = shape != NULL && a < shape->n_dim ? shape->dim[a] : NULL;
        int64_t size = dim != NULL && dim->has_dim_value ? dim->dim_value : 0;
        if (size <= 0 && *rank == 2 && given > 0)
            size = (int64_t)given;
        if (size <= 0 || size > MR_MODEL_INPUTS_MAX)
            return MR_FAIL(err, MR_UNSUPPORTED,
                           "the model does not say how many columns it takes (axis %u); give their "
                           "names",
                           a);
        dims[a] = (uint32_t)size;
    }
    return MR_OK;
}

static bool is_constant_name(const graph *g, const char *name)
{
    const named *slot = find_slot(g, name);
    return slot->name != NULL && slot->tensor.batch < 0;
}

static mr_status read_input(graph *g, const MrOnnx__ValueInfoProto *info, bool alone, mr_error *err)
{
    uint32_t rank, dims[MR_TENSOR_RANK_MAX];
    mr_tensor_type type;
    mr_tensor *tensor = &g->inputs[g->input_count];
    if (info->type == NULL || info->type->tensor_type == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED, "it is no tensor");
    MR_TRY(mr_onnx_type(info->type->tensor_type->elem_type, &type, err));
    MR_TRY(input_shape(g, info->type->tensor_type, alone, &rank, dims, err));
    MR_TRY(mr_net_fresh(&g->net, type, rank, dims, 0, tensor, err));
    MR_TRY(define(g, text_of(info->name), tensor, err));
    g->input_count++;
    return MR_OK;
}

static mr_status read_inputs(graph *g, mr_error *err)
{
    size_t count = 0;
    g->inputs = MR_ARENA_ARRAY(&g->net.temp, mr_tensor, g->proto->n_input + 1);
    if (g->inputs == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < g->proto->n_input; i++)
        count += is_constant_name(g, text_of(g->proto->input[i]->name)) ? 0 : 1;
    for (size_t i = 0; i < g->proto->n_input; i++) {
        const char *name = text_of(g->proto->input[i]->name);
        if (is_constant_name(g, name))
            continue; /* a constant that files before IR version 4 list as an input, too */
        mr_status status = read_input(g, g->proto->input[i], count == 1, err);
        if (status != MR_OK) {
            mr_error_prefix(err, "input '%.80s'", name);
            return status;
        }
    }
    return MR_OK;
}

/* ---- names of columns ---- */

static uint32_t count_columns(const graph *g)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->input_count; i++)
        count += g->inputs[i].count;
    return count;
}

/* ["a", "b"] */
static mr_status names_from_json(const char *text, mr_bytes *out, uint32_t *count, mr_error *err)
{
    mr_json_scan scan;
    const char *name;
    mr_json_open(&scan, text, strlen(text), err);
    if (mr_json_array(&scan))
        while (mr_json_element(&scan) && mr_json_string(&scan, &name)) {
            mr_bytes_append_text(out, name);
            mr_bytes_append_byte(out, 0);
            ++*count;
        }
    mr_status status = scan.status;
    mr_json_close(&scan);
    return status;
}

/* a, b */
static void names_from_list(const char *text, mr_bytes *out, uint32_t *count)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ","), from = strspn(text, " "), end = size;
        while (end > from && text[end - 1] == ' ')
            end--;
        mr_bytes_append(out, text + from, end > from ? end - from : 0);
        mr_bytes_append_byte(out, 0);
        ++*count;
        text += size + (text[size] == ',' ? 1 : 0);
    }
}

static const char *metadata(const graph *g, const char *key)
{
    for (size_t i = 0; i < g->model->n_metadata_props; i++)
        if (strcmp(text_of(g->model->metadata_props[i]->key), key) == 0)
            return g->model->metadata_props[i]->value;
    return NULL;
}

static mr_status names_from_metadata(graph *g, const char *text, mr_error *err)
{
    uint32_t count = 0, wanted = count_columns(g);
    if (text[0] == '[') {
        mr_status status = names_from_json(text, &g->names, &count, err);
        if (status != MR_OK) {
            mr_error_prefix(err, "metadata feature_names");
            return status;
        }
    } else {
        names_from_list(text, &g->names, &count);
    }
    g->has_names = true;
    return count == wanted ? MR_OK
                           : MR_FAIL(err, MR_INVALID,
                                     "metadata feature_names has %u names, the model has %u inputs",
                                     count, wanted);
}

/* One tensor of k columns: its doc string, when that lists k names. */
static void names_from_doc(graph *g)
{
    uint32_t count = 0;
    const char *doc = NULL;
    for (size_t i = 0; i < g->proto->n_input; i++)
        if (find_slot(g, text_of(g->proto->input[i]->name))->tensor.batch >= 0)
            doc = g->proto->input[i]->doc_string;
    if (doc == NULL)
        return;
    names_from_list(doc, &g->names, &count);
    g->has_names = count == g->inputs[0].count && count > 1;
    if (!g->has_names)
        mr_bytes_clear(&g->names);
}

static void names_of_tensors(graph *g)
{
    for (size_t i = 0; i < g->proto->n_input; i++) {
        const char *name = text_of(g->proto->input[i]->name);
        const mr_tensor *tensor = &find_slot(g, name)->tensor;
        for (uint32_t c = 0; tensor->batch >= 0 && c < tensor->count; c++) {
            mr_bytes_append_text(&g->names, name);
            if (tensor->count > 1)
                mr_bytes_printf(&g->names, "_%u", c);
            mr_bytes_append_byte(&g->names, 0);
        }
    }
    g->has_names = true;
}

static mr_status name_columns(graph *g, mr_error *err)
{
    const char *listed = metadata(g, "feature_names");
    if (g->input_count == 0)
        return MR_FAIL(err, MR_INVALID, "the graph has no inputs");
    if (listed != NULL)
        MR_TRY(names_from_metadata(g, listed, err));
    if (!g->has_names && g->input_count == 1)
        names_from_doc(g);
    bool own = g->input_count > 1 || g->inputs[0].count == 1;
    if (!g->has_names && own && g->options->input_names == NULL)
        names_of_tensors(g);
    return g->names.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- nodes ---- */

static bool is_learning(const char *domain)
{
    return strcmp(domain, "ai.onnx.ml") == 0;
}

static bool is_general(const char *domain)
{
    return domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

static const mr_onnx_operator *find_operator(const MrOnnx__NodeProto *node)
{
    const char *domain = text_of(node->domain), *name = text_of(node->op_type);
    const mr_onnx_operator *const *tables = is_learning(domain)  ? learning
                                            : is_general(domain) ? general
                                                                 : NULL;
    for (; tables != NULL && *tables != NULL; tables++)
        for (const mr_onnx_operator *o = *tables; o->name != NULL; o++)
            if (strcmp(o->name, name) == 0)
                return o;
    return NULL;
}

static int64_t opset_of(const graph *g, const char *domain)
{
    int64_t version = 1;
    for (size_t i = 0; i < g->model->n_opset_import; i++) {
        const char *imported = text_of(g->model->opset_import[i]->domain);
        if (is_general(domain) ? is_general(imported) : strcmp(domain, imported) == 0)
            version = MR_MAX(version, g->model->opset_import[i]->version);
    }
    return version;
}

static bool is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; *at != '\0';) {
        size_t n = strcspn(at, ",");
        if (n == size && memcmp(at, name, n) == 0)
            return true;
        at += n + (at[n] == ',' ? 1 : 0);
    }
    return false;
}

static mr_status check_node(const mr_onnx_node *node, mr_error *err)
{
    const mr_onnx_operator *o = node->operator;
    if (node->in_count < o->in_min || node->in_count > o->in_max || node->out_count > o->out_max ||
        node->out_count == 0)
        return MR_FAIL(err, MR_INVALID, "%u inputs and %u outputs; %u to %u and up to %u are right",
                       node->in_count, node->out_count, o->in_min, o->in_max, o->out_max);
    for (uint32_t i = 0; i < o->in_min; i++)
        if (node->in[i] == NULL)
            return MR_FAIL(err, MR_INVALID, "input %u is missing", i);
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const MrOnnx__AttributeProto *a = node->proto->attribute[i];
        if (!is_listed(o->attributes, text_of(a->name)))
            return MR_FAIL(err, MR_UNSUPPORTED, "attribute '%.80s' is not supported",
                           text_of(a->name));
        if (a->has_g || a->ref_attr_name != NULL)
            return MR_FAIL(err, MR_UNSUPPORTED, "attribute '%.80s' is a graph or a reference",
                           text_of(a->name));
    }
    return MR_OK;
}

static mr_status find_inputs(graph *g, mr_onnx_node *node, mr_error *err)
{
    const MrOnnx__NodeProto *p = node->proto;
    if (p->n_input > MR_ONNX_INPUTS_MAX || p->n_output > MR_ONNX_OUTPUTS_MAX)
        return MR_FAIL(err, MR_FULL, "%zu inputs and %zu outputs", p->n_input, p->n_output);
    node->in = MR_ARENA_ARRAY(&g->net.temp, const mr_tensor *, p->n_input + 1);
    node->out = MR_ARENA_ARRAY(&g->net.temp, mr_tensor, MR_ONNX_OUTPUTS_MAX);
    if (node->in == NULL || node->out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < p->n_input; i++) {
        if (p->input[i][0] == '\0')
            continue;
        named *slot = find_slot(g, p->input[i]);
        if (slot->name == NULL)
            return MR_FAIL(err, MR_INVALID, "input '%.80s' is not known here", p->input[i]);
        node->in[i] = &slot->tensor;
    }
    node->in_count = (uint32_t)p->n_input;
    node->out_count = (uint32_t)p->n_output;
    return MR_OK;
}

static mr_status define_outputs(graph *g, const mr_onnx_node *node, mr_error *err)
{
    for (uint32_t i = 0; i < node->out_count; i++)
        if (node->proto->output[i][0] != '\0')
            MR_TRY(define(g, node->proto->output[i], &node->out[i], err));
    return MR_OK;
}

static mr_status build_node(graph *g, const MrOnnx__NodeProto *proto, mr_error *err)
{
    mr_onnx_node node = {.proto = proto,
                         .operator= find_operator(proto),
                         .opset = opset_of(g, text_of(proto->domain)),
                         .net = &g->net};
    if (node.operator== NULL)
        return MR_FAIL(err, MR_UNSUPPORTED, "this operator is not supported");
    MR_TRY(find_inputs(g, &node, err));
    MR_TRY(check_node(&node, err));
    MR_TRY(node.operator->build(&node, err));
    return define_outputs(g, &node, err);
}

static mr_status build_nodes(graph *g, mr_error *err)
{
    if (g->proto->n_node > NODES_MAX)
        return MR_FAIL(err, MR_FULL, "a graph of %zu nodes; the limit is %u", g->proto->n_node,
                       NODES_MAX);
    for (size_t i = 0; i < g->proto->n_node; i++) {
        const MrOnnx__NodeProto *p = g->proto->node[i];
        const char *domain = text_of(p->domain);
        mr_status status = build_node(g, p, err);
        if (status == MR_OK)
            continue;
        mr_error_prefix(err, "graph.node[%zu] '%.80s' (%.40s of %.40s, opset %lld)", i,
                        text_of(p->name), text_of(p->op_type),
                        domain[0] != '\0' ? domain : "ai.onnx", (long long)opset_of(g, domain));
        return status;
    }
    return MR_OK;
}

/* ---- results ---- */

static mr_status find_results(graph *g, mr_net_result **out, mr_error *err)
{
    size_t count = g->proto->n_output;
    *out = MR_ARENA_ARRAY(&g->net.temp, mr_net_result, count + 1);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < count; i++) {
        const char *name = text_of(g->proto->output[i]->name);
        named *slot = find_slot(g, name);
        if (slot->name == NULL)
            return MR_FAIL(err, MR_INVALID, "output '%.80s' is computed by no node", name);
        (*out)[i] = (mr_net_result){slot->name, slot->tensor};
    }
    return MR_OK;
}

static mr_status build_graph(graph *g, mr_error *err)
{
    MR_TRY(make_table(g, err));
    MR_TRY(read_constants(g, err));
    MR_TRY(read_inputs(g, err));
    MR_TRY(name_columns(g, err));
    return build_nodes(g, err);
}

static mr_status make_model(graph *g, mr_model **out, mr_error *err)
{
    mr_net_result *results;
    MR_TRY(build_graph(g, err));
    MR_TRY(find_results(g, &results, err));
    mr_net_source source = {.objective = "onnx",
                            .inputs = g->inputs,
                            .input_count = g->input_count,
                            .names = g->has_names ? (const char *)g->names.data : NULL,
                            .results = results,
                            .result_count = (uint32_t)g->proto->n_output};
    return mr_net_model_create(&mr_model_onnx, &g->net, &source, g->options, out, err);
}

static mr_status open_graph(const MrOnnx__ModelProto *model, size_t size,
                            const mr_model_options *options, mr_model **out, mr_error *err)
{
    graph g = {.model = model, .proto = model->graph, .options = options};
    if (g.proto == NULL)
        return MR_FAIL(err, MR_INVALID, "ONNX model: there is no graph in it");
    const char *cpu =
        mr_setting_text(mr_model_onnx.settings, options->settings, options->setting_count, "cpu");
    mr_status status = mr_net_init(&g.net, size, cpu, err);
    g.net.tree_kind = &mr_model_onnx;
    g.net.settings = options->settings;
    g.net.setting_count = options->setting_count;
    if (status == MR_OK)
        status = make_model(&g, out, err);
    mr_net_deinit(&g.net);
    mr_bytes_deinit(&g.names);
    return status;
}

mr_status mr_onnx_open(const uint8_t *bytes, size_t size, const mr_model_options *options,
                       mr_model **out, mr_error *err)
{
    mr_net_proto proto;
    *out = NULL;
    mr_status status = mr_net_proto_open(&proto, &mr_onnx__model_proto__descriptor, bytes, size,
                                         "ONNX model", err);
    if (status == MR_OK)
        status = open_graph((const MrOnnx__ModelProto *)(const void *)proto.message, size, options,
                            out, err);
    mr_net_proto_close(&proto);
    return status;
}
