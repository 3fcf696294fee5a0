/* why_model.c -- who played when a decision was made, what each version says of it, and where it comes from. */
#include "cmd/why.h"

#include "base/assert.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

/* ---- who played ---- */

static why_version *add_version(why *self, const char *role)
{
    if (self->version_count == WHY_VERSIONS_MAX)
        return NULL;
    why_version *version = &self->versions[self->version_count++];
    *version = (why_version){0};
    (void)snprintf(version->role, sizeof version->role, "%s", role);
    return version;
}

/* "live fraud 7 1f3a..." and more words behind. */
static void read_part(why *self, char *line)
{
    char *rest = NULL, *words[4] = {NULL};
    size_t count = 0;
    int64_t number = 0;
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count < 4;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    if (count < 4 || !mr_number_is_int64(words[2], strlen(words[2]), &number))
        return;
    why_version *version = add_version(self, words[0]);
    if (version == NULL)
        return;
    version->ref.version = (uint64_t)number;
    (void)snprintf(version->ref.name, sizeof version->ref.name, "%s", words[1]);
    (void)snprintf(version->ref.hash, sizeof version->ref.hash, "%s", words[3]);
}

static mr_status read_cast(why *self, const mr_bytes *cast, mr_error *err)
{
    char *text = mr_arena_strndup(&self->arena, (const char *)cast->data, cast->size), *rest = NULL;
    if (text == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        read_part(self, line);
    return MR_OK;
}

static mr_status find_cast(why *self, mr_error *err)
{
    mr_bytes cast = {0};
    if (self->replayed)
        return read_cast(self, &self->again.cast, err);
    uint64_t position = self->origin_known ? self->origin.position : self->decision.first;
    mr_status status = mr_pipeline_cast_at(self->running.log, self->pipeline, position, &cast, err);
    if (status == MR_OK)
        status = read_cast(self, &cast, err);
    else if (status == MR_NOT_FOUND) { /* the journal is trimmed: the decision says who it was */
        mr_error_clear(err);
        status = MR_OK;
    }
    mr_bytes_deinit(&cast);
    return status;
}

/* The version and role that the decision carries. */
static mr_status find_decider(why *self, mr_error *err)
{
    char name[MR_NAME_BYTES_MAX + 16];
    (void)snprintf(name, sizeof name, "%s_version", mr_plan_score_column(self->running.plan));
    int version = why_find(self->row, name);
    (void)snprintf(name, sizeof name, "%s_role", mr_plan_score_column(self->running.plan));
    int role = why_find(self->row, name);
    if (version < 0 || role < 0)
        return MR_OK;
    uint64_t wanted = (uint64_t)why_int(self->row, version, 0);
    mr_text text = mr_column_text(&self->row->columns[role], 0);
    for (size_t i = 0; i < self->version_count && self->decider < 0; i++)
        if (self->versions[i].ref.version == wanted &&
            strlen(self->versions[i].role) == text.size &&
            memcmp(self->versions[i].role, text.bytes, text.size) == 0)
            self->decider = (int)i;
    if (self->decider >= 0)
        return MR_OK;
    char reference[MR_MODEL_NAME_BYTES + 32];
    const char *model = mr_plan_model_reference(self->running.plan);
    (void)snprintf(reference, sizeof reference, "%.*s@%llu", (int)strcspn(model, "@"), model,
                   (unsigned long long)wanted);
    why_version *added = add_version(self, "live");
    if (added == NULL)
        return MR_OK;
    self->decider = (int)self->version_count - 1;
    if (text.size < sizeof added->role)
        (void)snprintf(added->role, sizeof added->role, "%.*s", (int)text.size,
                       (const char *)text.bytes);
    return self->running.models->resolve(self->running.models, reference, &added->ref, err);
}

static mr_status add_asked(why *self, mr_error *err)
{
    mr_list list = {0};
    MR_TRY(mr_list_parse(&list, mr_arguments_text(&self->session->arguments, "with"), err));
    mr_status status = MR_OK;
    for (size_t i = 0; i < list.count && status == MR_OK; i++) {
        why_version *version = add_version(self, "asked");
        if (version == NULL)
            status = MR_FAIL(err, MR_FULL, "more than %d versions", WHY_VERSIONS_MAX);
        else if (mr_fs_exists(self->session->fs, list.items[i]))
            status = mr_model_open(self->session->fs, list.items[i], NULL, &version->own, err);
        else
            status = self->running.models->resolve(self->running.models, list.items[i],
                                                   &version->ref, err);
        if (status == MR_OK && version->own != NULL)
            (void)snprintf(version->ref.name, sizeof version->ref.name, "%s", list.items[i]);
    }
    mr_list_deinit(&list);
    return status;
}

/* ---- what they say ---- */

static bool differ_only_in_role(const why_version *a, const why_version *b)
{
    return a->ref.version == b->ref.version && strcmp(a->ref.hash, b->ref.hash) == 0;
}

/* A version that does not open, or that lacks columns of the decision, says so in its place. */
static void ask(why *self, size_t index)
{
    why_version *version = &self->versions[index];
    mr_error *err = &version->error;
    for (size_t i = 0; i < index && version->own == NULL && version->ref.version != 0; i++)
        if (self->versions[i].model != NULL && differ_only_in_role(&self->versions[i], version))
            version->model = self->versions[i].model;
    if (version->model == NULL && version->own == NULL && version->ref.version != 0)
        (void)self->running.models->open(self->running.models, &version->ref, &version->own, err);
    if (version->model == NULL)
        version->model = version->own;
    if (version->model != NULL)
        (void)mr_plan_verdict(self->running.plan, version->model, self->frame, &version->verdict,
                              err);
}

/* ---- what the shadows' topic has ---- */

static mr_status record_at(mr_log_reader *reader, uint64_t offset, mr_log_block *out, mr_error *err)
{
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = offset};
    MR_TRY(mr_log_reader_seek(reader, start, err));
    return mr_log_reader_next(reader, out, err);
}

