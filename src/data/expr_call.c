/* expr_call.c -- calls of the tree: which overload is meant, its arguments in the form it wants, and what
 * to say when there is none. */
#include "data/expr_typer.h"

#include <string.h>

bool mr_letter_takes(char letter, mr_type_id id)
{
    if (id == MR_TYPE_NULL && letter != 'k')
        return true;
    switch (letter) {
    case 'b':
        return id == MR_BOOL;
    case 'i':
        return mr_type_is_int(id);
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

/* Whether an overload mr_letter_takes the arguments; `common` is the type of all a's. */
bool mr_function_takes(const mr_function *f, const mr_typed *args, size_t count, mr_type *common)
{
    *common = (mr_type){MR_TYPE_NULL, 0};
    if (!count_fits(f->args, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        char letter = letter_at(f->args, i);
        if (!mr_letter_takes(letter, args[i].type.id) ||
            (letter == 'a' && !mr_type_unify(*common, args[i].type, common)))
            return false;
    }
    return true;
}

static void append_types(mr_bytes *out, const mr_typed *args, size_t count)
{
    char text[32];
    for (size_t i = 0; i < count; i++)
        mr_bytes_printf(out, "%s%s", i > 0 ? ", " : "", mr_type_text(args[i].type, text));
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
static mr_status fail_overloads(mr_typer *t, const mr_tree *tree, const mr_function *f,
                                const mr_typed *args)
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
    mr_status status =
        sentence != NULL ? MR_FAIL_AT(t, tree, "%s", sentence) : MR_OUT_OF_MEMORY(t->err);
    mr_bytes_deinit(&text);
    return status;
}

static mr_status fail_unknown_function(mr_typer *t, const mr_tree *tree)
{
    const char *close = mr_function_closest(tree->text, tree->bytes);
    if (close != NULL)
        return MR_FAIL_AT(t, tree, "unknown function %s(); did you mean %s()?", tree->text, close);
    return MR_FAIL_AT(t, tree, "unknown function %s(); `millrace help expressions` lists them",
                      tree->text);
}

static mr_status hash_of(mr_typer *t, mr_typed value, uint32_t *out)
{
    static const mr_kernel kernels[] = {mr_kernel_hash_bits, mr_kernel_hash_int,
                                        mr_kernel_hash_float, mr_kernel_hash_text};
    mr_rep rep = mr_rep_of(value.type.id);
    uint32_t node;
    MR_TRY(mr_typer_coerce(t, value, rep, &node));
    return mr_typer_call_1(t, kernels[rep], MR_REP_INT, MR_NULL_ANY, node, out);
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
static mr_status prepare_constant(mr_typer *t, const mr_function *f, const mr_tree *tree,
                                  mr_typed value, const void **out_aux)
{
    const mr_node *node = &t->nodes->items[value.node];
    if (node->kind != MR_NODE_CONSTANT || node->value.is_null)
        return MR_FAIL_AT(t, tree, "%s() wants a constant text here", f->name);
    mr_error inner = {0};
    mr_status status = f->prepare(&t->expr->arena, (const char *)node->value.as.text.bytes,
                                  node->value.as.text.size, out_aux, &inner);
    if (status == MR_INVALID)
        return MR_FAIL_AT(t, tree, "%s(): %s", f->name, inner.text);
    return status == MR_OK ? MR_OK : MR_OUT_OF_MEMORY(t->err);
}

/* Arguments in the form the overload wants them; constants for `prepare` are left out. */
static mr_status coerce_args(mr_typer *t, const mr_function *f, const mr_tree *tree,
                             const mr_typed *args, mr_type common, uint32_t *nodes,
                             size_t *out_count, const void **aux)
{
    *out_count = 0;
    for (size_t i = 0; i < tree->arg_count; i++) {
        char letter = letter_at(f->args, i);
        if (letter == 'k')
            MR_TRY(prepare_constant(t, f, tree->args[i], args[i], aux));
        else if (letter == 'h')
            MR_TRY(hash_of(t, args[i], &nodes[(*out_count)++]));
        else
            MR_TRY(
                mr_typer_coerce(t, args[i], rep_of_letter(letter, common), &nodes[(*out_count)++]));
    }
    return MR_OK;
}

mr_status mr_typer_apply(mr_typer *t, const mr_function *f, const mr_tree *tree,
                         const mr_typed *args, mr_type common, mr_typed *out)
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
        MR_TRY(mr_typer_call(t, kernel, rep_of_letter(f->result, common), f->nulls, aux, nodes,
                             count, &out->node));
    return f->negate ? mr_typer_not(t, &out->node) : MR_OK;
}

mr_status mr_typer_function(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    const mr_function *first = mr_function_find(tree->text, tree->bytes);
    mr_type common;
    mr_typed *args;
    if (first == NULL)
        return fail_unknown_function(t, tree);
    MR_TRY(mr_typer_args(t, tree, &args));
    for (const mr_function *f = first; f != NULL; f = next_overload(f))
        if (mr_function_takes(f, args, tree->arg_count, &common))
            return mr_typer_apply(t, f, tree, args, common, out);
    return fail_overloads(t, tree, first, args);
}
