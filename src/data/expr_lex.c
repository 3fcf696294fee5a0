/* expr_lex.c -- expression text to tokens, each with its line and column.
 *
 *   name      letter or _ or UTF-8, then those and digits; dots join names; or "any ""text"""
 *   number    42, 1.5, .5, 2e-9; with units a duration: 10us 100ms 90s 1h30m 7d 2w
 *   text      'it''s'
 *   symbol    + - * / % ( ) , = == <> != < <= > >= || ::
 *   nothing   spaces, newlines, -- to the end of the line, comments as in C
 *
 * Columns count characters, not bytes. */
#include "data/expr_internal.h"

#include "base/time.h"
#include "base/utf8.h"

#include <string.h>

/* A message is one line of UTF-8, whatever the expression it quotes holds or a cut left over. */
static void make_printable(char *text)
{
    size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        uint32_t code;
        size_t used = mr_utf8_decode((const uint8_t *)text + at, size - at, &code);
        if (used == 0 || code < 0x20 || code == 0x7f)
            text[at] = '?';
        at += used > 0 ? used : 1;
    }
}

mr_status mr_expr_fail(const mr_expr_place *origin, uint32_t line, uint32_t column, mr_error *err,
                       const char *format, ...)
{
    if (err == NULL)
        return MR_INVALID;
    va_list args;
    va_start(args, format);
    mr_error_setv(err, MR_INVALID, format, args);
    va_end(args);
    make_printable(err->text);
    mr_error_place(err, origin->file != NULL ? origin->file : "expression", line, column);
    return MR_INVALID;
}

void mr_lexer_init(mr_lexer *lexer, const char *text, size_t bytes, const mr_expr_place *place)
{
    *lexer = (mr_lexer){.next = text, .end = text + bytes};
    if (place != NULL)
        lexer->place = *place;
    lexer->place.line += lexer->place.line == 0;
    lexer->place.column += lexer->place.column == 0;
    lexer->line = lexer->place.line;
    lexer->column = lexer->place.column;
}

static char peek(const mr_lexer *lexer, size_t ahead)
{
    return ahead < (size_t)(lexer->end - lexer->next) ? lexer->next[ahead] : '\0';
}

static void skip_bytes(mr_lexer *lexer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)*lexer->next++;
        if (byte == '\n') {
            lexer->line++;
            lexer->column = 1 + lexer->place.line_indent;
        } else if ((byte & 0xc0) != 0x80) {
            lexer->column++;
        }
    }
}

static mr_status fail_here(const mr_lexer *lexer, mr_error *err, const char *what)
{
    return mr_expr_fail(&lexer->place, lexer->line, lexer->column, err, "%s", what);
}

static mr_status skip_block_comment(mr_lexer *lexer, mr_error *err)
{
    mr_lexer start = *lexer;
    for (skip_bytes(lexer, 2); peek(lexer, 0) != '*' || peek(lexer, 1) != '/'; skip_bytes(lexer, 1))
        if (lexer->next == lexer->end)
            return fail_here(&start, err, "this comment is not closed; */ is missing");
    skip_bytes(lexer, 2);
    return MR_OK;
}

static mr_status skip_space(mr_lexer *lexer, mr_error *err)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (lexer->next == lexer->end)
            return MR_OK;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            skip_bytes(lexer, 1);
        } else if (c == '-' && peek(lexer, 1) == '-') {
            while (lexer->next < lexer->end && *lexer->next != '\n')
                skip_bytes(lexer, 1);
        } else if (c == '/' && peek(lexer, 1) == '*') {
            MR_TRY(skip_block_comment(lexer, err));
        } else {
            return MR_OK;
        }
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (uint8_t)c >= 0x80;
}

static size_t name_bytes(const mr_lexer *lexer, size_t from)
{
    size_t at = from;
    while (is_name_start(peek(lexer, at)) || is_digit(peek(lexer, at)) ||
           (peek(lexer, at) == '.' && at > from && is_name_start(peek(lexer, at + 1))))
        at++;
    return at - from;
}

static mr_status take_quoted(mr_lexer *lexer, char quote, mr_error *err)
{
    mr_lexer start = *lexer;
    for (skip_bytes(lexer, 1);; skip_bytes(lexer, 1)) {
        if (lexer->next == lexer->end)
            return fail_here(&start, err,
                             quote == '\'' ? "this text is not closed; ' is missing"
                                           : "this name is not closed; \" is missing");
        if (*lexer->next == '\0')
            return fail_here(lexer, err, "a NUL byte cannot stand in an expression");
        if (*lexer->next != quote)
            continue;
        if (peek(lexer, 1) != quote)
            break;
        skip_bytes(lexer, 1);
    }
    skip_bytes(lexer, 1);
    return MR_OK;
}