static void note_shadow(why *self, const mr_batch *batch, uint32_t row)
{
    mr_text model = mr_column_text(&batch->columns[why_find(batch, "model")], row);
    uint64_t number = (uint64_t)why_int(batch, why_find(batch, "version"), row);
    const mr_column *score = &batch->columns[why_find(batch, "score")];
    const mr_column *flip = &batch->columns[why_find(batch, "flip")];
    for (size_t i = 0; i < self->version_count; i++) {
        why_version *version = &self->versions[i];
        if (strcmp(version->role, "shadow") != 0 || version->ref.version != number ||
            strlen(version->ref.name) != model.size ||
            memcmp(version->ref.name, model.bytes, model.size) != 0)
            continue;
        version->recorded = true;
        version->recorded_null = mr_column_is_null(score, row);
        version->recorded_score = ((const double *)score->values)[row];
        version->recorded_flip = mr_bit_get(flip->values, row);
    }
}

/* Records stand by position: half of those left go with each look. */
static mr_status search_shadows(why *self, mr_log_reader *reader, uint64_t low, uint64_t high,
                                mr_error *err)
{
    int64_t wanted = (int64_t)self->origin.position;
    uint64_t end = high;
    mr_log_block block = {0};
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        MR_TRY(record_at(reader, middle, &block, err));
        bool before = why_int(block.batch, why_find(block.batch, "position"), 0) < wanted;
        mr_log_block_release(&block);
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    for (bool here = true; here && low < end; low++) {
        MR_TRY(record_at(reader, low, &block, err));
        here = why_int(block.batch, why_find(block.batch, "position"), 0) == wanted;
        if (here)
            note_shadow(self, block.batch, 0);
        mr_log_block_release(&block);
    }
    return MR_OK;
}

static mr_status find_shadows(why *self, mr_error *err)
{
    char name[MR_TOPIC_NAME_MAX];
    mr_topic *topic;
    mr_partition_stat stat;
    mr_log_reader *reader = NULL;
    (void)snprintf(name, sizeof name, "system/shadow/%s", self->pipeline);
    mr_status status =
        self->origin_known ? mr_topic_open(self->running.log, name, &topic, err) : MR_NOT_FOUND;
    if (status == MR_NOT_FOUND) {
        mr_error_clear(err);
        return MR_OK;
    }
    MR_TRY(status);
    status = mr_topic_stat(topic, 0, &stat, err);
    if (status == MR_OK && stat.end_offset > stat.first_offset)
        status = mr_log_reader_open(topic, 0, (mr_log_start){.kind = MR_LOG_START_FIRST},
                                    &(mr_log_reader_options){.rows_max = 1}, &reader, err);
    if (status == MR_OK && reader != NULL)
        status = search_shadows(self, reader, stat.first_offset, stat.end_offset, err);
    mr_log_reader_close(reader);
    mr_topic_close(topic);
    return status;
}

