/* expr.h -- the expression language: SQL-flavoured text, typed once, evaluated column by column.
 *
 *   text --lex, parse--> tree --type, fold--> nodes --allocate--> program
 *   columns --program, 1024 rows at a time--> column
 *
 * What a user has to know (`millrace help expressions` prints the rest from the function table):
 * (1) Three-valued NULL: a NULL argument makes a NULL result, except where the table says otherwise
 *     (`and`, `or`, `is null`, `coalesce`, `case`, `in`, `least`, `greatest`).
 * (2) A row cannot fail. Integer overflow, division by zero, arguments outside a function's domain,
 *     casts of what does not fit, and float results that are not finite are NULL.
 * (3) Inside an expression a float is finite or NULL: NaN and infinities in a column are read as
 *     NULL, so comparisons never meet a NaN and a NaN never reaches a feature.
 * (4) int32 -> int64 -> float64 and float32 -> float64 happen by themselves; arithmetic on integers
 *     is int64, on floats float64; `/` always gives float64 (`div` and `mod` stay integer).
 * (5) A duration (90s, 15m, 1h, 7d) is an int64 number of microseconds; so is timestamp - timestamp.
 * (6) The value of a row depends on that row alone: any cut into ranges and threads gives the same
 *     bits. (exp, ln and pow are the C library's: the same on machines with the same one.)
 *
 * Thread: an mr_expr never changes after mr_expr_compile and may be used by many threads, each with
 * a mr_expr_scratch of its own. */
#ifndef MR_DATA_EXPR_H
#define MR_DATA_EXPR_H

#include "data/batch.h"

#define MR_EXPR_BYTES_MAX   65536 /* of text */
#define MR_EXPR_NESTING_MAX 200   /* parentheses, calls, `case` and `not` inside each other */
#define MR_EXPR_CHAIN_MAX                                                                          \
    1000 /* depth of the tree that a + b + c + ... makes; 512 KiB of stack do */
#define MR_EXPR_NODES_MAX      2048  /* distinct operations, columns and constants */
#define MR_EXPR_TEXT_BYTES_MAX 65536 /* of one text that concat makes; longer is NULL */
#define MR_EXPR_CALL_ARGS_MAX  16    /* of mr_expr_split_call */

typedef struct mr_expr mr_expr;

/* Where the text stands, for errors. A zeroed struct means "expression:1:1". */
typedef struct mr_expr_place {
    const char *file;     /* NULL: "expression" */
    uint32_t line;        /* of the first character; 0: 1 */
    uint32_t column;      /* of the first character, in characters; 0: 1 */
    uint32_t line_indent; /* characters before the text on every later line (YAML block scalars) */
} mr_expr_place;

/* Compiles against the names of `schema` (columns are found by name; a later call passes them in
 * its order). MR_INVALID with err->place "file:line:column" and one sentence, also beyond a limit
 * above; or MR_NO_MEMORY. `place` may be NULL. The text and the schema need not outlive the call.
 */
mr_status mr_expr_compile(const char *text, size_t bytes, const mr_schema *schema,
                          const mr_expr_place *place, mr_expr **out, mr_error *err);
void mr_expr_destroy(mr_expr *expr); /* NULL is allowed */

/* ---- questions ---- */

mr_type mr_expr_type(const mr_expr *expr);
/* False only when no row can be NULL (given that columns declared not null hold none). */
bool mr_expr_nullable(const mr_expr *expr);
/* Indexes into the schema, ascending, of the columns that are read. Lent until destroy. */
const uint32_t *mr_expr_columns(const mr_expr *expr, size_t *out_count);
/* True and the index when the result is a column as it stands, so that sharing it is enough. (A float
 * column's name alone is not: its NaN and infinities become NULL. mr_expr_eval shares it when it holds
 * none.) */
bool mr_expr_is_column(const mr_expr *expr, uint32_t *out_index);
/* The canonical text: the same for texts that differ in spaces, comments, letter case of keywords
 * and needless parentheses; compiles to the same expression. Part of a plan's hash. */
void mr_expr_format(const mr_expr *expr, mr_bytes *out);

/* Of a `case`: the text of an expression that is, row by row, the canonical text of the condition that holds there,
 * or 'else'. False: it is no `case`, and nothing is written. */
bool mr_expr_rule(const mr_expr *expr, mr_bytes *out);

/* ---- evaluation ---- */

/* Working memory of one thread, for any number of expressions one after the other. A zeroed struct
 * is empty; it grows to what the largest expression needs and keeps it until deinit. */
typedef struct mr_expr_scratch {
    struct mr_expr_memory *memory;
} mr_expr_scratch;

void mr_expr_scratch_deinit(mr_expr_scratch *scratch);

/* Evaluates rows [first, first + count) of `columns` (an array in the order of the schema compiled
 * against, e.g. batch->columns). *out gets `count` rows and owns what it holds. MR_NO_MEMORY, or
 * MR_FULL when the texts of the result pass 2 GiB. */
mr_status mr_expr_eval(const mr_expr *expr, mr_expr_scratch *scratch, const mr_column *columns,
                       size_t first, size_t count, mr_column *out, mr_error *err);

/* The same into memory of the caller, for row ranges of one column filled by several threads: row
 * `first` lands at index `first`. `first` is a multiple of 64, so that no two ranges share a word
 * of bits. `values` is an array of the type (bits for bool) and `validity` a bitmap, both 8-byte
 * aligned with room for whole words of bits. Types of fixed size and bool only. *out_null_count:
 * NULLs among these rows. */
mr_status mr_expr_eval_into(const mr_expr *expr, mr_expr_scratch *scratch, const mr_column *columns,
                            size_t first, size_t count, void *values, uint8_t *validity,
                            size_t *out_null_count, mr_error *err);

/* Writes the indexes of the rows in [first, first + count) where a bool expression is true (not
 * false, not NULL), ascending, into `rows`, which has room for `count`. */
mr_status mr_expr_eval_filter(const mr_expr *expr, mr_expr_scratch *scratch,
                              const mr_column *columns, size_t first, size_t count, uint32_t *rows,
                              size_t *out_count, mr_error *err);

/* ---- for those who build on the language ---- */

/* One call taken apart without typing it: `mean(amount * 2)` gives the name and its arguments'
 * texts, each with its place, so that an aggregate is written like a function and its arguments
 * compiled by mr_expr_compile. What follows the closing parenthesis (after spaces and comments) is
 * `rest`. */
typedef struct mr_expr_piece {
    const char *text; /* lent by the text given */
    size_t bytes;
    mr_expr_place place;
} mr_expr_piece;

typedef struct mr_expr_call {
    mr_expr_piece name;
    mr_expr_piece args[MR_EXPR_CALL_ARGS_MAX];
    size_t arg_count;
    mr_expr_piece rest;
} mr_expr_call;

mr_status mr_expr_split_call(const char *text, size_t bytes, const mr_expr_place *place,
                             mr_expr_call *out, mr_error *err);

/* The name in `names` closest to `name` by edit distance, NULL when none is close: "did you mean
 * amount?". */
const char *mr_expr_closest(const char *name, size_t bytes, const char *const *names, size_t count);

/* The reference page (Markdown) from the function table. */
void mr_expr_reference(mr_bytes *out);

#endif
