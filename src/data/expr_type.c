/* expr_type.c -- types the tree: what its parts are, and how two types become one.
 *
 * Calls are typed in expr_call.c, the other forms in expr_form.c, nodes are kept by expr_node.c. */
#include "data/expr_typer.h"

#define NAMES_SHOWN_MAX 12

mr_rep mr_rep_of(mr_type_id id)
{
    static const mr_rep reps[] = {
        [MR_BOOL] = MR_REP_BITS,     [MR_INT32] = MR_REP_INT,     [MR_INT64] = MR_REP_INT,
        [MR_TIMESTAMP] = MR_REP_INT, [MR_FLOAT32] = MR_REP_FLOAT, [MR_FLOAT64] = MR_REP_FLOAT,
        [MR_STRING] = MR_REP_TEXT,   [MR_BYTES] = MR_REP_TEXT,    [MR_VECTOR] = MR_REP_VECTOR,
        [MR_TYPE_NULL] = MR_REP_BITS};
    return reps[id];
}

bool mr_type_is_int(mr_type_id id)
{
    return id == MR_INT32 || id == MR_INT64;
}

const char *mr_type_text(mr_type type, char *out)
{
    return type.id == MR_TYPE_NULL ? "NULL" : mr_type_format(type, out);
}

/* ---- types ---- */

/* The one type both fit; false when there is none. */
bool mr_type_unify(mr_type a, mr_type b, mr_type *out)
{
    *out = a.id == MR_TYPE_NULL ? b : a;
    if (a.id == MR_TYPE_NULL || b.id == MR_TYPE_NULL || mr_type_equal(a, b))
        return true;
    if (!mr_type_is_number(a.id) || !mr_type_is_number(b.id))
        return false;
    out->id = mr_type_is_int(a.id) && mr_type_is_int(b.id) ? MR_INT64 : MR_FLOAT64;
    return true;
}

/* Puts a node into the form of `type`, which it is known to fit: an integer may become a float, a
 * bare NULL anything. */
mr_status mr_typer_coerce(mr_typer *t, mr_typed from, mr_rep rep, uint32_t *out)
{
    *out = from.node;
    if (from.type.id == MR_TYPE_NULL)
        return mr_typer_constant(t, rep, (mr_value){.is_null = true}, out);
    if (mr_rep_of(from.type.id) == rep)
        return MR_OK;
    MR_ASSERT(rep == MR_REP_FLOAT && mr_type_is_int(from.type.id));
    return mr_typer_call_1(t, mr_kernel_int_to_float, MR_REP_FLOAT, MR_NULL_ANY, from.node, out);
}

mr_status mr_typer_tree(mr_typer *t, const mr_tree *tree, mr_typed *out);

mr_status mr_typer_args(mr_typer *t, const mr_tree *tree, mr_typed **out)
{
    *out = MR_ARENA_ARRAY(&t->expr->arena, mr_typed, tree->arg_count + 1);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    for (size_t i = 0; i < tree->arg_count; i++)
        MR_TRY(mr_typer_tree(t, tree->args[i], &(*out)[i]));
    return MR_OK;
}

/* ---- leaves ---- */

/* "amount, customer, at, ..." */
static void append_names(mr_bytes *out, const mr_schema *schema)
{
    for (uint32_t i = 0; i < schema->field_count && i < NAMES_SHOWN_MAX; i++)
        mr_bytes_printf(out, "%s%s", i > 0 ? ", " : "", schema->fields[i].name);
    mr_bytes_append_text(out, schema->field_count > NAMES_SHOWN_MAX ? ", ..." : "");
}

static mr_status fail_unknown_column(mr_typer *t, const mr_tree *tree)
{
    uint32_t count = t->schema->field_count;
    const char **names = mr_arena_alloc(&t->expr->arena, count * sizeof *names);
    mr_bytes list = {0};
    if (names == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    for (uint32_t i = 0; i < count; i++)
        names[i] = t->schema->fields[i].name;
    const char *close = mr_expr_closest(tree->text, tree->bytes, names, count);
    if (close != NULL)
        return MR_FAIL_AT(t, tree, "unknown column %s; did you mean %s?", tree->text, close);
    append_names(&list, t->schema);
    const char *text = mr_bytes_text(&list);
    mr_status status =
        text != NULL ? MR_FAIL_AT(t, tree, "unknown column %s; there are %s", tree->text, text)
                     : MR_OUT_OF_MEMORY(t->err);
    mr_bytes_deinit(&list);
    return status;
}

static mr_status type_column(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    int at = mr_schema_find_n(t->schema, tree->text, tree->bytes);
    if (at < 0)
        return fail_unknown_column(t, tree);
    const mr_field *field = &t->schema->fields[at];
    mr_rep rep = mr_rep_of(field->type.id);
    mr_node node = {.kind = MR_NODE_COLUMN,
                    .rep = rep,
                    .nullable = field->nullable || rep == MR_REP_FLOAT, /* NaN is read as NULL */
                    .column = (uint32_t)at,
                    .column_type = field->type};
    out->type = field->type;
    return mr_typer_add(t, &node, &out->node);
}

static mr_status type_literal(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    mr_value value = {0};
    out->type = (mr_type){0};
    switch (tree->kind) {
    case MR_TREE_NULL:
        out->type.id = MR_TYPE_NULL;
        value.is_null = true;
        break;
    case MR_TREE_BOOL:
        out->type.id = MR_BOOL;
        value.as.boolean = tree->integer != 0;
        break;
    case MR_TREE_FLOAT:
        out->type.id = MR_FLOAT64;
        value.as.real = tree->real;
        break;
    case MR_TREE_TEXT:
        out->type.id = MR_STRING;
        value.as.text = (mr_text){(const uint8_t *)tree->text, tree->bytes};
        break;
    default:
        out->type.id = tree->kind == MR_TREE_TIMESTAMP ? MR_TIMESTAMP : MR_INT64;
        value.as.integer = tree->integer;
        break;
    }
    return mr_typer_constant(t, mr_rep_of(out->type.id), value, &out->node);
}

mr_status mr_typer_tree(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    switch (tree->kind) {
    case MR_TREE_COLUMN:
        return type_column(t, tree, out);
    case MR_TREE_CALL:
        return mr_typer_function(t, tree, out);
    case MR_TREE_CASE:
        return mr_typer_case(t, tree, out);
    case MR_TREE_IN:
        return mr_typer_in(t, tree, out);
    case MR_TREE_BETWEEN:
        return mr_typer_between(t, tree, out);
    case MR_TREE_IS_NULL:
        return mr_typer_is_null(t, tree, out);
    case MR_TREE_CAST:
        return mr_typer_cast(t, tree, out);
    default:
        return type_literal(t, tree, out);
    }
}

mr_status mr_expr_type_tree(mr_expr *expr, const mr_schema *schema, const mr_expr_place *origin,
                            mr_nodes *nodes, uint32_t *out_root, mr_error *err)
{
    mr_typer t = {expr, schema, origin, nodes, err};
    mr_typed root = {0};
    MR_TRY(mr_typer_tree(&t, expr->tree, &root));
    if (root.type.id == MR_TYPE_NULL)
        return MR_FAIL_AT(&t, expr->tree,
                          "this is always NULL and has no type; cast(null as float64) has one");
    *out_root = root.node;
    expr->type = root.type;
    expr->nullable = nodes->items[root.node].nullable;
    const mr_node *node = &nodes->items[root.node];
    expr->is_column =
        node->kind == MR_NODE_COLUMN && mr_type_equal(schema->fields[node->column].type, root.type);
    return MR_OK;
}
