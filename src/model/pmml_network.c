/* pmml_network.c -- NeuralNetwork: inputs are expressions, layers are sums and activations, outputs are classes or a
 * number that is scaled back.
 *
 *   results[work ...] .... activations of all neurons: inputs first, then layer by layer
 *
 * A layer whose neurons all see the same neurons in the same order (every trainer's) is a matrix, weights[source][neuron],
 * so that a row is sums of columns; any other one is lists of connections. Sums begin with the bias, in file order. */
#include "model/pmml_reader.h"

#include "base/assert.h"
#include "model/pmml_link.h"

enum {
    ACT_THRESHOLD,
    ACT_LOGISTIC,
    ACT_TANH,
    ACT_IDENTITY,
    ACT_EXPONENTIAL,
    ACT_RECIPROCAL,
    ACT_SQUARE,
    ACT_GAUSS,
    ACT_SINE,
    ACT_COSINE,
    ACT_ELLIOTT,
    ACT_ARCTAN,
    ACT_RECTIFIER,
    ACT_RADIAL
};
enum { NORM_NONE, NORM_SIMPLEMAX, NORM_SOFTMAX };

static const char *const activations[] = {
    "threshold", "logistic", "tanh",    "identity", "exponential", "reciprocal",  "square", "Gauss",
    "sine",      "cosine",   "Elliott", "arctan",   "rectifier",   "radialBasis", NULL};
static const char *const normalizations[] = {"none", "simplemax", "softmax", NULL};

typedef struct network {
    mr_pmml_reader *r;
    const mr_pmml_frame *frame;
    mr_pmml_model *model;
    mr_bytes ids;     /* uint32_t per symbol: neuron + 1 */
    mr_bytes sources; /* uint32_t: of the present layer's connections */
    mr_bytes ends;    /* uint32_t: where each neuron's end */
    mr_bytes weights; /* double */
    uint32_t neurons;
    double threshold, width, altitude;
    uint8_t activation, normalization;
} network;

static bool add_neuron(network *n, uint32_t element)
{
    const char *id;
    if (!mr_pmml_need(n->r, element, "id", &id))
        return false;
    uint32_t symbol = mr_pmml_symbol(n->r, id);
    uint32_t *to = symbol == MR_PMML_NO_SYMBOL ? NULL : mr_pmml_map_at(n->r, &n->ids, symbol);
    if (to == NULL)
        return false;
    if (*to != 0)
        return mr_pmml_fail(n->r, element, MR_INVALID, "a second neuron '%.60s'", id);
    *to = ++n->neurons;
    return true;
}

static bool find_neuron(network *n, uint32_t element, const char *attribute, uint32_t *out)
{
    const char *id;
    if (!mr_pmml_need(n->r, element, attribute, &id))
        return false;
    *out = mr_pmml_map_find(n->r, &n->ids, id) - 1;
    return *out != MR_PMML_NONE ||
           mr_pmml_fail(n->r, element, MR_INVALID, "no neuron before it is called '%.60s'", id);
}

/* ---- inputs ---- */

static bool read_inputs(network *n, uint32_t element)
{
    size_t from = n->r->stack.size;
    uint32_t inputs = mr_xml_find(&n->r->xml, element, "NeuralInputs");
    if (inputs == MR_XML_NONE)
        return mr_pmml_fail(n->r, element, MR_INVALID, "it has no NeuralInputs");
    MR_PMML_EACH(n->r, input, inputs)
    {
        uint32_t field = mr_xml_find(&n->r->xml, input, "DerivedField"), expression;
        uint8_t type;
        if (field == MR_XML_NONE)
            return mr_pmml_fail(n->r, input, MR_INVALID, "it has no DerivedField");
        if (!mr_pmml_read_type(n->r, field, "dataType", MR_PMML_DOUBLE, &type) ||
            !mr_pmml_read_inner(n->r, field, type, &expression) ||
            !mr_pmml_read_cast(n->r, &expression, type) || !add_neuron(n, input) ||
            !mr_pmml_stack_push(n->r, expression))
            return false;
    }
    return mr_pmml_stack_take(n->r, from, &n->model->more);
}

