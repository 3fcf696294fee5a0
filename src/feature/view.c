/* view.c -- birth, questions and death of a view, and the read of one key. Thread: the pipeline's. */
#include "feature/feature_internal.h"

mr_status mr_view_create(const mr_view_spec *spec, mr_state *state, mr_view **out, mr_error *err)
{
    mr_view *view = MR_NEW(mr_view);
    *out = NULL;
    if (view == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = MR_OK;
    MR_GOTO(done, status, feature_plan_build(spec, &view->arena, &view->plan, err));
    feature_plan_text(spec, &view->plan, &view->text);
    view->name = mr_arena_strdup(&view->arena, spec->name);
    if (view->name == NULL || view->text.failed) {
        status = MR_OUT_OF_MEMORY(err);
        goto done;
    }
    view->fingerprint = mr_hash64(view->text.data, view->text.size);
    const mr_table_options options = {
        .name = view->name,
        .fingerprint = view->fingerprint,
        .kind = spec->ttl_us > 0 ? &feature_table_kind_ttl : &feature_table_kind,
        .context = view,
        .value_bytes = view->plan.value_bytes,
        .byte_keys = view->plan.byte_keys,
        .ttl_us = spec->ttl_us,
    };
    if (state != NULL)
        status = mr_state_add_table(state, &options, &view->table, err);
done:
    if (status != MR_OK)
        mr_view_destroy(view);
    else
        *out = view;
    return status;
}

void mr_view_destroy(mr_view *view)
{
    if (view == NULL)
        return;
    mr_bytes_deinit(&view->text);
    mr_arena_deinit(&view->arena);
    mr_free(view);
}

mr_table *mr_view_table(const mr_view *view)
{
    return view->table;
}

const char *mr_view_name(const mr_view *view)
{
    return view->name;
}

uint64_t mr_view_fingerprint(const mr_view *view)
{
    return view->fingerprint;
}

void mr_view_text(const mr_view *view, mr_bytes *out)
{
    mr_bytes_append(out, view->text.data, view->text.size);
}

size_t mr_view_output_count(const mr_view *view)
{
    return view->plan.output_count;
}

mr_view_output mr_view_output_at(const mr_view *view, size_t index)
{
    MR_ASSERT(index < view->plan.output_count);
    return (mr_view_output){view->plan.outputs[index].name, view->plan.outputs[index].type};
}

int64_t mr_view_reach_us(const mr_view *view)
{
    const feature_plan *plan = &view->plan;
    return plan->keep_first < plan->window_count ? INT64_MAX : plan->reach_us + plan->lateness_us;
}

void mr_view_stats_get(const mr_view *view, mr_view_stats *out)
{
    *out = view->stats;
}

/* ---- one key ---- */

/* A column of one row for every value. */
static mr_status key_columns(const feature_plan *plan, const mr_view_key *keys, mr_column *columns,
                             int64_t *words, int32_t *offsets)
{
    static const uint8_t no_bits[1] = {0};
    for (uint32_t i = 0; i < plan->key_count; i++) {
        columns[i] = (mr_column){.type = plan->keys[i], .values = &words[i]};
        words[i] = keys[i].word;
        if (mr_type_is_text(plan->keys[i].id)) {
            offsets[2 * i] = 0;
            offsets[2 * i + 1] = (int32_t)keys[i].text.size;
            columns[i].values = keys[i].text.bytes;
            columns[i].offsets = &offsets[2 * i];
        } else if (plan->keys[i].id == MR_INT32) {
            int32_t narrow = (int32_t)keys[i].word;
            memcpy(&words[i], &narrow, sizeof narrow);
        } else if (plan->keys[i].id == MR_BOOL) {
            uint8_t bit = keys[i].word != 0;
            memcpy(&words[i], &bit, sizeof bit);
        }
        if (keys[i].null) {
            columns[i].validity = no_bits;
            columns[i].null_count = 1;
        }
    }
    return MR_OK;
}

mr_status mr_view_get(mr_view *view, const mr_view_key *key, int64_t as_of_us, mr_column *columns,
                      bool *out_found, uint64_t *out_bytes, mr_error *err)
{
    mr_column keys[MR_VIEW_KEYS_MAX];
    int64_t words[MR_VIEW_KEYS_MAX];
    int32_t offsets[2 * MR_VIEW_KEYS_MAX];
    mr_view_work *work = NULL;
    MR_TRY(key_columns(&view->plan, key, keys, words, offsets));
    MR_TRY(mr_view_work_create(view, 1, &work, err));
    mr_status status = work_ask(work, keys, as_of_us, columns, out_found, out_bytes, err);
    mr_view_work_destroy(work);
    return status;
}
