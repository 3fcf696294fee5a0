/* plan_format.c -- the compiled plan as text and as JSON: what `millrace plan` prints and what a plan's hash
 * is taken of. Everything that can change a result is in it; places and file names are not. */
#include "pipeline/plan_internal.h"

#include "base/assert.h"
#include "data/encoder.h"

#include <string.h>

static void write_schema(mr_bytes *out, const mr_schema *schema, uint32_t first, uint32_t count)
{
    char type[32];
    for (uint32_t i = first; i < first + count; i++)
        mr_bytes_printf(out, "%s%s: %s%s", i > first ? ", " : "", schema->fields[i].name,
                        mr_type_format(schema->fields[i].type, type),
                        schema->fields[i].nullable ? " null" : "");
}

static void write_condition(mr_bytes *out, const char *what, const mr_expr *expr)
{
    if (expr == NULL)
        return;
    mr_bytes_printf(out, "  %s ", what);
    mr_expr_format(expr, out);
    mr_bytes_append_byte(out, '\n');
}

static void write_columns(mr_bytes *out, const char *stage, const plan_columns *columns,
                          const char *indent)
{
    char type[32];
    for (size_t i = 0; i < columns->count; i++) {
        const plan_column *column = &columns->items[i];
        mr_bytes_printf(out, "%s%s %s: %s%s = ", indent, stage, column->name,
                        mr_type_format(mr_expr_type(column->expr), type),
                        mr_expr_nullable(column->expr) ? " null" : "");
        mr_expr_format(column->expr, out);
        mr_bytes_append_byte(out, '\n');
    }
}

static void write_source(mr_bytes *out, const mr_plan *plan, size_t index)
{
    const plan_source *source = &plan->sources[index];
    mr_bytes_printf(out, "source %s%s\n", source->name, index == plan->on ? " (on)" : "");
    if (source->topic != NULL)
        mr_bytes_printf(out, "  topic %s\n", source->topic);
    for (size_t i = 0; i < source->file_count; i++)
        mr_bytes_printf(out, "  file %s\n", source->files[i]);
    mr_bytes_append_text(out, "  columns ");
    mr_schema_format(source->schema, out);
    mr_bytes_printf(out, "\n  event time %s\n", source->schema->fields[source->event_time].name);
    write_condition(out, "check", source->check);
    write_condition(out, "filter", source->filter);
    write_columns(out, "derive", &source->derive, "  ");
    if (plan->source_count > 1)
        mr_bytes_printf(out, "  idle after %lld us\n", (long long)source->idle_us);
}

/* A text of several lines, indented. */
static void write_lines(mr_bytes *out, const char *text)
{
    for (const char *at = text; at != NULL && *at != '\0';) {
        size_t line = strcspn(at, "\n");
        mr_bytes_printf(out, "  %.*s\n", (int)line, at);
        at += line + (at[line] != '\0');
    }
}

static void write_view(mr_bytes *out, const mr_plan *plan, const plan_view *view)
{
    const mr_schema *source = plan->sources[view->source].frame;
    mr_bytes_printf(out, "features %s from %s by ", view->name, plan->sources[view->source].name);
    for (size_t i = 0; i < view->spec.key_count; i++) {
        const mr_schema *frame = view->self ? plan->frame : source;
        mr_bytes_printf(out, "%s%s", i > 0 ? ", " : "", frame->fields[view->key_columns[i]].name);
        if (strcmp(frame->fields[view->key_columns[i]].name,
                   plan->frame->fields[view->lookup_columns[i]].name) != 0)
            mr_bytes_printf(out, " (looked up by %s)",
                            plan->frame->fields[view->lookup_columns[i]].name);
    }
    mr_bytes_append_byte(out, '\n');
    write_lines(out, view->text);
    mr_bytes_append_text(out, "  gives ");
    write_schema(out, plan->frame, view->first_output, view->output_count);
    mr_bytes_append_byte(out, '\n');
}

static const char *column_of(const plan_score *score, const char *input)
{
    for (size_t i = 0; i < score->inputs.count; i++)
        if (strcmp(score->inputs.items[i].name.text, input) == 0)
            return score->inputs.items[i].value.text;
    return input;
}

static void write_file_model(mr_bytes *out, const mr_plan *plan)
{
    const plan_score *score = &plan->score;
    const mr_model_signature *signature = &score->model->signature;
    mr_bytes_printf(out, "score %s %016llx %s, %u inputs\n", score->model->kind->name,
                    (unsigned long long)score->content_hash, signature->objective,
                    signature->input_count);
    for (uint32_t i = 0; i < signature->input_count; i++)
        mr_bytes_printf(out, "  %s <- %s\n", signature->input_names[i],
                        column_of(score, signature->input_names[i]));
}

static void write_score(mr_bytes *out, const mr_plan *plan)
{
    const plan_score *score = &plan->score;
    if (score->model == NULL)
        return;
    if (score->reference != NULL)
        mr_bytes_printf(out, "score %s\n", score->reference);
    else
        write_file_model(out, plan);
    mr_bytes_append_text(out, "  gives ");
    write_schema(out, plan->frame, score->first_output, score->output_count);
    mr_bytes_append_byte(out, '\n');
    if (score->reasons != NULL)
        plan_write_reasons(out, score->reasons);
}

