/* spec.c -- the YAML tree to structs, by tables of keys.
 *
 * One table per section says which keys there are, how each is read, where it goes and what it means; errors
 * and the reference page come from the same tables. To add a key: a field in spec.h and a row here. */
#include "pipeline/spec.h"

#include "base/assert.h"
#include "base/number.h"
#include "base/time.h"
#include "data/expr.h"

#include <stddef.h>
#include <string.h>

#define PIPELINE_NAME_BYTES_MAX 100
#define DURATION_MAX_US         (INT64_C(100) * 366 * MR_TIME_US_PER_DAY)

typedef struct spec_reader {
    const char *file;
    mr_arena *arena;
    mr_error *err;
} spec_reader;

typedef mr_status (*read_fn)(spec_reader *reader, const mr_yaml *node, void *to);

typedef struct key_rule {
    const char *key;
    read_fn read;
    size_t offset;
    bool required;
    const char *sentence;
} key_rule;

/* ---- failing ---- */

#define FAIL_AT(reader, node, ...)                                                                 \
    (mr_error_place((reader)->err, (reader)->file, (node)->line, (node)->column),                  \
     MR_FAIL((reader)->err, MR_INVALID, __VA_ARGS__))

static mr_status want_kind(spec_reader *reader, const mr_yaml *node, mr_yaml_kind kind,
                           const char *what)
{
    if (node->kind == kind)
        return MR_OK;
    return FAIL_AT(reader, node, "%s should be %s, found %s", what, mr_yaml_kind_text(kind),
                   mr_yaml_kind_text(node->kind));
}

static mr_status unknown_key(spec_reader *reader, const mr_yaml *node, const char *section,
                             const key_rule *rules)
{
    const char *keys[32];
    size_t count = 0;
    mr_bytes list = {0};
    for (const key_rule *rule = rules; rule->key != NULL; rule++) {
        keys[count++] = rule->key;
        mr_bytes_printf(&list, "%s%s", count > 1 ? ", " : "", rule->key);
    }
    const char *near = mr_expr_closest(node->key, strlen(node->key), keys, count);
    const char *text = mr_bytes_text(&list);
    mr_error_place(reader->err, reader->file, node->key_line, node->key_column);
    mr_status status =
        near != NULL ? MR_FAIL(reader->err, MR_INVALID, "%s has no key '%s'; did you mean '%s'?",
                               section, node->key, near)
                     : MR_FAIL(reader->err, MR_INVALID, "%s has no key '%s'; keys are %s", section,
                               node->key, text != NULL ? text : "");
    mr_bytes_deinit(&list);
    return status;
}

/* ---- readers of values ---- */

static mr_status read_text(spec_reader *reader, const mr_yaml *node, void *to)
{
    MR_TRY(want_kind(reader, node, MR_YAML_SCALAR, node->key != NULL ? node->key : "an item"));
    if (node->text[0] == '\0')
        return FAIL_AT(reader, node, "%s is empty", node->key != NULL ? node->key : "an item");
    *(mr_spec_text *)to = (mr_spec_text){node->text, node->line, node->column};
    return MR_OK;
}

/* One value, or a sequence of them. */
static mr_status read_texts(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_texts *texts = to;
    size_t room = node->kind == MR_YAML_SEQUENCE ? node->child_count : 1;
    texts->items = MR_ARENA_ARRAY(reader->arena, mr_spec_text, room + 1);
    if (texts->items == NULL)
        return MR_OUT_OF_MEMORY(reader->err);
    if (node->kind != MR_YAML_SEQUENCE) {
        texts->count = 1;
        return read_text(reader, node, texts->items);
    }
    for (const mr_yaml *child = node->first; child != NULL; child = child->next)
        MR_TRY(read_text(reader, child, &texts->items[texts->count++]));
    return MR_OK;
}

static mr_status read_pairs(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_pairs *pairs = to;
    MR_TRY(want_kind(reader, node, MR_YAML_MAPPING, node->key));
    pairs->items = MR_ARENA_ARRAY(reader->arena, mr_spec_pair, node->child_count + 1);
    if (pairs->items == NULL)
        return MR_OUT_OF_MEMORY(reader->err);
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        mr_spec_pair *pair = &pairs->items[pairs->count++];
        pair->name = (mr_spec_text){child->key, child->key_line, child->key_column};
        MR_TRY(read_text(reader, child, &pair->value));
    }
    return MR_OK;
}

bool mr_spec_duration(const char *text, int64_t *out_us)
{
    size_t at;
    return mr_time_parse_duration(text, strlen(text), out_us, &at) && *out_us >= 0 &&
           *out_us <= DURATION_MAX_US;
}

