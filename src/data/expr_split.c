/* expr_split.c -- one call taken apart by its tokens alone, for those who build on the language. */
#include "data/expr_internal.h"

typedef struct cursor {
    mr_lexer lexer;
    mr_token token; /* not taken yet */
} cursor;

static mr_status advance(cursor *p, mr_error *err)
{
    return mr_lexer_next(&p->lexer, &p->token, err);
}

static bool at_symbol(const cursor *p, const char *symbol)
{
    return mr_token_is(&p->token, symbol);
}

static mr_status fail_expected(const cursor *p, mr_error *err, const char *expected)
{
    return mr_lexer_expected(&p->lexer, &p->token, expected, err);
}

static mr_expr_piece piece_between(const char *from, const char *to, const mr_token *at,
                                   const mr_expr_place *place)
{
    while (to > from && (to[-1] == ' ' || to[-1] == '\n' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    mr_expr_piece piece = {from, (size_t)(to - from), *place};
    piece.place.line = at->line;
    piece.place.column = at->column;
    return piece;
}

/* One argument ends at p's token, a ',' or the ')'. */
static mr_status end_argument(cursor *p, const mr_token *start, mr_expr_call *out, mr_error *err)
{
    if (p->token.text == start->text)
        return fail_expected(p, err, "a value");
    if (out->arg_count == MR_EXPR_CALL_ARGS_MAX)
        return mr_expr_fail(&p->lexer.place, start->line, start->column, err,
                            "a call takes at most %d arguments", MR_EXPR_CALL_ARGS_MAX);
    out->args[out->arg_count++] = piece_between(start->text, p->token.text, start, &p->lexer.place);
    return MR_OK;
}

mr_status mr_expr_split_call(const char *text, size_t bytes, const mr_expr_place *place,
                             mr_expr_call *out, mr_error *err)
{
    cursor p = {0};
    *out = (mr_expr_call){0};
    mr_lexer_init(&p.lexer, text, bytes, place);
    MR_TRY(advance(&p, err));
    if (p.token.kind != MR_TOKEN_NAME || p.token.text[0] == '"')
        return fail_expected(&p, err, "the name of a function");
    out->name = piece_between(p.token.text, p.token.text + p.token.bytes, &p.token, &p.lexer.place);
    MR_TRY(advance(&p, err));
    if (!at_symbol(&p, "("))
        return fail_expected(&p, err, "'('");
    MR_TRY(advance(&p, err));
    mr_token start = p.token;
    bool empty = at_symbol(&p, ")");
    for (size_t depth = 1; depth > 0;) {
        if (p.token.kind == MR_TOKEN_END)
            return fail_expected(&p, err, "')'");
        depth += at_symbol(&p, "(");
        depth -= at_symbol(&p, ")");
        bool ends = depth == 0 || (depth == 1 && at_symbol(&p, ","));
        if (ends && !empty)
            MR_TRY(end_argument(&p, &start, out, err));
        MR_TRY(advance(&p, err));
        if (ends)
            start = p.token;
    }
    out->rest = piece_between(p.token.text, text + bytes, &p.token, &p.lexer.place);
    return MR_OK;
}