static void write_sink(mr_bytes *out, const plan_sink *sink)
{
    mr_bytes_printf(out, "sink %s\n", sink->topic);
    write_condition(out, "when", sink->when);
    mr_bytes_append_text(out, "  columns ");
    mr_schema_format(sink->schema, out);
    mr_bytes_append_byte(out, '\n');
}

static void write_emit(mr_bytes *out, const mr_plan *plan, const plan_emit *emit)
{
    mr_bytes_printf(out, "aggregate %s from %s\n", emit->name, plan->sources[emit->source].name);
    if (emit->session)
        mr_bytes_printf(out, "  session, gap %lld us", (long long)emit->gap_us);
    else
        mr_bytes_printf(out, "  window of %lld us every %lld us", (long long)emit->width_us,
                        (long long)emit->hop_us);
    mr_bytes_printf(out, ", lateness %lld us\n", (long long)emit->lateness_us);
    write_condition(out, "where", emit->where);
    write_lines(out, emit->view.text);
    write_sink(out, &emit->sink);
}

static void write_text(const mr_plan *plan, mr_bytes *out)
{
    mr_bytes_printf(out, "pipeline %s\n", plan->name);
    for (size_t i = 0; i < plan->source_count; i++)
        write_source(out, plan, i);
    write_columns(out, "derive", &plan->early, "");
    if (plan->filter != NULL) {
        mr_bytes_append_text(out, "filter ");
        mr_expr_format(plan->filter, out);
        mr_bytes_append_byte(out, '\n');
    }
    for (size_t i = 0; i < plan->view_count; i++)
        write_view(out, plan, &plan->views[i]);
    write_columns(out, "derive", &plan->late, "");
    write_score(out, plan);
    write_columns(out, "decide", &plan->decide, "");
    if (plan->evidence.full)
        mr_bytes_append_text(out, "evidence full\n");
    for (size_t i = 0; i < plan->sink_count; i++)
        write_sink(out, &plan->sinks[i]);
    for (size_t i = 0; i < plan->emit_count; i++)
        write_emit(out, plan, &plan->emits[i]);
    mr_bytes_printf(out, "dead letters %s\n", plan->dead_letters);
}

/* ---- JSON ---- */

static void json_text(mr_bytes *out, const char *key, const char *text)
{
    mr_bytes_printf(out, "\"%s\":", key);
    mr_encode_json_text(text, strlen(text), out);
}

static void json_schema(mr_bytes *out, const mr_schema *schema)
{
    char type[32];
    mr_bytes_append_byte(out, '[');
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const mr_field *field = &schema->fields[i];
        mr_bytes_append_text(out, i > 0 ? ",{" : "{");
        json_text(out, "name", field->name);
        mr_bytes_printf(out, ",\"type\":\"%s\",\"nullable\":%s}", mr_type_format(field->type, type),
                        field->nullable ? "true" : "false");
    }
    mr_bytes_append_byte(out, ']');
}

static void write_json(const mr_plan *plan, mr_bytes *out)
{
    mr_bytes_append_byte(out, '{');
    json_text(out, "pipeline", plan->name);
    mr_bytes_printf(out, ",\"hash\":\"%016llx\",\"sources\":[", (unsigned long long)plan->hash);
    for (size_t i = 0; i < plan->source_count; i++) {
        mr_bytes_append_text(out, i > 0 ? ",{" : "{");
        json_text(out, "name", plan->sources[i].name);
        if (plan->sources[i].topic != NULL) {
            mr_bytes_append_byte(out, ',');
            json_text(out, "topic", plan->sources[i].topic);
        }
        mr_bytes_append_text(out, ",\"columns\":");
        json_schema(out, plan->sources[i].schema);
        mr_bytes_append_byte(out, '}');
    }
    mr_bytes_append_text(out, "],\"frame\":");
    json_schema(out, plan->frame);
    mr_bytes_append_text(out, ",\"sinks\":[");
    for (size_t i = 0; i < plan->sink_count; i++) {
        mr_bytes_append_text(out, i > 0 ? ",{" : "{");
        json_text(out, "topic", plan->sinks[i].topic);
        mr_bytes_append_text(out, ",\"columns\":");
        json_schema(out, plan->sinks[i].schema);
        mr_bytes_append_byte(out, '}');
    }
    for (size_t i = 0; i < plan->emit_count; i++) {
        mr_bytes_append_text(out, plan->sink_count + i > 0 ? ",{" : "{");
        json_text(out, "topic", plan->emits[i].sink.topic);
        mr_bytes_append_text(out, ",\"columns\":");
        json_schema(out, plan->emits[i].sink.schema);
        mr_bytes_append_byte(out, '}');
    }
    mr_bytes_append_text(out, "],");
    json_text(out, "dead_letters", plan->dead_letters);
    mr_bytes_append_text(out, ",\"plan\":");
    mr_bytes text = {0};
    write_text(plan, &text);
    mr_encode_json_text(text.data, text.size, out);
    mr_bytes_deinit(&text);
    mr_bytes_append_byte(out, '}');
}

void mr_plan_format(const mr_plan *plan, bool json, mr_bytes *out)
{
    if (json)
        write_json(plan, out);
    else
        write_text(plan, out);
}
