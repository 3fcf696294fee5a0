/* yaml.c -- libyaml events to a tree with places.
 *
 * (1) The stack of open collections is an array: a hostile depth ends in an error, not in our own stack.
 * (2) Every node's memory is the arena's; libyaml's own is freed event by event. */
#include "data/yaml.h"

#include "base/assert.h"

#include <string.h>
#include <yaml.h>

typedef struct open_node {
    mr_yaml *node;
    mr_yaml *last_child;
    mr_yaml *pending_key; /* a mapping's key that waits for its value */
} open_node;

typedef struct yaml_reader {
    yaml_parser_t parser;
    const char *file;
    mr_arena *arena;
    mr_error *err;
    open_node stack[MR_YAML_DEPTH_MAX];
    size_t depth;
    size_t node_count;
    mr_yaml *root;
} yaml_reader;

static mr_status fail_at(yaml_reader *reader, uint32_t line, uint32_t column, const char *what)
{
    mr_error_place(reader->err, reader->file, line, column);
    return MR_FAIL(reader->err, MR_INVALID, "%s", what);
}

static mr_status check_double_key(yaml_reader *reader, const open_node *top, const mr_yaml *key)
{
    for (const mr_yaml *child = top->node->first; child != NULL; child = child->next) {
        if (strcmp(child->key, key->text) != 0)
            continue;
        mr_error_place(reader->err, reader->file, key->line, key->column);
        return MR_FAIL(reader->err, MR_INVALID, "key %s appears twice; first at line %u", key->text,
                       child->key_line);
    }
    return MR_OK;
}

/* Puts a finished or just opened node under the collection that is open. */
static mr_status place_node(yaml_reader *reader, mr_yaml *node)
{
    if (reader->depth == 0) {
        reader->root = node;
        return MR_OK;
    }
    open_node *top = &reader->stack[reader->depth - 1];
    if (top->node->kind == MR_YAML_MAPPING && top->pending_key == NULL) {
        if (node->kind != MR_YAML_SCALAR)
            return fail_at(reader, node->line, node->column, "a key must be a plain value");
        MR_TRY(check_double_key(reader, top, node));
        top->pending_key = node;
        return MR_OK;
    }
    if (top->pending_key != NULL) {
        node->key = top->pending_key->text;
        node->key_line = top->pending_key->line;
        node->key_column = top->pending_key->column;
        top->pending_key = NULL;
    }
    if (top->last_child != NULL)
        top->last_child->next = node;
    else
        top->node->first = node;
    top->last_child = node;
    top->node->child_count++;
    return MR_OK;
}

static mr_status new_node(yaml_reader *reader, const yaml_event_t *event, mr_yaml_kind kind,
                          mr_yaml **out)
{
    uint32_t line = (uint32_t)event->start_mark.line + 1,
             column = (uint32_t)event->start_mark.column + 1;
    if (++reader->node_count > MR_YAML_NODES_MAX)
        return fail_at(reader, line, column,
                       "too many nodes for a configuration (100000 is the limit)");
    mr_yaml *node = MR_ARENA_NEW(reader->arena, mr_yaml);
    if (node == NULL)
        return MR_OUT_OF_MEMORY(reader->err);
    node->kind = kind;
    node->line = line;
    node->column = column;
    *out = node;
    return MR_OK;
}

static mr_status add_scalar(yaml_reader *reader, const yaml_event_t *event)
{
    mr_yaml *node = NULL;
    MR_TRY(new_node(reader, event, MR_YAML_SCALAR, &node));
    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
        return fail_at(reader, node->line, node->column, "anchors and tags are not used here");
    yaml_scalar_style_t style = event->data.scalar.style;
    node->plain = style == YAML_PLAIN_SCALAR_STYLE;
    if (style == YAML_SINGLE_QUOTED_SCALAR_STYLE || style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
        node->column++;
    if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE) {
        node->line++;
        node->column = 1;
    }
    const char *value = (const char *)event->data.scalar.value;
    if (strlen(value) != event->data.scalar.length)
        return fail_at(reader, node->line, node->column, "a value contains a NUL character");
    node->text = mr_arena_strdup(reader->arena, value);
    if (node->text == NULL)
        return MR_OUT_OF_MEMORY(reader->err);
    return place_node(reader, node);
}