static mr_status read_duration(spec_reader *reader, const mr_yaml *node, void *to)
{
    MR_TRY(want_kind(reader, node, MR_YAML_SCALAR, node->key));
    if (!mr_spec_duration(node->text, to))
        return FAIL_AT(
            reader, node,
            "%s: '%s' is no duration; write whole numbers with us, ms, s, m, h, d or w: 7d, 1h30m",
            node->key, node->text);
    return MR_OK;
}

/* ---- windows ---- */

static mr_status bad_window(spec_reader *reader, const mr_yaml *node)
{
    return FAIL_AT(reader, node,
                   "'%s' is no window; windows are a duration (7d), 'last 10', 'lifetime', 'day', "
                   "'session 30m', 'half-life 1h', each with an optional ' delayed 7d'",
                   node->text);
}

/* Splits "7d delayed 3d" at " delayed "; the rest of the text is the window itself. */
static bool cut_delay(mr_arena *arena, const char *text, const char **out_base,
                      int64_t *out_delay_us)
{
    const char *at = strstr(text, " delayed ");
    *out_base = text;
    *out_delay_us = 0;
    if (at == NULL)
        return true;
    *out_base = mr_arena_strndup(arena, text, (size_t)(at - text));
    return *out_base != NULL && mr_spec_duration(at + strlen(" delayed "), out_delay_us);
}

static bool window_count_rows(const char *text, uint64_t *out)
{
    uint64_t rows = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && rows < 100000000; at++)
        rows = rows * 10 + (uint64_t)(*at - '0');
    *out = rows;
    return *at == '\0' && rows > 0;
}

static char *suffix_of(mr_arena *arena, const char *text)
{
    char *suffix = mr_arena_strdup(arena, text);
    for (char *at = suffix; at != NULL && *at != '\0'; at++)
        if (*at == ' ' || *at == '-')
            *at = '_';
    return suffix;
}

static mr_status read_window(spec_reader *reader, const mr_yaml *node, mr_spec_window *window)
{
    MR_TRY(read_text(reader, node, &window->text));
    const char *base;
    if (!cut_delay(reader->arena, node->text, &base, &window->delay_us))
        return bad_window(reader, node);
    window->whole = strcmp(base, "lifetime") == 0;
    window->day = strcmp(base, "day") == 0;
    window->session = strncmp(base, "session ", 8) == 0;
    window->decayed = strncmp(base, "half-life ", 10) == 0;
    window->last = strncmp(base, "last ", 5) == 0;
    bool ok = window->whole || window->day;
    if (window->session)
        ok = mr_spec_duration(base + 8, &window->span_us);
    else if (window->decayed)
        ok = mr_spec_duration(base + 10, &window->span_us);
    else if (window->last)
        ok = window_count_rows(base + 5, &window->rows);
    else if (!ok)
        ok = mr_spec_duration(base, &window->span_us);
    if (!ok || ((window->session || window->decayed) && window->span_us == 0))
        return bad_window(reader, node);
    window->suffix = suffix_of(reader->arena, base);
    return window->suffix != NULL ? MR_OK : MR_OUT_OF_MEMORY(reader->err);
}

typedef struct window_list {
    mr_spec_window *items;
    size_t count;
} window_list;

/* Reads into two adjacent fields: the array and its count. */
static mr_status read_windows(spec_reader *reader, const mr_yaml *node, void *to)
{
    window_list list = {0};
    size_t room = node->kind == MR_YAML_SEQUENCE ? node->child_count : 1;
    list.items = MR_ARENA_ARRAY(reader->arena, mr_spec_window, room + 1);
    if (list.items == NULL)
        return MR_OUT_OF_MEMORY(reader->err);
    if (node->kind == MR_YAML_SEQUENCE)
        for (const mr_yaml *child = node->first; child != NULL; child = child->next)
            MR_TRY(read_window(reader, child, &list.items[list.count++]));
    else
        MR_TRY(read_window(reader, node, &list.items[list.count++]));
    memcpy(to, &list, sizeof list);
    return MR_OK;
}

_Static_assert(offsetof(mr_spec_view, window_count) ==
                   offsetof(mr_spec_view, windows) + offsetof(window_list, count),
               "read_windows writes both");
_Static_assert(offsetof(mr_spec_aggregate, window_count) ==
                   offsetof(mr_spec_aggregate, windows) + offsetof(window_list, count),
               "read_windows writes both");

/* ---- sections ---- */

