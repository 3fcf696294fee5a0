/* expr_logic.c -- kernels of logic, choice, membership and hashing, on words of bits where possible.
 *
 * A bool register's bits are 0 at NULL rows, so `known true` is its bits and `known false` is
 * valid & ~bits. */
#include "data/expr_internal.h"

#include "base/hash.h"

#include <string.h>

static const uint64_t *words_of(const mr_reg *reg)
{
    return reg->values;
}

/* ---- and, or, not ---- */

/* Three-valued: known true and known false are computed, the rest is NULL. */
#define LOGIC(name, true_word, false_word)                                                         \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const mr_reg *a = MR_ARG(0), *b = MR_ARG(1);                                               \
        uint64_t *to = MR_DST->values;                                                             \
        MR_DST->has_nulls = a->has_nulls || b->has_nulls;                                          \
        for (size_t w = 0; w < frame->words; w++) {                                                \
            uint64_t at = words_of(a)[w], bt = words_of(b)[w];                                     \
            uint64_t af = mr_reg_valid_word(a, w) & ~at, bf = mr_reg_valid_word(b, w) & ~bt;       \
            to[w] = (true_word);                                                                   \
            MR_DST->valid[w] = (true_word) | (false_word);                                         \
        }                                                                                          \
    }

LOGIC(and_bits, at &bt, af | bf)
LOGIC(or_bits, at | bt, af &bf)

void mr_kernel_not_bits(mr_frame *frame, const mr_step *step)
{
    for (size_t w = 0; w < frame->words; w++)
        ((uint64_t *)MR_DST->values)[w] = ~words_of(MR_ARG(0))[w];
}

void mr_kernel_is_null(mr_frame *frame, const mr_step *step)
{
    MR_DST->has_nulls = false;
    for (size_t w = 0; w < frame->words; w++)
        ((uint64_t *)MR_DST->values)[w] = ~mr_reg_valid_word(MR_ARG(0), w);
}

#define COMPARE_BITS(name, word)                                                                   \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        for (size_t w = 0; w < frame->words; w++) {                                                \
            uint64_t a = words_of(MR_ARG(0))[w], b = words_of(MR_ARG(1))[w];                       \
            ((uint64_t *)MR_DST->values)[w] = (word);                                              \
        }                                                                                          \
    }

COMPARE_BITS(eq_bits, ~(a ^ b))
COMPARE_BITS(lt_bits, ~a &b)
COMPARE_BITS(le_bits, ~a | b)

/* ---- choosing between registers ---- */

static void blend_words(uint64_t *to, const uint64_t *from, const uint64_t *mask, size_t words)
{
    for (size_t w = 0; w < words; w++)
        to[w] = (to[w] & ~mask[w]) | (from[w] & mask[w]);
}

/* Bit i of eight becomes byte i, 0 or 0xff: copied to all bytes, one bit of each kept, spread over it. */
static uint64_t spread_bits(uint64_t eight)
{
    uint64_t kept = (eight * UINT64_C(0x0101010101010101)) & UINT64_C(0x8040201008040201);
    return ((kept + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101)) * 0xff;
}

static void blend_8(uint64_t *restrict to, const uint64_t *restrict from, uint64_t mask)
{
    int8_t take[64];
    for (size_t k = 0; k < 8; k++) {
        uint64_t bytes = spread_bits(mask >> (k * 8) & 0xff);
        memcpy(take + k * 8, &bytes, 8);
    }
    for (size_t i = 0; i < 64; i++)
        to[i] ^= (to[i] ^ from[i]) & (uint64_t)(int64_t)take[i];
}

static void blend_text(mr_text *restrict to, const mr_text *restrict from, uint64_t mask)
{
    for (; mask != 0; mask &= mask - 1) {
        int i = __builtin_ctzll(mask);
        to[i] = from[i];
    }
}

/* Values of `from` where the mask is set; all or nothing of 64 rows is the common case. */
static void blend_values(mr_rep rep, void *to, const void *from, const uint64_t *mask, size_t rows)
{
    size_t each = rep == MR_REP_TEXT ? sizeof(mr_text) : 8;
    if (rep == MR_REP_BITS) {
        blend_words(to, from, mask, (rows + 63) / 64);
        return;
    }
    for (size_t w = 0; w * 64 < rows; w++) {
        size_t left = MR_MIN(rows - w * 64, 64);
        uint64_t word = mask[w] & (left == 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1);
        uint8_t *to_word = (uint8_t *)to + w * 64 * each;
        const uint8_t *from_word = (const uint8_t *)from + w * 64 * each;
        if (word == UINT64_MAX)
            memcpy(to_word, from_word, 64 * each);
        else if (word != 0 && rep == MR_REP_TEXT)
            blend_text((mr_text *)(void *)to_word, (const mr_text *)(const void *)from_word, word);
        else if (word != 0 && left == 64)
            blend_8((uint64_t *)(void *)to_word, (const uint64_t *)(const void *)from_word, word);
        else
            for (; word != 0; word &= word - 1)
                memcpy(to_word + 8 * __builtin_ctzll(word), from_word + 8 * __builtin_ctzll(word),
                       8);
    }
}

