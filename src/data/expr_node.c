/* expr_node.c -- the nodes of a typed expression: equal operations are one node, constants are folded.
 *
 * (1) A node's arguments have smaller numbers than the node: who walks the nodes needs no recursion.
 * (2) A constant's node holds its value in the form of a register (int32 as int64, float32 as
 *     double). */
#include "data/expr_typer.h"

#include "base/hash.h"

#include <string.h>

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

mr_status mr_typer_add(mr_typer *t, const mr_node *node, uint32_t *out)
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

mr_status mr_typer_constant(mr_typer *t, mr_rep rep, mr_value value, uint32_t *out)
{
    mr_node node = {.kind = MR_NODE_CONSTANT, .rep = rep, .nullable = value.is_null};
    if (rep == MR_REP_BITS && !value.is_null) /* all the bits are compared */
        node.value.as.integer = value.as.boolean;
    else if (!value.is_null)
        node.value = value;
    node.value.is_null = value.is_null;
    return mr_typer_add(t, &node, out);
}

static bool is_nullable(const mr_typer *t, mr_null_rule rule, const uint32_t *args, size_t count)
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
    case MR_NULL_CHOICE:
        break;
    }
    return true;
}

static bool all_constant(const mr_typer *t, const uint32_t *args, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (t->nodes->items[args[i]].kind != MR_NODE_CONSTANT)
            return false;
    return true;
}

/* A call, or the constant it is. `args` must stay: arena memory. */
mr_status mr_typer_call(mr_typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule,
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
        return mr_typer_add(t, &node, out);
    if (!mr_program_fold(&node, t->nodes->items, &t->expr->arena, &value))
        return MR_OUT_OF_MEMORY(t->err);
    return mr_typer_constant(t, rep, value, out);
}

mr_status mr_typer_call_1(mr_typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule,
                          uint32_t arg, uint32_t *out)
{
    uint32_t *args = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, 1);
    if (args == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    args[0] = arg;
    return mr_typer_call(t, kernel, rep, rule, NULL, args, 1, out);
}

mr_status mr_typer_call_2(mr_typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule, uint32_t a,
                          uint32_t b, uint32_t *out)
{
    uint32_t *args = MR_ARENA_ARRAY(&t->expr->arena, uint32_t, 2);
    if (args == NULL)
        return MR_OUT_OF_MEMORY(t->err);
    args[0] = a;
    args[1] = b;
    return mr_typer_call(t, kernel, rep, rule, NULL, args, 2, out);
}

mr_status mr_typer_not(mr_typer *t, uint32_t *node)
{
    return mr_typer_call_1(t, mr_kernel_not_bits, MR_REP_BITS, MR_NULL_ANY, *node, node);
}