static mr_status read_section(spec_reader *reader, const mr_yaml *node, const char *section,
                              const key_rule *rules, void *to)
{
    MR_TRY(want_kind(reader, node, MR_YAML_MAPPING, section));
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        const key_rule *rule = rules;
        while (rule->key != NULL && strcmp(rule->key, child->key) != 0)
            rule++;
        if (rule->key == NULL)
            return unknown_key(reader, child, section, rules);
        MR_TRY(rule->read(reader, child, (uint8_t *)to + rule->offset));
    }
    for (const key_rule *rule = rules; rule->key != NULL; rule++)
        if (rule->required && mr_yaml_get(node, rule->key) == NULL)
            return FAIL_AT(reader, node, "%s needs the key '%s': %s", section, rule->key,
                           rule->sentence);
    return MR_OK;
}

#define KEY(type, name, read, field, required, sentence)                                           \
    {                                                                                              \
        name, read, offsetof(type, field), required, sentence                                      \
    }
#define KEY_END                                                                                    \
    {                                                                                              \
        NULL, NULL, 0, false, NULL                                                                 \
    }

static const key_rule source_keys[] = {
    KEY(mr_spec_source, "topic", read_text, topic, false, "the topic to read"),
    KEY(mr_spec_source, "file", read_texts, files, false,
        "a CSV or JSON lines file, or several, instead"),
    KEY(mr_spec_source, "format", read_text, format, false,
        "csv or jsonl; by default from the file's name"),
    KEY(mr_spec_source, "schema", read_pairs, schema, false,
        "column: type; by default the topic's own"),
    KEY(mr_spec_source, "columns", read_pairs, columns, false, "column: its name in the file"),
    KEY(mr_spec_source, "event_time", read_text, event_time, true,
        "the timestamp column that orders records"),
    KEY(mr_spec_source, "check", read_text, check, false,
        "records for which this is not true go to the dead letters"),
    KEY(mr_spec_source, "filter", read_text, filter, false,
        "records for which this is not true are left out"),
    KEY(mr_spec_source, "derive", read_pairs, derive, false,
        "column: expression, for this source alone"),
    KEY(mr_spec_source, "idle", read_duration, idle_us, false,
        "how long this source, when silent, may hold up the others (1s)"),
    KEY(mr_spec_source, "from", read_text, from, false,
        "where a first run starts: earliest (default), latest, or a time"),
    KEY_END};

static mr_status read_sources(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec *spec = to;
    MR_TRY(want_kind(reader, node, MR_YAML_MAPPING, "sources"));
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        if (spec->source_count == MR_SOURCES_MAX)
            return FAIL_AT(reader, child, "more than %d sources", MR_SOURCES_MAX);
        mr_spec_source *source = &spec->sources[spec->source_count++];
        source->name = (mr_spec_text){child->key, child->key_line, child->key_column};
        source->idle_us = 1000000;
        MR_TRY(read_section(reader, child, "a source", source_keys, source));
        if ((source->topic.text != NULL) == (source->files.count > 0))
            return FAIL_AT(reader, child, "source %s needs one of topic and file", child->key);
        if (source->files.count > 0 && source->schema.count == 0)
            return FAIL_AT(reader, child, "source %s reads a file and so needs a schema",
                           child->key);
    }
    return MR_OK;
}

static mr_status read_aggregate(spec_reader *reader, const mr_yaml *node,
                                mr_spec_aggregate *aggregate)
{
    static const key_rule keys[] = {
        KEY(mr_spec_aggregate, "value", read_text, call, true, "the call: mean(amount)"),
        KEY(mr_spec_aggregate, "where", read_text, where, false,
            "count only records for which this is true"),
        KEY(mr_spec_aggregate, "windows", read_windows, windows, false,
            "instead of the view's windows"),
        KEY(mr_spec_aggregate, "empty", read_text, empty, false,
            "the value where the window is empty"),
        KEY_END};
    aggregate->name = (mr_spec_text){node->key, node->key_line, node->key_column};
    if (node->kind == MR_YAML_SCALAR)
        return read_text(reader, node, &aggregate->call);
    return read_section(reader, node, "an aggregate", keys, aggregate);
}

typedef struct aggregate_list {
    mr_spec_aggregate *items;
    size_t count;
} aggregate_list;

_Static_assert(offsetof(mr_spec_view, aggregate_count) ==
                   offsetof(mr_spec_view, aggregates) + offsetof(aggregate_list, count),
               "read_aggregates writes both");
_Static_assert(offsetof(mr_spec_emit, aggregate_count) ==
                   offsetof(mr_spec_emit, aggregates) + offsetof(aggregate_list, count),
               "read_aggregates writes both");

