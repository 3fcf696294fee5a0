/* expr_rule.c -- which branch of a `case` holds, as an expression of its own.
 *
 *   case when score > 0.9 then 'block' else 'allow' end
 *   case when score > 0.9 then 'score > 0.9' else 'else' end
 *
 * The conditions are the same, so it chooses the same branch; its value is the condition's canonical text. */
#include "data/expr_internal.h"

static void write_quoted(const mr_bytes *text, mr_bytes *out)
{
    mr_bytes_append_byte(out, '\'');
    for (size_t i = 0; i < text->size; i++) {
        if (text->data[i] == '\'')
            mr_bytes_append_byte(out, '\'');
        mr_bytes_append_byte(out, text->data[i]);
    }
    mr_bytes_append_byte(out, '\'');
}

/* `case x when 1` holds where x = 1. */
static void write_branch(const mr_tree *operand, const mr_tree *condition, mr_bytes *out)
{
    mr_bytes words = {0};
    if (operand != NULL) {
        mr_tree_format(operand, &words);
        mr_bytes_append_text(&words, " = ");
    }
    mr_tree_format(condition, &words);
    mr_bytes_append_text(out, " when ");
    mr_tree_format(condition, out);
    mr_bytes_append_text(out, " then ");
    write_quoted(&words, out);
    out->failed = out->failed || words.failed;
    mr_bytes_deinit(&words);
}

bool mr_expr_rule(const mr_expr *expr, mr_bytes *out)
{
    const mr_tree *tree = expr->tree;
    if (tree->kind != MR_TREE_CASE)
        return false;
    const mr_tree *operand = tree->has_operand ? tree->args[0] : NULL;
    size_t end = tree->arg_count - tree->has_else;
    mr_bytes_append_text(out, "case");
    if (operand != NULL) {
        mr_bytes_append_byte(out, ' ');
        mr_tree_format(operand, out);
    }
    for (size_t i = tree->has_operand; i < end; i += 2)
        write_branch(operand, tree->args[i], out);
    mr_bytes_append_text(out, " else 'else' end");
    return true;
}
