/* pmml_output.c -- Targets and Output: what becomes of a result, and under which names others see it.
 *
 * OutputFields are predictedValue, probability (of a value), transformedValue and decision. Of other features only the
 * name is kept: a file that merely lists them loads, one that refers to them is refused. */
#include "model/pmml_reader.h"

/* ---- compiling: Targets ---- */

static bool read_priors(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                        mr_pmml_target *target)
{
    double given = 0, prior;
    uint32_t first = mr_pmml_number_count(r);
    for (uint32_t i = 0; i < frame->classes.count; i++)
        if (!mr_pmml_add_number(r, 0))
            return false;
    for (uint32_t value = mr_xml_find(&r->xml, element, "TargetValue"); value != MR_XML_NONE;
         value = mr_xml_again(&r->xml, value, "TargetValue")) {
        const char *text = mr_pmml_get(r, value, "value");
        uint32_t class;
        if (!mr_pmml_number(r, value, "priorProbability", 0, &prior))
            return false;
        if (text == NULL || prior == 0)
            continue;
        if (!mr_pmml_class_of(r, value, frame, text, &class))
            return false;
        *MR_PMML_AT(r, numbers, double, first + class) = prior;
        given += prior;
    }
    if (given > 0)
        target->priors = (mr_pmml_range){first, frame->classes.count};
    return true;
}

static bool read_target(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                        mr_pmml_model *model)
{
    static const char *const casts[] = {"", "round", "ceiling", "floor", NULL};
    mr_pmml_target target = {.when_missing = NAN};
    if (!mr_pmml_number(r, element, "min", -INFINITY, &target.min) ||
        !mr_pmml_number(r, element, "max", INFINITY, &target.max) ||
        !mr_pmml_number(r, element, "rescaleFactor", 1, &target.factor) ||
        !mr_pmml_number(r, element, "rescaleConstant", 0, &target.constant) ||
        !mr_pmml_choice(r, element, "castInteger", casts, 0, &target.cast))
        return false;
    uint32_t value = mr_xml_find(&r->xml, element, "TargetValue");
    if (model->classifies ? !read_priors(r, element, frame, &target)
                          : value != MR_XML_NONE && !mr_pmml_number(r, value, "defaultValue", NAN,
                                                                    &target.when_missing))
        return false;
    model->target = MR_PMML_COUNT(r->program, targets, mr_pmml_target);
    mr_pmml_target *to = MR_PMML_PUSH(r, targets, mr_pmml_target);
    if (to != NULL)
        *to = target;
    return to != NULL;
}

bool mr_pmml_read_targets(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model)
{
    uint32_t targets = mr_xml_find(&r->xml, element, "Targets");
    model->target = MR_PMML_NONE;
    if (targets == MR_XML_NONE)
        return true;
    MR_PMML_EACH(r, target, targets)
    {
        const char *field = mr_pmml_get(r, target, "field");
        if (!mr_pmml_is(r, target, "Target"))
            return mr_pmml_refuse(r, target);
        bool ours = field == NULL || frame->target == NULL || strcmp(field, frame->target) == 0;
        if (ours)
            return read_target(r, target, frame, model);
    }
    return true;
}

/* ---- compiling: Output ---- */

/* The classes as values of the output's type, so that later predicates can compare them. */
static bool read_codes(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                       mr_pmml_output *output)
{
    uint8_t type = MR_PMML_STRING;
    uint32_t data = frame->target != NULL ? mr_pmml_map_find(r, &r->data, frame->target) : 0;
    if ((data != 0 && !mr_pmml_read_type(r, data, "dataType", type, &type)) ||
        !mr_pmml_read_type(r, element, "dataType", type, &output->type))
        return false;
    output->codes = (mr_pmml_range){mr_pmml_number_count(r), frame->classes.count};
    for (uint32_t i = 0; i < frame->classes.count; i++) {
        uint32_t symbol = *MR_PMML_AT(r, indexes, uint32_t, frame->classes.first + i);
        double code;
        /* The text moves when symbols are added; of a string the code is the symbol itself. */
        if (output->type == MR_PMML_STRING)
            code = symbol;
        else if (!mr_pmml_read_value(r, element, mr_pmml_symbols_text(&r->program->symbols, symbol),
                                     output->type, &code))
            return false;
        if (!mr_pmml_add_number(r, code))
            return false;
    }
    return true;
}

static bool read_probability(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                             mr_pmml_output *output)
{
    const char *value = mr_pmml_get(r, element, "value");
    output->type = MR_PMML_DOUBLE;
    output->index = MR_PMML_NONE;
    return value == NULL || mr_pmml_class_of(r, element, frame, value, &output->index);
}

static bool read_transformed(mr_pmml_reader *r, uint32_t element, mr_pmml_output *output)
{
    uint8_t type = UINT8_MAX;
    if (!mr_pmml_read_type(r, element, "dataType", UINT8_MAX, &type) ||
        !mr_pmml_read_inner(r, element, type == UINT8_MAX ? -1 : type, &output->index) ||
        (type != UINT8_MAX && !mr_pmml_read_cast(r, &output->index, type)))
        return false;
    output->type = MR_PMML_AT(r, expressions, mr_pmml_expression, output->index)->type;
    return true;
}