/* The result starts as `from`, NULLs included. */
static void start_with(const mr_frame *frame, mr_reg *dst, const mr_reg *from, mr_rep rep,
                       bool has_nulls)
{
    memcpy(dst->values, from->values, mr_rep_bytes(rep, frame->rows));
    dst->has_nulls = has_nulls;
    for (size_t w = 0; has_nulls && w < frame->words; w++)
        dst->valid[w] = mr_reg_valid_word(from, w);
}

/* Rows of the mask become those of `from`, NULLs included. */
static void take_from(const mr_frame *frame, mr_reg *dst, const mr_reg *from, mr_rep rep,
                      const uint64_t *mask)
{
    blend_values(rep, dst->values, from->values, mask, frame->rows);
    for (size_t w = 0; dst->has_nulls && w < frame->words; w++)
        dst->valid[w] = (dst->valid[w] & ~mask[w]) | (mr_reg_valid_word(from, w) & mask[w]);
}

/* when, then, when, then, ..., else: from the last to the first, so that the first true one wins.
 */
static void choose_case(mr_frame *frame, const mr_step *step, mr_rep rep)
{
    size_t last = step->arg_count - 1u;
    bool has_nulls = MR_ARG(last)->has_nulls;
    for (size_t i = 1; i < last; i += 2)
        has_nulls |= MR_ARG(i)->has_nulls;
    start_with(frame, MR_DST, MR_ARG(last), rep, has_nulls);
    for (size_t i = last; i >= 2; i -= 2)
        take_from(frame, MR_DST, MR_ARG(i - 1), rep, words_of(MR_ARG(i - 2)));
}

/* From the last to the first: whoever has a value overrides those behind it. */
static void choose_coalesce(mr_frame *frame, const mr_step *step, mr_rep rep)
{
    uint64_t mask[MR_EXPR_WORDS];
    bool has_nulls = true;
    for (size_t i = 0; i < step->arg_count; i++)
        has_nulls &= MR_ARG(i)->has_nulls;
    size_t last = step->arg_count - 1u;
    start_with(frame, MR_DST, MR_ARG(last), rep, has_nulls);
    for (size_t i = last; i-- > 0;) {
        for (size_t w = 0; w < frame->words; w++)
            mask[w] = mr_reg_valid_word(MR_ARG(i), w);
        take_from(frame, MR_DST, MR_ARG(i), rep, mask);
    }
}

#define CHOOSE(name, rep)                                                                          \
    void mr_kernel_case_##name(mr_frame *frame, const mr_step *step)                               \
    {                                                                                              \
        choose_case(frame, step, rep);                                                             \
    }                                                                                              \
    void mr_kernel_coalesce_##name(mr_frame *frame, const mr_step *step)                           \
    {                                                                                              \
        choose_coalesce(frame, step, rep);                                                         \
    }

CHOOSE(bits, MR_REP_BITS)
CHOOSE(8, MR_REP_INT)
CHOOSE(text, MR_REP_TEXT)

/* ---- least, greatest ---- */

/* Bit i: row i of `a` is below row i of `b`. */
static void below(const mr_frame *frame, const void *a, const void *b, mr_rep rep, uint64_t *out)
{
    uint8_t bytes[MR_EXPR_ROWS] = {0};
    for (size_t i = 0; rep == MR_REP_INT && i < frame->rows; i++)
        bytes[i] = ((const int64_t *)a)[i] < ((const int64_t *)b)[i];
    for (size_t i = 0; rep == MR_REP_FLOAT && i < frame->rows; i++)
        bytes[i] = ((const double *)a)[i] < ((const double *)b)[i];
    for (size_t i = 0; rep == MR_REP_TEXT && i < frame->rows; i++)
        bytes[i] = mr_text_compare(((const mr_text *)a)[i], ((const mr_text *)b)[i]) < 0;
    mr_pack_bits(out, bytes, frame->words);
    for (size_t w = 0; rep == MR_REP_BITS && w < frame->words; w++)
        out[w] = ~((const uint64_t *)a)[w] & ((const uint64_t *)b)[w];
}

/* The best so far gives way to a value that is strictly better, or to any when it is NULL. */
static void choose_extreme(mr_frame *frame, const mr_step *step, mr_rep rep, bool greatest)
{
    mr_reg *dst = MR_DST;
    start_with(frame, dst, MR_ARG(0), rep, MR_ARG(0)->has_nulls);
    for (size_t i = 1; i < step->arg_count; i++) {
        uint64_t mask[MR_EXPR_WORDS];
        const mr_reg *arg = MR_ARG(i);
        below(frame, greatest ? dst->values : arg->values, greatest ? arg->values : dst->values,
              rep, mask);
        for (size_t w = 0; w < frame->words; w++)
            mask[w] = mr_reg_valid_word(arg, w) & (mask[w] | ~mr_reg_valid_word(dst, w));
        take_from(frame, dst, arg, rep, mask);
    }
}

