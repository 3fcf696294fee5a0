/* plan_reasons.c -- `score: reasons`: what is asked for, against the model there is. */
#include "pipeline/plan_internal.h"

#include "base/assert.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

static mr_status read_number(plan_maker *maker, const mr_spec_text *from, const char *key,
                             double *out)
{
    if (from->text == NULL || mr_number_is_float64(from->text, strlen(from->text), out))
        return MR_OK;
    return PLAN_FAIL(maker, from, MR_INVALID, "reasons: %s: '%s' is no number", key, from->text);
}

static mr_status read_count(plan_maker *maker, const mr_spec_text *from, uint32_t *out)
{
    int64_t count;
    if (!mr_number_is_int64(from->text, strlen(from->text), &count) || count < 1 ||
        count > MR_REASONS_COUNT_MAX)
        return PLAN_FAIL(maker, from, MR_INVALID, "reasons: '%s': 1 to %d can be given", from->text,
                         MR_REASONS_COUNT_MAX);
    *out = (uint32_t)count;
    return MR_OK;
}

static mr_status copy_groups(plan_maker *maker, const mr_spec_groups *from,
                             mr_reasons_options *options)
{
    mr_reasons_group *groups = MR_ARENA_ARRAY(maker->arena, mr_reasons_group, from->count + 1);
    if (groups == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (size_t g = 0; g < from->count; g++) {
        const mr_spec_group *group = &from->items[g];
        const char **members = MR_ARENA_ARRAY(maker->arena, const char *, group->members.count + 1);
        if (members == NULL)
            return MR_OUT_OF_MEMORY(maker->err);
        for (size_t i = 0; i < group->members.count; i++)
            members[i] = group->members.items[i].text;
        groups[g] = (mr_reasons_group){group->name.text, members, group->members.count};
    }
    options->groups = groups;
    options->group_count = from->count;
    return MR_OK;
}

static mr_status copy_texts(plan_maker *maker, const mr_spec_pairs *from,
                            mr_reasons_options *options)
{
    mr_reasons_text *texts = MR_ARENA_ARRAY(maker->arena, mr_reasons_text, from->count + 1);
    if (texts == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (size_t i = 0; i < from->count; i++)
        texts[i] = (mr_reasons_text){from->items[i].name.text, from->items[i].value.text};
    options->texts = texts;
    options->text_count = from->count;
    return MR_OK;
}

static mr_status read_all(plan_maker *maker, const mr_spec_reasons *from, plan_reasons *reasons)
{
    mr_reasons_options *options = &reasons->options;
    reasons->score_min = -(double)INFINITY;
    reasons->score_max = (double)INFINITY;
    MR_TRY(read_count(maker, &from->count, &options->count));
    if (from->direction.text != NULL &&
        !mr_reasons_direction_parse(from->direction.text, &options->direction))
        return PLAN_FAIL(maker, &from->direction, MR_INVALID,
                         "reasons: direction '%s' is none of higher, lower and absolute",
                         from->direction.text);
    MR_TRY(read_number(maker, &from->contribution_min, "min_contribution",
                       &options->contribution_min));
    MR_TRY(read_number(maker, &from->score_min, "min_score", &reasons->score_min));
    MR_TRY(read_number(maker, &from->score_max, "max_score", &reasons->score_max));
    MR_TRY(copy_groups(maker, &from->groups, options));
    return copy_texts(maker, &from->texts, options);
}

/* The model must be able to say, and know the names. */
static mr_status try_model(plan_maker *maker, const mr_spec_reasons *from,
                           const plan_reasons *reasons)
{
    mr_reasons *made;
    mr_status status =
        mr_reasons_create(maker->plan->score.model, &reasons->options, &made, maker->err);
    mr_reasons_destroy(made);
    if (status == MR_INVALID || status == MR_UNSUPPORTED)
        mr_error_place(maker->err, maker->plan->file, from->count.line, from->count.column);
    return status;
}

mr_status plan_make_reasons(plan_maker *maker)
{
    const mr_spec_reasons *from = &maker->spec->score.reasons;
    plan_score *score = &maker->plan->score;
    if (from->count.text == NULL)
        return MR_OK;
    plan_reasons *reasons = MR_ARENA_ARRAY(maker->arena, plan_reasons, 1);
    const char *name = mr_arena_printf(maker->arena, "%s_reasons", score->output);
    if (reasons == NULL || name == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    *reasons = (plan_reasons){.column = (uint32_t)maker->field_count};
    MR_TRY(read_all(maker, from, reasons));
    MR_TRY(try_model(maker, from, reasons));
    MR_TRY(plan_add_field(maker, &from->count, name, (mr_type){MR_STRING, 0}, true));
    score->reasons = reasons;
    score->output_count++;
    return MR_OK;
}

static void write_limit(mr_bytes *out, const char *words, double limit)
{
    char text[MR_NUMBER_TEXT_MAX];
    mr_bytes_printf(out, ", %s ", words);
    mr_bytes_append(out, text, mr_number_format_float64(limit, text));
}

void plan_write_reasons(mr_bytes *out, const plan_reasons *reasons)
{
    static const char *const directions[] = {"higher", "lower", "absolute"};
    const mr_reasons_options *options = &reasons->options;
    mr_bytes_printf(out, "  reasons %u %s", options->count, directions[options->direction]);
    if (options->contribution_min > 0)
        write_limit(out, "contribution >=", options->contribution_min);
    if (isfinite(reasons->score_min))
        write_limit(out, "score >=", reasons->score_min);
    if (isfinite(reasons->score_max))
        write_limit(out, "score <=", reasons->score_max);
    mr_bytes_append_byte(out, '\n');
    for (size_t g = 0; g < options->group_count; g++) {
        mr_bytes_printf(out, "    group %s:", options->groups[g].name);
        for (size_t i = 0; i < options->groups[g].member_count; i++)
            mr_bytes_printf(out, "%s %s", i > 0 ? "," : "", options->groups[g].members[i]);
        mr_bytes_append_byte(out, '\n');
    }
    for (size_t i = 0; i < options->text_count; i++)
        mr_bytes_printf(out, "    %s: %s\n", options->texts[i].name, options->texts[i].text);
}