static size_t digits_at(const mr_lexer *lexer, size_t from)
{
    size_t at = from;
    while (is_digit(peek(lexer, at)))
        at++;
    return at - from;
}

/* Takes the longest number; letters glued to it make it a duration or a mistake. */
static mr_status take_number(mr_lexer *lexer, mr_token *out, mr_error *err)
{
    size_t size = digits_at(lexer, 0);
    out->kind = MR_TOKEN_INT;
    if (peek(lexer, size) == '.') {
        out->kind = MR_TOKEN_FLOAT;
        size += 1 + digits_at(lexer, size + 1);
    }
    size_t sign = peek(lexer, size + 1) == '-' || peek(lexer, size + 1) == '+';
    if ((peek(lexer, size) | 0x20) == 'e' && is_digit(peek(lexer, size + 1 + sign))) {
        out->kind = MR_TOKEN_FLOAT;
        size += 1 + sign + digits_at(lexer, size + 1 + sign);
    }
    size_t glued = name_bytes(lexer, size);
    int64_t us;
    if (glued > 0) {
        out->kind = MR_TOKEN_DURATION;
        if (!mr_time_parse_duration(lexer->next, size + glued, &us, NULL))
            return mr_expr_fail(&lexer->place, lexer->line, lexer->column, err,
                                "%.*s is no number; a duration is written 90s, 15m, 1h or 7d",
                                (int)MR_MIN(size + glued, 60), lexer->next);
    }
    skip_bytes(lexer, size + glued);
    return MR_OK;
}

static mr_status take_symbol(mr_lexer *lexer, mr_error *err)
{
    static const char *const symbols[] = {"==", "<>", "!=", "<=", ">=", "||", "::", "+", "-",
                                          "*",  "/",  "%",  "(",  ")",  ",",  "=",  "<", ">"};
    for (size_t i = 0; i < MR_COUNT_OF(symbols); i++) {
        size_t size = strlen(symbols[i]);
        if (symbols[i][0] == peek(lexer, 0) && (size == 1 || symbols[i][1] == peek(lexer, 1))) {
            skip_bytes(lexer, size);
            return MR_OK;
        }
    }
    uint8_t byte = (uint8_t)*lexer->next;
    if (byte < 0x20 || byte == 0x7f)
        return mr_expr_fail(&lexer->place, lexer->line, lexer->column, err,
                            "byte 0x%02x cannot stand in an expression", byte);
    return mr_expr_fail(&lexer->place, lexer->line, lexer->column, err,
                        "'%c' cannot stand in an expression", (char)byte);
}

mr_status mr_lexer_next(mr_lexer *lexer, mr_token *out, mr_error *err)
{
    MR_TRY(skip_space(lexer, err));
    *out = (mr_token){.text = lexer->next, .line = lexer->line, .column = lexer->column};
    char c = peek(lexer, 0);
    mr_status status = MR_OK;
    if (lexer->next == lexer->end) {
        out->kind = MR_TOKEN_END;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1)))) {
        status = take_number(lexer, out, err);
    } else if (is_name_start(c)) {
        out->kind = MR_TOKEN_NAME;
        skip_bytes(lexer, name_bytes(lexer, 0));
    } else if (c == '\'' || c == '"') {
        out->kind = c == '"' ? MR_TOKEN_NAME : MR_TOKEN_TEXT;
        status = take_quoted(lexer, c, err);
    } else {
        out->kind = MR_TOKEN_SYMBOL;
        status = take_symbol(lexer, err);
    }
    out->bytes = (size_t)(lexer->next - out->text);
    return status;
}

bool mr_token_is(const mr_token *token, const char *symbol)
{
    return token->kind == MR_TOKEN_SYMBOL && token->bytes == strlen(symbol) &&
           memcmp(token->text, symbol, token->bytes) == 0;
}

mr_status mr_lexer_expected(const mr_lexer *lexer, const mr_token *token, const char *expected,
                            mr_error *err)
{
    char quoted[64];
    if (token->kind == MR_TOKEN_END)
        return mr_expr_fail(&lexer->place, token->line, token->column, err,
                            "expected %s, but the expression ends here", expected);
    (void)mr_utf8_quote((const uint8_t *)token->text, token->bytes, 40, quoted, sizeof quoted);
    return mr_expr_fail(&lexer->place, token->line, token->column, err, "expected %s, got %s",
                        expected, quoted);
}