static mr_status read_aggregates(spec_reader *reader, const mr_yaml *node, void *to)
{
    MR_TRY(want_kind(reader, node, MR_YAML_MAPPING, "aggregates"));
    aggregate_list list = {MR_ARENA_ARRAY(reader->arena, mr_spec_aggregate, node->child_count + 1),
                           0};
    if (list.items == NULL)
        return MR_OUT_OF_MEMORY(reader->err);
    for (const mr_yaml *child = node->first; child != NULL; child = child->next)
        MR_TRY(read_aggregate(reader, child, &list.items[list.count++]));
    if (list.count == 0)
        return FAIL_AT(reader, node, "aggregates is empty; write name: count()");
    memcpy(to, &list, sizeof list);
    return MR_OK;
}

static const key_rule view_keys[] = {
    KEY(mr_spec_view, "from", read_text, from, false,
        "the source to aggregate; by default the `on` source"),
    KEY(mr_spec_view, "key", read_texts, key, true, "the entity: one column or several"),
    KEY(mr_spec_view, "lookup", read_texts, lookup, false,
        "the columns of the `on` source that hold the key, when named otherwise"),
    KEY(mr_spec_view, "windows", read_windows, windows, false,
        "windows of all aggregates: [1d, 7d, 30d]"),
    KEY(mr_spec_view, "where", read_text, where, false,
        "aggregate only records for which this is true"),
    KEY(mr_spec_view, "aggregates", read_aggregates, aggregates, true,
        "name: call, as tx_count: count()"),
    KEY(mr_spec_view, "resolution", read_duration, resolution_us, false,
        "keep tiles of this width instead of single records"),
    KEY(mr_spec_view, "lateness", read_duration, lateness_us, false,
        "how late a record may be and still see and be seen exactly"),
    KEY(mr_spec_view, "ttl", read_duration, ttl_us, false, "forget keys silent for so long"),
    KEY(mr_spec_view, "names", read_text, names, false,
        "pattern of output names; {view}_{aggregate}_{window} by default"),
    KEY_END};

static mr_status read_views(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec *spec = to;
    MR_TRY(want_kind(reader, node, MR_YAML_MAPPING, "features"));
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        if (spec->view_count == MR_VIEWS_MAX)
            return FAIL_AT(reader, child, "more than %d feature views", MR_VIEWS_MAX);
        mr_spec_view *view = &spec->views[spec->view_count++];
        view->name = (mr_spec_text){child->key, child->key_line, child->key_column};
        view->lateness_us = -1;
        MR_TRY(read_section(reader, child, "a feature view", view_keys, view));
    }
    return MR_OK;
}

bool mr_spec_share(const char *text, uint32_t *out_millionths)
{
    double value;
    size_t size = strlen(text), used = 0;
    if (mr_number_parse_float64(text, size, &value, &used) != MR_NUMBER_OK)
        return false;
    bool percent = used + 1 == size && text[used] == '%';
    value *= percent ? 1e4 : 1e6;
    if ((used != size && !percent) || !(value >= 0 && value <= 1e6))
        return false;
    *out_millionths = (uint32_t)(value + 0.5);
    return true;
}

static const key_rule canary_keys[] = {
    KEY(mr_spec_canary, "model", read_text, model, true, "name@alias or name@version"),
    KEY(mr_spec_canary, "share", read_text, share, false,
        "how much of the keys it decides: 10%, 0.5%"),
    KEY(mr_spec_canary, "steps", read_texts, steps, false,
        "canary, instead of share: one share after the other, [0%, 1%, 10%, 100%]; at 0% it only "
        "shadows; after the last the version becomes the champion"),
    KEY(mr_spec_canary, "records", read_text, records, false,
        "canary: how many records it decides at least in each step (1000)"),
    KEY(mr_spec_canary, "key", read_text, key, false,
        "the column by which records stay with one version; the first feature view's key"),
    KEY(mr_spec_canary, "salt", read_text, salt, false,
        "another salt chooses other keys; the model's name"),
    KEY_END};

static mr_status read_canary(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_canary *canary = to;
    MR_TRY(read_section(reader, node, node->key, canary_keys, to));
    if ((canary->share.text != NULL) == (canary->steps.count > 0))
        return FAIL_AT(reader, node, "%s needs one of share and steps", node->key);
    return MR_OK;
}

static const key_rule guard_keys[] = {
    KEY(mr_spec_guard, "limit", read_text, limit, true, "what it must keep to"),
    KEY(mr_spec_guard, "then", read_text, then, false,
        "what happens when it surely does not: rollback (default), pause or note"),
    KEY(mr_spec_guard, "metric", read_text, metric, false,
        "quality: squared_error (default), absolute_error, log_loss, hit or outcome"),
    KEY_END};

/* A limit alone, or a section. */
static mr_status read_guard(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_guard *guard = to;
    if (node->kind == MR_YAML_SCALAR)
        return read_text(reader, node, &guard->limit);
    return read_section(reader, node, node->key, guard_keys, guard);
}