static mr_status open_collection(yaml_reader *reader, const yaml_event_t *event, mr_yaml_kind kind,
                                 bool decorated)
{
    mr_yaml *node = NULL;
    MR_TRY(new_node(reader, event, kind, &node));
    if (decorated)
        return fail_at(reader, node->line, node->column, "anchors and tags are not used here");
    if (reader->depth == MR_YAML_DEPTH_MAX)
        return fail_at(reader, node->line, node->column,
                       "nested too deeply (64 levels is the limit)");
    MR_TRY(place_node(reader, node));
    reader->stack[reader->depth++] = (open_node){.node = node};
    return MR_OK;
}

static mr_status handle(yaml_reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(reader, event, MR_YAML_SEQUENCE,
                               event->data.sequence_start.anchor != NULL ||
                                   event->data.sequence_start.tag != NULL);
    case YAML_MAPPING_START_EVENT:
        return open_collection(reader, event, MR_YAML_MAPPING,
                               event->data.mapping_start.anchor != NULL ||
                                   event->data.mapping_start.tag != NULL);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return MR_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(reader, (uint32_t)event->start_mark.line + 1,
                       (uint32_t)event->start_mark.column + 1, "aliases are not used here");
    case YAML_DOCUMENT_START_EVENT:
        if (reader->root != NULL)
            return fail_at(reader, (uint32_t)event->start_mark.line + 1, 1,
                           "a second document starts; one is expected");
        return MR_OK;
    default:
        return MR_OK;
    }
}

static mr_status parse_failure(yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    mr_error_place(reader->err, reader->file, (uint64_t)parser->problem_mark.line + 1,
                   (uint64_t)parser->problem_mark.column + 1);
    if (parser->error == YAML_MEMORY_ERROR)
        return MR_OUT_OF_MEMORY(reader->err);
    return MR_FAIL(reader->err, MR_INVALID, "not valid YAML: %s%s%s",
                   parser->problem != NULL ? parser->problem : "unreadable",
                   parser->context != NULL ? ", " : "",
                   parser->context != NULL ? parser->context : "");
}

static mr_status read_events(yaml_reader *reader)
{
    for (bool end = false; !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event))
            return parse_failure(reader);
        mr_status status = handle(reader, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        MR_TRY(status);
    }
    if (reader->root == NULL)
        return fail_at(reader, 1, 1, "the file holds no document");
    return MR_OK;
}

mr_status mr_yaml_parse(const char *text, size_t bytes, const char *file, mr_arena *arena,
                        mr_yaml **out, mr_error *err)
{
    *out = NULL;
    yaml_reader *reader = MR_NEW(yaml_reader);
    if (reader == NULL)
        return MR_OUT_OF_MEMORY(err);
    reader->file = file;
    reader->arena = arena;
    reader->err = err;
    mr_status status = MR_OK;
    if (!yaml_parser_initialize(&reader->parser)) {
        mr_free(reader);
        return MR_OUT_OF_MEMORY(err);
    }
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)(bytes > 0 ? text : ""),
                                 bytes);
    status = read_events(reader);
    *out = status == MR_OK ? reader->root : NULL;
    yaml_parser_delete(&reader->parser);
    mr_free(reader);
    return status;
}

const mr_yaml *mr_yaml_get(const mr_yaml *node, const char *key)
{
    if (node == NULL || node->kind != MR_YAML_MAPPING)
        return NULL;
    for (const mr_yaml *child = node->first; child != NULL; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

const char *mr_yaml_kind_text(mr_yaml_kind kind)
{
    return kind == MR_YAML_MAPPING    ? "a mapping"
           : kind == MR_YAML_SEQUENCE ? "a sequence"
                                      : "a value";
}
