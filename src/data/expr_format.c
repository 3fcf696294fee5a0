/* expr_format.c -- the tree as canonical text: one spelling for all texts of the same tree.
 *
 * Keywords and function names in lower case, one space around operators, parentheses only where the
 * tree needs them, texts and numbers in their shortest form, casts as cast(x as t). */
#include "data/expr_internal.h"

#include "base/number.h"
#include "base/time.h"

#include <string.h>

/* Binding strength as in expr_parse.c; an argument that binds less than its place asks gets
 * parentheses. */
enum {
    BIND_OR = 1,
    BIND_AND,
    BIND_NOT,
    BIND_COMPARE,
    BIND_SUM,
    BIND_PRODUCT,
    BIND_UNARY,
    BIND_PRIMARY
};

static int bind_of_symbol(const char *symbol, size_t arg_count)
{
    static const struct {
        const char *symbol;
        int bind;
    } rows[] = {{"or", BIND_OR},      {"and", BIND_AND},    {"=", BIND_COMPARE},
                {"<>", BIND_COMPARE}, {"<", BIND_COMPARE},  {"<=", BIND_COMPARE},
                {">", BIND_COMPARE},  {">=", BIND_COMPARE}, {"+", BIND_SUM},
                {"-", BIND_SUM},      {"||", BIND_SUM},     {"*", BIND_PRODUCT},
                {"/", BIND_PRODUCT},  {"%", BIND_PRODUCT}};
    if (arg_count == 1)
        return symbol[0] == '-' ? BIND_UNARY : strcmp(symbol, "not") == 0 ? BIND_NOT : BIND_PRIMARY;
    for (size_t i = 0; arg_count == 2 && i < MR_COUNT_OF(rows); i++)
        if (strcmp(rows[i].symbol, symbol) == 0)
            return rows[i].bind;
    return BIND_PRIMARY;
}

static int bind_of(const mr_tree *tree)
{
    switch (tree->kind) {
    case MR_TREE_CALL:
        return bind_of_symbol(tree->text, tree->arg_count);
    case MR_TREE_IN:
    case MR_TREE_BETWEEN:
    case MR_TREE_IS_NULL:
        return BIND_COMPARE;
    case MR_TREE_INT:
        return tree->integer < 0 ? BIND_UNARY : BIND_PRIMARY;
    default:
        return BIND_PRIMARY;
    }
}

static void format_at(const mr_tree *tree, int bind, mr_bytes *out)
{
    bool enclose = bind_of(tree) < bind;
    if (enclose)
        mr_bytes_append_byte(out, '(');
    mr_tree_format(tree, out);
    if (enclose)
        mr_bytes_append_byte(out, ')');
}

static void format_quoted(const mr_tree *tree, char quote, mr_bytes *out)
{
    mr_bytes_append_byte(out, (uint8_t)quote);
    for (size_t i = 0; i < tree->bytes; i++) {
        if (tree->text[i] == quote)
            mr_bytes_append_byte(out, (uint8_t)quote);
        mr_bytes_append_byte(out, (uint8_t)tree->text[i]);
    }
    mr_bytes_append_byte(out, (uint8_t)quote);
}

static bool is_plain_name(const mr_tree *tree)
{
    mr_lexer lexer;
    mr_token token;
    mr_lexer_init(&lexer, tree->text, tree->bytes, NULL);
    return mr_lexer_next(&lexer, &token, NULL) == MR_OK && token.kind == MR_TOKEN_NAME &&
           token.bytes == tree->bytes && tree->text[0] != '"' &&
           !mr_word_is_reserved(tree->text, tree->bytes);
}

static void format_list(const mr_tree *tree, size_t from, mr_bytes *out)
{
    mr_bytes_append_byte(out, '(');
    for (size_t i = from; i < tree->arg_count; i++) {
        mr_bytes_append_text(out, i > from ? ", " : "");
        mr_tree_format(tree->args[i], out);
    }
    mr_bytes_append_byte(out, ')');
}

