/* expr_form.c -- the forms with words of their own, typed: is null, between, in, case, cast. */
#include "data/expr_typer.h"

#include <stdlib.h>
#include <string.h>

mr_status mr_typer_is_null(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    mr_typed *args;
    MR_TRY(mr_typer_args(t, tree, &args));
    out->type = (mr_type){MR_BOOL, 0};
    MR_TRY(mr_typer_call_1(t, mr_kernel_is_null, MR_REP_BITS, MR_NULL_NEVER, args[0].node,
                           &out->node));
    return tree->negated ? mr_typer_not(t, &out->node) : MR_OK;
}

/* One comparison as its function would make it. */
static mr_status compare(mr_typer *t, const mr_tree *tree, const char *symbol, mr_typed a,
                         mr_typed b, uint32_t *out)
{
    mr_typed args[2] = {a, b}, result;
    mr_tree pair = *tree;
    const mr_function *f = mr_function_find(symbol, strlen(symbol));
    mr_type common;
    pair.arg_count = 2;
    if (!mr_function_takes(f, args, 2, &common)) {
        char left[32], right[32];
        return MR_FAIL_AT(t, tree, "%s compares %s with %s, which have no common type",
                          tree->kind == MR_TREE_BETWEEN ? "between" : "case",
                          mr_type_text(a.type, left), mr_type_text(b.type, right));
    }
    MR_TRY(mr_typer_apply(t, f, &pair, args, common, &result));
    *out = result.node;
    return MR_OK;
}

mr_status mr_typer_between(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    mr_typed *args;
    uint32_t low = 0, high = 0;
    MR_TRY(mr_typer_args(t, tree, &args));
    MR_TRY(compare(t, tree, ">=", args[0], args[1], &low));
    MR_TRY(compare(t, tree, "<=", args[0], args[2], &high));
    out->type = (mr_type){MR_BOOL, 0};
    MR_TRY(
        mr_typer_call_2(t, mr_kernel_and_bits, MR_REP_BITS, MR_NULL_LOGIC, low, high, &out->node));
    return tree->negated ? mr_typer_not(t, &out->node) : MR_OK;
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
static mr_status make_set(mr_typer *t, mr_rep rep, const uint32_t *items, size_t count,
                          mr_set **out)
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
        (const int64_t *)(const void *)values; /* reals and texts lie there as well */
    return MR_OK;
}

/* x in (...): the constants as one set, whatever else (a NULL, a column) as `or`s of comparisons. */
typedef struct in_list {
    mr_type common;
    uint32_t value;      /* x, of the common type, as are the items */
    uint32_t *constants; /* for the set */
    size_t constant_count;
    uint32_t *others;
    size_t other_count;
} in_list;

static mr_status find_common_type(mr_typer *t, const mr_tree *tree, const mr_typed *args,
                                  mr_type *common)
{
    char left[32], right[32];
    *common = (mr_type){MR_TYPE_NULL, 0};
    for (size_t i = 0; i < tree->arg_count; i++)
        if (args[i].type.id == MR_VECTOR || !mr_type_unify(*common, args[i].type, common))
            return MR_FAIL_AT(t, tree->args[i], "in compares %s with %s, which have no common type",
                              mr_type_text(args[0].type, left), mr_type_text(args[i].type, right));
    return MR_OK;
}

/* Sorts the items into constants and others, `count` of both. */
static mr_status split_items(mr_typer *t, const mr_typed *items, size_t count, in_list *list)
{
    mr_rep rep = mr_rep_of(list->common.id);
    list->constants = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, count);
    list->others = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, count);
    if (list->constants == NULL || list->others == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    for (size_t i = 0; i < count; i++) {
        uint32_t node;
        MR_TRY(mr_typer_coerce(t, items[i], rep, &node));
        const mr_node *item = &t->nodes->items[node];
        if (item->kind == MR_NODE_CONSTANT && !item->value.is_null && rep != MR_REP_BITS)
            list->constants[list->constant_count++] = node;
        else
            list->others[list->other_count++] = node;
    }
    return MR_OK;
}

static mr_status search_set(mr_typer *t, const in_list *list, uint32_t *out)
{
    static const mr_kernel kernels[] = {NULL, mr_kernel_in_int, mr_kernel_in_float,
                                        mr_kernel_in_text};
    mr_rep rep = mr_rep_of(list->common.id);
    mr_set *set;
    uint32_t *arg = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, 1);
    if (arg == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    *arg = list->value;
    MR_TRY(make_set(t, rep, list->constants, list->constant_count, &set));
    return mr_typer_call(t, kernels[rep], MR_REP_BITS, MR_NULL_ANY, set, arg, 1, out);
}

static mr_status compare_others(mr_typer *t, const mr_tree *tree, const in_list *list,
                                uint32_t *out)
{
    bool have = list->constant_count > 0;
    for (size_t i = 0; i < list->other_count; i++, have = true) {
        uint32_t equal = 0;
        mr_typed left = {list->value, list->common}, right = {list->others[i], list->common};
        MR_TRY(compare(t, tree, "=", left, right, &equal));
        if (have)
            MR_TRY(mr_typer_call_2(t, mr_kernel_or_bits, MR_REP_BITS, MR_NULL_LOGIC, *out, equal,
                                   &equal));
        *out = equal;
    }
    return MR_OK;
}