/* ---- where the decider comes from ---- */

typedef struct history {
    why *self;
    const why_version *version;
    const char *alias; /* of the pipeline's reference; NULL: none */
    bool rollout;      /* of the pipeline's rollouts, not of the model */
} history;

static mr_status keep_event(const history *of, const mr_registry_event *event, why_event *to,
                            mr_error *err)
{
    mr_arena *arena = &of->self->arena;
    *to = (why_event){.found = true,
                      .offset = event->offset,
                      .at_us = event->at_us,
                      .kind = mr_registry_kind_text(event->kind),
                      .alias = mr_arena_strdup(arena, event->alias),
                      .who = mr_arena_strdup(arena, event->who),
                      .why = mr_arena_strdup(arena, event->why),
                      .from_version = event->from_version};
    return to->alias != NULL && to->who != NULL && to->why != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* The last event before the decision that put the version where it was. */
static mr_status see_event(void *context, const mr_registry_event *event, mr_error *err)
{
    const history *of = context;
    bool ours = event->version == of->version->ref.version;
    if (event->at_us > of->self->block.append_us)
        return MR_OK;
    if (of->rollout)
        return event->kind == MR_REGISTRY_ROLLOUT ? keep_event(of, event, &of->self->placed, err)
                                                  : MR_OK;
    if (event->kind == MR_REGISTRY_PUBLISH && ours)
        return keep_event(of, event, &of->self->published, err);
    if (event->kind == MR_REGISTRY_ALIAS && ours && of->alias != NULL &&
        strcmp(event->alias, of->alias) == 0)
        return keep_event(of, event, &of->self->placed, err);
    return MR_OK;
}

static mr_status see_facts(void *context, const mr_registry_version *version, mr_error *err)
{
    why *self = context;
    self->facts = mr_arena_strdup(&self->arena, version->facts);
    return self->facts != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status find_history(why *self, mr_error *err)
{
    const why_version *version = &self->versions[self->decider];
    const char *reference = mr_plan_model_reference(self->running.plan);
    const char *at = strchr(reference, '@');
    history of = {.self = self, .version = version, .alias = at != NULL ? at + 1 : NULL};
    mr_registry *registry;
    MR_TRY(mr_models_registry_get(self->running.models, &registry, err));
    MR_TRY(mr_registry_history(registry, version->ref.name, see_event, &of, err));
    if (strcmp(version->role, "live") != 0) {
        self->placed = (why_event){0};
        of.rollout = true;
        MR_TRY(mr_registry_history(registry, self->pipeline, see_event, &of, err));
    }
    return mr_registry_version_get(registry, version->ref.name, version->ref.version, see_facts,
                                   self, err);
}

/* ---- all of it ---- */

/* A model that is a file: the plan holds it. */
static void add_file(why *self)
{
    why_version *version = add_version(self, "live");
    (void)snprintf(version->ref.name, sizeof version->ref.name, "%s",
                   mr_plan_model_path(self->running.plan));
    version->model = mr_plan_model(self->running.plan);
    self->decider = (int)self->version_count - 1;
}

mr_status why_find_models(why *self, mr_error *err)
{
    if (mr_plan_model(self->running.plan) == NULL)
        return MR_OK;
    if (mr_plan_model_reference(self->running.plan) == NULL) {
        add_file(self);
        return MR_OK;
    }
    MR_TRY(find_cast(self, err));
    MR_TRY(find_decider(self, err));
    return self->decider >= 0 ? find_history(self, err) : MR_OK;
}

mr_status why_ask_models(why *self, mr_error *err)
{
    if (mr_plan_model(self->running.plan) == NULL)
        return MR_OK;
    MR_TRY(add_asked(self, err));
    for (size_t i = 0; i < self->version_count; i++)
        ask(self, i);
    return find_shadows(self, err);
}

void why_close_models(why *self)
{
    for (size_t i = 0; i < self->version_count; i++) {
        mr_verdict_deinit(&self->versions[i].verdict);
        mr_model_close(self->versions[i].own);
    }
}
