/* expr_typer.h -- what the files that type a tree share. */
#ifndef MR_DATA_EXPR_TYPER_H
#define MR_DATA_EXPR_TYPER_H

#include "data/expr_internal.h"

#define MR_TYPE_NULL MR_TYPE_COUNT /* of a bare NULL, before its context gives it a type */

/* What a part of the tree turned into. */
typedef struct mr_typed {
    uint32_t node;
    mr_type type;
} mr_typed;

typedef struct mr_typer {
    mr_expr *expr;
    const mr_schema *schema;
    const mr_expr_place *origin;
    mr_nodes *nodes;
    mr_error *err;
} mr_typer;

#define MR_FAIL_AT(t, tree, ...)                                                                   \
    mr_expr_fail((t)->origin, (tree)->line, (tree)->column, (t)->err, __VA_ARGS__)

/* ---- nodes ---- */

mr_status mr_typer_add(mr_typer *t, const mr_node *node, uint32_t *out);
mr_status mr_typer_constant(mr_typer *t, mr_rep rep, mr_value value, uint32_t *out);
/* A call, or the constant it is. `args` must stay: arena memory. */
mr_status mr_typer_call(mr_typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule,
                        const void *aux, const uint32_t *args, size_t count, uint32_t *out);
mr_status mr_typer_call_1(mr_typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule,
                          uint32_t arg, uint32_t *out);
mr_status mr_typer_call_2(mr_typer *t, mr_kernel kernel, mr_rep rep, mr_null_rule rule, uint32_t a,
                          uint32_t b, uint32_t *out);
mr_status mr_typer_not(mr_typer *t, uint32_t *node);

/* ---- types ---- */

bool mr_type_is_int(mr_type_id id);
/* As mr_type_format, and "NULL". */
const char *mr_type_text(mr_type type, char *out);
/* The one type both fit; false when there is none. */
bool mr_type_unify(mr_type a, mr_type b, mr_type *out);
/* Puts a node into the form of a type it is known to fit: an integer may become a float, a bare NULL
 * anything. */
mr_status mr_typer_coerce(mr_typer *t, mr_typed from, mr_rep rep, uint32_t *out);

/* ---- parts of the tree ---- */

mr_status mr_typer_tree(mr_typer *t, const mr_tree *tree, mr_typed *out);
/* Its arguments, typed, in arena memory. */
mr_status mr_typer_args(mr_typer *t, const mr_tree *tree, mr_typed **out);
mr_status mr_typer_function(mr_typer *t, const mr_tree *tree, mr_typed *out);
mr_status mr_typer_is_null(mr_typer *t, const mr_tree *tree, mr_typed *out);
mr_status mr_typer_between(mr_typer *t, const mr_tree *tree, mr_typed *out);
mr_status mr_typer_in(mr_typer *t, const mr_tree *tree, mr_typed *out);
mr_status mr_typer_case(mr_typer *t, const mr_tree *tree, mr_typed *out);
mr_status mr_typer_cast(mr_typer *t, const mr_tree *tree, mr_typed *out);

/* ---- calls ---- */

/* Whether a signature's letter takes a type. */
bool mr_letter_takes(char letter, mr_type_id id);
/* Whether an overload takes the arguments; `common` is the type of all a's. */
bool mr_function_takes(const mr_function *f, const mr_typed *args, size_t count, mr_type *common);
mr_status mr_typer_apply(mr_typer *t, const mr_function *f, const mr_tree *tree,
                         const mr_typed *args, mr_type common, mr_typed *out);

#endif
