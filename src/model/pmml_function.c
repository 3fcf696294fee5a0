/* pmml_function.c -- the built-in functions of PMML 4.4: one table, one switch per family of functions.
 *
 * Missing arguments make the result missing (or `mapMissingTo`), except that sum, avg, min, max, product and median leave
 * them out, `and` and `or` follow three-valued logic, and isMissing and its like ask for them. A result that is no
 * number (0/0, ln of -1) is invalid. Types follow Java's promotion, as JPMML does: integers divide to integers.
 *
 * To add one: a row in the table, a case where its family is evaluated. */
#include "model/pmml_reader.h"

#include "base/assert.h"
#include "base/status.h"

#include <stdlib.h>

#define ARGUMENTS_MAX 1024

typedef enum family {
    FAMILY_ARITHMETIC, /* two numbers, promoted type */
    FAMILY_MATH,       /* one or two numbers to a double */
    FAMILY_SAME,       /* one number to its own type */
    FAMILY_AGGREGATE,
    FAMILY_COMPARE,
    FAMILY_LOGIC,
    FAMILY_PRESENCE,
    FAMILY_SET,
    FAMILY_IF,
    FAMILY_TEXT,
} family;

typedef enum function {
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    MODULO,
    POWER,
    LN,
    LOG10,
    LN1P,
    EXP,
    EXPM1,
    SQRT,
    SIN,
    COS,
    TAN,
    ASIN,
    ACOS,
    ATAN,
    ATAN2,
    SINH,
    COSH,
    TANH,
    HYPOT,
    ERF,
    THRESHOLD,
    NORMAL_CDF,
    NORMAL_PDF,
    NORMAL_IDF,
    STD_NORMAL_CDF,
    STD_NORMAL_PDF,
    STD_NORMAL_IDF,
    ABS,
    FLOOR,
    CEIL,
    ROUND,
    RINT,
    SUM,
    AVG,
    MIN,
    MAX,
    PRODUCT,
    MEDIAN,
    EQUAL,
    NOT_EQUAL,
    LESS,
    LESS_OR_EQUAL,
    GREATER,
    GREATER_OR_EQUAL,
    AND,
    OR,
    NOT,
    IS_MISSING,
    IS_NOT_MISSING,
    IS_VALID,
    IS_NOT_VALID,
    IS_IN,
    IS_NOT_IN,
    IF,
    UPPERCASE,
    LOWERCASE,
    SUBSTRING,
    TRIM_BLANKS,
    CONCAT,
    STRING_LENGTH,
} function;

typedef struct entry {
    const char *name;
    uint8_t function, family;
    uint32_t min, max; /* arguments */
} entry;

