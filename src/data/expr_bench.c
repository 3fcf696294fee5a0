/* expr_bench.c -- expressions: rows per second of the usual kinds, in batches and one row at a time. */
#include "bench/bench.h"

#include "data/expr.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>

#define ROWS 65536

typedef struct run {
    const mr_expr *expr;
    mr_expr_scratch *scratch;
    const mr_batch *batch;
    size_t rows;
    uint32_t *selected; /* NULL: a column is made */
} run;

static mr_batch *make_batch(void)
{
    static const char text[] =
        "{a: float64, b: float64, c: float64, d: float64, n: float64 null, i: int64, "
        "at: timestamp, name: string}";
    mr_schema *schema;
    mr_builder builder;
    mr_batch *batch;
    mr_error err = {0};
    mr_random_seeded random;
    mr_random_seeded_init(&random, 7);
    mr_bench_check(mr_schema_parse(text, sizeof text - 1, &schema, &err), &err);
    mr_bench_check(mr_builder_init(&builder, schema, &err), &err);
    for (size_t row = 0; row < ROWS; row++) {
        char name[48];
        int size = snprintf(name, sizeof name, "terminal-%05llu order %llu",
                            (unsigned long long)mr_random_below(&random, 100000),
                            (unsigned long long)mr_random_below(&random, 1000));
        for (size_t c = 0; c < 4; c++)
            mr_builder_float64(&builder.columns[c], mr_random_unit(&random));
        if (row % 4 == 0)
            mr_builder_null(&builder.columns[4]);
        else
            mr_builder_float64(&builder.columns[4], mr_random_unit(&random));
        mr_builder_int64(&builder.columns[5], (int64_t)mr_random_below(&random, 1000));
        mr_builder_int64(&builder.columns[6], 1522540800000000 + (int64_t)row * 7919000);
        mr_builder_text(&builder.columns[7], name, (size_t)size);
    }
    mr_bench_check(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return batch;
}

static void evaluate(void *context)
{
    run *r = context;
    mr_error err = {0};
    mr_column out;
    size_t count;
    if (r->selected != NULL) {
        mr_bench_check(mr_expr_eval_filter(r->expr, r->scratch, r->batch->columns, 0, r->rows,
                                           r->selected, &count, &err),
                       &err);
        return;
    }
    mr_bench_check(mr_expr_eval(r->expr, r->scratch, r->batch->columns, 0, r->rows, &out, &err),
                   &err);
    mr_column_release(&out);
}

BENCH(expr)
{
    static const struct {
        const char *name;
        const char *text;
        bool filter;
    } kinds[] = {
        {"compare", "a * b + c > d", false},
        {"compare_nulls", "n * b + c > d", false},
        {"filter", "a * b + c > d", true},
        {"arithmetic", "(a + b) / (c + 1) - d", false},
        {"integers", "i * 3 + 1 - i % 7", false},
        {"case", "case when a > 0.9 then 'block' when a > 0.5 then 'review' else 'allow' end",
         false},
        {"case_float", "case when a > 0.9 then b when a > 0.5 then c else d end", false},
        {"night", "hour(at) <= 6", false},
        {"weekend", "weekday(at) >= 6", false},
        {"day", "date_trunc('day', at)", false},
        {"ln", "ln(a + 1)", false},
        {"matches", "matches(name, 'order [0-9]*7$')", false},
        {"starts_with", "starts_with(name, 'terminal-0')", false},
        {"concat", "upper(name) || '!'", false},
        {"in", "i in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)", false},
        {"bucket", "bucket(i, 100)", false},
    };
    mr_batch *batch = make_batch();
    mr_expr_scratch scratch = {0};
    uint32_t *rows = mr_alloc(ROWS * sizeof *rows);
    mr_error err = {0};
    char name[64];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        mr_expr *expr;
        mr_bench_check(
            mr_expr_compile(kinds[i].text, strlen(kinds[i].text), batch->schema, NULL, &expr, &err),
            &err);
        run r = {expr, &scratch, batch, ROWS, kinds[i].filter ? rows : NULL};
        (void)snprintf(name, sizeof name, "expr.%s", kinds[i].name);
        mr_bench_report(name, mr_bench_best_ns(evaluate, &r, 5) / ROWS, "ns/row");
        r.rows = 1;
        (void)snprintf(name, sizeof name, "expr.%s.one_row", kinds[i].name);
        if (i < 2)
            mr_bench_report(name, mr_bench_best_ns(evaluate, &r, 5), "ns");
        mr_expr_destroy(expr);
    }
    mr_free(rows);
    mr_expr_scratch_deinit(&scratch);
    mr_batch_release(batch);
}
