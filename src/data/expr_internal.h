/* expr_internal.h -- what the files of the expression language share.
 *
 *   expr_lex.c      text -> tokens           expr_table.c   functions, casts, suggestions, reference
 *   expr_parse.c    tokens -> tree           expr_number.c  kernels: arithmetic, comparison
 *   expr_format.c   tree -> canonical text   expr_logic.c   kernels: and, case, coalesce, in, hash
 *   expr_type.c     tree -> nodes            expr_text.c    kernels: strings, casts from and to them
 *   expr_call.c     ... of functions         expr_time.c    kernels: the calendar
 *   expr_form.c     ... of case, in, cast    expr_regex.c   kernels: matches
 *   expr_node.c     nodes, folding           expr_load.c    kernels: columns to registers
 *   expr_program.c  nodes -> registers       expr_eval.c    running, results
 *   expr_split.c    calls taken apart
 *
 * To add a function: write its kernel, name it in MR_EXPR_KERNELS, add one row to the table in
 * expr_table.c, and one to the row-by-row evaluator in expr_property_test.c. */
#ifndef MR_DATA_EXPR_INTERNAL_H
#define MR_DATA_EXPR_INTERNAL_H

#include "base/assert.h"
#include "data/expr.h"

/* ---- tokens ---- */

typedef enum mr_token_kind {
    MR_TOKEN_END,
    MR_TOKEN_NAME,     /* amount, customer.tx_count, "any text" */
    MR_TOKEN_INT,      /* 42 */
    MR_TOKEN_FLOAT,    /* 1.5, 2e9 */
    MR_TOKEN_DURATION, /* 90s */
    MR_TOKEN_TEXT,     /* 'it''s' */
    MR_TOKEN_SYMBOL
} mr_token_kind;

typedef struct mr_token {
    mr_token_kind kind;
    const char *text; /* as written, quotes included */
    size_t bytes;
    uint32_t line;
    uint32_t column;
} mr_token;

typedef struct mr_lexer {
    const char *next;
    const char *end;
    mr_expr_place place; /* of the text's first character, defaults filled in */
    uint32_t line;
    uint32_t column; /* of `next` */
} mr_lexer;

void mr_lexer_init(mr_lexer *lexer, const char *text, size_t bytes, const mr_expr_place *place);
mr_status mr_lexer_next(mr_lexer *lexer, mr_token *out, mr_error *err);
bool mr_token_is(const mr_token *token, const char *symbol);
/* Fails at a token: "expected X, got Y". */
mr_status mr_lexer_expected(const mr_lexer *lexer, const mr_token *token, const char *expected,
                            mr_error *err);