static const entry table[] = {
    {"+", ADD, FAMILY_ARITHMETIC, 2, 2},
    {"-", SUBTRACT, FAMILY_ARITHMETIC, 2, 2},
    {"*", MULTIPLY, FAMILY_ARITHMETIC, 2, 2},
    {"/", DIVIDE, FAMILY_ARITHMETIC, 2, 2},
    {"modulo", MODULO, FAMILY_ARITHMETIC, 2, 2},
    {"pow", POWER, FAMILY_ARITHMETIC, 2, 2},
    {"ln", LN, FAMILY_MATH, 1, 1},
    {"log10", LOG10, FAMILY_MATH, 1, 1},
    {"ln1p", LN1P, FAMILY_MATH, 1, 1},
    {"exp", EXP, FAMILY_MATH, 1, 1},
    {"expm1", EXPM1, FAMILY_MATH, 1, 1},
    {"sqrt", SQRT, FAMILY_MATH, 1, 1},
    {"sin", SIN, FAMILY_MATH, 1, 1},
    {"cos", COS, FAMILY_MATH, 1, 1},
    {"tan", TAN, FAMILY_MATH, 1, 1},
    {"asin", ASIN, FAMILY_MATH, 1, 1},
    {"acos", ACOS, FAMILY_MATH, 1, 1},
    {"atan", ATAN, FAMILY_MATH, 1, 1},
    {"atan2", ATAN2, FAMILY_MATH, 2, 2},
    {"sinh", SINH, FAMILY_MATH, 1, 1},
    {"cosh", COSH, FAMILY_MATH, 1, 1},
    {"tanh", TANH, FAMILY_MATH, 1, 1},
    {"hypot", HYPOT, FAMILY_MATH, 2, 2},
    {"erf", ERF, FAMILY_MATH, 1, 1},
    {"threshold", THRESHOLD, FAMILY_MATH, 2, 2},
    {"normalCDF", NORMAL_CDF, FAMILY_MATH, 3, 3},
    {"normalPDF", NORMAL_PDF, FAMILY_MATH, 3, 3},
    {"normalIDF", NORMAL_IDF, FAMILY_MATH, 3, 3},
    {"stdNormalCDF", STD_NORMAL_CDF, FAMILY_MATH, 1, 1},
    {"stdNormalPDF", STD_NORMAL_PDF, FAMILY_MATH, 1, 1},
    {"stdNormalIDF", STD_NORMAL_IDF, FAMILY_MATH, 1, 1},
    {"abs", ABS, FAMILY_SAME, 1, 1},
    {"floor", FLOOR, FAMILY_SAME, 1, 1},
    {"ceil", CEIL, FAMILY_SAME, 1, 1},
    {"round", ROUND, FAMILY_SAME, 1, 1},
    {"rint", RINT, FAMILY_SAME, 1, 1},
    {"sum", SUM, FAMILY_AGGREGATE, 1, ARGUMENTS_MAX},
    {"avg", AVG, FAMILY_AGGREGATE, 1, ARGUMENTS_MAX},
    {"min", MIN, FAMILY_AGGREGATE, 1, ARGUMENTS_MAX},
    {"max", MAX, FAMILY_AGGREGATE, 1, ARGUMENTS_MAX},
    {"product", PRODUCT, FAMILY_AGGREGATE, 1, ARGUMENTS_MAX},
    {"median", MEDIAN, FAMILY_AGGREGATE, 1, ARGUMENTS_MAX},
    {"equal", EQUAL, FAMILY_COMPARE, 2, 2},
    {"notEqual", NOT_EQUAL, FAMILY_COMPARE, 2, 2},
    {"lessThan", LESS, FAMILY_COMPARE, 2, 2},
    {"lessOrEqual", LESS_OR_EQUAL, FAMILY_COMPARE, 2, 2},
    {"greaterThan", GREATER, FAMILY_COMPARE, 2, 2},
    {"greaterOrEqual", GREATER_OR_EQUAL, FAMILY_COMPARE, 2, 2},
    {"and", AND, FAMILY_LOGIC, 2, ARGUMENTS_MAX},
    {"or", OR, FAMILY_LOGIC, 2, ARGUMENTS_MAX},
    {"not", NOT, FAMILY_LOGIC, 1, 1},
    {"isMissing", IS_MISSING, FAMILY_PRESENCE, 1, 1},
    {"isNotMissing", IS_NOT_MISSING, FAMILY_PRESENCE, 1, 1},
    {"isValid", IS_VALID, FAMILY_PRESENCE, 1, 1},
    {"isNotValid", IS_NOT_VALID, FAMILY_PRESENCE, 1, 1},
    {"isIn", IS_IN, FAMILY_SET, 2, ARGUMENTS_MAX},
    {"isNotIn", IS_NOT_IN, FAMILY_SET, 2, ARGUMENTS_MAX},
    {"if", IF, FAMILY_IF, 2, 3},
    {"uppercase", UPPERCASE, FAMILY_TEXT, 1, 1},
    {"lowercase", LOWERCASE, FAMILY_TEXT, 1, 1},
    {"substring", SUBSTRING, FAMILY_TEXT, 3, 3},
    {"trimBlanks", TRIM_BLANKS, FAMILY_TEXT, 1, 1},
    {"concat", CONCAT, FAMILY_TEXT, 2, ARGUMENTS_MAX},
    {"stringLength", STRING_LENGTH, FAMILY_TEXT, 1, 1},
};

/* ---- compiling ---- */