/* ---- layers ---- */

static bool read_connections(network *n, uint32_t neuron)
{
    for (uint32_t con = mr_xml_find(&n->r->xml, neuron, "Con"); con != MR_XML_NONE;
         con = mr_xml_again(&n->r->xml, con, "Con")) {
        uint32_t source;
        double weight;
        if (!find_neuron(n, con, "from", &source) ||
            !mr_pmml_need_number(n->r, con, "weight", &weight))
            return false;
        mr_bytes_append_u32(&n->sources, source);
        mr_bytes_append(&n->weights, &weight, sizeof weight);
    }
    mr_bytes_append_u32(&n->ends, (uint32_t)(n->sources.size / sizeof(uint32_t)));
    return !(n->sources.failed || n->weights.failed || n->ends.failed) ||
           mr_pmml_out_of_memory(n->r);
}

static bool read_shape(network *n, uint32_t neuron, const mr_pmml_layer *layer, double width,
                       double altitude)
{
    if (layer->activation != ACT_RADIAL)
        return true;
    if (!mr_pmml_number(n->r, neuron, "width", width, &width) ||
        !mr_pmml_number(n->r, neuron, "altitude", altitude, &altitude))
        return false;
    if (!(width > 0) || !(altitude > 0))
        return mr_pmml_fail(n->r, neuron, MR_INVALID,
                            "radialBasis needs a width and an altitude above 0");
    return mr_pmml_add_number(n->r, width) && mr_pmml_add_number(n->r, altitude);
}

static bool is_matrix(const network *n, const mr_pmml_layer *layer)
{
    const uint32_t *sources = (const uint32_t *)(const void *)n->sources.data;
    const uint32_t *ends = (const uint32_t *)(const void *)n->ends.data;
    uint32_t width = layer->count > 0 ? ends[0] : 0;
    for (uint32_t i = 0; i < layer->count; i++)
        if (ends[i] != width * (i + 1) ||
            memcmp(sources + (size_t)width * i, sources, sizeof *sources * width) != 0)
            return false;
    return width > 0 && layer->activation != ACT_RADIAL;
}

static bool keep_indexes(network *n, const mr_bytes *from, uint32_t count, mr_pmml_range *out)
{
    *out = (mr_pmml_range){mr_pmml_index_count(n->r), count};
    for (uint32_t i = 0; i < count; i++)
        if (!mr_pmml_add_index(n->r, ((const uint32_t *)(const void *)from->data)[i]))
            return false;
    return true;
}

/* Weights turned, so that a source's are behind each other. */
static bool keep_weights(network *n, mr_pmml_layer *layer, bool matrix)
{
    const double *weights = (const double *)(const void *)n->weights.data;
    uint32_t count = (uint32_t)(n->weights.size / sizeof *weights), rows = layer->count;
    layer->weights = mr_pmml_number_count(n->r);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = matrix ? (i % rows) * (count / rows) + i / rows : i;
        if (!mr_pmml_add_number(n->r, weights[at]))
            return false;
    }
    return true;
}

static bool keep_layer(network *n, mr_pmml_layer *layer)
{
    bool matrix = is_matrix(n, layer);
    uint32_t all = (uint32_t)(n->sources.size / sizeof(uint32_t));
    if (!keep_indexes(n, &n->sources, matrix ? all / layer->count : all, &layer->sources) ||
        !keep_indexes(n, &n->ends, matrix ? 0 : layer->count, &layer->ends) ||
        !keep_weights(n, layer, matrix))
        return false;
    mr_pmml_layer *to = MR_PMML_PUSH(n->r, layers, mr_pmml_layer);
    if (to != NULL)
        *to = *layer;
    return to != NULL;
}