/* Fails at a place: sets err->place and gives MR_INVALID with the message. */
mr_status mr_expr_fail(const mr_expr_place *origin, uint32_t line, uint32_t column, mr_error *err,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- tree ---- */

typedef enum mr_tree_kind {
    MR_TREE_NULL,
    MR_TREE_BOOL,
    MR_TREE_INT,
    MR_TREE_FLOAT,
    MR_TREE_TEXT,
    MR_TREE_TIMESTAMP,
    MR_TREE_DURATION, /* number and unit are kept for the canonical text */
    MR_TREE_COLUMN,
    MR_TREE_CALL, /* functions and operators; the operator's name is its symbol */
    MR_TREE_CASE, /* [operand] when then when then ... [else] */
    MR_TREE_IN,   /* value, items... */
    MR_TREE_BETWEEN,
    MR_TREE_IS_NULL,
    MR_TREE_CAST
} mr_tree_kind;

typedef struct mr_tree {
    mr_tree_kind kind;
    uint32_t line;
    uint32_t column;
    uint32_t depth;
    bool negated;     /* not in, not between, is not null */
    bool has_operand; /* case x when ... */
    bool has_else;
    mr_type type;     /* of a cast */
    int64_t integer;  /* bool, int, timestamp, duration in microseconds */
    double real;      /* float */
    const char *text; /* text value, column or function name, duration as written; terminated */
    size_t bytes;
    struct mr_tree **args;
    size_t arg_count;
} mr_tree;

/* All memory comes from the arena. */
mr_status mr_expr_parse(const char *text, size_t bytes, const mr_expr_place *origin,
                        mr_arena *arena, mr_tree **out, mr_error *err);
void mr_tree_format(const mr_tree *tree, mr_bytes *out);
/* Letter case of ASCII does not matter. */
bool mr_word_is(const char *text, size_t bytes, const char *word);
/* Words that cannot name a column without double quotes. */
bool mr_word_is_reserved(const char *text, size_t bytes);

/* ---- program ---- */

#define MR_EXPR_ROWS                                                                               \
    1024 /* rows run through the program at a time: a register stays in the L1 cache */
#define MR_EXPR_WORDS (MR_EXPR_ROWS / 64)

/* How values lie in a register. */
typedef enum mr_rep {
    MR_REP_BITS,   /* bool: uint64_t words; bits of NULL rows are 0 */
    MR_REP_INT,    /* int32, int64, timestamp: int64_t */
    MR_REP_FLOAT,  /* float32, float64: double, finite where valid */
    MR_REP_TEXT,   /* string, bytes: mr_text; size 0 at NULL rows */
    MR_REP_VECTOR, /* only asked whether it is NULL */
    MR_REP_COUNT
} mr_rep;

mr_rep mr_rep_of(mr_type_id id);

/* Values at NULL rows and bits behind the last row are unspecified but safe to compute with. */
typedef struct mr_reg {
    void *values;
    uint64_t *valid; /* a bit per row; meaningful when has_nulls */
    bool has_nulls;  /* false: every row has a value */
} mr_reg;

typedef struct mr_frame mr_frame;
typedef struct mr_step mr_step;
typedef void (*mr_kernel)(mr_frame *frame, const mr_step *step);

/* The result register is never one of the arguments. */
struct mr_step {
    mr_kernel kernel;
    const void *aux;      /* a pattern, a set of constants, a unit, a column */
    const uint16_t *args; /* registers; of a load: the column */
    uint16_t arg_count;   /* 0 for a load */
    uint16_t dst;
    bool
        strict; /* validity is the `and` of the arguments' and is in place before the kernel runs */
    bool bits;  /* the result is bool: its bits are cleared at NULL rows afterwards */
};

/* One thread's view while a chunk of rows runs. */
struct mr_frame {
    mr_reg *regs;
    size_t rows;  /* of this chunk, 1..MR_EXPR_ROWS */
    size_t words; /* of bits for them */
    const mr_column *columns;
    size_t row; /* first row of the chunk in the columns */
    struct mr_expr_memory *memory;
    bool failed; /* out of memory */
};

typedef struct mr_value {
    bool is_null;
    union {
        bool boolean;
        int64_t integer;
        double real;
        mr_text text;
    } as;
} mr_value;

typedef struct mr_reg_plan {
    bool lent;          /* values are a column's own: no memory */
    uint32_t values_at; /* offset in the register memory */
    uint32_t valid_at;
} mr_reg_plan;

typedef struct mr_constant {
    uint16_t reg;
    mr_rep rep;
    mr_value value;
} mr_constant;

typedef struct mr_program {
    mr_step *steps;
    mr_constant *constants;
    mr_reg_plan *regs;
    uint32_t step_count;
    uint32_t constant_count;
    uint32_t reg_count;
    uint32_t memory_bytes;
    uint16_t result;
    bool result_is_lent; /* by a column or a constant: kernels cannot write it elsewhere */
} mr_program;

struct mr_expr {
    mr_arena arena; /* everything below */
    mr_tree *tree;
    mr_type type;
    bool nullable;
    bool is_column;
    uint32_t *columns;
    mr_type *column_types; /* what evaluation must be given */
    uint32_t column_count;
    mr_program program;
};

/* A call of the tree with types, before it has a register. Arguments stand before their users. */
typedef enum mr_node_kind { MR_NODE_COLUMN, MR_NODE_CONSTANT, MR_NODE_CALL } mr_node_kind;

typedef struct mr_node {
    mr_node_kind kind;
    mr_rep rep;
    bool nullable;
    bool strict;
    mr_type column_type;
    uint32_t column;
    mr_value value;
    mr_kernel kernel;
    const void *aux;
    const uint32_t *args;
    uint32_t arg_count;
    uint32_t uses; /* by reachable nodes; filled by mr_program_build */
    uint32_t reg;
} mr_node;

typedef struct mr_nodes {
    mr_node *items;
    uint32_t count;
    uint32_t capacity;
    uint32_t *index; /* open-addressed: hash of a node -> its number + 1 */
    uint32_t index_mask;
} mr_nodes;

/* Types the tree; expr->arena gives what the program keeps, `scratch` the rest. */
mr_status mr_expr_type_tree(mr_expr *expr, const mr_schema *schema, const mr_expr_place *origin,
                            mr_nodes *nodes, uint32_t *out_root, mr_error *err);
mr_status mr_program_build(mr_expr *expr, mr_nodes *nodes, uint32_t root, mr_error *err);
/* Runs one step: validity, kernel, bits at NULL rows. */
void mr_step_run(mr_frame *frame, const mr_step *step);
/* Fills a register with one value for `words` words of rows. */
void mr_reg_fill(mr_reg *reg, mr_rep rep, const mr_value *value, size_t words);
size_t mr_rep_bytes(mr_rep rep, size_t rows);
/* Runs one kernel over constants, for folding. False: out of memory. Text results go to the arena.
 */
bool mr_program_fold(const mr_node *node, const mr_node *nodes, mr_arena *arena, mr_value *out);

/* ---- working memory ---- */

struct mr_expr_memory {
    uint8_t *regs; /* register memory, 64-byte aligned */
    size_t regs_bytes;
    mr_reg *reg_table;
    size_t reg_count;
    mr_arena texts;   /* made by kernels; emptied before every chunk */
    void *match_data; /* PCRE2's, made when first needed */
    void *match_context;
    void *match_stack;
    mr_bytes out; /* text results before their size is known */
};

void mr_expr_memory_deinit(struct mr_expr_memory *memory);
void mr_regex_memory_deinit(struct mr_expr_memory *memory);
/* Compiles a pattern; what it holds is freed with the arena. */
mr_status mr_regex_prepare(mr_arena *arena, const char *pattern, size_t bytes, const void **out_aux,
                           mr_error *err);

/* ---- functions ---- */

/* When is the result NULL, given which arguments are? */
typedef enum mr_null_rule {
    MR_NULL_ANY,   /* when any argument is, and only then */
    MR_NULL_MAYBE, /* when any argument is, and where there is no finite, fitting answer */
    MR_NULL_ALL,   /* when all arguments are */
    MR_NULL_NEVER,
    MR_NULL_CHOICE, /* when the value chosen is */
    MR_NULL_LOGIC   /* `and`, `or`: when the known arguments do not decide */
} mr_null_rule;

/* One overload. Signature letters: b bool, i integer, f any number (as float64), t timestamp, s
 * string, y bytes, k constant string (given to `prepare`), a any one type common to all a's, h
 * anything that has a hash (given as its hash), v any column at all; a last `*`: the letter before
 * it once or more. Result: a letter of the same, a = the common type. */
typedef struct mr_function {
    const char *name;
    const char *args;
    char result;
    mr_null_rule nulls;
    mr_kernel kernel;        /* NULL, and by_rep too: the result is the argument */
    const mr_kernel *by_rep; /* for `a`: MR_REP_VECTOR of them, NULL where the type is not taken */
    bool swap;               /* two arguments change places: > is < the other way round */
    bool negate;             /* the bool result is turned round: <> is not = */
    mr_status (*prepare)(mr_arena *, const char *, size_t, const void **, mr_error *);
    const char *group; /* heading of the reference page; NULL: as the row before */
    const char *what;  /* one sentence; NULL: a further overload of the row before */
    const char *example;
    const char *gives; /* the example's value as text */
} mr_function;

const mr_function *mr_function_table(size_t *out_count);
/* First row of that name, NULL when there is none; rows of one name stand together. */
const mr_function *mr_function_find(const char *name, size_t bytes);
const char *mr_function_closest(const char *name, size_t bytes);
/* "hour(timestamp)", or "int64 + int64" for operators. */
void mr_function_format(const mr_function *function, mr_bytes *out);
/* False when there is no such cast; *out_kernel is NULL when nothing is to be done. */
bool mr_cast_find(mr_type_id from, mr_type_id to, mr_kernel *out_kernel, mr_null_rule *out_nulls);

/* ---- kernels ---- */

/* clang-format off */
#define MR_EXPR_KERNELS(X) \
    X(load_bits) X(load_int32) X(load_int64) X(load_float32) X(load_float64) X(load_text) \
    X(load_validity) X(add_int) X(sub_int) X(mul_int) X(div_int) X(mod_int) X(neg_int) \
    X(abs_int) X(sign_int) X(add_float) X(sub_float) X(mul_float) X(div_float) X(mod_float) \
    X(neg_float) X(abs_float) X(sign_float) X(floor_float) X(ceil_float) X(round_float) \
    X(trunc_float) X(round_float_digits) X(sqrt_float) X(ln_float) X(exp_float) X(pow_float) \
    X(eq_int) X(lt_int) X(le_int) X(eq_float) X(lt_float) X(le_float) X(eq_text) X(lt_text) \
    X(le_text) X(eq_bits) X(lt_bits) X(le_bits) X(int_to_float) X(int_to_float32) \
    X(int_to_int32) X(float_to_int32) X(float_to_int64) X(float_to_float32) X(bits_to_int) \
    X(bits_to_float) X(int_to_bits) X(bits_to_text) X(int_to_text) X(float_to_text) \
    X(float32_to_text) X(timestamp_to_text) X(text_to_bits) X(text_to_int32) X(text_to_int64) \
    X(text_to_float32) X(text_to_float64) X(text_to_timestamp) X(bytes_to_text) X(and_bits) \
    X(or_bits) X(not_bits) X(is_null) X(case_bits) X(case_8) X(case_text) X(coalesce_bits) \
    X(coalesce_8) X(coalesce_text) X(least_bits) X(least_int) X(least_float) X(least_text) \
    X(greatest_bits) X(greatest_int) X(greatest_float) X(greatest_text) X(in_int) X(in_float) \
    X(in_text) X(hash_bits) X(hash_int) X(hash_float) X(hash_text) X(hash_combine) \
    X(bucket_hash) X(lower) X(upper) X(length_text) X(length_bytes) X(substr_from) \
    X(substr_text) X(concat) X(starts_with) X(matches) X(hour) X(minute) X(second) X(weekday) \
    X(day) X(month) X(year) X(date_trunc)
/* clang-format on */

#define X(name) void mr_kernel_##name(mr_frame *frame, const mr_step *step);
MR_EXPR_KERNELS(X)
#undef X

/* The constants of `in`, sorted. */
typedef struct mr_set {
    size_t count;
    union {
        const int64_t *integers;
        const double *reals;
        const mr_text *texts;
    } as;
} mr_set;

bool mr_text_equal(mr_text a, mr_text b);
int mr_text_compare(mr_text a, mr_text b); /* by bytes, which for UTF-8 is by code points */

static inline void mr_reg_need_valid(mr_reg *reg)
{
    if (!reg->has_nulls)
        for (size_t i = 0; i < MR_EXPR_WORDS; i++)
            reg->valid[i] = UINT64_MAX;
    reg->has_nulls = true;
}

static inline void mr_reg_null_row(mr_reg *reg, size_t row)
{
    mr_reg_need_valid(reg);
    reg->valid[row / 64] &= ~(UINT64_C(1) << (row % 64));
}

static inline bool mr_reg_is_valid(const mr_reg *reg, size_t row)
{
    return !reg->has_nulls || ((reg->valid[row / 64] >> (row % 64)) & 1);
}

/* The validity of word `w`, whether or not the register has NULLs. */
static inline uint64_t mr_reg_valid_word(const mr_reg *reg, size_t w)
{
    return reg->has_nulls ? reg->valid[w] : UINT64_MAX;
}

/* Rows of a float register that are not finite become NULL (promise 3 of expr.h). */
void mr_reg_drop_nonfinite(mr_reg *reg, size_t rows);
/* Byte i of `bytes` (0 or 1) becomes bit i. Reads whole words of 64 bytes. */
void mr_pack_bits(uint64_t *bits, const uint8_t *bytes, size_t words);

#define MR_ARG(i) (&frame->regs[step->args[i]])
#define MR_DST    (&frame->regs[step->dst])

#endif
