/* expr_regex.c -- matches(text, 'pattern') over PCRE2, bounded so that nothing can hang a run.
 *
 * (1) A search is given up, and the row is NULL, when the text has more than TEXT_BYTES_MAX bytes or
 *     when matching from one place backtracks more than a limit that shrinks as texts grow: the
 *     number of places times the limit stays near SEARCH_STEPS. The limit depends on the text alone,
 *     so rows stay independent.
 * (2) Patterns are compiled once, with the expression, and shared; match data is the scratch's. */
#include "data/expr_internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#define TEXT_BYTES_MAX      32768
#define PATTERN_BYTES_MAX   4096
#define SEARCH_STEPS        10000000u
#define PLACE_STEPS_MIN     1000u
#define PLACE_STEPS_MAX     100000u
#define STACK_BYTES_MIN     (32u << 10)
#define STACK_BYTES_MAX     (1u << 20)
#define PATTERN_NESTING_MAX 100

static void *pcre_alloc(size_t bytes, void *context)
{
    (void)context;
    return mr_alloc(bytes);
}

static void pcre_free(void *memory, void *context)
{
    (void)context;
    mr_free(memory);
}

static void free_code(void *code)
{
    pcre2_code_free(code);
}

static mr_status fail_pattern(int code, size_t at, const char *pattern, size_t bytes, mr_error *err)
{
    char text[160];
    if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY)
        return MR_OUT_OF_MEMORY(err);
    if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text) < 0)
        (void)memcpy(text, "not a pattern", 14);
    return MR_FAIL(err, MR_INVALID, "the pattern '%.*s' fails at its character %zu: %s",
                   (int)MR_MIN(bytes, 80), pattern, at + 1, text);
}

/* Compiles with bounds of its own; NULL with *code and *at saying why. */
static pcre2_code *compile(const char *pattern, size_t bytes, int *code, size_t *at)
{
    pcre2_general_context *general = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *context = general != NULL ? pcre2_compile_context_create(general) : NULL;
    pcre2_code *compiled = NULL;
    *code = PCRE2_ERROR_NOMEMORY;
    *at = 0;
    if (context != NULL) {
        (void)pcre2_set_max_pattern_length(context, PATTERN_BYTES_MAX);
        (void)pcre2_set_parens_nest_limit(context, PATTERN_NESTING_MAX);
        compiled = pcre2_compile((PCRE2_SPTR)pattern, bytes,
                                 PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                                 code, at, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return compiled;
}

mr_status mr_regex_prepare(mr_arena *arena, const char *pattern, size_t bytes, const void **out_aux,
                           mr_error *err)
{
    int why;
    size_t at;
    pcre2_code *code = compile(bytes > 0 ? pattern : "", bytes, &why, &at);
    if (code == NULL)
        return fail_pattern(why, at, pattern, bytes, err);
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it matching is slower, no more */
    if (mr_arena_on_reset(arena, free_code, code) != MR_OK) {
        pcre2_code_free(code);
        return MR_OUT_OF_MEMORY(err);
    }
    *out_aux = code;
    return MR_OK;
}

void mr_regex_memory_deinit(struct mr_expr_memory *memory)
{
    pcre2_match_data_free(memory->match_data);
    pcre2_match_context_free(memory->match_context);
    pcre2_jit_stack_free(memory->match_stack);
    memory->match_data = memory->match_context = memory->match_stack = NULL;
}

static bool need_match_data(struct mr_expr_memory *memory)
{
    if (memory->match_stack != NULL)
        return true;
    mr_regex_memory_deinit(memory);
    pcre2_general_context *general = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    if (general == NULL)
        return false;
    memory->match_data = pcre2_match_data_create(1, general);
    memory->match_context = pcre2_match_context_create(general);
    if (memory->match_data != NULL && memory->match_context != NULL)
        memory->match_stack = pcre2_jit_stack_create(STACK_BYTES_MIN, STACK_BYTES_MAX, general);
    if (memory->match_stack != NULL)
        pcre2_jit_stack_assign(memory->match_context, NULL, memory->match_stack);
    pcre2_general_context_free(general);
    return memory->match_stack != NULL;
}

static uint32_t step_limit(size_t text_bytes)
{
    uint32_t limit = SEARCH_STEPS / (uint32_t)(text_bytes + 1);
    return limit < PLACE_STEPS_MIN ? PLACE_STEPS_MIN : MR_MIN(limit, PLACE_STEPS_MAX);
}

/* 1 found, 0 not, -1 given up, -2 out of memory. */
static int search(const pcre2_code *code, mr_text text, struct mr_expr_memory *memory)
{
    if (text.size > TEXT_BYTES_MAX)
        return -1;
    (void)pcre2_set_match_limit(memory->match_context, step_limit(text.size));
    int found = pcre2_match(code, (PCRE2_SPTR)(text.size > 0 ? text.bytes : (const uint8_t *)""),
                            text.size, 0, 0, memory->match_data, memory->match_context);
    if (found == PCRE2_ERROR_NOMEMORY)
        return -2;
    return found >= 0 ? 1 : found == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

void mr_kernel_matches(mr_frame *frame, const mr_step *step)
{
    const mr_text *a = MR_ARG(0)->values;
    uint8_t bytes[MR_EXPR_ROWS] = {0};
    bool ready = need_match_data(frame->memory);
    frame->failed |= !ready;
    for (size_t i = 0; ready && i < frame->rows; i++) {
        int found = mr_reg_is_valid(MR_DST, i) ? search(step->aux, a[i], frame->memory) : 0;
        bytes[i] = found > 0;
        frame->failed |= found == -2;
        if (found < 0)
            mr_reg_null_row(MR_DST, i);
    }
    mr_pack_bits(MR_DST->values, bytes, frame->words);
}
