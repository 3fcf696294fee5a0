/* expr_type.c -- types the tree: every operation gets an overload, every column an index, constants
 * are folded, and equal operations become one node.
 *
 * (1) A node's arguments have smaller numbers than the node: who walks the nodes needs no recursion.
 * (2) A constant's node holds its value in the form of a register (int32 as int64, float32 as
 *     double). */
#include "data/expr_internal.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define TYPE_NULL MR_TYPE_COUNT /* of a bare NULL, before its context gives it a type */

/* What a part of the tree turned into. */
typedef struct typed {
    uint32_t node;
    mr_type type;
} typed;

typedef struct typer {
    mr_expr *expr;
    const mr_schema *schema;
    const mr_expr_place *origin;
    mr_nodes *nodes;
    mr_error *err;
} typer;

mr_rep mr_rep_of(mr_type_id id)
{
    static const mr_rep reps[] = {
        [MR_BOOL] = MR_REP_BITS,     [MR_INT32] = MR_REP_INT,     [MR_INT64] = MR_REP_INT,
        [MR_TIMESTAMP] = MR_REP_INT, [MR_FLOAT32] = MR_REP_FLOAT, [MR_FLOAT64] = MR_REP_FLOAT,
        [MR_STRING] = MR_REP_TEXT,   [MR_BYTES] = MR_REP_TEXT,    [MR_VECTOR] = MR_REP_VECTOR,
        [TYPE_NULL] = MR_REP_BITS};
    return reps[id];
}

static bool is_int(mr_type_id id)
{
    return id == MR_INT32 || id == MR_INT64;
}

static const char *type_text(mr_type type, char *out)
{
    return type.id == TYPE_NULL ? "NULL" : mr_type_format(type, out);
}

#define FAIL_AT(t, tree, ...)                                                                      \
    mr_expr_fail((t)->origin, (tree)->line, (tree)->column, (t)->err, __VA_ARGS__)

/* ---- nodes ---- */

static uint64_t hash_node(const mr_node *node)
{
    uint64_t hash = mr_hash_u64((uint64_t)node->kind << 8 | (uint64_t)node->rep);
    hash = mr_hash_u64(hash ^ node->column ^ (uint64_t)(uintptr_t)node->kernel);
    hash = mr_hash_u64(hash ^ (uint64_t)(uintptr_t)node->aux);
    if (node->kind == MR_NODE_CONSTANT && node->rep == MR_REP_TEXT)
        return hash ^ mr_hash64(node->value.as.text.bytes, node->value.as.text.size);
    if (node->kind == MR_NODE_CONSTANT)
        return mr_hash_u64(hash ^ (uint64_t)node->value.as.integer ^ node->value.is_null);
    return hash ^ mr_hash64(node->args, node->arg_count * sizeof(uint32_t));
}

static bool same_value(const mr_node *a, const mr_node *b)
{
    if (a->value.is_null || b->value.is_null)
        return a->value.is_null == b->value.is_null;
    if (a->rep == MR_REP_TEXT)
        return mr_text_compare(a->value.as.text, b->value.as.text) == 0;
    return a->value.as.integer == b->value.as.integer; /* the bits, for every other form */
}

static bool same_node(const mr_node *a, const mr_node *b)
{
    return a->kind == b->kind && a->rep == b->rep && a->column == b->column &&
           a->kernel == b->kernel && a->aux == b->aux && a->arg_count == b->arg_count &&
           (a->arg_count == 0 || memcmp(a->args, b->args, a->arg_count * sizeof(uint32_t)) == 0) &&
           (a->kind != MR_NODE_CONSTANT || same_value(a, b));
}

/* The slot of the index where `node` is, or would be. */
static uint32_t *find_slot(mr_nodes *nodes, const mr_node *node)
{
    for (uint64_t at = hash_node(node);; at++) {
        uint32_t *slot = &nodes->index[at & nodes->index_mask];
        if (*slot == 0 || same_node(&nodes->items[*slot - 1], node))
            return slot;
    }
}