static const entry *find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* Arguments whose own type counts; a constant without one takes that of its neighbours. */
static int type_of_others(mr_pmml_reader *r, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] != MR_PMML_NONE)
            return MR_PMML_AT(r, expressions, mr_pmml_expression, list[i])->type;
    return -1;
}

static bool is_bare_constant(const mr_pmml_reader *r, uint32_t element)
{
    return mr_pmml_is(r, element, "Constant") && mr_pmml_get(r, element, "dataType") == NULL;
}

/* Pushes the argument's expression on the stack, MR_PMML_NONE for a constant that waits for its type. */
static bool read_argument(mr_pmml_reader *r, uint32_t child, int hint, bool waits)
{
    uint32_t expression = MR_PMML_NONE;
    if (!(waits && is_bare_constant(r, child)) &&
        !mr_pmml_read_expression(r, child, hint, &expression))
        return false;
    return mr_pmml_stack_push(r, expression);
}

static bool read_waiting(mr_pmml_reader *r, uint32_t element, size_t from, uint32_t count)
{
    int type = type_of_others(r, (const uint32_t *)(const void *)(r->stack.data + from), count);
    uint32_t i = 0;
    MR_PMML_EACH(r, child, element)
    {
        uint32_t expression;
        if (((uint32_t *)(void *)(r->stack.data + from))[i] == MR_PMML_NONE) {
            if (!mr_pmml_read_expression(r, child, type, &expression))
                return false;
            ((uint32_t *)(void *)(r->stack.data + from))[i] = expression;
        }
        i++;
    }
    return true;
}

static int hint_of(const entry *e, uint32_t position, int outer)
{
    if (e->family == FAMILY_IF)
        return position == 0 ? MR_PMML_BOOLEAN : outer;
    if (e->family == FAMILY_LOGIC)
        return MR_PMML_BOOLEAN;
    if (e->family == FAMILY_TEXT)
        return e->function == SUBSTRING && position > 0 ? MR_PMML_INTEGER : MR_PMML_STRING;
    return -1;
}

static bool read_arguments(mr_pmml_reader *r, uint32_t element, const entry *e, int outer,
                           mr_pmml_range *out)
{
    size_t from = r->stack.size;
    uint32_t count = 0;
    bool waits = e->family == FAMILY_COMPARE || e->family == FAMILY_SET;
    MR_PMML_EACH(r, child, element)
    {
        if (!read_argument(r, child, hint_of(e, count, outer), waits))
            return false;
        count++;
    }
    if (count < e->min || count > e->max)
        return mr_pmml_fail(r, element, MR_INVALID, "%u arguments; '%s' takes %u to %u", count,
                            e->name, e->min, e->max);
    return read_waiting(r, element, from, count) && mr_pmml_stack_take(r, from, out);
}

static uint8_t argument_type(mr_pmml_reader *r, mr_pmml_range list, uint32_t i)
{
    uint32_t expression = *MR_PMML_AT(r, indexes, uint32_t, list.first + i);
    return MR_PMML_AT(r, expressions, mr_pmml_expression, expression)->type;
}

/* Whether all arguments from `first` on are texts, or none is. */
static bool check_kinds(mr_pmml_reader *r, uint32_t element, mr_pmml_range list, uint32_t first,
                        bool numbers_only)
{
    bool text = !numbers_only && argument_type(r, list, first) == MR_PMML_STRING;
    for (uint32_t i = first; i < list.count; i++)
        if ((argument_type(r, list, i) == MR_PMML_STRING) != text)
            return mr_pmml_fail(r, element, MR_INVALID, "argument %u is a %s", i + 1,
                                text ? "number, strings are wanted" : "string, numbers are wanted");
    return true;
}

static uint8_t promoted(mr_pmml_reader *r, mr_pmml_range list)
{
    bool is_float = false;
    for (uint32_t i = 0; i < list.count; i++) {
        uint8_t type = argument_type(r, list, i);
        if (type == MR_PMML_DOUBLE)
            return MR_PMML_DOUBLE;
        is_float |= type == MR_PMML_FLOAT;
    }
    return is_float ? MR_PMML_FLOAT : MR_PMML_INTEGER;
}