static bool read_head(network *n, uint32_t element, mr_pmml_layer *layer, double *width,
                      double *altitude)
{
    return mr_pmml_choice(n->r, element, "activationFunction", activations, n->activation,
                          &layer->activation) &&
           mr_pmml_choice(n->r, element, "normalizationMethod", normalizations, n->normalization,
                          &layer->normalization) &&
           mr_pmml_number(n->r, element, "threshold", n->threshold, &layer->threshold) &&
           mr_pmml_number(n->r, element, "width", n->width, width) &&
           mr_pmml_number(n->r, element, "altitude", n->altitude, altitude);
}

static bool read_layer(network *n, uint32_t element)
{
    mr_pmml_layer layer = {.first = n->neurons, .bias = mr_pmml_number_count(n->r)};
    double width, altitude, bias;
    mr_bytes_clear(&n->sources);
    mr_bytes_clear(&n->ends);
    mr_bytes_clear(&n->weights);
    if (!read_head(n, element, &layer, &width, &altitude))
        return false;
    for (uint32_t neuron = mr_xml_find(&n->r->xml, element, "Neuron"); neuron != MR_XML_NONE;
         neuron = mr_xml_again(&n->r->xml, neuron, "Neuron"), layer.count++)
        if (!mr_pmml_number(n->r, neuron, "bias", 0, &bias) || !mr_pmml_add_number(n->r, bias) ||
            !read_connections(n, neuron))
            return false;
    layer.shapes = mr_pmml_number_count(n->r);
    for (uint32_t neuron = mr_xml_find(&n->r->xml, element, "Neuron"); neuron != MR_XML_NONE;
         neuron = mr_xml_again(&n->r->xml, neuron, "Neuron"))
        if (!read_shape(n, neuron, &layer, width, altitude) || !add_neuron(n, neuron))
            return false;
    return layer.count > 0 ? keep_layer(n, &layer)
                           : mr_pmml_fail(n->r, element, MR_INVALID, "it has no Neuron");
}

/* ---- outputs ---- */

static bool read_output(network *n, uint32_t element)
{
    mr_pmml_neural_output output = {0};
    const char *class;
    uint32_t field = mr_xml_find(&n->r->xml, element, "DerivedField");
    uint32_t expression = field == MR_XML_NONE ? MR_XML_NONE : mr_xml_child(&n->r->xml, field);
    if (expression == MR_XML_NONE)
        return mr_pmml_fail(n->r, element, MR_INVALID, "it has no DerivedField with an expression");
    if (!find_neuron(n, element, "outputNeuron", &output.neuron))
        return false;
    bool ok;
    if (n->model->classifies)
        ok = mr_pmml_is(n->r, expression, "NormDiscrete")
                 ? mr_pmml_need(n->r, expression, "value", &class) &&
                       mr_pmml_class_of(n->r, expression, n->frame, class, &output.index)
                 : mr_pmml_refuse(n->r, expression);
    else if (mr_pmml_is(n->r, expression, "NormContinuous"))
        ok = mr_pmml_read_points(n->r, expression, &output.points);
    else
        ok = mr_pmml_is(n->r, expression, "FieldRef") || mr_pmml_refuse(n->r, expression);
    mr_pmml_neural_output *to =
        ok ? MR_PMML_PUSH(n->r, neural_outputs, mr_pmml_neural_output) : NULL;
    if (to != NULL)
        *to = output;
    return to != NULL;
}

static bool read_outputs(network *n, uint32_t element)
{
    uint32_t outputs = mr_xml_find(&n->r->xml, element, "NeuralOutputs");
    n->model->slots.first = MR_PMML_COUNT(n->r->program, neural_outputs, mr_pmml_neural_output);
    if (outputs == MR_XML_NONE)
        return mr_pmml_fail(n->r, element, MR_INVALID, "it has no NeuralOutputs");
    MR_PMML_EACH(n->r, output, outputs)
    {
        if (!read_output(n, output))
            return false;
        n->model->slots.count++;
    }
    uint32_t wanted = n->model->classifies ? n->frame->classes.count : 1;
    return n->model->slots.count == wanted ||
           mr_pmml_fail(n->r, outputs, MR_UNSUPPORTED, "%u outputs for %u %s",
                        n->model->slots.count, wanted, n->model->classifies ? "classes" : "number");
}