mr_status mr_typer_in(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    mr_typed *args;
    in_list list = {0};
    out->node = 0;
    MR_TRY(mr_typer_args(t, tree, &args));
    MR_TRY(find_common_type(t, tree, args, &list.common));
    MR_TRY(mr_typer_coerce(t, args[0], mr_rep_of(list.common.id), &list.value));
    MR_TRY(split_items(t, args + 1, tree->arg_count - 1, &list));
    if (list.constant_count > 0)
        MR_TRY(search_set(t, &list, &out->node));
    MR_TRY(compare_others(t, tree, &list, &out->node));
    out->type = (mr_type){MR_BOOL, 0};
    return tree->negated ? mr_typer_not(t, &out->node) : MR_OK;
}

/* Finds the common type of a case's values: arguments first, first + 2, ... and the else. */
static mr_status type_case_values(mr_typer *t, const mr_tree *tree, const mr_typed *args,
                                  size_t first, mr_type *common)
{
    *common = (mr_type){MR_TYPE_NULL, 0};
    for (size_t i = first; i < tree->arg_count; i++) {
        char left[32], right[32];
        bool is_else = tree->has_else && i == tree->arg_count - 1;
        if ((i - first) % 2 != 0 && !is_else)
            continue;
        if (args[i].type.id == MR_VECTOR || !mr_type_unify(*common, args[i].type, common))
            return MR_FAIL_AT(t, tree->args[i],
                              "case gives %s here and %s before; one type is right",
                              mr_type_text(args[i].type, right), mr_type_text(*common, left));
    }
    return MR_OK;
}

static mr_status type_condition(mr_typer *t, const mr_tree *tree, const mr_typed *args, size_t i,
                                uint32_t *out)
{
    char text[32];
    if (tree->has_operand)
        return compare(t, tree->args[i], "=", args[0], args[i], out);
    if (!mr_letter_takes('b', args[i].type.id))
        return MR_FAIL_AT(t, tree->args[i], "when wants bool, got %s",
                          mr_type_text(args[i].type, text));
    return mr_typer_coerce(t, args[i], MR_REP_BITS, out);
}

/* Conditions and values in the order the kernel wants: when, then, when, then, ..., else. */
static mr_status type_branches(mr_typer *t, const mr_tree *tree, const mr_typed *args, mr_rep rep,
                               uint32_t *nodes, size_t *out_count)
{
    size_t first = tree->has_operand, end = tree->arg_count - tree->has_else, count = 0;
    mr_typed nothing = {0, {MR_TYPE_NULL, 0}};
    for (size_t i = first; i < end; i += 2) {
        MR_TRY(type_condition(t, tree, args, i, &nodes[count++]));
        MR_TRY(mr_typer_coerce(t, args[i + 1], rep, &nodes[count++]));
    }
    MR_TRY(mr_typer_coerce(t, tree->has_else ? args[end] : nothing, rep, &nodes[count++]));
    *out_count = count;
    return MR_OK;
}

mr_status mr_typer_case(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    static const mr_kernel kernels[] = {mr_kernel_case_bits, mr_kernel_case_8, mr_kernel_case_8,
                                        mr_kernel_case_text};
    mr_typed *args;
    size_t count;
    MR_TRY(mr_typer_args(t, tree, &args));
    MR_TRY(type_case_values(t, tree, args, tree->has_operand + (size_t)1, &out->type));
    mr_rep rep = mr_rep_of(out->type.id);
    uint32_t *nodes = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, tree->arg_count + 1);
    if (nodes == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    MR_TRY(type_branches(t, tree, args, rep, nodes, &count));
    bool nullable = t->nodes->items[nodes[count - 1]].nullable;
    for (size_t i = 1; i < count; i += 2)
        nullable |= t->nodes->items[nodes[i]].nullable;
    return mr_typer_call(t, kernels[rep], rep, nullable ? MR_NULL_CHOICE : MR_NULL_NEVER, NULL,
                         nodes, count, &out->node);
}

mr_status mr_typer_cast(mr_typer *t, const mr_tree *tree, mr_typed *out)
{
    mr_typed value;
    mr_kernel kernel;
    mr_null_rule nulls;
    char from[32], to[32];
    MR_TRY(mr_typer_tree(t, tree->args[0], &value));
    *out = (mr_typed){value.node, tree->type};
    mr_rep rep = mr_rep_of(tree->type.id);
    if (value.type.id == MR_TYPE_NULL)
        return mr_typer_coerce(t, value, rep, &out->node);
    if (value.type.id == MR_VECTOR || !mr_cast_find(value.type.id, tree->type.id, &kernel, &nulls))
        return MR_FAIL_AT(t, tree, "there is no cast from %s to %s", mr_type_text(value.type, from),
                          mr_type_format(tree->type, to));
    return kernel != NULL ? mr_typer_call_1(t, kernel, rep, nulls, value.node, &out->node) : MR_OK;
}
