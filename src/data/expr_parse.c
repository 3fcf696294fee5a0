/* expr_parse.c -- tokens to a tree, by precedence climbing.
 *
 *   or < and < not < comparison, is, in, between < + - || < * / % < unary - < :: < primary
 *
 * (1) Recursion is at most MR_EXPR_NESTING_MAX levels of this grammar deep; chains of one level are
 *     loops, and the tree they make is at most MR_EXPR_CHAIN_MAX deep, so those who walk it may
 *     recurse. */
#include "data/expr_internal.h"

#include "base/number.h"
#include "base/time.h"

#include <string.h>

typedef struct parser {
    mr_lexer lexer;
    mr_token token; /* not taken yet */
    mr_arena *arena;
    uint32_t nesting;
} parser;

static const char *const reserved_words[] = {"and",  "or",   "not",   "case", "when",
                                             "then", "else", "end",   "in",   "is",
                                             "null", "true", "false", "cast", "between"};

bool mr_word_is(const char *text, size_t bytes, const char *word)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
        if (word[i] == '\0' || c != word[i])
            return false;
    }
    return word[bytes] == '\0';
}

bool mr_word_is_reserved(const char *text, size_t bytes)
{
    for (size_t i = 0; i < MR_COUNT_OF(reserved_words); i++)
        if (mr_word_is(text, bytes, reserved_words[i]))
            return true;
    return false;
}

/* ---- tokens ---- */

static mr_status advance(parser *p, mr_error *err)
{
    return mr_lexer_next(&p->lexer, &p->token, err);
}

static bool at_word(const parser *p, const char *word)
{
    return p->token.kind == MR_TOKEN_NAME && mr_word_is(p->token.text, p->token.bytes, word);
}

static bool at_symbol(const parser *p, const char *symbol)
{
    return mr_token_is(&p->token, symbol);
}

static mr_status fail_expected(const parser *p, mr_error *err, const char *expected)
{
    return mr_lexer_expected(&p->lexer, &p->token, expected, err);
}

static mr_status expect_word(parser *p, const char *word, mr_error *err)
{
    return at_word(p, word) ? advance(p, err) : fail_expected(p, err, word);
}

static mr_status expect_symbol(parser *p, const char *symbol, const char *expected, mr_error *err)
{
    return at_symbol(p, symbol) ? advance(p, err) : fail_expected(p, err, expected);
}

/* ---- building ---- */

typedef struct tree_list {
    mr_tree **items;
    size_t count;
    size_t capacity;
} tree_list;

static mr_status push(parser *p, tree_list *list, mr_tree *tree, mr_error *err)
{
    MR_ASSERT(tree != NULL);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 4;
        mr_tree **items = mr_arena_alloc(p->arena, capacity * sizeof(mr_tree *));
        if (items == NULL)
            return MR_OUT_OF_MEMORY(err);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(mr_tree *));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = tree;
    return MR_OK;
}

static mr_status new_tree(parser *p, mr_tree_kind kind, const mr_token *at, mr_tree **out,
                          mr_error *err)
{
    mr_tree *tree = *out = MR_ARENA_NEW(p->arena, mr_tree);
    if (tree == NULL)
        return MR_OUT_OF_MEMORY(err);
    tree->kind = kind;
    tree->line = at->line;
    tree->column = at->column;
    tree->depth = 1;
    return MR_OK;
}

static mr_status set_args(parser *p, mr_tree *tree, const tree_list *list, mr_error *err)
{
    tree->args = list->items;
    tree->arg_count = list->count;
    for (size_t i = 0; i < list->count; i++)
        tree->depth = MR_MAX(tree->depth, list->items[i]->depth + 1);
    if (tree->depth <= MR_EXPR_CHAIN_MAX)
        return MR_OK;
    return mr_expr_fail(&p->lexer.place, tree->line, tree->column, err,
                        "more than %d operations build on each other here", MR_EXPR_CHAIN_MAX);
}