static bool read_layers(network *n, uint32_t element)
{
    n->model->parts.first = MR_PMML_COUNT(n->r->program, layers, mr_pmml_layer);
    for (uint32_t layer = mr_xml_find(&n->r->xml, element, "NeuralLayer"); layer != MR_XML_NONE;
         layer = mr_xml_again(&n->r->xml, layer, "NeuralLayer"), n->model->parts.count++)
        if (!read_layer(n, layer))
            return false;
    return true;
}

bool mr_pmml_read_network(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model)
{
    network n = {.r = r, .frame = frame, .model = model};
    const char *text;
    model->type = MR_PMML_NETWORK;
    bool ok =
        mr_pmml_need(r, element, "activationFunction", &text) &&
        mr_pmml_choice(r, element, "activationFunction", activations, 0, &n.activation) &&
        mr_pmml_choice(r, element, "normalizationMethod", normalizations, 0, &n.normalization) &&
        mr_pmml_number(r, element, "threshold", 0, &n.threshold) &&
        mr_pmml_number(r, element, "width", 0, &n.width) &&
        mr_pmml_number(r, element, "altitude", 1, &n.altitude) && read_inputs(&n, element) &&
        read_layers(&n, element) && read_outputs(&n, element);
    if (ok)
        model->work = mr_pmml_result(r, n.neurons);
    mr_bytes_deinit(&n.ids);
    mr_bytes_deinit(&n.sources);
    mr_bytes_deinit(&n.ends);
    mr_bytes_deinit(&n.weights);
    return ok && r->status == MR_OK;
}

/* ---- a row ---- */

static double activate(const mr_pmml_layer *layer, double z)
{
    switch (layer->activation) {
    case ACT_THRESHOLD:
        return z > layer->threshold;
    case ACT_LOGISTIC:
        return 1 / (1 + exp(-z));
    case ACT_TANH:
        return tanh(z);
    case ACT_IDENTITY:
    case ACT_RADIAL:
        return z;
    case ACT_EXPONENTIAL:
        return exp(z);
    case ACT_RECIPROCAL:
        return 1 / z;
    case ACT_SQUARE:
        return z * z;
    case ACT_GAUSS:
        return exp(-z * z);
    case ACT_SINE:
        return sin(z);
    case ACT_COSINE:
        return cos(z);
    case ACT_ELLIOTT:
        return z / (1 + fabs(z));
    case ACT_ARCTAN:
        return 2 * atan(z) / M_PI;
    default:
        MR_ASSERT(layer->activation == ACT_RECTIFIER);
        return z > 0 ? z : 0;
    }
}

static void sum_matrix(const mr_pmml *program, const mr_pmml_layer *layer, const double *from,
                       double *restrict to)
{
    const double *numbers = MR_PMML_LIST(program, numbers, double);
    const double *weights = numbers + layer->weights;
    const uint32_t *sources = MR_PMML_LIST(program, indexes, uint32_t) + layer->sources.first;
    memcpy(to, numbers + layer->bias, sizeof *to * layer->count);
    for (uint32_t s = 0; s < layer->sources.count; s++, weights += layer->count) {
        double x = from[sources[s]];
        for (uint32_t i = 0; i < layer->count; i++)
            to[i] += x * weights[i];
    }
}

static double radial(const double *shape, double sum, uint32_t count)
{
    return exp(count * log(shape[1]) - sum / (2 * shape[0] * shape[0]));
}

