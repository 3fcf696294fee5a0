/* version.c -- `millrace version`: what this program is and which instructions it may use. */
#include "cmd/help.h"

#include "base/assert.h"
#include "data/encoder.h"

#include <stdio.h>
#include <string.h>

#ifndef MR_COMMIT
#define MR_COMMIT ""
#endif

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#if defined(__x86_64__)
#define MACHINE "x86-64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

/* The sets of instructions for which there are kernels; one line each. */
static void list_instructions(char *out, size_t out_bytes)
{
    size_t size = (size_t)snprintf(out, out_bytes, "plain");
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        size += (size_t)snprintf(out + size, out_bytes - size, " avx2");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
        (void)snprintf(out + size, out_bytes - size, " avx512");
#endif
}

typedef struct fact {
    const char *name;
    const char *value;
} fact;

static void print_text(mr_output *output, const fact *facts)
{
    mr_output_printf(output, "millrace %s\n", facts->value);
    for (facts++; facts->name != NULL; facts++)
        if (facts->value[0] != '\0')
            mr_output_printf(output, "  %-9s %s\n", facts->name, facts->value);
}

static void print_json(mr_output *output, const fact *facts)
{
    mr_bytes line = {0};
    for (size_t i = 0; facts[i].name != NULL; i++) {
        mr_bytes_printf(&line, "%s\"%s\":", i == 0 ? "{" : ",", facts[i].name);
        mr_encode_json_text(facts[i].value, strlen(facts[i].value), &line);
    }
    mr_bytes_append_text(&line, "}\n");
    mr_output_bytes(output, line.data, line.size);
    mr_bytes_deinit(&line);
}

static mr_status version_run(mr_session *session, mr_error *err)
{
    (void)err;
    char instructions[64];
    list_instructions(instructions, sizeof instructions);
    const fact facts[] = {{"version", MR_VERSION},   {"commit", MR_COMMIT},
                          {"compiler", COMPILER},    {"machine", MACHINE},
                          {"kernels", instructions}, {NULL, NULL}};
    if (session->json)
        print_json(&session->out, facts);
    else
        print_text(&session->out, facts);
    return MR_OK;
}

const struct mr_verb mr_verb_version = {
    .name = "version",
    .summary = "show the version, the compiler and the instruction sets in use",
    .run = version_run,
};