static bool cast_arguments(mr_pmml_reader *r, const entry *e, mr_pmml_range list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t expression = *MR_PMML_AT(r, indexes, uint32_t, list.first + i);
        bool counts = e->function == SUBSTRING && i > 0;
        if (!mr_pmml_read_cast(r, &expression, counts ? MR_PMML_INTEGER : MR_PMML_STRING))
            return false;
        *MR_PMML_AT(r, indexes, uint32_t, list.first + i) = expression;
    }
    return true;
}

static bool read_if(mr_pmml_reader *r, uint32_t element, mr_pmml_expression *out)
{
    bool text = argument_type(r, out->list, 1) == MR_PMML_STRING;
    mr_pmml_range branches = {out->list.first + 1, out->list.count - 1};
    out->type = text ? MR_PMML_STRING : promoted(r, branches);
    if (!text && argument_type(r, out->list, 1) == MR_PMML_BOOLEAN)
        out->type = MR_PMML_BOOLEAN;
    if (argument_type(r, out->list, 0) == MR_PMML_STRING)
        return mr_pmml_fail(r, element, MR_INVALID, "the condition is a string");
    return check_kinds(r, element, out->list, 1, false);
}

static bool check_types(mr_pmml_reader *r, uint32_t element, const entry *e,
                        mr_pmml_expression *out)
{
    switch (e->family) {
    case FAMILY_ARITHMETIC:
        out->type = promoted(r, out->list);
        return check_kinds(r, element, out->list, 0, true);
    case FAMILY_MATH:
        out->type = MR_PMML_DOUBLE;
        return check_kinds(r, element, out->list, 0, true);
    case FAMILY_SAME:
        out->type = argument_type(r, out->list, 0);
        return check_kinds(r, element, out->list, 0, true);
    case FAMILY_AGGREGATE:
        out->type =
            e->function == AVG || e->function == MEDIAN ? MR_PMML_DOUBLE : promoted(r, out->list);
        return check_kinds(r, element, out->list, 0, true);
    case FAMILY_IF:
        return read_if(r, element, out);
    case FAMILY_TEXT:
        out->type = e->function == STRING_LENGTH ? MR_PMML_INTEGER : MR_PMML_STRING;
        return cast_arguments(r, e, out->list);
    case FAMILY_LOGIC:
        out->type = MR_PMML_BOOLEAN;
        return check_kinds(r, element, out->list, 0, true);
    case FAMILY_COMPARE:
        out->type = MR_PMML_BOOLEAN;
        if (e->function > NOT_EQUAL && argument_type(r, out->list, 0) == MR_PMML_STRING)
            return mr_pmml_fail(r, element, MR_UNSUPPORTED, "'%s' of strings is not supported",
                                e->name);
        return check_kinds(r, element, out->list, 0, false);
    default:
        out->type = MR_PMML_BOOLEAN;
        return check_kinds(r, element, out->list, 0, false);
    }
}

bool mr_pmml_read_apply(mr_pmml_reader *r, uint32_t element, int hint, mr_pmml_expression *out)
{
    static const char *const rules[] = {"returnInvalid", "asIs", "asMissing", NULL};
    const char *name = mr_pmml_get(r, element, "function");
    const entry *e = find(name);
    if (e == NULL)
        return mr_pmml_fail(r, element, MR_UNSUPPORTED, "function '%.60s' is not supported", name);
    out->op = MR_PMML_FUNCTION;
    out->a = (uint32_t)(e - table);
    return mr_pmml_choice(r, element, "invalidValueTreatment", rules, 0, &out->rule) &&
           read_arguments(r, element, e, hint, &out->list) && check_types(r, element, e, out);
}

/* ---- numbers ---- */