static const key_rule guards_keys[] = {
    KEY(mr_spec_guards, "error_share", read_guard, error_share, false,
        "records of which the version says nothing, at most: 1%"),
    KEY(mr_spec_guards, "p99", read_guard, p99, false,
        "time to score a record, of 99 in 100 micro-batches: 500us; measured live"),
    KEY(mr_spec_guards, "drift", read_guard, drift, false,
        "population stability index of its scores against the champion's, at most: 0.25"),
    KEY(mr_spec_guards, "agreement", read_guard, agreement, false,
        "records it decides as the champion does, at least: 95%"),
    KEY(mr_spec_guards, "quality", read_guard, quality, false,
        "how much worse than the champion, by its metric, it may be: 0.01"),
    KEY_END};

static mr_status read_guards(spec_reader *reader, const mr_yaml *node, void *to)
{
    return read_section(reader, node, "guardrails", guards_keys, to);
}

static const key_rule success_keys[] = {
    KEY(mr_spec_success, "metric", read_text, metric, true,
        "squared_error, absolute_error, log_loss, hit or outcome (of outcomes), or score"),
    KEY(mr_spec_success, "min_effect", read_text, min_effect, true,
        "the least improvement worth having, declared before anyone looks"),
    KEY(mr_spec_success, "alpha", read_text, alpha, false,
        "how often equals may be told apart, however often one looks (0.05)"),
    KEY(mr_spec_success, "max_records", read_text, max_records, false,
        "then an open question pauses for a person (100000)"),
    KEY(mr_spec_success, "direction", read_text, direction, false,
        "of outcome and score: higher (default) or lower is better"),
    KEY_END};

static mr_status read_success(spec_reader *reader, const mr_yaml *node, void *to)
{
    return read_section(reader, node, "success", success_keys, to);
}

static const key_rule outcomes_keys[] = {
    KEY(mr_spec_outcomes, "source", read_text, source, true, "a source of the pipeline"),
    KEY(mr_spec_outcomes, "key", read_text, key, true, "its column that names the record"),
    KEY(mr_spec_outcomes, "id", read_text, id, false,
        "the column of the `on` source that holds the same, when named otherwise"),
    KEY(mr_spec_outcomes, "value", read_text, value, true, "its column that says what became"),
    KEY(mr_spec_outcomes, "maturity", read_duration, maturity_us, false,
        "by event time, how long after the record its outcome is final; at once by default"),
    KEY(mr_spec_outcomes, "missing", read_text, missing, false,
        "the outcome of records of which none came until then; by default they do not count"),
    KEY(mr_spec_outcomes, "pending", read_text, pending, false,
        "how many records wait for outcomes at most (10000); others are not followed"),
    KEY_END};

static mr_status read_outcomes(spec_reader *reader, const mr_yaml *node, void *to)
{
    return read_section(reader, node, "outcomes", outcomes_keys, to);
}

static const key_rule rollout_keys[] = {
    KEY(mr_spec_rollout, "shadow", read_texts, shadow, false,
        "versions that score every record and decide none"),
    KEY(mr_spec_rollout, "canary", read_canary, canary, false,
        "a version that decides a share of the keys"),
    KEY(mr_spec_rollout, "ab", read_canary, ab, false,
        "a version that decides a share of the keys until `success` is known"),
    KEY(mr_spec_rollout, "guardrails", read_guards, guards, false,
        "what the version must keep to, else it is rolled back"),
    KEY(mr_spec_rollout, "success", read_success, success, false,
        "what must be shown before it becomes the champion"),
    KEY(mr_spec_rollout, "outcomes", read_outcomes, outcomes, false,
        "where it becomes known what came of a record"),
    KEY(mr_spec_rollout, "segments", read_text, segments, false,
        "a column by whose values differences are shown"),
    KEY(mr_spec_rollout, "step", read_text, step, false, "written by the program: where it stands"),
    KEY(mr_spec_rollout, "state", read_text, state, false, "written by the program: paused or not"),
    KEY_END};

/* ---- a rollout as JSON ---- */

static void write_quoted(mr_bytes *out, const char *text)
{
    mr_bytes_append_byte(out, '"');
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            mr_bytes_printf(out, "\\%c", *at);
        else if ((unsigned char)*at < ' ')
            mr_bytes_printf(out, "\\u%04x", (unsigned)*at);
        else
            mr_bytes_append_byte(out, (uint8_t)*at);
    }
    mr_bytes_append_byte(out, '"');
}

static bool left_out(const mr_yaml *node, int depth)
{
    return depth == 1 && (strcmp(node->key, "step") == 0 || strcmp(node->key, "state") == 0);
}

