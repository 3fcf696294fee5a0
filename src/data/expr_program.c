/* expr_program.c -- nodes to a program: which steps run in which order on which registers.
 *
 * (1) Steps run in the order of the nodes, so arguments come first.
 * (2) A register is free again after the last use of its node; a step's result never shares one
 *     with its arguments. A constant's is its own alone: it is filled before the first step.
 * (3) Registers are of one class for good: none (lent by a column), bits, 8 bytes, text. */
#include "data/expr_internal.h"

#include <string.h>

enum { CLASS_LENT, CLASS_BITS, CLASS_8, CLASS_TEXT, CLASS_COUNT };

typedef struct builder {
    mr_expr *expr;
    mr_program *program;
    mr_nodes *nodes;
    uint16_t *classes;           /* of every register */
    uint16_t *free[CLASS_COUNT]; /* stacks of registers */
    uint32_t free_count[CLASS_COUNT];
} builder;

size_t mr_rep_bytes(mr_rep rep, size_t rows)
{
    return rep == MR_REP_BITS   ? (rows + 63) / 64 * 8
           : rep == MR_REP_TEXT ? rows * sizeof(mr_text)
                                : rows * 8;
}

static int class_of(const mr_node *node)
{
    mr_type_id id = node->column_type.id;
    if (node->kind == MR_NODE_COLUMN &&
        (id == MR_INT64 || id == MR_TIMESTAMP || id == MR_FLOAT64 || id == MR_VECTOR))
        return CLASS_LENT;
    return node->rep == MR_REP_BITS ? CLASS_BITS : node->rep == MR_REP_TEXT ? CLASS_TEXT : CLASS_8;
}

static mr_kernel load_kernel(mr_type_id id)
{
    static const mr_kernel kernels[] = {
        [MR_BOOL] = mr_kernel_load_bits,       [MR_INT32] = mr_kernel_load_int32,
        [MR_INT64] = mr_kernel_load_int64,     [MR_FLOAT32] = mr_kernel_load_float32,
        [MR_FLOAT64] = mr_kernel_load_float64, [MR_TIMESTAMP] = mr_kernel_load_int64,
        [MR_STRING] = mr_kernel_load_text,     [MR_BYTES] = mr_kernel_load_text,
        [MR_VECTOR] = mr_kernel_load_validity};
    return kernels[id];
}

/* Counts how often each node is used on the way to the root; gives the number of nodes in use. */
static uint32_t count_uses(mr_nodes *nodes, uint32_t root, uint32_t *out_args)
{
    uint32_t used = 0;
    *out_args = 0;
    nodes->items[root].uses = 1;
    for (uint32_t i = root + 1; i-- > 0;) {
        mr_node *node = &nodes->items[i];
        if (node->uses == 0)
            continue;
        used++;
        *out_args += node->kind == MR_NODE_COLUMN ? 1 : node->arg_count;
        for (uint32_t a = 0; node->kind == MR_NODE_CALL && a < node->arg_count; a++)
            nodes->items[node->args[a]].uses++;
    }
    return used;
}

static uint16_t take_reg(builder *b, const mr_node *node)
{
    int class = class_of(node);
    mr_program *program = b->program;
    if (b->free_count[class] > 0 && node->kind != MR_NODE_CONSTANT)
        return b->free[class][--b->free_count[class]];
    uint32_t reg = program->reg_count++;
    size_t bytes = class == CLASS_LENT ? 0 : mr_rep_bytes(node->rep, MR_EXPR_ROWS);
    program->regs[reg] = (mr_reg_plan){class == CLASS_LENT, program->memory_bytes,
                                       program->memory_bytes + (uint32_t)bytes};
    program->memory_bytes += (uint32_t)bytes + MR_EXPR_WORDS * 8;
    b->classes[reg] = (uint16_t) class;
    return (uint16_t)reg;
}

static void drop_use(builder *b, mr_node *node)
{
    if (--node->uses > 0 || node->kind == MR_NODE_CONSTANT)
        return;
    int class = b->classes[node->reg];
    b->free[class][b->free_count[class]++] = (uint16_t)node->reg;
}

static void emit_constant(builder *b, const mr_node *node)
{
    b->program->constants[b->program->constant_count++] =
        (mr_constant){(uint16_t)node->reg, node->rep, node->value};
}

