/* pmml_mining.c -- MiningModel: segments compiled, and forests found among them.
 *
 * Where every segment is a tree, always true, with nothing between the outer fields and it, and results are summed or
 * averaged, the segments become a list of trees that are walked together (MR_PMML_FOREST). */
#include "model/pmml_reader.h"

static bool is_forest_tree(mr_pmml_reader *r, const mr_pmml_model *mining,
                           const mr_pmml_segment *segment)
{
    const mr_pmml_model *model = MR_PMML_AT(r, models, mr_pmml_model, segment->model);
    bool is_true;
    return mr_pmml_predicate_constant(
               MR_PMML_AT(r, predicates, mr_pmml_predicate, segment->predicate), &is_true) &&
           is_true && model->type == MR_PMML_TREE && model->steps.count == 0 &&
           model->target == MR_PMML_NONE && model->outputs.count == 0 &&
           model->classifies == mining->classifies && model->classes.first == mining->classes.first;
}

/* Marks each slot the tree looks at in a map on the stack; false: it asks more than levels. */
static bool mark_slots(mr_pmml_reader *r, uint32_t first, uint32_t end, uint8_t *seen)
{
    bool plain = true;
    for (uint32_t i = first; i < end; i++) {
        const mr_pmml_node *node = MR_PMML_AT(r, nodes, mr_pmml_node, i);
        plain &= node->op != MR_PMML_NODE_ASK;
        seen[node->slot] = 1;
    }
    return plain;
}

static bool find_slots(mr_pmml_reader *r, mr_pmml_model *mining, uint32_t first_node)
{
    uint8_t *seen = mr_alloc_zero(r->program->slot_count, 1);
    if (seen == NULL)
        return mr_pmml_out_of_memory(r);
    mining->plain = mark_slots(r, first_node, MR_PMML_COUNT(r->program, nodes, mr_pmml_node), seen);
    mining->slots.first = mr_pmml_index_count(r);
    for (uint32_t i = 0; i < r->program->slot_count; i++)
        if (seen[i] && mr_pmml_add_index(r, i))
            mining->slots.count++;
    mr_free(seen);
    return r->status == MR_OK;
}

static bool make_forest(mr_pmml_reader *r, mr_pmml_model *mining, uint32_t first_node)
{
    mr_pmml_range segments = mining->parts;
    mining->more.first = mr_pmml_number_count(r);
    mining->parts = (mr_pmml_range){MR_PMML_COUNT(r->program, trees, mr_pmml_tree), 0};
    for (uint32_t i = 0; i < segments.count; i++) {
        mr_pmml_segment segment = *MR_PMML_AT(r, segments, mr_pmml_segment, segments.first + i);
        uint32_t part = MR_PMML_AT(r, models, mr_pmml_model, segment.model)->parts.first;
        mr_pmml_tree *tree = MR_PMML_PUSH(r, trees, mr_pmml_tree);
        if (tree == NULL || !mr_pmml_add_number(r, segment.weight))
            return false;
        *tree = *MR_PMML_AT(r, trees, mr_pmml_tree, part);
        mining->parts.count++;
        mining->more.count++;
    }
    mining->type = MR_PMML_FOREST;
    return find_slots(r, mining, first_node);
}

static bool make_forest_if(mr_pmml_reader *r, mr_pmml_model *mining, uint32_t first_node)
{
    bool fits = mining->method <= MR_PMML_WEIGHTED_AVERAGE;
    for (uint32_t i = 0; i < mining->parts.count && fits; i++)
        fits = is_forest_tree(r, mining,
                              MR_PMML_AT(r, segments, mr_pmml_segment, mining->parts.first + i));
    return !fits || make_forest(r, mining, first_node);
}

/* ---- segments ---- */

static bool read_segment(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                         mr_pmml_segment *out)
{
    uint32_t predicate, model = MR_XML_NONE;
    MR_PMML_EACH(r, child, element)
    {
        if (mr_pmml_is_model(r, child))
            model = child;
        else if (!mr_pmml_is_predicate(r, child))
            return mr_pmml_refuse(r, child);
    }
    if (model == MR_XML_NONE)
        return mr_pmml_fail(r, element, MR_INVALID, "it has no model");
    return mr_pmml_number(r, element, "weight", 1, &out->weight) &&
           mr_pmml_find_predicate(r, element, &predicate) &&
           mr_pmml_read_predicate(r, predicate, &out->predicate) &&
           mr_pmml_read_model(r, model, frame, &out->model);
}