static void format_call(const mr_tree *tree, mr_bytes *out)
{
    int bind = bind_of(tree);
    if (bind == BIND_NOT || bind == BIND_UNARY) {
        mr_bytes_append_text(out, bind == BIND_NOT ? "not " : "-");
        format_at(tree->args[0], bind == BIND_NOT ? BIND_NOT : BIND_PRIMARY, out);
        return;
    }
    if (bind != BIND_PRIMARY) { /* left-associative, but comparisons do not chain */
        format_at(tree->args[0], bind == BIND_COMPARE ? BIND_SUM : bind, out);
        mr_bytes_printf(out, " %s ", tree->text);
        format_at(tree->args[1], bind + 1, out);
        return;
    }
    for (size_t i = 0; i < tree->bytes; i++) {
        char c = tree->text[i];
        mr_bytes_append_byte(out, (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c));
    }
    format_list(tree, 0, out);
}

static void format_case(const mr_tree *tree, mr_bytes *out)
{
    size_t i = 0, end = tree->arg_count - tree->has_else;
    mr_bytes_append_text(out, "case ");
    if (tree->has_operand) {
        mr_tree_format(tree->args[i++], out);
        mr_bytes_append_byte(out, ' ');
    }
    for (; i < end; i += 2) {
        mr_bytes_append_text(out, "when ");
        mr_tree_format(tree->args[i], out);
        mr_bytes_append_text(out, " then ");
        mr_tree_format(tree->args[i + 1], out);
        mr_bytes_append_byte(out, ' ');
    }
    if (tree->has_else) {
        mr_bytes_append_text(out, "else ");
        mr_tree_format(tree->args[end], out);
        mr_bytes_append_byte(out, ' ');
    }
    mr_bytes_append_text(out, "end");
}

static void format_float(double real, mr_bytes *out)
{
    char text[MR_NUMBER_TEXT_MAX];
    size_t size = mr_number_format_float64(real, text);
    mr_bytes_append(out, text, size);
    if (memchr(text, '.', size) == NULL && memchr(text, 'e', size) == NULL)
        mr_bytes_append_text(out, ".0");
}

static void format_timestamp(int64_t us, mr_bytes *out)
{
    char text[MR_TIME_TEXT_MAX];
    mr_bytes_append_text(out, "timestamp '");
    mr_bytes_append(out, text, mr_time_format(us, text));
    mr_bytes_append_byte(out, '\'');
}

void mr_tree_format(const mr_tree *tree, mr_bytes *out)
{
    char text[32];
    switch (tree->kind) {
    case MR_TREE_NULL:
        mr_bytes_append_text(out, "null");
        break;
    case MR_TREE_BOOL:
        mr_bytes_append_text(out, tree->integer ? "true" : "false");
        break;
    case MR_TREE_INT:
        mr_bytes_append(out, text, mr_number_format_int64(tree->integer, text));
        break;
    case MR_TREE_FLOAT:
        format_float(tree->real, out);
        break;
    case MR_TREE_TEXT:
        format_quoted(tree, '\'', out);
        break;
    case MR_TREE_TIMESTAMP:
        format_timestamp(tree->integer, out);
        break;
    case MR_TREE_DURATION:
        mr_bytes_append(out, tree->text, tree->bytes);
        break;
    case MR_TREE_COLUMN:
        if (is_plain_name(tree))
            mr_bytes_append(out, tree->text, tree->bytes);
        else
            format_quoted(tree, '"', out);
        break;
    case MR_TREE_CALL:
        format_call(tree, out);
        break;
    case MR_TREE_CASE:
        format_case(tree, out);
        break;
    case MR_TREE_IN:
        format_at(tree->args[0], BIND_SUM, out);
        mr_bytes_append_text(out, tree->negated ? " not in " : " in ");
        format_list(tree, 1, out);
        break;
    case MR_TREE_BETWEEN:
        format_at(tree->args[0], BIND_SUM, out);
        mr_bytes_append_text(out, tree->negated ? " not between " : " between ");
        format_at(tree->args[1], BIND_SUM, out);
        mr_bytes_append_text(out, " and ");
        format_at(tree->args[2], BIND_SUM, out);
        break;
    case MR_TREE_IS_NULL:
        format_at(tree->args[0], BIND_SUM, out);
        mr_bytes_append_text(out, tree->negated ? " is not null" : " is null");
        break;
    case MR_TREE_CAST:
        mr_bytes_append_text(out, "cast(");
        mr_tree_format(tree->args[0], out);
        mr_bytes_printf(out, " as %s)", mr_type_format(tree->type, text));
        break;
    }
}

void mr_expr_format(const mr_expr *expr, mr_bytes *out)
{
    mr_tree_format(expr->tree, out);
}