/* The inverse of the normal distribution: Acklam's rational approximation (2003) and two steps of Halley. */
static double normal_inverse(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00},
                        b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01},
                        c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00},
                        d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    if (!(p > 0 && p < 1))
        return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    double tail = p < 0.5 ? p : 1 - p, x;
    if (tail < 0.02425) {
        double q = sqrt(-2 * log(tail));
        x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
            ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
        x = p < 0.5 ? x : -x;
    } else {
        double q = p - 0.5, s = q * q;
        x = (((((a[0] * s + a[1]) * s + a[2]) * s + a[3]) * s + a[4]) * s + a[5]) * q /
            (((((b[0] * s + b[1]) * s + b[2]) * s + b[3]) * s + b[4]) * s + 1);
    }
    for (int i = 0; i < 2; i++) {
        double e = 0.5 * erfc(-x / sqrt(2.0)) - p, u = e * sqrt(2 * M_PI) * exp(x * x / 2);
        x -= u / (1 + x * u / 2);
    }
    return x;
}

static double normal_density(double x)
{
    return exp(-x * x / 2) / sqrt(2 * M_PI);
}

static double math(uint8_t f, const double *x)
{
    switch (f) {
    case LN:
        return log(x[0]);
    case LOG10:
        return log10(x[0]);
    case LN1P:
        return log1p(x[0]);
    case EXP:
        return exp(x[0]);
    case EXPM1:
        return expm1(x[0]);
    case SQRT:
        return sqrt(x[0]);
    case SIN:
        return sin(x[0]);
    case COS:
        return cos(x[0]);
    case TAN:
        return tan(x[0]);
    case ASIN:
        return asin(x[0]);
    case ACOS:
        return acos(x[0]);
    case ATAN:
        return atan(x[0]);
    case ATAN2:
        return atan2(x[0], x[1]);
    case SINH:
        return sinh(x[0]);
    case COSH:
        return cosh(x[0]);
    case TANH:
        return tanh(x[0]);
    case HYPOT:
        return hypot(x[0], x[1]);
    case ERF:
        return erf(x[0]);
    case THRESHOLD:
        return x[0] > x[1];
    case NORMAL_CDF:
        return 0.5 * erfc(-(x[0] - x[1]) / (x[2] * sqrt(2.0)));
    case NORMAL_PDF:
        return normal_density((x[0] - x[1]) / x[2]) / x[2];
    case NORMAL_IDF:
        return x[1] + x[2] * normal_inverse(x[0]);
    case STD_NORMAL_CDF:
        return 0.5 * erfc(-x[0] / sqrt(2.0));
    case STD_NORMAL_PDF:
        return normal_density(x[0]);
    default:
        MR_ASSERT(f == STD_NORMAL_IDF);
        return normal_inverse(x[0]);
    }
}

/* x - y * floor(x / y): the sign of y. */
static double modulo(double x, double y)
{
    double rest = fmod(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

static double arithmetic(uint8_t f, uint8_t type, double x, double y)
{
    double z;
    switch (f) {
    case ADD:
        z = x + y;
        break;
    case SUBTRACT:
        z = x - y;
        break;
    case MULTIPLY:
        z = x * y;
        break;
    case DIVIDE:
        z = type != MR_PMML_INTEGER ? x / y : y == 0 ? NAN : trunc(x / y);
        break;
    case MODULO:
        z = modulo(x, y);
        break;
    default:
        MR_ASSERT(f == POWER);
        z = pow(x, y);
    }
    return type == MR_PMML_FLOAT ? (double)(float)z : z;
}

static double same(uint8_t f, double x)
{
    switch (f) {
    case ABS:
        return fabs(x);
    case FLOOR:
        return floor(x);
    case CEIL:
        return ceil(x);
    case ROUND: /* halves go up, as Java's Math.round */
        return x - floor(x) == 0.5 ? ceil(x) : round(x);
    default:
        MR_ASSERT(f == RINT);
        return nearbyint(x);
    }
}

/* ---- arguments ---- */

static uint32_t argument(const mr_pmml_state *state, const mr_pmml_expression *e, uint32_t i)
{
    return MR_PMML_LIST(state->program, indexes, uint32_t)[e->list.first + i];
}

/* All of at most three; false: one is not there, and *out says what that makes. */
static bool all(mr_pmml_state *state, const mr_pmml_expression *e, double *values, double *out)
{
    bool missing = false;
    for (uint32_t i = 0; i < e->list.count; i++) {
        values[i] = mr_pmml_evaluate(state, argument(state, e, i));
        if (mr_pmml_is_invalid(values[i])) {
            *out = values[i];
            return false;
        }
        missing |= isnan(values[i]);
    }
    *out = e->missing_to;
    return !missing;
}

static double median_of(const double *values, uint32_t count)
{
    /* The smallest value with at least half of them at or below it, and its neighbour above. */
    double low = NAN, high = NAN;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t below = 0, equal = 0;
        for (uint32_t k = 0; k < count; k++)
            below += values[k] < values[i], equal += values[k] == values[i];
        if (below <= (count - 1) / 2 && (count - 1) / 2 < below + equal)
            low = values[i];
        if (below <= count / 2 && count / 2 < below + equal)
            high = values[i];
    }
    return low == high ? low : low + (high - low) / 2;
}

static double aggregate(mr_pmml_state *state, const mr_pmml_expression *e, uint8_t f)
{
    double values[ARGUMENTS_MAX], sum = 0, product = 1, low = INFINITY, high = -INFINITY;
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->list.count; i++) {
        double x = mr_pmml_evaluate(state, argument(state, e, i));
        if (mr_pmml_is_invalid(x))
            return x;
        if (isnan(x) && !isnan(e->missing_to))
            return e->missing_to;
        if (isnan(x))
            continue;
        values[count++] = x;
        sum += x;
        product *= x;
        low = MR_MIN(low, x);
        high = MR_MAX(high, x);
    }
    if (count == 0)
        return e->missing_to;
    return f == SUM       ? sum
           : f == AVG     ? sum / count
           : f == MIN     ? low
           : f == MAX     ? high
           : f == PRODUCT ? product
                          : median_of(values, count);
}