static mr_status grow_nodes(mr_nodes *nodes, mr_error *err)
{
    uint32_t capacity = nodes->capacity > 0 ? nodes->capacity * 2 : 32;
    mr_node *items = mr_realloc(nodes->items, capacity * sizeof(mr_node));
    if (items == NULL)
        return MR_OUT_OF_MEMORY(err);
    nodes->items = items;
    uint32_t *index = mr_alloc_zero(capacity * 2, sizeof(uint32_t));
    if (index == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_free(nodes->index);
    nodes->index = index;
    nodes->index_mask = capacity * 2 - 1;
    nodes->capacity = capacity;
    for (uint32_t i = 0; i < nodes->count; i++)
        *find_slot(nodes, &nodes->items[i]) = i + 1;
    return MR_OK;
}

static mr_status add_node(typer *t, const mr_node *node, uint32_t *out)
{
    if (t->nodes->count == t->nodes->capacity)
        MR_TRY(grow_nodes(t->nodes, t->err));
    uint32_t *slot = find_slot(t->nodes, node);
    if (*slot == 0) {
        t->nodes->items[t->nodes->count++] = *node;
        *slot = t->nodes->count;
    }
    *out = *slot - 1;
    return MR_OK;
}

static mr_status add_constant(typer *t, mr_rep rep, mr_value value, uint32_t *out)
{
    mr_node node = {.kind = MR_NODE_CONSTANT, .rep = rep, .nullable = value.is_null};
    if (rep == MR_REP_BITS && !value.is_null) /* all the bits are compared */
        node.value.as.integer = value.as.boolean;
    else if (!value.is_null)
        node.value = value;
    node.value.is_null = value.is_null;
    return add_node(t, &node, out);
}

static bool is_nullable(const typer *t, mr_null_rule rule, const uint32_t *args, size_t count)
{
    size_t nullable = 0;
    for (size_t i = 0; i < count; i++)
        nullable += t->nodes->items[args[i]].nullable;
    switch (rule) {
    case MR_NULL_ANY:
    case MR_NULL_LOGIC:
        return nullable > 0;
    case MR_NULL_ALL:
        return nullable == count;
    case MR_NULL_NEVER:
        return false;
    case MR_NULL_MAYBE:
        break;
    }
    return true;
}

static bool all_constant(const typer *t, const uint32_t *args, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (t->nodes->items[args[i]].kind != MR_NODE_CONSTANT)
            return false;
    return true;
}

/* A call, or the constant it is. `args` must stay: arena memory. */
static mr_status add_call(typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule,
                          const void *aux, const uint32_t *args, size_t count, uint32_t *out)
{
    mr_node node = {.kind = MR_NODE_CALL,
                    .rep = rep,
                    .nullable = is_nullable(t, rule, args, count),
                    .strict = rule == MR_NULL_ANY || rule == MR_NULL_MAYBE,
                    .kernel = kernel,
                    .aux = aux,
                    .args = args,
                    .arg_count = (uint32_t)count};
    mr_value value;
    if (!all_constant(t, args, count))
        return add_node(t, &node, out);
    if (!mr_program_fold(&node, t->nodes->items, &t->expr->arena, &value))
        return MR_OUT_OF_MEMORY(t->err);
    return add_constant(t, rep, value, out);
}

static mr_status add_call_1(typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule, uint32_t arg,
                            uint32_t *out)
{
    uint32_t *args = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, 1);
    if (args == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    args[0] = arg;
    return add_call(t, kernel, rep, rule, NULL, args, 1, out);
}

static mr_status add_call_2(typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule, uint32_t a,
                            uint32_t b, uint32_t *out)
{
    uint32_t *args = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, 2);
    if (args == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    args[0] = a;
    args[1] = b;
    return add_call(t, kernel, rep, rule, NULL, args, 2, out);
}

static mr_status add_not(typer *t, uint32_t *node)
{
    return add_call_1(t, mr_kernel_not_bits, MR_REP_BITS, MR_NULL_ANY, *node, node);
}

/* ---- types ---- */

/* The one type both fit; false when there is none. */
static bool unify(mr_type a, mr_type b, mr_type *out)
{
    *out = a.id == TYPE_NULL ? b : a;
    if (a.id == TYPE_NULL || b.id == TYPE_NULL || mr_type_equal(a, b))
        return true;
    if (!mr_type_is_number(a.id) || !mr_type_is_number(b.id))
        return false;
    out->id = is_int(a.id) && is_int(b.id) ? MR_INT64 : MR_FLOAT64;
    return true;
}

/* Puts a node into the form of `type`, which it is known to fit: an integer may become a float, a
 * bare NULL anything. */
static mr_status coerce(typer *t, typed from, mr_rep rep, uint32_t *out)
{
    *out = from.node;
    if (from.type.id == TYPE_NULL)
        return add_constant(t, rep, (mr_value){.is_null = true}, out);
    if (mr_rep_of(from.type.id) == rep)
        return MR_OK;
    MR_ASSERT(rep == MR_REP_FLOAT && is_int(from.type.id));
    return add_call_1(t, mr_kernel_int_to_float, MR_REP_FLOAT, MR_NULL_ANY, from.node, out);
}

static mr_status type_tree(typer *t, const mr_tree *tree, typed *out);

static mr_status type_args(typer *t, const mr_tree *tree, typed **out)
{
    *out = MR_ARENA_ARRAY(&t->expr->arena, typed, tree->arg_count + 1);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    for (size_t i = 0; i < tree->arg_count; i++)
        MR_TRY(type_tree(t, tree->args[i], &(*out)[i]));
    return MR_OK;
}

/* ---- leaves ---- */

static mr_status fail_unknown_column(typer *t, const mr_tree *tree)
{
    const char *names[MR_FIELDS_MAX];
    for (uint32_t i = 0; i < t->schema->field_count; i++)
        names[i] = t->schema->fields[i].name;
    const char *close = mr_expr_closest(tree->text, tree->bytes, names, t->schema->field_count);
    if (close != NULL)
        return FAIL_AT(t, tree, "unknown column %s; did you mean %s?", tree->text, close);
    mr_bytes list = {0};
    for (uint32_t i = 0; i < t->schema->field_count && i < 12; i++)
        mr_bytes_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    mr_bytes_append_text(&list, t->schema->field_count > 12 ? ", ..." : "");
    const char *text = mr_bytes_text(&list);
    mr_status status = FAIL_AT(t, tree, "unknown column %s; there are %s", tree->text,
                               text != NULL ? text : "others");
    mr_bytes_deinit(&list);
    return status;
}

static mr_status type_column(typer *t, const mr_tree *tree, typed *out)
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
    return add_node(t, &node, &out->node);
}