/* Copies text, with doubled quotes made single. */
static mr_status set_text(parser *p, mr_tree *tree, const char *text, size_t bytes, mr_error *err)
{
    bool quoted = bytes >= 2 && (text[0] == '\'' || text[0] == '"');
    const char *end = text + bytes - quoted;
    char *copy = mr_arena_alloc(p->arena, bytes + 1), *to = copy;
    if (copy == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (const char *from = text + quoted; from < end; from++) {
        *to++ = *from;
        from += quoted && *from == text[0];
    }
    *to = '\0';
    tree->text = copy;
    tree->bytes = (size_t)(to - copy);
    return MR_OK;
}

static mr_status new_call(parser *p, const mr_token *at, const char *name, mr_tree *a, mr_tree *b,
                          mr_tree **out, mr_error *err)
{
    tree_list list = {0};
    mr_tree *tree = NULL;
    MR_TRY(new_tree(p, MR_TREE_CALL, at, &tree, err));
    tree->text = name;
    tree->bytes = strlen(name);
    MR_TRY(push(p, &list, a, err));
    if (b != NULL)
        MR_TRY(push(p, &list, b, err));
    *out = tree;
    return set_args(p, tree, &list, err);
}

/* ---- grammar ---- */

static mr_status parse_or(parser *p, mr_tree **out, mr_error *err);
static mr_status parse_sum(parser *p, mr_tree **out, mr_error *err);

/* A nested expression: counts how deep we are. */
static mr_status parse_nested(parser *p, mr_status (*parse)(parser *, mr_tree **, mr_error *),
                              mr_tree **out, mr_error *err)
{
    *out = NULL;
    if (p->nesting == MR_EXPR_NESTING_MAX)
        return mr_expr_fail(&p->lexer.place, p->token.line, p->token.column, err,
                            "the expression nests deeper than %d levels here", MR_EXPR_NESTING_MAX);
    p->nesting++;
    mr_status status = parse(p, out, err);
    p->nesting--;
    return status;
}

static mr_status parse_list(parser *p, tree_list *list, mr_error *err)
{
    for (;;) {
        mr_tree *item = NULL;
        MR_TRY(parse_nested(p, parse_or, &item, err));
        MR_TRY(push(p, list, item, err));
        if (!at_symbol(p, ","))
            return expect_symbol(p, ")", "',' or ')'", err);
        MR_TRY(advance(p, err));
    }
}

static mr_status parse_int(parser *p, const mr_token *at, bool negative, mr_tree **out,
                           mr_error *err)
{
    char digits[24] = "-";
    size_t from = 0;
    while (from + 1 < at->bytes && at->text[from] == '0')
        from++;
    size_t bytes = at->bytes - from;
    MR_TRY(new_tree(p, MR_TREE_INT, at, out, err));
    if (bytes < sizeof digits - 1) {
        memcpy(digits + 1, at->text + from, bytes);
        if (mr_number_is_int64(digits + !negative, bytes + negative, &(*out)->integer))
            return MR_OK;
    }
    return mr_expr_fail(&p->lexer.place, at->line, at->column, err,
                        "%.*s does not fit int64; write it with a point to make it float64",
                        (int)MR_MIN(at->bytes, 60), at->text);
}

static mr_status parse_float(parser *p, const mr_token *at, mr_tree **out, mr_error *err)
{
    MR_TRY(new_tree(p, MR_TREE_FLOAT, at, out, err));
    if (mr_number_is_float64(at->text, at->bytes, &(*out)->real) &&
        __builtin_isfinite((*out)->real))
        return MR_OK;
    return mr_expr_fail(&p->lexer.place, at->line, at->column, err, "%.*s does not fit float64",
                        (int)MR_MIN(at->bytes, 60), at->text);
}

static mr_status parse_duration(parser *p, const mr_token *at, mr_tree **out, mr_error *err)
{
    MR_TRY(new_tree(p, MR_TREE_DURATION, at, out, err));
    bool fits = mr_time_parse_duration(at->text, at->bytes, &(*out)->integer, NULL);
    MR_ASSERT(fits); /* the lexer looked */
    return set_text(p, *out, at->text, at->bytes, err);
}

/* timestamp '2018-04-01T12:00:00Z' */
static mr_status parse_timestamp(parser *p, const mr_token *at, mr_tree **out, mr_error *err)
{
    const char *expected = NULL;
    MR_TRY(new_tree(p, MR_TREE_TIMESTAMP, at, out, err));
    MR_TRY(set_text(p, *out, p->token.text, p->token.bytes, err));
    if (!mr_time_parse((*out)->text, (*out)->bytes, false, &(*out)->integer, NULL, &expected))
        return mr_expr_fail(&p->lexer.place, p->token.line, p->token.column, err,
                            "%.*s is no timestamp like '2018-04-01T12:00:00Z'; expected %s",
                            (int)MR_MIN(p->token.bytes, 60), p->token.text, expected);
    return advance(p, err);
}

static mr_status parse_case(parser *p, const mr_token *at, mr_tree **out, mr_error *err)
{
    tree_list list = {0};
    mr_tree *item = NULL;
    MR_TRY(new_tree(p, MR_TREE_CASE, at, out, err));
    (*out)->has_operand = !at_word(p, "when");
    if ((*out)->has_operand) {
        MR_TRY(parse_nested(p, parse_or, &item, err));
        MR_TRY(push(p, &list, item, err));
    }
    if (!at_word(p, "when"))
        return fail_expected(p, err, "when");
    while (at_word(p, "when")) {
        MR_TRY(advance(p, err));
        MR_TRY(parse_nested(p, parse_or, &item, err));
        MR_TRY(push(p, &list, item, err));
        MR_TRY(expect_word(p, "then", err));
        MR_TRY(parse_nested(p, parse_or, &item, err));
        MR_TRY(push(p, &list, item, err));
    }
    (*out)->has_else = at_word(p, "else");
    if ((*out)->has_else) {
        MR_TRY(advance(p, err));
        MR_TRY(parse_nested(p, parse_or, &item, err));
        MR_TRY(push(p, &list, item, err));
    } else if (!at_word(p, "end")) {
        return fail_expected(p, err, "when, else or end");
    }
    MR_TRY(expect_word(p, "end", err));
    return set_args(p, *out, &list, err);
}

static mr_status parse_type(parser *p, mr_type *out, mr_error *err)
{
    char name[16];
    size_t bytes = p->token.bytes;
    for (size_t i = 0; i < MR_MIN(bytes, sizeof name); i++)
        name[i] = (char)(p->token.text[i] | 0x20); /* lower case; digits stay */
    if (p->token.kind == MR_TOKEN_NAME && bytes <= sizeof name && mr_type_parse(name, bytes, out))
        return advance(p, err);
    return fail_expected(
        p, err, "a type (bool, int32, int64, float32, float64, timestamp, string or bytes)");
}

static mr_status parse_cast(parser *p, const mr_token *at, mr_tree **out, mr_error *err)
{
    tree_list list = {0};
    mr_tree *value = NULL;
    MR_TRY(new_tree(p, MR_TREE_CAST, at, out, err));
    MR_TRY(expect_symbol(p, "(", "'('", err));
    MR_TRY(parse_nested(p, parse_or, &value, err));
    MR_TRY(push(p, &list, value, err));
    MR_TRY(expect_word(p, "as", err));
    MR_TRY(parse_type(p, &(*out)->type, err));
    MR_TRY(expect_symbol(p, ")", "')'", err));
    return set_args(p, *out, &list, err);
}

static mr_status parse_call(parser *p, const mr_token *at, mr_tree **out, mr_error *err)
{
    tree_list list = {0};
    MR_TRY(new_tree(p, MR_TREE_CALL, at, out, err));
    MR_TRY(set_text(p, *out, at->text, at->bytes, err));
    MR_TRY(advance(p, err));
    if (at_symbol(p, ")"))
        MR_TRY(advance(p, err));
    else
        MR_TRY(parse_list(p, &list, err));
    return set_args(p, *out, &list, err);
}

static mr_status parse_name(parser *p, mr_tree **out, mr_error *err)
{
    mr_token at = p->token;
    if (at_word(p, "case") || at_word(p, "cast")) {
        bool is_case = at_word(p, "case");
        MR_TRY(advance(p, err));
        return is_case ? parse_case(p, &at, out, err) : parse_cast(p, &at, out, err);
    }
    bool is_true = at_word(p, "true");
    if (is_true || at_word(p, "false") || at_word(p, "null")) {
        MR_TRY(new_tree(p, at_word(p, "null") ? MR_TREE_NULL : MR_TREE_BOOL, &at, out, err));
        (*out)->integer = is_true;
        return advance(p, err);
    }
    if (mr_word_is_reserved(at.text, at.bytes))
        return fail_expected(p, err, "a value");
    MR_TRY(advance(p, err));
    if (p->token.kind == MR_TOKEN_TEXT && mr_word_is(at.text, at.bytes, "timestamp"))
        return parse_timestamp(p, &at, out, err);
    if (at_symbol(p, "(") && at.text[0] != '"')
        return parse_call(p, &at, out, err);
    MR_TRY(new_tree(p, MR_TREE_COLUMN, &at, out, err));
    return set_text(p, *out, at.text, at.bytes, err);
}

static mr_status parse_primary(parser *p, mr_tree **out, mr_error *err)
{
    mr_token at = p->token;
    switch (at.kind) {
    case MR_TOKEN_INT:
        MR_TRY(parse_int(p, &at, false, out, err));
        return advance(p, err);
    case MR_TOKEN_FLOAT:
        MR_TRY(parse_float(p, &at, out, err));
        return advance(p, err);
    case MR_TOKEN_DURATION:
        MR_TRY(parse_duration(p, &at, out, err));
        return advance(p, err);
    case MR_TOKEN_TEXT:
        MR_TRY(new_tree(p, MR_TREE_TEXT, &at, out, err));
        MR_TRY(set_text(p, *out, at.text, at.bytes, err));
        return advance(p, err);
    case MR_TOKEN_NAME:
        return parse_name(p, out, err);
    case MR_TOKEN_SYMBOL:
    case MR_TOKEN_END:
        break;
    }
    if (!at_symbol(p, "("))
        return fail_expected(p, err, "a value");
    MR_TRY(advance(p, err));
    MR_TRY(parse_nested(p, parse_or, out, err));
    return expect_symbol(p, ")", "')'", err);
}

static mr_status parse_postfix(parser *p, mr_tree **out, mr_error *err)
{
    MR_TRY(parse_primary(p, out, err));
    while (at_symbol(p, "::")) {
        tree_list list = {0};
        mr_tree *cast = NULL;
        MR_TRY(new_tree(p, MR_TREE_CAST, &p->token, &cast, err));
        MR_TRY(advance(p, err));
        MR_TRY(parse_type(p, &cast->type, err));
        MR_TRY(push(p, &list, *out, err));
        MR_TRY(set_args(p, cast, &list, err));
        *out = cast;
    }
    return MR_OK;
}

static mr_status parse_unary(parser *p, mr_tree **out, mr_error *err)
{
    mr_token at = p->token;
    if (!at_symbol(p, "-") && !at_symbol(p, "+"))
        return parse_postfix(p, out, err);
    bool minus = at_symbol(p, "-");
    MR_TRY(advance(p, err));
    if (minus && p->token.kind == MR_TOKEN_INT) { /* -9223372036854775808 has no positive form */
        mr_token number = p->token;
        parser ahead = *p;
        MR_TRY(advance(&ahead, err));
        if (!at_symbol(&ahead, "::")) {
            MR_TRY(parse_int(p, &number, true, out, err));
            (*out)->column = at.column;
            (*out)->line = at.line;
            return advance(p, err);
        }
    }
    mr_tree *value = NULL;
    MR_TRY(parse_nested(p, parse_unary, &value, err));
    MR_ASSERT(value != NULL);
    *out = value;
    if (minus && value->kind == MR_TREE_INT && value->integer != INT64_MIN) {
        value->integer = -value->integer; /* one spelling for a number: -(5) is -5 */
        return MR_OK;
    }
    return minus ? new_call(p, &at, "-", value, NULL, out, err) : MR_OK;
}

/* One level of left-associative operators over the level below. */
static mr_status parse_chain(parser *p, const char *const *symbols,
                             mr_status (*below)(parser *, mr_tree **, mr_error *), mr_tree **out,
                             mr_error *err)
{
    MR_TRY(below(p, out, err));
    for (;;) {
        const char *const *symbol = symbols;
        while (*symbol != NULL && !at_symbol(p, *symbol) && !at_word(p, *symbol))
            symbol++;
        if (*symbol == NULL)
            return MR_OK;
        mr_token at = p->token;
        mr_tree *right = NULL;
        MR_TRY(advance(p, err));
        MR_TRY(below(p, &right, err));
        MR_TRY(new_call(p, &at, *symbol, *out, right, out, err));
    }
}

static mr_status parse_product(parser *p, mr_tree **out, mr_error *err)
{
    static const char *const symbols[] = {"*", "/", "%", NULL};
    return parse_chain(p, symbols, parse_unary, out, err);
}

static mr_status parse_sum(parser *p, mr_tree **out, mr_error *err)
{
    static const char *const symbols[] = {"+", "-", "||", NULL};
    return parse_chain(p, symbols, parse_product, out, err);
}

static mr_status parse_is_null(parser *p, const mr_token *at, mr_tree **out, mr_error *err)
{
    tree_list list = {0};
    MR_TRY(push(p, &list, *out, err));
    MR_TRY(new_tree(p, MR_TREE_IS_NULL, at, out, err));
    MR_TRY(advance(p, err));
    (*out)->negated = at_word(p, "not");
    if ((*out)->negated)
        MR_TRY(advance(p, err));
    MR_TRY(expect_word(p, "null", err));
    return set_args(p, *out, &list, err);
}

/* After `in` or `between`, the `not` before it taken. */
static mr_status parse_range(parser *p, const mr_token *at, bool negated, mr_tree **out,
                             mr_error *err)
{
    tree_list list = {0};
    mr_tree *item = NULL;
    bool is_in = at_word(p, "in");
    MR_TRY(push(p, &list, *out, err));
    MR_TRY(new_tree(p, is_in ? MR_TREE_IN : MR_TREE_BETWEEN, at, out, err));
    (*out)->negated = negated;
    MR_TRY(advance(p, err));
    if (is_in) {
        MR_TRY(expect_symbol(p, "(", "'(' and a list of values", err));
        MR_TRY(parse_list(p, &list, err));
        return set_args(p, *out, &list, err);
    }
    MR_TRY(parse_sum(p, &item, err));
    MR_TRY(push(p, &list, item, err));
    MR_TRY(expect_word(p, "and", err));
    MR_TRY(parse_sum(p, &item, err));
    MR_TRY(push(p, &list, item, err));
    return set_args(p, *out, &list, err);
}

static mr_status parse_comparison(parser *p, mr_tree **out, mr_error *err)
{
    static const char *const symbols[] = {"=", "==", "<>", "!=", "<", "<=", ">", ">="};
    static const char *const names[] = {"=", "=", "<>", "<>", "<", "<=", ">", ">="};
    MR_TRY(parse_sum(p, out, err));
    mr_token at = p->token;
    if (at_word(p, "is"))
        return parse_is_null(p, &at, out, err);
    bool negated = at_word(p, "not");
    if (negated)
        MR_TRY(advance(p, err));
    if (at_word(p, "in") || at_word(p, "between"))
        return parse_range(p, &at, negated, out, err);
    if (negated)
        return fail_expected(p, err, "in or between");
    for (size_t i = 0; i < MR_COUNT_OF(symbols); i++) {
        mr_tree *right = NULL;
        if (!at_symbol(p, symbols[i]))
            continue;
        MR_TRY(advance(p, err));
        MR_TRY(parse_sum(p, &right, err));
        return new_call(p, &at, names[i], *out, right, out, err);
    }
    return MR_OK;
}

static mr_status parse_not(parser *p, mr_tree **out, mr_error *err)
{
    mr_token at = p->token;
    if (!at_word(p, "not"))
        return parse_comparison(p, out, err);
    mr_tree *value = NULL;
    MR_TRY(advance(p, err));
    MR_TRY(parse_nested(p, parse_not, &value, err));
    return new_call(p, &at, "not", value, NULL, out, err);
}

static mr_status parse_and(parser *p, mr_tree **out, mr_error *err)
{
    static const char *const words[] = {"and", NULL};
    return parse_chain(p, words, parse_not, out, err);
}

static mr_status parse_or(parser *p, mr_tree **out, mr_error *err)
{
    static const char *const words[] = {"or", NULL};
    return parse_chain(p, words, parse_and, out, err);
}

mr_status mr_expr_parse(const char *text, size_t bytes, const mr_expr_place *origin,
                        mr_arena *arena, mr_tree **out, mr_error *err)
{
    parser p = {.arena = arena};
    mr_lexer_init(&p.lexer, text, bytes, origin);
    MR_TRY(advance(&p, err));
    MR_TRY(parse_or(&p, out, err));
    if (p.token.kind != MR_TOKEN_END)
        return fail_expected(&p, err, "an operator or the end");
    return MR_OK;
}