/* ---- conditions ---- */

static double compare(uint8_t f, double x, double y)
{
    switch (f) {
    case EQUAL:
        return x == y;
    case NOT_EQUAL:
        return x != y;
    case LESS:
        return x < y;
    case LESS_OR_EQUAL:
        return x <= y;
    case GREATER:
        return x > y;
    default:
        MR_ASSERT(f == GREATER_OR_EQUAL);
        return x >= y;
    }
}

static double logic(mr_pmml_state *state, const mr_pmml_expression *e, uint8_t f)
{
    bool missing = false;
    for (uint32_t i = 0; i < e->list.count; i++) {
        double x = mr_pmml_evaluate(state, argument(state, e, i));
        if (mr_pmml_is_invalid(x))
            return x;
        if (isnan(x))
            missing = true;
        else if (f == NOT)
            return x == 0;
        else if ((x != 0) == (f == OR))
            return f == OR;
    }
    return missing ? e->missing_to : f == AND;
}

static double presence(mr_pmml_state *state, const mr_pmml_expression *e, uint8_t f)
{
    double x = mr_pmml_evaluate(state, argument(state, e, 0));
    bool invalid = mr_pmml_is_invalid(x), missing = isnan(x) && !invalid;
    return f == IS_MISSING       ? missing
           : f == IS_NOT_MISSING ? !missing
           : f == IS_VALID       ? !missing && !invalid
                                 : missing || invalid;
}

static double membership(mr_pmml_state *state, const mr_pmml_expression *e, uint8_t f)
{
    double x = mr_pmml_evaluate(state, argument(state, e, 0));
    if (isnan(x))
        return mr_pmml_is_invalid(x) ? x : e->missing_to;
    for (uint32_t i = 1; i < e->list.count; i++)
        if (mr_pmml_evaluate(state, argument(state, e, i)) == x)
            return f == IS_IN;
    return f != IS_IN;
}

static double choose(mr_pmml_state *state, const mr_pmml_expression *e)
{
    double x = mr_pmml_evaluate(state, argument(state, e, 0));
    if (isnan(x))
        return mr_pmml_is_invalid(x) ? x : e->missing_to;
    if (x != 0)
        return mr_pmml_evaluate(state, argument(state, e, 1));
    return e->list.count == 3 ? mr_pmml_evaluate(state, argument(state, e, 2)) : NAN;
}