/* What a combined segment must be; those of a chain may be anything. */
static bool check_segment(mr_pmml_reader *r, uint32_t element, const mr_pmml_model *mining,
                          const mr_pmml_segment *segment)
{
    const mr_pmml_model *model = MR_PMML_AT(r, models, mr_pmml_model, segment->model);
    if (mining->method == MR_PMML_CHAIN ||
        (model->classifies == mining->classifies && model->classes.first == mining->classes.first))
        return true;
    return mr_pmml_fail(r, element, MR_INVALID,
                        "its model's functionName or target is not that of the MiningModel");
}

static bool read_segments(mr_pmml_reader *r, uint32_t segmentation, const mr_pmml_frame *frame,
                          mr_pmml_model *model)
{
    mr_bytes segments = {0};
    MR_PMML_EACH(r, child, segmentation)
    {
        mr_pmml_segment segment = {0};
        if (!mr_pmml_is(r, child, "Segment")) {
            (void)mr_pmml_refuse(r, child);
            break;
        }
        if (!read_segment(r, child, frame, &segment) || !check_segment(r, child, model, &segment))
            break;
        mr_bytes_append(&segments, &segment, sizeof segment);
    }
    if (segments.failed)
        (void)mr_pmml_out_of_memory(r);
    model->parts = (mr_pmml_range){MR_PMML_COUNT(r->program, segments, mr_pmml_segment),
                                   (uint32_t)(segments.size / sizeof(mr_pmml_segment))};
    for (uint32_t i = 0; i < model->parts.count; i++) {
        mr_pmml_segment *to = MR_PMML_PUSH(r, segments, mr_pmml_segment);
        if (to != NULL)
            *to = ((const mr_pmml_segment *)(const void *)segments.data)[i];
    }
    mr_bytes_deinit(&segments);
    if (r->status == MR_OK && model->parts.count == 0)
        return mr_pmml_fail(r, segmentation, MR_INVALID, "it has no Segment");
    return r->status == MR_OK;
}

static bool check_method(mr_pmml_reader *r, uint32_t segmentation, const mr_pmml_model *model)
{
    bool votes = model->method == MR_PMML_MAJORITY || model->method == MR_PMML_WEIGHTED_MAJORITY;
    if (model->classifies ? model->method == MR_PMML_SUM : votes)
        return mr_pmml_fail(r, segmentation, MR_INVALID, "this multipleModelMethod is for %s",
                            model->classifies ? "regression" : "classification");
    return true;
}

bool mr_pmml_read_mining(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                         mr_pmml_model *model)
{
    static const char *const methods[] = {"sum",
                                          "average",
                                          "weightedAverage",
                                          "median",
                                          "max",
                                          "majorityVote",
                                          "weightedMajorityVote",
                                          "modelChain",
                                          "selectFirst",
                                          NULL};
    static const char *const missing[] = {"continue", "skipSegment", "returnMissing", NULL};
    const char *text;
    uint32_t segmentation = mr_xml_find(&r->xml, element, "Segmentation");
    uint32_t first_node = MR_PMML_COUNT(r->program, nodes, mr_pmml_node);
    if (segmentation == MR_XML_NONE)
        return mr_pmml_fail(r, element, MR_UNSUPPORTED,
                            "a MiningModel without Segmentation is not supported");
    model->type = MR_PMML_MINING;
    if (!mr_pmml_need(r, segmentation, "multipleModelMethod", &text) ||
        !mr_pmml_choice(r, segmentation, "multipleModelMethod", methods, 0, &model->method) ||
        !mr_pmml_choice(r, segmentation, "missingPredictionTreatment", missing, 0,
                        &model->missing) ||
        !mr_pmml_number(r, segmentation, "missingThreshold", 1, &model->threshold) ||
        !check_method(r, segmentation, model) || !read_segments(r, segmentation, frame, model))
        return false;
    model->work = mr_pmml_result(r, model->parts.count * (2 + model->classes.count));
    return r->status == MR_OK && make_forest_if(r, model, first_node);
}