#define EXTREME(name, rep)                                                                         \
    void mr_kernel_least_##name(mr_frame *frame, const mr_step *step)                              \
    {                                                                                              \
        choose_extreme(frame, step, rep, false);                                                   \
    }                                                                                              \
    void mr_kernel_greatest_##name(mr_frame *frame, const mr_step *step)                           \
    {                                                                                              \
        choose_extreme(frame, step, rep, true);                                                    \
    }

EXTREME(bits, MR_REP_BITS)
EXTREME(int, MR_REP_INT)
EXTREME(float, MR_REP_FLOAT)
EXTREME(text, MR_REP_TEXT)

/* ---- in ---- */

#define IN_LINEAR_MAX 8 /* so few constants are compared one after the other, many rows at once */

#define IN_SET(name, type, member, before, same)                                                   \
    static bool name##_search(const mr_set *set, type value)                                       \
    {                                                                                              \
        size_t low = 0, high = set->count;                                                         \
        while (low < high) {                                                                       \
            size_t middle = low + (high - low) / 2;                                                \
            if (before(set->as.member[middle], value))                                             \
                low = middle + 1;                                                                  \
            else                                                                                   \
                high = middle;                                                                     \
        }                                                                                          \
        return low < set->count && same(value, set->as.member[low]);                               \
    }                                                                                              \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const mr_set *set = step->aux;                                                             \
        const type *a = MR_ARG(0)->values;                                                         \
        uint8_t bytes[MR_EXPR_ROWS] = {0};                                                         \
        for (size_t k = 0; set->count <= IN_LINEAR_MAX && k < set->count; k++) {                   \
            type constant = set->as.member[k];                                                     \
            for (size_t i = 0; i < frame->rows; i++)                                               \
                bytes[i] |= same(a[i], constant);                                                  \
        }                                                                                          \
        for (size_t i = 0; set->count > IN_LINEAR_MAX && i < frame->rows; i++)                     \
            bytes[i] = name##_search(set, a[i]);                                                   \
        mr_pack_bits(MR_DST->values, bytes, frame->words);                                         \
    }

#define NUMBER_BEFORE(a, b) ((a) < (b))
#define NUMBER_SAME(a, b)   ((a) == (b))
#define TEXT_BEFORE(a, b)   (mr_text_compare((a), (b)) < 0)
#define TEXT_SAME(a, b)     mr_text_equal((a), (b))
IN_SET(in_int, int64_t, integers, NUMBER_BEFORE, NUMBER_SAME)
IN_SET(in_float, double, reals, NUMBER_BEFORE, NUMBER_SAME)
IN_SET(in_text, mr_text, texts, TEXT_BEFORE, TEXT_SAME)

/* ---- hashing ---- */

static int64_t hash_8(int64_t value)
{
    return (int64_t)mr_hash64(&value, 8);
}

void mr_kernel_hash_bits(mr_frame *frame, const mr_step *step)
{
    int64_t of[2] = {hash_8(0), hash_8(1)}, *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = of[words_of(MR_ARG(0))[i / 64] >> (i % 64) & 1];
}

void mr_kernel_hash_int(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = MR_ARG(0)->values;
    int64_t *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = hash_8(a[i]);
}

void mr_kernel_hash_float(mr_frame *frame, const mr_step *step)
{
    const double *a = MR_ARG(0)->values;
    int64_t *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++) {
        double value = a[i] == 0 ? 0 : a[i]; /* -0 equals 0 and hashes as it */
        to[i] = (int64_t)mr_hash64(&value, 8);
    }
}

void mr_kernel_hash_text(mr_frame *frame, const mr_step *step)
{
    const mr_text *a = MR_ARG(0)->values;
    int64_t *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (int64_t)mr_hash64(a[i].size > 0 ? a[i].bytes : (const uint8_t *)"", a[i].size);
}

/* The hashes of several values, laid in a row, hashed again. */
void mr_kernel_hash_combine(mr_frame *frame, const mr_step *step)
{
    int64_t *to = MR_DST->values;
    int64_t *row = mr_arena_alloc(&frame->memory->texts, step->arg_count * sizeof *row);
    frame->failed |= row == NULL;
    for (size_t i = 0; row != NULL && i < frame->rows; i++) {
        for (size_t k = 0; k < step->arg_count; k++)
            row[k] = ((const int64_t *)MR_ARG(k)->values)[i];
        to[i] = (int64_t)mr_hash64(row, step->arg_count * sizeof *row);
    }
}

void mr_kernel_bucket_hash(mr_frame *frame, const mr_step *step)
{
    const int64_t *hash = MR_ARG(0)->values, *n = MR_ARG(1)->values;
    int64_t *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++) {
        to[i] = n[i] < 1 ? 0 : (int64_t)((uint64_t)hash[i] % (uint64_t)n[i]);
        if (n[i] < 1)
            mr_reg_null_row(MR_DST, i);
    }
}