/* The depth of a document has a limit (yaml.h). */
static void write_node(mr_bytes *out, const mr_yaml *node, int depth)
{
    if (node->kind == MR_YAML_SCALAR) {
        write_quoted(out, node->text);
        return;
    }
    bool first = true, mapping = node->kind == MR_YAML_MAPPING;
    mr_bytes_append_byte(out, mapping ? '{' : '[');
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        if (mapping && left_out(child, depth + 1))
            continue;
        if (!first)
            mr_bytes_append_byte(out, ',');
        first = false;
        if (mapping) {
            write_quoted(out, child->key);
            mr_bytes_append_byte(out, ':');
        }
        write_node(out, child, depth + 1);
    }
    mr_bytes_append_byte(out, mapping ? '}' : ']');
}

static mr_status keep_json(spec_reader *reader, const mr_yaml *node, mr_spec_rollout *rollout)
{
    mr_bytes json = {0};
    write_node(&json, node, 0);
    const char *text = mr_bytes_text(&json);
    rollout->json = text != NULL ? mr_arena_strdup(reader->arena, text) : NULL;
    mr_bytes_deinit(&json);
    return rollout->json != NULL ? MR_OK : MR_OUT_OF_MEMORY(reader->err);
}

void mr_spec_write_rollout(const mr_spec_rollout *rollout, uint32_t step, const char *state,
                           mr_bytes *out)
{
    const char *rest = rollout->json + 1;
    mr_bytes_append_byte(out, '{');
    if (state[0] != '\0')
        mr_bytes_printf(out, "\"state\":\"%s\",", state);
    mr_bytes_printf(out, "\"step\":\"%u\"%s%s", step, rest[0] == '}' ? "" : ",", rest);
}

static mr_status read_rollout(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_rollout *rollout = to;
    MR_TRY(read_section(reader, node, "rollout", rollout_keys, rollout));
    if (rollout->canary.model.text != NULL && rollout->ab.model.text != NULL)
        return FAIL_AT(reader, node, "a rollout has one of canary and ab");
    return keep_json(reader, node, rollout);
}

mr_status mr_spec_read_rollout(const mr_yaml *root, const char *file, mr_arena *arena,
                               mr_spec_rollout *out, mr_error *err)
{
    spec_reader reader = {file, arena, err};
    *out = (mr_spec_rollout){0};
    return read_rollout(&reader, root, out);
}

static mr_status read_groups(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_groups *groups = to;
    MR_TRY(want_kind(reader, node, MR_YAML_MAPPING, node->key));
    groups->items = MR_ARENA_ARRAY(reader->arena, mr_spec_group, node->child_count + 1);
    if (groups->items == NULL)
        return MR_OUT_OF_MEMORY(reader->err);
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        mr_spec_group *group = &groups->items[groups->count++];
        group->name = (mr_spec_text){child->key, child->key_line, child->key_column};
        MR_TRY(read_texts(reader, child, &group->members));
    }
    return MR_OK;
}

static const key_rule reasons_keys[] = {
    KEY(mr_spec_reasons, "count", read_text, count, true, "how many, the largest first"),
    KEY(mr_spec_reasons, "direction", read_text, direction, false,
        "what counts as a reason: higher (default), lower, or absolute"),
    KEY(mr_spec_reasons, "min_contribution", read_text, contribution_min, false,
        "smaller ones are no reasons (0), in the units of the margin"),
    KEY(mr_spec_reasons, "min_score", read_text, score_min, false,
        "only for records with at least this score; others have NULL"),
    KEY(mr_spec_reasons, "max_score", read_text, score_max, false,
        "only for records with at most this score"),
    KEY(mr_spec_reasons, "groups", read_groups, groups, false,
        "name: [input, ...] of the model that count as one"),
    KEY(mr_spec_reasons, "texts", read_pairs, texts, false,
        "input or group: sentence, with {value}, {feature} and {contribution}"),
    KEY_END};

static mr_status read_reasons(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_reasons *reasons = to;
    return node->kind == MR_YAML_SCALAR
               ? read_text(reader, node, &reasons->count)
               : read_section(reader, node, "reasons", reasons_keys, reasons);
}

static const key_rule score_keys[] = {
    KEY(mr_spec_score, "model", read_text, model, true,
        "a model file, an artifact folder, or name@alias of the registry"),
    KEY(mr_spec_score, "inputs", read_pairs, inputs, false,
        "model input: column, where the names differ"),
    KEY(mr_spec_score, "output", read_text, output, false, "name of the score column (score)"),
    KEY(mr_spec_score, "kind", read_text, kind, false, "probability (default) or margin"),
    KEY(mr_spec_score, "rollout", read_rollout, rollout, false,
        "other versions of a model by name that see the records; may be set at run time, too"),
    KEY(mr_spec_score, "reasons", read_reasons, reasons, false,
        "why each record was scored so, as a column <output>_reasons: how many, or a mapping"),
    KEY_END};

