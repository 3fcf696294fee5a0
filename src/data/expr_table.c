/* expr_table.c -- the functions, operators and casts of the language: the one list of them.
 *
 * Types, errors, "did you mean", the reference page and the conformance test come from this table.
 * Overloads of one name stand together; the first that takes the arguments is meant, so integers
 * stand before floats. */
#include "data/expr_internal.h"

#include "base/time.h"

#include <string.h>

#define K(name)   mr_kernel_##name
#define RUN(name) .kernel = mr_kernel_##name
#define BY_REP(noun)                                                                               \
    static const mr_kernel noun##_by_rep[MR_REP_VECTOR] = {K(noun##_bits), K(noun##_int),          \
                                                           K(noun##_float), K(noun##_text)}
BY_REP(eq);
BY_REP(lt);
BY_REP(le);
BY_REP(least);
BY_REP(greatest);
static const mr_kernel coalesce_by_rep[MR_REP_VECTOR] = {K(coalesce_bits), K(coalesce_8),
                                                         K(coalesce_8), K(coalesce_text)};

static mr_status prepare_unit(mr_arena *arena, const char *unit, size_t bytes, const void **out_aux,
                              mr_error *err)
{
    static const mr_time_part parts[MR_TIME_PART_COUNT] = {
        MR_TIME_PART_SECOND, MR_TIME_PART_MINUTE, MR_TIME_PART_HOUR,    MR_TIME_PART_DAY,
        MR_TIME_PART_WEEK,   MR_TIME_PART_MONTH,  MR_TIME_PART_QUARTER, MR_TIME_PART_YEAR};
    mr_time_part part;
    (void)arena;
    if (mr_time_part_parse(unit, bytes, &part)) {
        *out_aux = &parts[part];
        return MR_OK;
    }
    return MR_FAIL(
        err, MR_INVALID,
        "'%.*s' is no unit; expected second, minute, hour, day, week, month, quarter or year",
        (int)MR_MIN(bytes, 40), unit);
}

/* clang-format off */
static const mr_function table[] = {
    {"and", "bb", 'b', MR_NULL_LOGIC, RUN(and_bits), .group = "Logic",
     .what = "True when both are; false as soon as one is false, even beside NULL.",
     .example = "false and null", .gives = "false"},
    {"or", "bb", 'b', MR_NULL_LOGIC, RUN(or_bits),
     .what = "True as soon as one is true, even beside NULL; false when both are false.",
     .example = "true or null", .gives = "true"},
    {"not", "b", 'b', MR_NULL_ANY, RUN(not_bits), .what = "True for false, false for true.",
     .example = "not true", .gives = "false"},
    {"coalesce", "a*", 'a', MR_NULL_ALL, .by_rep = coalesce_by_rep,
     .what = "The first value that is not NULL.", .example = "coalesce(null, 7, 8)", .gives = "7"},
    {"least", "a*", 'a', MR_NULL_ALL, .by_rep = least_by_rep,
     .what = "The smallest of the values that are not NULL.",
     .example = "least(3, null, 2)", .gives = "2"},
    {"greatest", "a*", 'a', MR_NULL_ALL, .by_rep = greatest_by_rep,
     .what = "The largest of the values that are not NULL.",
     .example = "greatest('b', null, 'a')", .gives = "b"},

    {"=", "aa", 'b', MR_NULL_ANY, .by_rep = eq_by_rep, .group = "Comparison",
     .what = "Equal; `==` is the same. Text compares by code points, false is below true.",
     .example = "1 = 1.0", .gives = "true"},
    {"<>", "aa", 'b', MR_NULL_ANY, .by_rep = eq_by_rep, .negate = true,
     .what = "Not equal; `!=` is the same.", .example = "'a' <> 'b'", .gives = "true"},
    {"<", "aa", 'b', MR_NULL_ANY, .by_rep = lt_by_rep, .what = "Less.",
     .example = "2 < 10", .gives = "true"},
    {"<=", "aa", 'b', MR_NULL_ANY, .by_rep = le_by_rep, .what = "Less or equal.",
     .example = "'2' <= '10'", .gives = "false"},
    {">", "aa", 'b', MR_NULL_ANY, .by_rep = lt_by_rep, .swap = true, .what = "Greater.",
     .example = "null > 1", .gives = "NULL"},
    {">=", "aa", 'b', MR_NULL_ANY, .by_rep = le_by_rep, .swap = true, .what = "Greater or equal.",
     .example = "2.5 >= 2", .gives = "true"},

    {"+", "ii", 'i', MR_NULL_MAYBE, RUN(add_int), .group = "Arithmetic",
     .what = "Sum; a timestamp moves by microseconds (durations are). NULL on overflow.",
     .example = "timestamp '2018-04-01' + 36h", .gives = "2018-04-02T12:00:00Z"},
    {"+", "ff", 'f', MR_NULL_MAYBE, RUN(add_float)},
    {"+", "ti", 't', MR_NULL_MAYBE, RUN(add_int)},
    {"+", "it", 't', MR_NULL_MAYBE, RUN(add_int)},
    {"-", "ii", 'i', MR_NULL_MAYBE, RUN(sub_int),
     .what = "Difference, and with one number its negative; of two timestamps in microseconds.",
     .example = "timestamp '2018-04-02' - timestamp '2018-04-01'", .gives = "86400000000"},
    {"-", "ff", 'f', MR_NULL_MAYBE, RUN(sub_float)},
    {"-", "tt", 'i', MR_NULL_MAYBE, RUN(sub_int)},
    {"-", "ti", 't', MR_NULL_MAYBE, RUN(sub_int)},
    {"-", "i", 'i', MR_NULL_MAYBE, RUN(neg_int)},
    {"-", "f", 'f', MR_NULL_ANY, RUN(neg_float)},
    {"*", "ii", 'i', MR_NULL_MAYBE, RUN(mul_int), .what = "Product.",
     .example = "9223372036854775807 * 2", .gives = "NULL"},
    {"*", "ff", 'f', MR_NULL_MAYBE, RUN(mul_float)},
    {"/", "ff", 'f', MR_NULL_MAYBE, RUN(div_float),
     .what = "Quotient, always float64; NULL when divided by zero.",
     .example = "7 / 2", .gives = "3.5"},
    {"%", "ii", 'i', MR_NULL_MAYBE, RUN(mod_int), .what = "The same as mod.",
     .example = "7 % 4", .gives = "3"},
    {"%", "ff", 'f', MR_NULL_MAYBE, RUN(mod_float)},
    {"mod", "ii", 'i', MR_NULL_MAYBE, RUN(mod_int),
     .what = "What is left of a division, with the sign of the first; NULL when divided by zero.",
     .example = "mod(-7, 4)", .gives = "-3"},
    {"mod", "ff", 'f', MR_NULL_MAYBE, RUN(mod_float)},
    {"div", "ii", 'i', MR_NULL_MAYBE, RUN(div_int),
     .what = "Quotient of integers cut towards zero; NULL when divided by zero.",
     .example = "div(-7, 2)", .gives = "-3"},
    {"abs", "i", 'i', MR_NULL_MAYBE, RUN(abs_int), .what = "Without its sign.",
     .example = "abs(-2.5)", .gives = "2.5"},
    {"abs", "f", 'f', MR_NULL_ANY, RUN(abs_float)},
    {"sign", "i", 'i', MR_NULL_ANY, RUN(sign_int), .what = "-1, 0 or 1.",
     .example = "sign(-12)", .gives = "-1"},
    {"sign", "f", 'f', MR_NULL_ANY, RUN(sign_float)},
    {"floor", "i", 'i', MR_NULL_ANY, .what = "The largest whole number not above.",
     .example = "floor(-2.5)", .gives = "-3"},
    {"floor", "f", 'f', MR_NULL_ANY, RUN(floor_float)},
    {"ceil", "i", 'i', MR_NULL_ANY, .what = "The smallest whole number not below.",
     .example = "ceil(2.1)", .gives = "3"},
    {"ceil", "f", 'f', MR_NULL_ANY, RUN(ceil_float)},
    {"trunc", "i", 'i', MR_NULL_ANY, .what = "Without its fraction.",
     .example = "trunc(-2.9)", .gives = "-2"},
    {"trunc", "f", 'f', MR_NULL_ANY, RUN(trunc_float)},
    {"round", "i", 'i', MR_NULL_ANY,
     .what = "To the nearest whole number, or with a second argument to so many decimal places "
             "(-15 to 15); halves go away from zero.",
     .example = "round(-2.5)", .gives = "-3"},
    {"round", "f", 'f', MR_NULL_ANY, RUN(round_float)},
    {"round", "fi", 'f', MR_NULL_MAYBE, RUN(round_float_digits)},
    {"sqrt", "f", 'f', MR_NULL_MAYBE, RUN(sqrt_float), .what = "Square root; NULL below zero.",
     .example = "sqrt(-1)", .gives = "NULL"},
    {"ln", "f", 'f', MR_NULL_MAYBE, RUN(ln_float), .what = "Natural logarithm; NULL at zero and below.",
     .example = "ln(1)", .gives = "0"},
    {"exp", "f", 'f', MR_NULL_MAYBE, RUN(exp_float), .what = "e to that power; NULL on overflow.",
     .example = "exp(0)", .gives = "1"},
    {"pow", "ff", 'f', MR_NULL_MAYBE, RUN(pow_float),
     .what = "The first to the power of the second; NULL where it is not a finite real number.",
     .example = "pow(2, 10)", .gives = "1024"},

    {"second", "t", 'i', MR_NULL_ANY, RUN(second), .group = "Time (UTC)",
     .what = "Second of the minute, 0 to 59.",
     .example = "second(timestamp '2018-04-01T13:05:07.9Z')", .gives = "7"},
    {"minute", "t", 'i', MR_NULL_ANY, RUN(minute), .what = "Minute of the hour, 0 to 59.",
     .example = "minute(timestamp '2018-04-01T13:05:00Z')", .gives = "5"},
    {"hour", "t", 'i', MR_NULL_ANY, RUN(hour), .what = "Hour of the day, 0 to 23.",
     .example = "hour(timestamp '2018-04-01T13:05:00+02:00')", .gives = "11"},
    {"weekday", "t", 'i', MR_NULL_ANY, RUN(weekday),
     .what = "Day of the ISO week: Monday is 1, Saturday 6, Sunday 7.",
     .example = "weekday(timestamp '2018-04-01')", .gives = "7"},
    {"day", "t", 'i', MR_NULL_ANY, RUN(day), .what = "Day of the month, 1 to 31.",
     .example = "day(timestamp '2018-04-30T23:59:59Z')", .gives = "30"},
    {"month", "t", 'i', MR_NULL_ANY, RUN(month), .what = "Month, 1 to 12.",
     .example = "month(timestamp '2018-04-01')", .gives = "4"},
    {"year", "t", 'i', MR_NULL_ANY, RUN(year), .what = "Year.",
     .example = "year(timestamp '2018-04-01')", .gives = "2018"},
    {"date_trunc", "kt", 't', MR_NULL_ANY, RUN(date_trunc), .prepare = prepare_unit,
     .what = "The start of the second, minute, hour, day, week (Monday), month, quarter or year.",
     .example = "date_trunc('week', timestamp '2018-04-01T13:05:00Z')",
     .gives = "2018-03-26T00:00:00Z"},

    {"lower", "s", 's', MR_NULL_ANY, RUN(lower), .group = "Text",
     .what = "A to Z become a to z; other letters stay as they are.",
     .example = "lower('ABC')", .gives = "abc"},
    {"upper", "s", 's', MR_NULL_ANY, RUN(upper),
     .what = "a to z become A to Z; other letters stay as they are.",
     .example = "upper('abc')", .gives = "ABC"},
    {"length", "s", 'i', MR_NULL_ANY, RUN(length_text), .what = "Characters of a text, bytes of bytes.",
     .example = "length('Zoë')", .gives = "3"},
    {"length", "y", 'i', MR_NULL_ANY, RUN(length_bytes)},
    {"substr", "si", 's', MR_NULL_ANY, RUN(substr_from),
     .what = "From that character (the first is 1), so many, or to the end; as in SQL, places before "
             "the first count but hold nothing. NULL for a negative number of characters.",
     .example = "substr('millrace', 5, 4)", .gives = "race"},
    {"substr", "sii", 's', MR_NULL_MAYBE, RUN(substr_text)},
    {"concat", "s*", 's', MR_NULL_MAYBE, RUN(concat), .what = "One after the other.",
     .example = "concat('a', 'b', 'c')", .gives = "abc"},
    {"||", "ss", 's', MR_NULL_MAYBE, RUN(concat), .what = "One after the other.",
     .example = "'a' || null", .gives = "NULL"},
    {"starts_with", "ss", 'b', MR_NULL_ANY, RUN(starts_with),
     .what = "Whether the first begins with the second.",
     .example = "starts_with('millrace', 'mill')", .gives = "true"},
    {"matches", "sk", 'b', MR_NULL_MAYBE, RUN(matches), .prepare = mr_regex_prepare,
     .what = "Whether the pattern (a constant, PCRE2 syntax) occurs anywhere in the text. NULL when the "
             "search is given up: texts above 32 KiB, or too much backtracking.",
     .example = "matches('order 66', '\\d+$')", .gives = "true"},

    {"hash", "h", 'i', MR_NULL_ANY, .group = "Hashing",
     .what = "XXH3 (64 bits, seed 0, as int64) of the value's bytes: text as it is, numbers, timestamps "
             "and bools as 8 bytes little endian (integers int64, floats float64 with -0 as 0); of "
             "several values: of their hashes in a row, 8 bytes each.",
     .example = "hash('millrace')", .gives = "1115066422189812901"},
    {"hash", "h*", 'i', MR_NULL_ANY, RUN(hash_combine)},
    {"bucket", "hi", 'i', MR_NULL_MAYBE, RUN(bucket_hash),
     .what = "hash(value), taken as unsigned, modulo n: 0 to n - 1. NULL for n below 1.",
     .example = "bucket(42, 10) between 0 and 9", .gives = "true"},
};
/* clang-format on */

const mr_function *mr_function_table(size_t *out_count)
{
    *out_count = MR_COUNT_OF(table);
    return table;
}

const mr_function *mr_function_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < MR_COUNT_OF(table); i++)
        if (mr_word_is(name, bytes, table[i].name))
            return &table[i];
    return NULL;
}