static mr_status type_literal(typer *t, const mr_tree *tree, typed *out)
{
    mr_value value = {0};
    out->type = (mr_type){0};
    switch (tree->kind) {
    case MR_TREE_NULL:
        out->type.id = TYPE_NULL;
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
    return add_constant(t, mr_rep_of(out->type.id), value, &out->node);
}

/* ---- calls ---- */

static bool takes(char letter, mr_type_id id)
{
    if (id == TYPE_NULL && letter != 'k')
        return true;
    switch (letter) {
    case 'b':
        return id == MR_BOOL;
    case 'i':
        return is_int(id);
    case 'f':
        return mr_type_is_number(id);
    case 't':
        return id == MR_TIMESTAMP;
    case 's':
    case 'k':
        return id == MR_STRING;
    case 'y':
        return id == MR_BYTES;
    default:
        return id != MR_VECTOR;
    }
}

/* The letter for argument `i`; 0: the signature has none. */
static char letter_at(const char *args, size_t i)
{
    size_t length = strlen(args);
    bool many = args[length - 1] == '*';
    if (many && i >= length - 1)
        return args[length - 2];
    return i < length ? args[i] : '\0';
}

static bool count_fits(const char *args, size_t count)
{
    size_t length = strlen(args);
    return args[length - 1] == '*' ? count >= length - 1 : count == length;
}

/* Whether an overload takes the arguments; `common` is the type of all a's. */
static bool overload_fits(const mr_function *f, const typed *args, size_t count, mr_type *common)
{
    *common = (mr_type){TYPE_NULL, 0};
    if (!count_fits(f->args, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        char letter = letter_at(f->args, i);
        if (!takes(letter, args[i].type.id) ||
            (letter == 'a' && !unify(*common, args[i].type, common)))
            return false;
    }
    return true;
}

static void append_types(mr_bytes *out, const typed *args, size_t count)
{
    char text[32];
    for (size_t i = 0; i < count; i++)
        mr_bytes_printf(out, "%s%s", i > 0 ? ", " : "", type_text(args[i].type, text));
}

static const mr_function *next_overload(const mr_function *f)
{
    size_t count;
    const mr_function *table = mr_function_table(&count), *next = f + 1;
    return next < table + count && strcmp(next->name, f->name) == 0 ? next : NULL;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What one overload wants: "timestamp", "(string, int64)", "int64 + int64". */
static void append_form(mr_bytes *out, const mr_function *f)
{
    mr_bytes form = {0};
    mr_function_format(f, &form);
    size_t name_bytes = strlen(f->name);
    bool called = form.size > 0 && form.data[form.size - 1] == ')';
    size_t from = f->args[1] == '\0' ? name_bytes + 1 : called ? name_bytes : 0;
    size_t cut = f->args[1] == '\0' && called; /* a single argument needs no brackets */
    if (form.failed)
        out->failed = true;
    else
        mr_bytes_append(out, form.data + from, form.size - from - cut);
    mr_bytes_deinit(&form);
}

/* "hour() wants timestamp, got float64" */
static mr_status fail_overloads(typer *t, const mr_tree *tree, const mr_function *f,
                                const typed *args)
{
    mr_bytes text = {0};
    bool operator= !is_letter(f->name[0]) || mr_word_is_reserved(f->name, strlen(f->name));
    mr_bytes_printf(&text, "%s%s wants ", f->name, operator? "" : "()");
    if (f->args[0] == 'a' && tree->arg_count >= 2)
        mr_bytes_append_text(&text, "values of one type");
    else
        for (const mr_function *o = f; o != NULL; o = next_overload(o)) {
            mr_bytes_append_text(&text, o == f ? "" : " or ");
            append_form(&text, o);
        }
    mr_bytes_append_text(&text, tree->arg_count == 0 ? ", got nothing" : ", got ");
    append_types(&text, args, tree->arg_count);
    for (size_t i = 0; tree->arg_count == 2 && i < 2; i++)
        if (args[i].type.id == MR_TIMESTAMP && tree->args[1 - i]->kind == MR_TREE_TEXT)
            mr_bytes_printf(&text, "; write timestamp '%s'", tree->args[1 - i]->text);
    const char *sentence = mr_bytes_text(&text);
    mr_status status = FAIL_AT(t, tree, "%s", sentence != NULL ? sentence : f->name);
    mr_bytes_deinit(&text);
    return status;
}

static mr_status fail_unknown_function(typer *t, const mr_tree *tree)
{
    const char *close = mr_function_closest(tree->text, tree->bytes);
    if (close != NULL)
        return FAIL_AT(t, tree, "unknown function %s(); did you mean %s()?", tree->text, close);
    return FAIL_AT(t, tree, "unknown function %s(); `millrace help expressions` lists them",
                   tree->text);
}

static mr_status hash_of(typer *t, typed value, uint32_t *out)
{
    static const mr_kernel kernels[] = {mr_kernel_hash_bits, mr_kernel_hash_int,
                                        mr_kernel_hash_float, mr_kernel_hash_text};
    mr_rep rep = mr_rep_of(value.type.id);
    uint32_t node;
    MR_TRY(coerce(t, value, rep, &node));
    return add_call_1(t, kernels[rep], MR_REP_INT, MR_NULL_ANY, node, out);
}

static mr_rep rep_of_letter(char letter, mr_type common)
{
    switch (letter) {
    case 'b':
        return MR_REP_BITS;
    case 'f':
        return MR_REP_FLOAT;
    case 's':
    case 'y':
        return MR_REP_TEXT;
    case 'a':
        return mr_rep_of(common.id);
    default:
        return MR_REP_INT;
    }
}

static mr_type type_of_letter(char letter, mr_type common)
{
    static const char letters[] = "bifts";
    static const mr_type_id ids[] = {MR_BOOL, MR_INT64, MR_FLOAT64, MR_TIMESTAMP, MR_STRING};
    if (letter == 'a')
        return common;
    return (mr_type){ids[strchr(letters, letter) - letters], 0};
}

/* Gives a constant text to the function's `prepare`. */
static mr_status prepare_constant(typer *t, const mr_function *f, const mr_tree *tree, typed value,
                                  const void **out_aux)
{
    const mr_node *node = &t->nodes->items[value.node];
    if (node->kind != MR_NODE_CONSTANT || node->value.is_null)
        return FAIL_AT(t, tree, "%s() wants a constant text here", f->name);
    mr_error inner = {0};
    mr_status status = f->prepare(&t->expr->arena, (const char *)node->value.as.text.bytes,
                                  node->value.as.text.size, out_aux, &inner);
    if (status == MR_INVALID)
        return FAIL_AT(t, tree, "%s(): %s", f->name, inner.text);
    return status == MR_OK ? MR_OK : MR_OUT_OF_MEMORY(t->err);
}

/* Arguments in the form the overload wants them; constants for `prepare` are left out. */
static mr_status coerce_args(typer *t, const mr_function *f, const mr_tree *tree, const typed *args,
                             mr_type common, uint32_t *nodes, size_t *out_count, const void **aux)
{
    *out_count = 0;
    for (size_t i = 0; i < tree->arg_count; i++) {
        char letter = letter_at(f->args, i);
        if (letter == 'k')
            MR_TRY(prepare_constant(t, f, tree->args[i], args[i], aux));
        else if (letter == 'h')
            MR_TRY(hash_of(t, args[i], &nodes[(*out_count)++]));
        else
            MR_TRY(coerce(t, args[i], rep_of_letter(letter, common), &nodes[(*out_count)++]));
    }
    return MR_OK;
}

static mr_status apply(typer *t, const mr_function *f, const mr_tree *tree, const typed *args,
                       mr_type common, typed *out)
{
    const void *aux = NULL;
    size_t count;
    uint32_t *nodes = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, tree->arg_count);
    if (nodes == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    MR_TRY(coerce_args(t, f, tree, args, common, nodes, &count, &aux));
    if (f->swap) {
        uint32_t first = nodes[0];
        nodes[0] = nodes[1];
        nodes[1] = first;
    }
    out->type = type_of_letter(f->result, common);
    out->node = nodes[0];
    mr_kernel kernel = f->by_rep != NULL ? f->by_rep[mr_rep_of(common.id)] : f->kernel;
    if (kernel != NULL)
        MR_TRY(add_call(t, kernel, rep_of_letter(f->result, common), f->nulls, aux, nodes, count,
                        &out->node));
    return f->negate ? add_not(t, &out->node) : MR_OK;
}

static mr_status type_call(typer *t, const mr_tree *tree, typed *out)
{
    const mr_function *first = mr_function_find(tree->text, tree->bytes);
    mr_type common;
    typed *args;
    if (first == NULL)
        return fail_unknown_function(t, tree);
    MR_TRY(type_args(t, tree, &args));
    for (const mr_function *f = first; f != NULL; f = next_overload(f))
        if (overload_fits(f, args, tree->arg_count, &common))
            return apply(t, f, tree, args, common, out);
    return fail_overloads(t, tree, first, args);
}

/* ---- the forms with words of their own ---- */

static mr_status type_is_null(typer *t, const mr_tree *tree, typed *out)
{
    typed *args;
    MR_TRY(type_args(t, tree, &args));
    out->type = (mr_type){MR_BOOL, 0};
    MR_TRY(add_call_1(t, mr_kernel_is_null, MR_REP_BITS, MR_NULL_NEVER, args[0].node, &out->node));
    return tree->negated ? add_not(t, &out->node) : MR_OK;
}

/* One comparison as its function would make it. */
static mr_status compare(typer *t, const mr_tree *tree, const char *symbol, typed a, typed b,
                         uint32_t *out)
{
    typed args[2] = {a, b}, result;
    mr_tree pair = *tree;
    const mr_function *f = mr_function_find(symbol, strlen(symbol));
    mr_type common;
    pair.arg_count = 2;
    if (!overload_fits(f, args, 2, &common)) {
        char left[32], right[32];
        return FAIL_AT(t, tree, "%s compares %s with %s, which have no common type",
                       tree->kind == MR_TREE_IN        ? "in"
                       : tree->kind == MR_TREE_BETWEEN ? "between"
                                                       : "case",
                       type_text(a.type, left), type_text(b.type, right));
    }
    MR_TRY(apply(t, f, &pair, args, common, &result));
    *out = result.node;
    return MR_OK;
}

static mr_status type_between(typer *t, const mr_tree *tree, typed *out)
{
    typed *args;
    uint32_t low, high;
    MR_TRY(type_args(t, tree, &args));
    MR_TRY(compare(t, tree, ">=", args[0], args[1], &low));
    MR_TRY(compare(t, tree, "<=", args[0], args[2], &high));
    out->type = (mr_type){MR_BOOL, 0};
    MR_TRY(add_call_2(t, mr_kernel_and_bits, MR_REP_BITS, MR_NULL_LOGIC, low, high, &out->node));
    return tree->negated ? add_not(t, &out->node) : MR_OK;
}

static int order_integers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int order_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int order_texts(const void *a, const void *b)
{
    return mr_text_compare(*(const mr_text *)a, *(const mr_text *)b);
}

/* The constants among `items` (not NULL, already of form `rep`) as a sorted set. */
static mr_status make_set(typer *t, mr_rep rep, const uint32_t *items, size_t count, mr_set **out)
{
    static int (*const orders[])(const void *, const void *) = {NULL, order_integers, order_reals,
                                                                order_texts};
    size_t each = rep == MR_REP_TEXT ? sizeof(mr_text) : 8;
    mr_set *set = *out = MR_ARENA_NEW(&t->expr->arena, mr_set);
    uint8_t *values = mr_arena_alloc(&t->expr->arena, each * count);
    if (set == NULL || values == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    for (size_t i = 0; i < count; i++)
        memcpy(values + i * each, &t->nodes->items[items[i]].value.as, each);
    qsort(values, count, each, orders[rep]);
    set->count = count;
    set->as.integers =
        (const int64_t *)(const void *)values; /* or reals, or texts: a union of pointers */
    return MR_OK;
}

/* x in (...): the constants as one set, whatever else (a NULL, a column) as `or`s of comparisons.
 */
static mr_status type_in(typer *t, const mr_tree *tree, typed *out)
{
    static const mr_kernel kernels[] = {NULL, mr_kernel_in_int, mr_kernel_in_float,
                                        mr_kernel_in_text};
    typed *args;
    mr_type common = {TYPE_NULL, 0};
    mr_set *set;
    size_t constants = 0, others = 0, count = tree->arg_count;
    MR_TRY(type_args(t, tree, &args));
    uint32_t *nodes = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, count * 2);
    if (nodes == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    for (size_t i = 0; i < count; i++) {
        char left[32], right[32];
        if (args[i].type.id == MR_VECTOR || !unify(common, args[i].type, &common))
            return FAIL_AT(t, tree->args[i], "in compares %s with %s, which have no common type",
                           type_text(args[0].type, left), type_text(args[i].type, right));
    }
    mr_rep rep = mr_rep_of(common.id);
    uint32_t *rest = nodes + count, result = 0;
    for (size_t i = 1; i < count; i++) {
        uint32_t node;
        MR_TRY(coerce(t, args[i], rep, &node));
        const mr_node *item = &t->nodes->items[node];
        bool in_set = item->kind == MR_NODE_CONSTANT && !item->value.is_null && rep != MR_REP_BITS;
        *(in_set ? &nodes[constants++] : &rest[others++]) = node;
    }
    uint32_t value;
    MR_TRY(coerce(t, args[0], rep, &value));
    if (constants > 0) {
        uint32_t *arg = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, 1);
        if (arg == NULL)
            return MR_OUT_OF_MEMORY(t->err);
        *arg = value;
        MR_TRY(make_set(t, rep, nodes, constants, &set));
        MR_TRY(add_call(t, kernels[rep], MR_REP_BITS, MR_NULL_ANY, set, arg, 1, &result));
    }
    for (size_t i = 0; i < others; i++) {
        uint32_t equal;
        typed left = {value, common}, right = {rest[i], common};
        MR_TRY(compare(t, tree, "=", left, right, &equal));
        if (constants == 0 && i == 0)
            result = equal;
        else
            MR_TRY(add_call_2(t, mr_kernel_or_bits, MR_REP_BITS, MR_NULL_LOGIC, result, equal,
                              &result));
    }
    *out = (typed){result, {MR_BOOL, 0}};
    return tree->negated ? add_not(t, &out->node) : MR_OK;
}

/* Finds the common type of a case's values: arguments first, first + 2, ... and the else. */
static mr_status type_case_values(typer *t, const mr_tree *tree, const typed *args, size_t first,
                                  mr_type *common)
{
    *common = (mr_type){TYPE_NULL, 0};
    for (size_t i = first; i < tree->arg_count; i++) {
        char left[32], right[32];
        bool is_else = tree->has_else && i == tree->arg_count - 1;
        if ((i - first) % 2 != 0 && !is_else)
            continue;
        if (args[i].type.id == MR_VECTOR || !unify(*common, args[i].type, common))
            return FAIL_AT(t, tree->args[i], "case gives %s here and %s before; one type is right",
                           type_text(args[i].type, right), type_text(*common, left));
    }
    return MR_OK;
}

static mr_status type_condition(typer *t, const mr_tree *tree, const typed *args, size_t i,
                                uint32_t *out)
{
    char text[32];
    if (tree->has_operand)
        return compare(t, tree->args[i], "=", args[0], args[i], out);
    if (!takes('b', args[i].type.id))
        return FAIL_AT(t, tree->args[i], "when wants bool, got %s", type_text(args[i].type, text));
    return coerce(t, args[i], MR_REP_BITS, out);
}

static mr_status type_case(typer *t, const mr_tree *tree, typed *out)
{
    static const mr_kernel kernels[] = {mr_kernel_case_bits, mr_kernel_case_8, mr_kernel_case_8,
                                        mr_kernel_case_text};
    typed *args;
    mr_type common;
    size_t first = tree->has_operand, end = tree->arg_count - tree->has_else, count = 0;
    MR_TRY(type_args(t, tree, &args));
    MR_TRY(type_case_values(t, tree, args, first + 1, &common));
    mr_rep rep = mr_rep_of(common.id);
    uint32_t *nodes = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, tree->arg_count + 1);
    if (nodes == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    bool nullable = !tree->has_else;
    for (size_t i = first; i < end; i += 2) {
        MR_TRY(type_condition(t, tree, args, i, &nodes[count++]));
        MR_TRY(coerce(t, args[i + 1], rep, &nodes[count++]));
        nullable |= t->nodes->items[nodes[count - 1]].nullable;
    }
    typed other = {0, {TYPE_NULL, 0}};
    MR_TRY(coerce(t, tree->has_else ? args[end] : other, rep, &nodes[count++]));
    nullable |= t->nodes->items[nodes[count - 1]].nullable;
    out->type = common;
    MR_TRY(add_call(t, kernels[rep], rep, nullable ? MR_NULL_ALL : MR_NULL_NEVER, NULL, nodes,
                    count, &out->node));
    if (t->nodes->items[out->node].kind == MR_NODE_CALL)
        t->nodes->items[out->node].nullable = nullable;
    return MR_OK;
}

static mr_status type_cast(typer *t, const mr_tree *tree, typed *out)
{
    typed value;
    mr_kernel kernel;
    mr_null_rule nulls;
    char from[32], to[32];
    MR_TRY(type_tree(t, tree->args[0], &value));
    *out = (typed){value.node, tree->type};
    mr_rep rep = mr_rep_of(tree->type.id);
    if (value.type.id == TYPE_NULL)
        return coerce(t, value, rep, &out->node);
    if (value.type.id == MR_VECTOR || !mr_cast_find(value.type.id, tree->type.id, &kernel, &nulls))
        return FAIL_AT(t, tree, "there is no cast from %s to %s", type_text(value.type, from),
                       mr_type_format(tree->type, to));
    return kernel != NULL ? add_call_1(t, kernel, rep, nulls, value.node, &out->node) : MR_OK;
}

static mr_status type_tree(typer *t, const mr_tree *tree, typed *out)
{
    switch (tree->kind) {
    case MR_TREE_COLUMN:
        return type_column(t, tree, out);
    case MR_TREE_CALL:
        return type_call(t, tree, out);
    case MR_TREE_CASE:
        return type_case(t, tree, out);
    case MR_TREE_IN:
        return type_in(t, tree, out);
    case MR_TREE_BETWEEN:
        return type_between(t, tree, out);
    case MR_TREE_IS_NULL:
        return type_is_null(t, tree, out);
    case MR_TREE_CAST:
        return type_cast(t, tree, out);
    default:
        return type_literal(t, tree, out);
    }
}

mr_status mr_expr_type_tree(mr_expr *expr, const mr_schema *schema, const mr_expr_place *origin,
                            mr_nodes *nodes, uint32_t *out_root, mr_error *err)
{
    typer t = {expr, schema, origin, nodes, err};
    typed root;
    MR_TRY(type_tree(&t, expr->tree, &root));
    if (root.type.id == TYPE_NULL)
        return FAIL_AT(&t, expr->tree,
                       "this is always NULL and has no type; cast(null as float64) has one");
    *out_root = root.node;
    expr->type = root.type;
    expr->nullable = nodes->items[root.node].nullable;
    const mr_node *node = &nodes->items[root.node];
    expr->is_column =
        node->kind == MR_NODE_COLUMN && mr_type_equal(schema->fields[node->column].type, root.type);
    return MR_OK;
}