static mr_status read_score(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_score *score = to;
    score->line = node->line;
    score->column = node->column;
    return read_section(reader, node, "score", score_keys, score);
}

static const key_rule sink_keys[] = {KEY(mr_spec_sink, "topic", read_text, topic, true,
                                         "the topic to append to; created when absent"),
                                     KEY(mr_spec_sink, "columns", read_texts, columns, false,
                                         "which columns, in order; all by default"),
                                     KEY(mr_spec_sink, "sync", read_text, sync, false,
                                         "always (default), interval=10ms or os, when created"),
                                     KEY(mr_spec_sink, "codec", read_text, codec, false,
                                         "none (default), lz4 or zstd, when created"),
                                     KEY_END};

/* A topic's name alone, or a section. */
static mr_status read_sink(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_sink *sink = to;
    if (node->kind == MR_YAML_SCALAR)
        return read_text(reader, node, &sink->topic);
    return read_section(reader, node, "a sink", sink_keys, sink);
}

typedef struct route_item {
    mr_spec_text when;
    mr_spec_sink sink;
} route_item;

static mr_status read_routes(spec_reader *reader, const mr_yaml *node, void *to)
{
    static const key_rule keys[] = {KEY(route_item, "when", read_text, when, false,
                                        "rows for which this is true; all by default"),
                                    KEY(route_item, "sink", read_sink, sink, true, "where they go"),
                                    KEY_END};
    mr_spec *spec = to;
    MR_TRY(want_kind(reader, node, MR_YAML_SEQUENCE, "route"));
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        if (spec->route_count == MR_SINKS_MAX)
            return FAIL_AT(reader, child, "more than %d routes", MR_SINKS_MAX);
        route_item item = {0};
        MR_TRY(read_section(reader, child, "a route", keys, &item));
        spec->routes[spec->route_count] = item.sink;
        spec->routes[spec->route_count++].when = item.when;
    }
    return MR_OK;
}

/* "tumbling 1h", "hopping 1h every 5m", "session 30m" */
static mr_status read_emit_window(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec_emit *emit = (mr_spec_emit *)(void *)((uint8_t *)to - offsetof(mr_spec_emit, window));
    MR_TRY(read_text(reader, node, to));
    const char *text = node->text, *every = strstr(text, " every ");
    bool ok = false;
    if (strncmp(text, "tumbling ", 9) == 0) {
        emit->kind = MR_EMIT_TUMBLING;
        ok = mr_spec_duration(text + 9, &emit->width_us);
        emit->hop_us = emit->width_us;
    } else if (strncmp(text, "hopping ", 8) == 0 && every != NULL) {
        emit->kind = MR_EMIT_HOPPING;
        char *width = mr_arena_strndup(reader->arena, text + 8, (size_t)(every - text - 8));
        ok = width != NULL && mr_spec_duration(width, &emit->width_us) &&
             mr_spec_duration(every + 7, &emit->hop_us);
    } else if (strncmp(text, "session ", 8) == 0) {
        emit->kind = MR_EMIT_SESSION;
        ok = mr_spec_duration(text + 8, &emit->gap_us) && emit->gap_us > 0;
        emit->width_us = emit->hop_us = 1;
    }
    if (!ok || emit->width_us <= 0 || emit->hop_us <= 0 || emit->width_us / emit->hop_us > 10000)
        return FAIL_AT(
            reader, node,
            "'%s' is no emitting window; write tumbling 1h, hopping 1h every 5m, or session 30m",
            text);
    return MR_OK;
}

static const key_rule emit_keys[] = {
    KEY(mr_spec_emit, "from", read_text, from, false,
        "the source to aggregate; by default the `on` source"),
    KEY(mr_spec_emit, "key", read_texts, key, false, "group by these columns"),
    KEY(mr_spec_emit, "window", read_emit_window, window, true,
        "tumbling 1h, hopping 1h every 5m, or session 30m"),
    KEY(mr_spec_emit, "lateness", read_duration, lateness_us, false,
        "how long after a window's end records for it are still taken (0s)"),
    KEY(mr_spec_emit, "where", read_text, where, false, "only records for which this is true"),
    KEY(mr_spec_emit, "aggregates", read_aggregates, aggregates, true, "name: call"),
    KEY(mr_spec_emit, "sink", read_sink, sink, true, "where the rows go when the watermark passes"),
    KEY_END};