/* ---- casts ---- */

typedef struct cast_row {
    mr_type_id from;
    mr_type_id to;
    mr_null_rule nulls;
    mr_kernel kernel;
} cast_row;

/* Casts between int32 and int64 or float32 and float64 that always fit need no kernel: see
 * expr_type.c. */
static const cast_row casts[] = {
    {MR_BOOL, MR_INT32, MR_NULL_ANY, K(bits_to_int)},
    {MR_BOOL, MR_INT64, MR_NULL_ANY, K(bits_to_int)},
    {MR_BOOL, MR_FLOAT32, MR_NULL_ANY, K(bits_to_float)},
    {MR_BOOL, MR_FLOAT64, MR_NULL_ANY, K(bits_to_float)},
    {MR_BOOL, MR_STRING, MR_NULL_ANY, K(bits_to_text)},
    {MR_INT32, MR_INT64, MR_NULL_ANY, NULL},
    {MR_INT64, MR_INT32, MR_NULL_MAYBE, K(int_to_int32)},
    {MR_INT64, MR_FLOAT64, MR_NULL_ANY, K(int_to_float)},
    {MR_INT64, MR_FLOAT32, MR_NULL_ANY, K(int_to_float32)},
    {MR_INT64, MR_BOOL, MR_NULL_ANY, K(int_to_bits)},
    {MR_INT64, MR_STRING, MR_NULL_ANY, K(int_to_text)},
    {MR_INT64, MR_TIMESTAMP, MR_NULL_ANY, NULL},
    {MR_FLOAT32, MR_FLOAT64, MR_NULL_ANY, NULL},
    {MR_FLOAT32, MR_STRING, MR_NULL_ANY, K(float32_to_text)},
    {MR_FLOAT64, MR_FLOAT32, MR_NULL_MAYBE, K(float_to_float32)},
    {MR_FLOAT64, MR_INT32, MR_NULL_MAYBE, K(float_to_int32)},
    {MR_FLOAT64, MR_INT64, MR_NULL_MAYBE, K(float_to_int64)},
    {MR_FLOAT64, MR_STRING, MR_NULL_ANY, K(float_to_text)},
    {MR_TIMESTAMP, MR_INT64, MR_NULL_ANY, NULL},
    {MR_TIMESTAMP, MR_STRING, MR_NULL_ANY, K(timestamp_to_text)},
    {MR_STRING, MR_BOOL, MR_NULL_MAYBE, K(text_to_bits)},
    {MR_STRING, MR_INT32, MR_NULL_MAYBE, K(text_to_int32)},
    {MR_STRING, MR_INT64, MR_NULL_MAYBE, K(text_to_int64)},
    {MR_STRING, MR_FLOAT32, MR_NULL_MAYBE, K(text_to_float32)},
    {MR_STRING, MR_FLOAT64, MR_NULL_MAYBE, K(text_to_float64)},
    {MR_STRING, MR_TIMESTAMP, MR_NULL_MAYBE, K(text_to_timestamp)},
    {MR_STRING, MR_BYTES, MR_NULL_ANY, NULL},
    {MR_BYTES, MR_STRING, MR_NULL_MAYBE, K(bytes_to_text)},
};

