/* pmml_read.c -- a model element of any kind: its fields, its classes, its own part, its outputs.
 *
 * Classes have one order for a model and all models inside it that share its target: the target's Values in the
 * DataDictionary, then others in the order they occur. */
#include "model/pmml_read.h"

typedef bool (*read_part)(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model);

static const struct {
    const char *name;
    read_part read;
} kinds[] = {
    {"TreeModel", mr_pmml_read_tree},
    {"MiningModel", mr_pmml_read_mining},
    {"RegressionModel", mr_pmml_read_regression},
    {"GeneralRegressionModel", mr_pmml_read_general},
    {"NeuralNetwork", mr_pmml_read_network},
    {"AnomalyDetectionModel", NULL},
    {"AssociationModel", NULL},
    {"BayesianNetworkModel", NULL},
    {"BaselineModel", NULL},
    {"ClusteringModel", NULL},
    {"GaussianProcessModel", NULL},
    {"NaiveBayesModel", NULL},
    {"NearestNeighborModel", NULL},
    {"RuleSetModel", NULL},
    {"Scorecard", NULL},
    {"SequenceModel", NULL},
    {"SupportVectorMachineModel", NULL},
    {"TextModel", NULL},
    {"TimeSeriesModel", NULL},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

bool mr_pmml_is_model(const mr_pmml_reader *r, uint32_t element)
{
    for (size_t i = 0; i < KINDS; i++)
        if (mr_pmml_is(r, element, kinds[i].name))
            return true;
    return false;
}

/* ---- classes ---- */

static bool add_class(mr_pmml_reader *r, uint32_t element, const char *text, mr_pmml_range *classes)
{
    uint32_t symbol = mr_pmml_symbol(r, text);
    for (uint32_t i = 0; i < classes->count; i++)
        if (*MR_PMML_AT(r, indexes, uint32_t, classes->first + i) == symbol)
            return true;
    if (classes->count == MR_MODEL_OUTPUTS_MAX)
        return mr_pmml_fail(r, element, MR_FULL, "more than %d classes", MR_MODEL_OUTPUTS_MAX);
    classes->count++;
    return mr_pmml_add_index(r, symbol);
}

static bool add_classes_of_values(mr_pmml_reader *r, uint32_t data, mr_pmml_range *classes)
{
    for (uint32_t value = mr_xml_find(&r->xml, data, "Value"); value != MR_XML_NONE;
         value = mr_xml_again(&r->xml, value, "Value")) {
        const char *property = mr_pmml_get(r, value, "property"), *text;
        if (property != NULL && strcmp(property, "valid") != 0)
            continue;
        if (!mr_pmml_need(r, value, "value", &text) || !add_class(r, value, text, classes))
            return false;
    }
    return true;
}

static bool is_classification(const mr_pmml_reader *r, uint32_t element)
{
    const char *function = mr_pmml_get(r, element, "functionName");
    return function != NULL && strcmp(function, "classification") == 0;
}

/* Where an element may name a class. */
static const char *class_named(const mr_pmml_reader *r, uint32_t element)
{
    static const char *const places[][2] = {{"ScoreDistribution", "value"},
                                            {"Node", "score"},
                                            {"RegressionTable", "targetCategory"},
                                            {"PCell", "targetCategory"},
                                            {"TargetValue", "value"},
                                            {"GeneralRegressionModel", "targetReferenceCategory"}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (mr_pmml_is(r, element, places[i][0]))
            return mr_pmml_get(r, element, places[i][1]);
    return NULL;
}

/* A MiningSchema target of the element that is not `target`. */
static bool has_other_target(mr_pmml_reader *r, uint32_t element, const char *target)
{
    uint32_t schema = mr_xml_find(&r->xml, element, "MiningSchema");
    if (schema == MR_XML_NONE)
        return false;
    MR_PMML_EACH(r, field, schema)
    {
        const char *usage = mr_pmml_get(r, field, "usageType");
        const char *name = mr_pmml_get(r, field, "name");
        if (usage != NULL && name != NULL && target != NULL && strcmp(name, target) != 0 &&
            (strcmp(usage, "target") == 0 || strcmp(usage, "predicted") == 0))
            return true;
    }
    return false;
}

/* Whether the model's results are among another's classes, or numbers, or of another field. */
static bool is_apart(mr_pmml_reader *r, uint32_t element, const char *target)
{
    return mr_pmml_is_model(r, element) &&
           (!is_classification(r, element) || has_other_target(r, element, target));
}

/* Depth is bounded by that of the file. */
static bool add_classes_named(mr_pmml_reader *r, uint32_t element, const char *target,
                              mr_pmml_range *classes)
{
    MR_PMML_EACH(r, child, element)
    {
        const char *name = class_named(r, child);
        if (is_apart(r, child, target))
            continue;
        if ((name != NULL && !add_class(r, child, name, classes)) ||
            !add_classes_named(r, child, target, classes))
            return false;
    }
    return true;
}

static bool find_classes(mr_pmml_reader *r, uint32_t element, mr_pmml_frame *frame)
{
    uint32_t data = frame->target != NULL ? mr_pmml_map_find(r, &r->data, frame->target) : 0;
    const char *own = class_named(r, element);
    frame->classes = (mr_pmml_range){mr_pmml_index_count(r), 0};
    if ((data != 0 && !add_classes_of_values(r, data, &frame->classes)) ||
        (own != NULL && !add_class(r, element, own, &frame->classes)) ||
        !add_classes_named(r, element, frame->target, &frame->classes))
        return false;
    return frame->classes.count >= 2 ||
           mr_pmml_fail(r, element, MR_INVALID, "a classification into %u classes",
                        frame->classes.count);
}

bool mr_pmml_class_of(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                      const char *text, uint32_t *out)
{
    uint32_t symbol = mr_pmml_symbols_find(&r->program->symbols, text, strlen(text));
    for (*out = 0; *out < frame->classes.count; ++*out)
        if (*MR_PMML_AT(r, indexes, uint32_t, frame->classes.first + *out) == symbol)
            return true;
    return mr_pmml_fail(r, element, MR_INVALID, "'%.60s' is no class of the target", text);
}

/* ---- a model ---- */

static bool read_attributes(mr_pmml_reader *r, uint32_t element, mr_pmml_model *model)
{
    static const char *const functions[] = {"regression", "classification", NULL};
    static const char *const widths[] = {"double", "float", NULL};
    const char *text, *scorable = mr_pmml_get(r, element, "isScorable");
    uint8_t function, width;
    if (!mr_pmml_need(r, element, "functionName", &text) ||
        !mr_pmml_choice(r, element, "functionName", functions, 0, &function) ||
        !mr_pmml_choice(r, element, "x-mathContext", widths, 0, &width))
        return false;
    if (scorable != NULL && strcmp(scorable, "false") == 0)
        return mr_pmml_fail(r, element, MR_UNSUPPORTED, "isScorable is false");
    model->classifies = function == 1;
    model->single = width == 1;
    return true;
}

/* The order of classes matters only to ordinal ones. */
static bool is_ordinal(mr_pmml_reader *r, const char *target)
{
    uint32_t data = target != NULL ? mr_pmml_map_find(r, &r->data, target) : 0;
    const char *optype = data != 0 ? mr_pmml_get(r, data, "optype") : NULL;
    return optype != NULL && strcmp(optype, "ordinal") == 0;
}

static bool read_frame(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *outer,
                       const char *target, const mr_pmml_model *model, mr_pmml_frame *out)
{
    bool same = outer != NULL && outer->classes.count > 0 &&
                (target == NULL || outer->target == NULL || strcmp(target, outer->target) == 0);
    *out = (mr_pmml_frame){.target = target == NULL && outer != NULL ? outer->target : target};
    if (!model->classifies)
        return true;
    if (same)
        out->classes = outer->classes;
    return same || find_classes(r, element, out);
}

static bool read_fields(mr_pmml_reader *r, uint32_t element, bool is_top, mr_pmml_model *model,
                        const char **out_target)
{
    uint32_t local = mr_xml_find(&r->xml, element, "LocalTransformations");
    model->steps.first = MR_PMML_COUNT(r->program, steps, mr_pmml_step);
    if (!mr_pmml_read_schema(r, element, is_top, out_target) ||
        (is_top && r->transformations != MR_XML_NONE &&
         !mr_pmml_read_derived(r, r->transformations)) ||
        (local != MR_XML_NONE && !mr_pmml_read_derived(r, local)))
        return false;
    model->steps.count = MR_PMML_COUNT(r->program, steps, mr_pmml_step) - model->steps.first;
    return true;
}

/* Later models see the outputs after the model's own names are gone. */
static bool bind_outputs(mr_pmml_reader *r, const mr_pmml_model *model)
{
    for (uint32_t i = 0; i < model->outputs.count; i++) {
        const mr_pmml_output *o = MR_PMML_AT(r, outputs, mr_pmml_output, model->outputs.first + i);
        mr_pmml_field field = {.slot = o->slot, .type = o->type};
        /* Binding a known symbol adds no text, so the name stays where it is. */
        if (!mr_pmml_bind(r, mr_pmml_symbols_text(&r->program->symbols, o->name), &field))
            return false;
    }
    return true;
}

static bool read_inside(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *outer,
                        read_part read, mr_pmml_model *model)
{
    mr_pmml_frame frame;
    const char *target;
    if (!read_attributes(r, element, model) ||
        !read_fields(r, element, outer == NULL, model, &target) ||
        !read_frame(r, element, outer, target, model, &frame))
        return false;
    model->classes = frame.classes;
    model->ordinal = is_ordinal(r, frame.target);
    model->result = mr_pmml_result(r, 1 + model->classes.count);
    return r->status == MR_OK && read(r, element, &frame, model) &&
           mr_pmml_read_targets(r, element, &frame, model) &&
           mr_pmml_read_outputs(r, element, &frame, model);
}

static bool read_model(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *outer,
                       mr_pmml_model *model)
{
    size_t mark = mr_pmml_bound_mark(r);
    for (size_t i = 0; i < KINDS; i++) {
        if (!mr_pmml_is(r, element, kinds[i].name))
            continue;
        if (kinds[i].read == NULL)
            return mr_pmml_fail(r, element, MR_UNSUPPORTED,
                                "models of this kind are not supported");
        if (!read_inside(r, element, outer, kinds[i].read, model))
            return false;
        mr_pmml_bound_undo(r, mark);
        return bind_outputs(r, model);
    }
    return mr_pmml_refuse(r, element);
}

bool mr_pmml_read_model(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *outer,
                        uint32_t *out)
{
    mr_pmml_model model = {.target = MR_PMML_NONE};
    if (!mr_pmml_enter(r, element))
        return false;
    bool ok = read_model(r, element, outer, &model);
    mr_pmml_leave(r);
    *out = MR_PMML_COUNT(r->program, models, mr_pmml_model);
    mr_pmml_model *to = ok ? MR_PMML_PUSH(r, models, mr_pmml_model) : NULL;
    if (to != NULL)
        *to = model;
    return to != NULL;
}

/* ---- the file ---- */

static bool read_root(mr_pmml_reader *r, uint32_t *out_model)
{
    const char *version;
    uint32_t dictionary = mr_xml_find(&r->xml, 0, "DataDictionary");
    *out_model = MR_XML_NONE;
    if (!mr_pmml_is(r, 0, "PMML"))
        return mr_pmml_fail(r, 0, MR_INVALID, "it should be <PMML>");
    if (!mr_pmml_need(r, 0, "version", &version))
        return false;
    if (strncmp(version, "4.", 2) != 0)
        return mr_pmml_fail(r, 0, MR_UNSUPPORTED, "version %.20s; 4.x is supported", version);
    MR_PMML_EACH(r, child, 0)
    {
        if (!mr_pmml_is_model(r, child))
            continue;
        if (*out_model != MR_XML_NONE)
            return mr_pmml_fail(r, child, MR_UNSUPPORTED, "a second model in one file");
        *out_model = child;
    }
    if (*out_model == MR_XML_NONE || dictionary == MR_XML_NONE)
        return mr_pmml_fail(r, 0, MR_INVALID, "it has no %s",
                            dictionary == MR_XML_NONE ? "DataDictionary" : "model");
    return mr_pmml_read_dictionary(r, dictionary);
}

static bool read_document(mr_pmml_reader *r, uint32_t *out_model)
{
    r->program->slot_count = 1; /* minus infinity */
    if (!read_root(r, out_model))
        return false;
    r->transformations = mr_xml_find(&r->xml, 0, "TransformationDictionary");
    return (r->transformations == MR_XML_NONE || mr_pmml_read_functions(r, r->transformations)) &&
           mr_pmml_read_model(r, *out_model, NULL, &r->program->top);
}

mr_status mr_pmml_read(mr_pmml_reader *r, mr_pmml *program, const void *bytes, size_t size,
                       uint32_t *out_model, mr_error *err)
{
    static const char *const skip[] = {"Extension", "MiningBuildTask", "ModelStats",
                                       "ModelExplanation", NULL};
    *r = (mr_pmml_reader){.program = program, .err = err};
    MR_TRY(mr_pmml_init(program, err));
    if (!mr_bytes_reserve(&r->stack, sizeof(uint32_t)))
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_xml_read(&r->xml, bytes, size, skip, err));
    (void)read_document(r, out_model);
    return r->status;
}

void mr_pmml_reader_deinit(mr_pmml_reader *r)
{
    mr_xml_deinit(&r->xml);
    mr_bytes_deinit(&r->bound);
    mr_bytes_deinit(&r->fields);
    mr_bytes_deinit(&r->undo);
    mr_bytes_deinit(&r->functions);
    mr_bytes_deinit(&r->data);
    mr_bytes_deinit(&r->stack);
}