static void sum_lists(const mr_pmml *program, const mr_pmml_layer *layer, const double *from,
                      double *to)
{
    const double *numbers = MR_PMML_LIST(program, numbers, double);
    const double *weights = numbers + layer->weights, *shapes = numbers + layer->shapes;
    const uint32_t *indexes = MR_PMML_LIST(program, indexes, uint32_t);
    const uint32_t *sources = indexes + layer->sources.first, *ends = indexes + layer->ends.first;
    bool is_radial = layer->activation == ACT_RADIAL;
    for (uint32_t i = 0, at = 0; i < layer->count; i++) {
        uint32_t first = at;
        double sum = is_radial ? 0 : numbers[layer->bias + i];
        for (; at < ends[i]; at++) {
            double distance = weights[at] - from[sources[at]];
            sum += is_radial ? distance * distance : weights[at] * from[sources[at]];
        }
        to[i] = is_radial ? radial(shapes + 2 * (size_t)i, sum, at - first) : sum;
    }
}

static void run_layer(const mr_pmml *program, const mr_pmml_layer *layer, double *neurons)
{
    double *to = neurons + layer->first;
    if (layer->ends.count == 0)
        sum_matrix(program, layer, neurons, to);
    else
        sum_lists(program, layer, neurons, to);
    for (uint32_t i = 0; i < layer->count; i++)
        to[i] = activate(layer, to[i]);
    if (layer->normalization == NORM_SOFTMAX)
        mr_pmml_softmax(to, layer->count, false);
    else if (layer->normalization == NORM_SIMPLEMAX)
        mr_pmml_simplemax(to, layer->count);
}

/* Where on the broken line the value is reached; beyond its ends the outermost pieces go on. */
static double scale_back(const double *points, uint32_t count, double y)
{
    uint32_t i = 0;
    while (i + 2 < count &&
           (points[2 * i + 1] <= points[2 * i + 3] ? y > points[2 * i + 3] : y < points[2 * i + 3]))
        i++;
    const double *p = points + 2 * (size_t)i;
    return p[0] + (y - p[1]) / (p[3] - p[1]) * (p[2] - p[0]);
}

static void run_outputs(const mr_pmml *program, const mr_pmml_model *model, const double *neurons,
                        double *result)
{
    const mr_pmml_neural_output *outputs =
        MR_PMML_LIST(program, neural_outputs, mr_pmml_neural_output) + model->slots.first;
    const double *numbers = MR_PMML_LIST(program, numbers, double);
    uint32_t best = 0;
    if (!model->classifies) {
        double y = neurons[outputs[0].neuron];
        result[0] = outputs[0].points.count == 0
                        ? y
                        : scale_back(numbers + outputs[0].points.first, outputs[0].points.count, y);
        return;
    }
    for (uint32_t i = 0; i < model->slots.count; i++)
        result[1 + outputs[i].index] = neurons[outputs[i].neuron];
    for (uint32_t i = 1; i < model->classes.count; i++)
        best = result[1 + i] > result[1 + best] ? i : best;
    result[0] = isnan(result[1 + best]) ? NAN : (double)best;
}

void mr_pmml_run_network(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    const mr_pmml *program = state->program;
    double *neurons = state->results + model->work;
    const uint32_t *inputs = MR_PMML_LIST(program, indexes, uint32_t) + model->more.first;
    const mr_pmml_layer *layers = MR_PMML_LIST(program, layers, mr_pmml_layer) + model->parts.first;
    bool missing = false;
    for (uint32_t i = 0; i < model->more.count; i++) {
        neurons[i] = mr_pmml_evaluate(state, inputs[i]);
        state->failed |= mr_pmml_is_invalid(neurons[i]);
        missing |= isnan(neurons[i]);
    }
    result[0] = NAN;
    if (missing)
        return;
    for (uint32_t i = 0; i < model->parts.count; i++)
        run_layer(program, &layers[i], neurons);
    run_outputs(program, model, neurons, result);
}