/* What holds for the wide type holds for the narrow one, as registers are wide. */
static mr_type_id widen(mr_type_id id)
{
    return id == MR_INT32 ? MR_INT64 : id == MR_FLOAT32 ? MR_FLOAT64 : id;
}

static const cast_row *find_cast(mr_type_id from, mr_type_id to)
{
    for (size_t i = 0; i < MR_COUNT_OF(casts); i++)
        if (casts[i].from == from && casts[i].to == to)
            return &casts[i];
    return NULL;
}

bool mr_cast_find(mr_type_id from, mr_type_id to, mr_kernel *out_kernel, mr_null_rule *out_nulls)
{
    const cast_row *row = find_cast(from, to);
    *out_kernel = NULL;
    *out_nulls = MR_NULL_ANY;
    if (from == to)
        return true;
    if (row == NULL)
        row = find_cast(widen(from), to);
    if (row == NULL)
        return false;
    *out_kernel = row->kernel;
    *out_nulls = row->nulls;
    return true;
}

/* ---- suggestions ---- */

/* Edit distance of Damerau (1964) with neighbours swapped, letter case free; `more` when above
 * `most`. */
static size_t distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    enum { MAX = 64 };
    size_t rows[3][MAX + 1];
    if (a_bytes > MAX || b_bytes > MAX)
        return MAX;
    for (size_t j = 0; j <= b_bytes; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t differs = (a[i - 1] | 0x20) != (b[j - 1] | 0x20);
            now[j] = MR_MIN(last[j - 1] + differs, MR_MIN(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = MR_MIN(now[j], before[j - 2] + 1);
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

static bool closer(const char *name, size_t bytes, const char *candidate, size_t *least)
{
    size_t d = distance(name, bytes, candidate, strlen(candidate));
    bool is = d < *least;
    *least = is ? d : *least;
    return is;
}

/* One place in three may differ, in a name of one letter only its case: a distance below this is close. */
static size_t distance_limit(size_t bytes)
{
    return bytes < 2 ? 1 : MR_MAX(bytes / 3, 1) + 1;
}

const char *mr_expr_closest(const char *name, size_t bytes, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t least = distance_limit(bytes);
    for (size_t i = 0; i < count; i++)
        if (closer(name, bytes, names[i], &least))
            best = names[i];
    return best;
}

static bool is_operator(const mr_function *function)
{
    char c = function->name[0];
    return !((c >= 'a' && c <= 'z')) || mr_word_is_reserved(function->name, strlen(function->name));
}

const char *mr_function_closest(const char *name, size_t bytes)
{
    const char *best = NULL;
    size_t least = distance_limit(bytes);
    for (size_t i = 0; i < MR_COUNT_OF(table); i++)
        if (!is_operator(&table[i]) && closer(name, bytes, table[i].name, &least))
            best = table[i].name;
    return best;
}

/* ---- reference ---- */

static const char *letter_text(char letter)
{
    switch (letter) {
    case 'b':
        return "bool";
    case 'i':
        return "int64";
    case 'f':
        return "float64";
    case 't':
        return "timestamp";
    case 's':
        return "string";
    case 'y':
        return "bytes";
    case 'k':
        return "'constant'";
    case 'a':
        return "T";
    default:
        return "any";
    }
}

void mr_function_format(const mr_function *function, mr_bytes *out)
{
    const char *args = function->args;
    if (is_operator(function)) {
        if (args[1] != '\0')
            mr_bytes_printf(out, "%s ", letter_text(args[0]));
        mr_bytes_printf(out, "%s %s", function->name, letter_text(args[args[1] != '\0']));
        return;
    }
    mr_bytes_printf(out, "%s(", function->name);
    for (size_t i = 0; args[i] != '\0'; i++)
        if (args[i] == '*')
            mr_bytes_append_text(out, ", ...");
        else
            mr_bytes_printf(out, "%s%s", i > 0 ? ", " : "", letter_text(args[i]));
    mr_bytes_append_byte(out, ')');
}

/* A table cell: a bar would end it. */
static void append_cell(mr_bytes *out, const char *text)
{
    for (; *text != '\0'; text++)
        mr_bytes_printf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void append_row(mr_bytes *out, const mr_function *row, const mr_function *end)
{
    mr_bytes forms = {0};
    mr_bytes_append_text(out, "| ");
    for (const mr_function *form = row; form < end && (form == row || form->what == NULL); form++) {
        mr_bytes_append_text(out, form > row ? "<br>`" : "`");
        mr_bytes_clear(&forms);
        mr_function_format(form, &forms);
        const char *text = mr_bytes_text(&forms);
        append_cell(out, text != NULL ? text : "");
        mr_bytes_printf(out, "` %s", letter_text(form->result));
        out->failed |= text == NULL;
    }
    mr_bytes_deinit(&forms);
    mr_bytes_append_text(out, " | ");
    append_cell(out, row->what);
    mr_bytes_append_text(out, " | `");
    append_cell(out, row->example);
    mr_bytes_printf(out, "` | `%s` |\n", row->gives);
}

static void append_casts(mr_bytes *out)
{
    char from[32], to[32];
    mr_bytes_append_text(
        out,
        "\n## Casts\n\n`cast(x as type)` or `x::type`. What holds for int64 and float64 holds for "
        "int32 and "
        "float32.\n\n"
        "- float to integer cuts towards zero (`round` first for the nearest); integer to bool is "
        "`<> 0`.\n"
        "- integers and timestamps: microseconds since 1970-01-01T00:00:00Z.\n"
        "- text is read whole and strictly: numbers without blanks, `true`, `false`, `1`, `0` in "
        "any case, "
        "timestamps in ISO 8601 (no zone: UTC). Numbers are written in their shortest exact form.\n"
        "- bytes become a string only when they are UTF-8.\n\n"
        "| from | to | NULL when it does not fit |\n|---|---|---|\n");
    for (size_t i = 0; i < MR_COUNT_OF(casts); i++)
        mr_bytes_printf(out, "| %s | %s | %s |\n",
                        mr_type_format((mr_type){casts[i].from, 0}, from),
                        mr_type_format((mr_type){casts[i].to, 0}, to),
                        casts[i].nulls == MR_NULL_MAYBE ? "yes" : "always fits");
}

static const char introduction[] =
    "# Expressions\n\n"
    "An expression computes one column from the columns of a record batch. It is typed when the "
    "pipeline is "
    "compiled and evaluated column by column.\n\n"
    "- **Literals**: `42`, `1.5`, `2e-9`, `'text'` (a quote is doubled: `'it''s'`), `true`, "
    "`false`, `null`, "
    "`timestamp '2018-04-01T12:00:00Z'` (no zone: UTC), durations `90s`, `15m`, `1h30m`, `7d` "
    "(int64 "
    "microseconds).\n"
    "- **Columns** by name, case as declared; `\"any name\"` in double quotes. Keywords and "
    "functions are the "
    "same in any case. Comments: `-- to the end of the line` and `/* ... */`.\n"
    "- **Operators**, weakest first: `or`, `and`, `not`, comparisons with `is [not] null`, `[not] "
    "in (...)` "
    "and `[not] between a and b`, then `+ - ||`, `* / %`, unary `-`, `::type`.\n"
    "- **Case**: `case when c then v ... [else v] end` or `case x when v then w ... [else w] end`; "
    "no branch "
    "taken and no else: NULL.\n"
    "- **Numbers**: int32 becomes int64 or float64, float32 becomes float64, by themselves. "
    "Arithmetic on "
    "integers is int64, on floats float64. An integer beside a float becomes the nearest float64 "
    "(exact up "
    "to 2^53).\n"
    "- **NULL**: a NULL argument makes a NULL result, except for `is null`, `and`, `or`, `in` "
    "(NULL when "
    "nothing matches and something is NULL), `case`, `coalesce`, `least` and `greatest`.\n"
    "- **A row cannot fail**: overflow, division by zero, arguments outside a domain, casts that "
    "do not fit, "
    "texts above 64 KiB out of concat, and floats that are not finite are NULL. NaN and "
    "infinities in a "
    "column are read as NULL, so no comparison meets a NaN.\n\n"
    "`T` is any one type common to all arguments; vectors can only be asked `is null`.\n";

void mr_expr_reference(mr_bytes *out)
{
    const mr_function *end = table + MR_COUNT_OF(table);
    mr_bytes_append_text(out, introduction);
    for (const mr_function *row = table; row < end; row++) {
        if (row->group != NULL)
            mr_bytes_printf(out,
                            "\n## %s\n\n| form | meaning | example | gives |\n|---|---|---|---|\n",
                            row->group);
        if (row->what != NULL)
            append_row(out, row, end);
    }
    append_casts(out);
}