/* ---- texts ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static double trim(mr_pmml_state *state, mr_pmml_text text)
{
    while (text.size > 0 && is_blank(text.bytes[0]))
        text.bytes++, text.size--;
    while (text.size > 0 && is_blank(text.bytes[text.size - 1]))
        text.size--;
    return mr_pmml_text_value(state, text.bytes, text.size);
}

/* Bytes of the first `count` characters. */
static size_t bytes_of(mr_pmml_text text, double count)
{
    size_t at = 0;
    for (; at < text.size && count > 0; count--)
        do
            at++;
        while (at < text.size && (text.bytes[at] & 0xc0) == 0x80);
    return at;
}

static double substring(mr_pmml_state *state, mr_pmml_text text, double start, double length)
{
    if (start < 1 || length < 0)
        return mr_pmml_invalid();
    size_t from = bytes_of(text, start - 1);
    mr_pmml_text rest = {text.bytes + from, text.size - from};
    return mr_pmml_text_value(state, rest.bytes, bytes_of(rest, length));
}

/* Letters of ASCII; other letters would need tables of Unicode, so such a text has no result. */
static double change_case(mr_pmml_state *state, mr_pmml_text text, bool upper)
{
    char changed[1024];
    if (text.size > sizeof changed)
        return mr_pmml_invalid();
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.bytes[i];
        if (c >= 0x80)
            return mr_pmml_invalid();
        bool letter = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
        changed[i] = (char)(letter ? c ^ 0x20 : c);
    }
    return mr_pmml_text_value(state, changed, text.size);
}

static double concatenate(mr_pmml_state *state, const mr_pmml_expression *e)
{
    char joined[4096];
    size_t size = 0;
    for (uint32_t i = 0; i < e->list.count; i++) {
        double x = mr_pmml_evaluate(state, argument(state, e, i));
        if (isnan(x))
            return mr_pmml_is_invalid(x) ? x : e->missing_to;
        mr_pmml_text text = mr_pmml_value_text(state, x);
        if (text.size > sizeof joined - size)
            return mr_pmml_invalid();
        memcpy(joined + size, text.bytes, text.size);
        size += text.size;
    }
    return mr_pmml_text_value(state, joined, size);
}

static double text_function(mr_pmml_state *state, uint8_t f, const double *x)
{
    mr_pmml_text text = mr_pmml_value_text(state, x[0]);
    double length = 0;
    switch (f) {
    case UPPERCASE:
    case LOWERCASE:
        return change_case(state, text, f == UPPERCASE);
    case SUBSTRING:
        return substring(state, text, x[1], x[2]);
    case TRIM_BLANKS:
        return trim(state, text);
    default:
        MR_ASSERT(f == STRING_LENGTH);
        for (size_t i = 0; i < text.size; i++)
            length += (text.bytes[i] & 0xc0) != 0x80;
        return length;
    }
}

/* ---- any function ---- */

static double call(mr_pmml_state *state, const mr_pmml_expression *e, const entry *f)
{
    double x[3], other;
    switch (f->family) {
    case FAMILY_AGGREGATE:
        return aggregate(state, e, f->function);
    case FAMILY_LOGIC:
        return logic(state, e, f->function);
    case FAMILY_PRESENCE:
        return presence(state, e, f->function);
    case FAMILY_SET:
        return membership(state, e, f->function);
    case FAMILY_IF:
        return choose(state, e);
    default:
        if (f->function == CONCAT)
            return concatenate(state, e);
        if (!all(state, e, x, &other))
            return other;
    }
    double value = f->family == FAMILY_MATH         ? math(f->function, x)
                   : f->family == FAMILY_ARITHMETIC ? arithmetic(f->function, e->type, x[0], x[1])
                   : f->family == FAMILY_SAME       ? same(f->function, x[0])
                   : f->family == FAMILY_COMPARE    ? compare(f->function, x[0], x[1])
                                                    : text_function(state, f->function, x);
    return isnan(value) ? mr_pmml_invalid() : value;
}

double mr_pmml_apply(mr_pmml_state *state, const mr_pmml_expression *e)
{
    double value = call(state, e, &table[e->a]);
    if (!isnan(value))
        return value;
    if (mr_pmml_is_invalid(value) && e->rule != MR_PMML_AS_MISSING)
        return value;
    return e->default_value;
}