static void emit_step(builder *b, const mr_node *node, uint16_t *args)
{
    mr_step *step = &b->program->steps[b->program->step_count++];
    *step = (mr_step){.kernel = node->kernel,
                      .aux = node->aux,
                      .args = args,
                      .arg_count = (uint16_t)node->arg_count,
                      .dst = (uint16_t)node->reg,
                      .strict = node->strict,
                      .bits = node->rep == MR_REP_BITS};
    if (node->kind == MR_NODE_COLUMN) {
        args[0] = (uint16_t)node->column;
        step->kernel = load_kernel(node->column_type.id);
    }
    for (uint32_t i = 0; i < node->arg_count; i++)
        args[i] = (uint16_t)b->nodes->items[node->args[i]].reg;
}

static mr_status alloc_program(builder *b, uint32_t used, uint32_t arg_count, uint16_t **out_args,
                               mr_arena *scratch, mr_error *err)
{
    mr_arena *arena = &b->expr->arena;
    mr_program *program = b->program;
    program->steps = MR_ARENA_ARRAY(arena, mr_step, used);
    program->constants = MR_ARENA_ARRAY(arena, mr_constant, used);
    program->regs = MR_ARENA_ARRAY(arena, mr_reg_plan, used);
    b->expr->columns = MR_ARENA_ARRAY(arena, uint32_t, used);
    b->expr->column_types = MR_ARENA_ARRAY(arena, mr_type, used);
    *out_args = MR_ARENA_ARRAY(arena, uint16_t, arg_count + 1);
    b->classes = MR_ARENA_ARRAY(scratch, uint16_t, used);
    bool failed = program->steps == NULL || program->constants == NULL || program->regs == NULL ||
                  b->expr->columns == NULL || b->expr->column_types == NULL || *out_args == NULL ||
                  b->classes == NULL;
    for (int class = 0; class < CLASS_COUNT; class ++) {
        b->free[class] = MR_ARENA_ARRAY(scratch, uint16_t, used);
        failed |= b->free[class] == NULL;
    }
    return failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* Columns are nodes once each; in ascending order for those who ask. */
static void note_column(mr_expr *expr, const mr_node *node)
{
    uint32_t at = expr->column_count++;
    for (; at > 0 && expr->columns[at - 1] > node->column; at--) {
        expr->columns[at] = expr->columns[at - 1];
        expr->column_types[at] = expr->column_types[at - 1];
    }
    expr->columns[at] = node->column;
    expr->column_types[at] = node->column_type;
}

static mr_status build(builder *b, uint32_t root, mr_arena *scratch, mr_error *err)
{
    uint32_t arg_count, used = count_uses(b->nodes, root, &arg_count);
    uint16_t *args;
    if (used > MR_EXPR_NODES_MAX)
        return MR_FAIL(err, MR_INVALID,
                       "the expression has %u operations and values; %d are the most", used,
                       MR_EXPR_NODES_MAX);
    MR_TRY(alloc_program(b, used, arg_count, &args, scratch, err));
    for (uint32_t i = 0; i <= root; i++) {
        mr_node *node = &b->nodes->items[i];
        if (node->uses == 0)
            continue;
        node->reg = take_reg(b, node);
        if (node->kind == MR_NODE_CONSTANT) {
            emit_constant(b, node);
            continue;
        }
        emit_step(b, node, args);
        args += node->kind == MR_NODE_COLUMN ? 1 : node->arg_count;
        if (node->kind == MR_NODE_COLUMN)
            note_column(b->expr, node);
        for (uint32_t a = 0; a < node->arg_count; a++)
            drop_use(b, &b->nodes->items[node->args[a]]);
    }
    b->program->result = (uint16_t)b->nodes->items[root].reg;
    b->program->result_is_lent = b->classes[b->program->result] == CLASS_LENT ||
                                 b->nodes->items[root].kind == MR_NODE_CONSTANT;
    return MR_OK;
}

mr_status mr_program_build(mr_expr *expr, mr_nodes *nodes, uint32_t root, mr_error *err)
{
    mr_arena scratch = {0};
    builder b = {.expr = expr, .program = &expr->program, .nodes = nodes};
    mr_status status = build(&b, root, &scratch, err);
    mr_arena_deinit(&scratch);
    return status;
}

/* ---- folding ---- */

static bool keep_value(const mr_reg *reg, mr_rep rep, mr_arena *arena, mr_value *out)
{
    *out = (mr_value){.is_null = !mr_reg_is_valid(reg, 0)};
    if (out->is_null)
        return true;
    if (rep == MR_REP_BITS)
        out->as.boolean = *(const uint64_t *)reg->values & 1;
    else if (rep != MR_REP_TEXT)
        memcpy(&out->as, reg->values, 8);
    else {
        mr_text text = *(const mr_text *)reg->values;
        char *copy =
            mr_arena_strndup(arena, text.size > 0 ? (const char *)text.bytes : "", text.size);
        out->as.text = (mr_text){(const uint8_t *)copy, text.size};
        return copy != NULL;
    }
    return true;
}

bool mr_program_fold(const mr_node *node, const mr_node *nodes, mr_arena *arena, mr_value *out)
{
    size_t count = node->arg_count, each = mr_rep_bytes(MR_REP_TEXT, 64) + MR_EXPR_WORDS * 8;
    uint8_t *values = mr_alloc_zero(count + 1, each);
    mr_reg *regs = mr_alloc_zero(count + 1, sizeof(mr_reg));
    uint16_t *args = mr_alloc_zero(count + 1, sizeof(uint16_t));
    struct mr_expr_memory memory = {0};
    mr_frame frame = {.regs = regs, .rows = 1, .words = 1, .memory = &memory};
    bool ok = values != NULL && regs != NULL && args != NULL;
    for (size_t i = 0; ok && i <= count; i++) {
        regs[i].values = values + i * each;
        regs[i].valid = (uint64_t *)(void *)(values + (i + 1) * each - MR_EXPR_WORDS * 8);
        args[i] = (uint16_t)i;
        if (i < count)
            mr_reg_fill(&regs[i], nodes[node->args[i]].rep, &nodes[node->args[i]].value, 1);
    }
    if (ok) {
        mr_step step = {node->kernel,
                        node->aux,
                        args,
                        (uint16_t)count,
                        (uint16_t)count,
                        node->strict,
                        node->rep == MR_REP_BITS};
        mr_step_run(&frame, &step);
        ok = !frame.failed && keep_value(&regs[count], node->rep, arena, out);
    }
    mr_expr_memory_deinit(&memory);
    mr_free(args);
    mr_free(regs);
    mr_free(values);
    return ok;
}

/* ---- birth, death, questions ---- */

static mr_status compile(mr_expr *expr, const char *text, size_t bytes, const mr_schema *schema,
                         const mr_expr_place *origin, mr_nodes *nodes, mr_error *err)
{
    uint32_t root;
    MR_TRY(mr_expr_parse(text, bytes, origin, &expr->arena, &expr->tree, err));
    MR_TRY(mr_expr_type_tree(expr, schema, origin, nodes, &root, err));
    mr_status status = mr_program_build(expr, nodes, root, err);
    if (status == MR_INVALID)
        mr_error_place(err, origin->file != NULL ? origin->file : "expression", expr->tree->line,
                       expr->tree->column);
    return status;
}

mr_status mr_expr_compile(const char *text, size_t bytes, const mr_schema *schema,
                          const mr_expr_place *place, mr_expr **out, mr_error *err)
{
    static const mr_expr_place nowhere;
    const mr_expr_place *origin = place != NULL ? place : &nowhere;
    *out = NULL;
    if (bytes > MR_EXPR_BYTES_MAX)
        return mr_expr_fail(origin, origin->line, origin->column, err,
                            "the expression has %zu bytes; %d are the most", bytes,
                            MR_EXPR_BYTES_MAX);
    mr_expr *expr = MR_NEW(mr_expr);
    if (expr == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_nodes nodes = {0};
    mr_status status = compile(expr, text, bytes, schema, origin, &nodes, err);
    mr_free(nodes.items);
    mr_free(nodes.index);
    if (status == MR_OK)
        *out = expr;
    else
        mr_expr_destroy(expr);
    return status;
}

void mr_expr_destroy(mr_expr *expr)
{
    if (expr == NULL)
        return;
    mr_arena_deinit(&expr->arena);
    mr_free(expr);
}

mr_type mr_expr_type(const mr_expr *expr)
{
    return expr->type;
}

bool mr_expr_nullable(const mr_expr *expr)
{
    return expr->nullable;
}

const uint32_t *mr_expr_columns(const mr_expr *expr, size_t *out_count)
{
    *out_count = expr->column_count;
    return expr->columns;
}

bool mr_expr_is_column(const mr_expr *expr, uint32_t *out_index)
{
    bool is = expr->is_column && mr_rep_of(expr->type.id) != MR_REP_FLOAT;
    if (is)
        *out_index = expr->columns[0];
    return is;
}