static bool read_predicted(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                           const mr_pmml_model *model, mr_pmml_output *output)
{
    if (model->classifies)
        return read_codes(r, element, frame, output);
    /* A regression's number is what it is; "integer" and the like are how it is to be shown. */
    output->type = model->single ? MR_PMML_FLOAT : MR_PMML_DOUBLE;
    return true;
}

static bool bind_unknown(mr_pmml_reader *r, uint32_t element, const char *name)
{
    (void)element;
    return mr_pmml_bind(r, name,
                        &(mr_pmml_field){.slot = MR_PMML_NONE,
                                         .why = "an OutputField of this feature is not supported"});
}

static bool read_output(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                        mr_pmml_model *model)
{
    mr_pmml_output output = {0};
    const char *name, *feature = mr_pmml_get(r, element, "feature");
    feature = feature != NULL ? feature : "predictedValue";
    if (!mr_pmml_need(r, element, "name", &name))
        return false;
    bool predicted = strcmp(feature, "predictedValue") == 0, ok;
    bool probability = strcmp(feature, "probability") == 0 && model->classifies;
    bool transformed = strcmp(feature, "transformedValue") == 0 || strcmp(feature, "decision") == 0;
    if (mr_pmml_get(r, element, "segmentId") != NULL ||
        (!predicted && !probability && !transformed))
        return bind_unknown(r, element, name);
    output.feature = predicted     ? MR_PMML_PREDICTED
                     : probability ? MR_PMML_PROBABILITY
                                   : MR_PMML_TRANSFORMED;
    ok = predicted     ? read_predicted(r, element, frame, model, &output)
         : probability ? read_probability(r, element, frame, &output)
                       : read_transformed(r, element, &output);
    output.name = mr_pmml_symbol(r, name);
    output.slot = mr_pmml_slot(r, element);
    mr_pmml_output *to = ok ? MR_PMML_PUSH(r, outputs, mr_pmml_output) : NULL;
    if (to == NULL || output.slot == MR_PMML_NONE)
        return false;
    *to = output;
    return mr_pmml_bind(r, name, &(mr_pmml_field){.slot = output.slot, .type = output.type});
}

bool mr_pmml_read_outputs(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model)
{
    uint32_t list = mr_xml_find(&r->xml, element, "Output");
    model->outputs.first = MR_PMML_COUNT(r->program, outputs, mr_pmml_output);
    if (list == MR_XML_NONE)
        return true;
    MR_PMML_EACH(r, output, list)
    {
        if (!mr_pmml_is(r, output, "OutputField"))
            return mr_pmml_refuse(r, output);
        if (!read_output(r, output, frame, model))
            return false;
    }
    model->outputs.count =
        MR_PMML_COUNT(r->program, outputs, mr_pmml_output) - model->outputs.first;
    return true;
}

/* ---- a row ---- */

static double cast(uint8_t how, double x)
{
    return how == MR_PMML_CAST_ROUND     ? (x - floor(x) == 0.5 ? ceil(x) : round(x))
           : how == MR_PMML_CAST_CEILING ? ceil(x)
           : how == MR_PMML_CAST_FLOOR   ? floor(x)
                                         : x;
}

static double rescale(const mr_pmml_model *model, const mr_pmml_target *t, double x)
{
    if (isnan(x))
        return t->when_missing;
    x = x < t->min ? t->min : x > t->max ? t->max : x;
    if (model->single)
        x = (double)((float)x * (float)t->factor + (float)t->constant);
    else
        x = x * t->factor + t->constant;
    return cast(t->cast, x);
}

static void apply_priors(const mr_pmml_state *state, const mr_pmml_target *t, double *result)
{
    const double *priors = MR_PMML_LIST(state->program, numbers, double) + t->priors.first;
    uint32_t best = 0;
    if (!isnan(result[0]) || t->priors.count == 0)
        return;
    for (uint32_t i = 0; i < t->priors.count; i++) {
        result[1 + i] = priors[i];
        best = priors[i] > priors[best] ? i : best;
    }
    result[0] = best;
}

void mr_pmml_apply_target(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    const mr_pmml_target *t = MR_PMML_LIST(state->program, targets, mr_pmml_target) + model->target;
    if (model->classifies)
        apply_priors(state, t, result);
    else
        result[0] = rescale(model, t, result[0]);
}

static double output_value(mr_pmml_state *state, const mr_pmml_output *o, const double *result)
{
    const double *numbers = MR_PMML_LIST(state->program, numbers, double);
    if (o->feature == MR_PMML_TRANSFORMED)
        return mr_pmml_evaluate(state, o->index);
    if (isnan(result[0]))
        return NAN;
    if (o->feature == MR_PMML_PROBABILITY)
        return result[1 + (o->index != MR_PMML_NONE ? o->index : (uint32_t)result[0])];
    return o->codes.count > 0 ? numbers[o->codes.first + (uint32_t)result[0]] : result[0];
}

void mr_pmml_fill_outputs(mr_pmml_state *state, const mr_pmml_model *model, const double *result)
{
    const mr_pmml_output *outputs =
        MR_PMML_LIST(state->program, outputs, mr_pmml_output) + model->outputs.first;
    for (uint32_t i = 0; i < model->outputs.count; i++)
        state->slots[outputs[i].slot] = output_value(state, &outputs[i], result);
}