static mr_status read_emits(spec_reader *reader, const mr_yaml *node, void *to)
{
    mr_spec *spec = to;
    MR_TRY(want_kind(reader, node, MR_YAML_MAPPING, "aggregate"));
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        if (spec->emit_count == MR_SINKS_MAX)
            return FAIL_AT(reader, child, "more than %d aggregates", MR_SINKS_MAX);
        mr_spec_emit *emit = &spec->emits[spec->emit_count++];
        emit->name = (mr_spec_text){child->key, child->key_line, child->key_column};
        MR_TRY(read_section(reader, child, "an aggregate", emit_keys, emit));
    }
    return MR_OK;
}

static const key_rule pipeline_keys[] = {
    KEY(mr_spec, "pipeline", read_text, name, true,
        "the pipeline's name: letters, digits, - and _"),
    {"sources", read_sources, 0, true, "name: where records come from"},
    KEY(mr_spec, "on", read_text, on, false,
        "the source whose records are decided; the only one by default"),
    KEY(mr_spec, "filter", read_text, filter, false,
        "records of the `on` source for which this is not true go no further"),
    KEY(mr_spec, "derive", read_pairs, derive, false,
        "column: expression, before or after features as needed"),
    {"features", read_views, 0, false, "name: a feature view"},
    KEY(mr_spec, "score", read_score, score, false, "the model that scores each record"),
    KEY(mr_spec, "decide", read_pairs, decide, false, "column: expression over everything above"),
    KEY(mr_spec, "sink", read_sink, sink, false, "the topic that gets every decision"),
    {"route", read_routes, 0, false, "further sinks with conditions"},
    {"aggregate", read_emits, 0, false, "name: a window that emits rows when the watermark passes"},
    KEY(mr_spec, "evidence", read_text, evidence, false,
        "full adds position, source_partition, source_offset, and NAME_rule for each `case` of "
        "`decide`; none (default)"),
    KEY(mr_spec, "dead_letters", read_text, dead_letters, false,
        "topic of rejected records; <pipeline>.dead by default"),
    KEY_END};

static mr_status check_name(spec_reader *reader, const mr_spec_text *name)
{
    size_t bytes =
        strspn(name->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (bytes > 0 && bytes <= PIPELINE_NAME_BYTES_MAX && name->text[bytes] == '\0')
        return MR_OK;
    mr_error_place(reader->err, reader->file, name->line, name->column);
    return MR_FAIL(reader->err, MR_INVALID,
                   "'%s' is no name for a pipeline; up to 100 letters, digits, - and _ are right",
                   name->text);
}

mr_status mr_spec_read(const mr_yaml *root, const char *file, mr_arena *arena, mr_spec *out,
                       mr_error *err)
{
    spec_reader reader = {file, arena, err};
    *out = (mr_spec){.file = file};
    MR_TRY(read_section(&reader, root, "the pipeline", pipeline_keys, out));
    MR_TRY(check_name(&reader, &out->name));
    if (out->source_count == 0)
        return FAIL_AT(&reader, root, "the pipeline has no source");
    if (out->on.text == NULL && out->source_count > 1)
        return FAIL_AT(
            &reader, root,
            "with several sources the pipeline needs `on:` to say whose records are decided");
    if (out->on.text == NULL)
        out->on = out->sources[0].name;
    return MR_OK;
}

/* ---- reference ---- */

static void write_table(mr_bytes *out, const char *title, const key_rule *rules)
{
    mr_bytes_printf(out, "\n## %s\n\n| key | what |\n|---|---|\n", title);
    for (const key_rule *rule = rules; rule->key != NULL; rule++)
        mr_bytes_printf(out, "| `%s`%s | %s |\n", rule->key, rule->required ? " (required)" : "",
                        rule->sentence);
}

void mr_spec_reference(mr_bytes *out)
{
    mr_bytes_append_text(out,
                         "# The pipeline file\n\nWritten from the tables the program reads by: "
                         "`millrace help pipeline`.\n");
    write_table(out, "The pipeline", pipeline_keys);
    write_table(out, "`sources.NAME`", source_keys);
    write_table(out, "`features.NAME`", view_keys);
    write_table(out, "`score`", score_keys);
    write_table(out, "`score: reasons`", reasons_keys);
    write_table(out, "`score: rollout`", rollout_keys);
    write_table(out, "`score: rollout: canary` and `ab`", canary_keys);
    write_table(out, "`score: rollout: guardrails` (a limit, or a section)", guards_keys);
    write_table(out, "`score: rollout: guardrails: NAME`", guard_keys);
    write_table(out, "`score: rollout: success`", success_keys);
    write_table(out, "`score: rollout: outcomes`", outcomes_keys);
    write_table(out, "`sink` and `route[].sink` (or the topic's name alone)", sink_keys);
    write_table(out, "`aggregate.NAME`", emit_keys);
}
