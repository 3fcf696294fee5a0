/* forest64_run.c -- which kernel of a float64 forest runs: those that can are timed at load for a few milliseconds on
 * rows drawn from the forest's own thresholds. Nothing of it shows in the sums. */
#include "model/forest64_kernel.h"

#include "base/assert.h"
#include "model/forest64_masks.h"
#include "os/clock.h"

#include <string.h>

#define MEASURE_NS_MAX     2000000
#define MEASURE_ROUNDS_MAX 5
#define MEASURE_ROWS       64

typedef void batch_call(const mr_masks64 *masks, mr_run64_load *load, const void *context,
                        size_t first, size_t count, double *sums, size_t stride, uint8_t *scratch);

struct mr_run64 {
    const mr_forest64 *forest;
    mr_slots64 slots;
    mr_walk64 *walk;
    mr_masks64 *masks; /* NULL: the walk does batches too */
    batch_call *call;
    size_t rows_max;
    const char *batch_kernel;
};

/* ---- slots ---- */

static void mark_views(const mr_forest64 *forest, mr_slots64 *slots)
{
    for (uint32_t i = 0; i < forest->split_count; i++) {
        const mr_split64 *split = &forest->splits[i];
        slots->of[(size_t)split->feature * MR_VIEWS + mr_view64_of(split)] = 0;
        slots->used[split->feature] = 1;
    }
    for (uint32_t i = 0; forest->linear != NULL && i < forest->leaf_count; i++)
        for (uint32_t t = 0; t < forest->linear[i].count; t++)
            slots->used[forest->terms[forest->linear[i].first + t].feature] = 1;
}

/* Marks become numbers in order of the features. */
static void number_slots(const mr_forest64 *forest, mr_slots64 *slots)
{
    for (uint32_t f = 0; f < forest->feature_count; f++) {
        for (uint32_t view = 0; view < MR_VIEWS; view++) {
            uint32_t *slot = &slots->of[(size_t)f * MR_VIEWS + view];
            if (*slot == MR_NO_SLOT64)
                continue;
            slots->features[slots->count] = f;
            slots->views[slots->count] = (uint8_t)view;
            *slot = slots->count++;
        }
        if (slots->used[f] != 0)
            slots->used[slots->used_count++] = f;
    }
}

mr_status mr_slots64_init(mr_slots64 *slots, const mr_forest64 *forest, mr_error *err)
{
    size_t views = (size_t)forest->feature_count * MR_VIEWS;
    *slots = (mr_slots64){.features = mr_alloc(sizeof *slots->features * (views + 1)),
                          .views = mr_alloc(views + 1),
                          .of = mr_alloc(sizeof *slots->of * (views + 1)),
                          .used = mr_alloc_zero((size_t)forest->feature_count + 1, 4)};
    if (slots->features == NULL || slots->views == NULL || slots->of == NULL || slots->used == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(slots->of, 0xff, sizeof *slots->of * views);
    mark_views(forest, slots);
    number_slots(forest, slots);
    return MR_OK;
}

void mr_slots64_deinit(mr_slots64 *slots)
{
    mr_free(slots->features);
    mr_free(slots->views);
    mr_free(slots->of);
    mr_free(slots->used);
    *slots = (mr_slots64){0};
}

/* ---- measuring ---- */

typedef struct probe {
    const mr_run64 *run;
    double *sums, *row;
    uint8_t *scratch;
    double values[MR_RUN64_BLOCK_ROWS]; /* thresholds of the forest, in no order */
} probe;

static void load_probe(const void *context, uint32_t feature, size_t first, size_t count,
                       double *out)
{
    const probe *p = context;
    for (size_t r = 0; r < count; r++)
        out[r] = p->values[(first + r + feature * (size_t)37) % MR_RUN64_BLOCK_ROWS];
}

static void probe_deinit(probe *p)
{
    mr_free(p->sums);
    mr_free(p->row);
    mr_free(p->scratch);
}

static mr_status probe_init(probe *p, const mr_run64 *run, mr_error *err)
{
    const mr_forest64 *forest = run->forest;
    mr_random_seeded random;
    mr_random_seeded_init(&random, 1);
    *p = (probe){.run = run};
    p->sums = mr_alloc(sizeof(double) * MR_RUN64_BLOCK_ROWS * forest->group_count);
    p->row = mr_alloc(sizeof(double) * (forest->feature_count + 1));
    p->scratch = mr_alloc_aligned(mr_run64_scratch_bytes(run) + MR_ALIGN);
    if (p->sums == NULL || p->row == NULL || p->scratch == NULL) {
        probe_deinit(p);
        return MR_OUT_OF_MEMORY(err);
    }
    for (size_t i = 0; i < MR_RUN64_BLOCK_ROWS; i++)
        p->values[i] = forest->splits[mr_random_below(&random, forest->split_count)].threshold;
    return MR_OK;
}

static void run_masks(probe *p)
{
    p->run->call(p->run->masks, load_probe, p, 0, MR_RUN64_BLOCK_ROWS, p->sums, MR_RUN64_BLOCK_ROWS,
                 p->scratch);
}

static void run_rows(probe *p)
{
    for (size_t r = 0; r < MEASURE_ROWS; r++) {
        for (uint32_t i = 0; i < p->run->slots.used_count; i++)
            load_probe(p, p->run->slots.used[i], r, 1, &p->row[p->run->slots.used[i]]);
        mr_walk64_row(p->run->walk, p->row, p->sums, p->scratch);
    }
}

static void run_walk(probe *p)
{
    mr_walk64_batch(p->run->walk, load_probe, p, 0, MEASURE_ROWS, p->sums, MR_RUN64_BLOCK_ROWS,
                    p->scratch);
}

/* Best of a few rounds in nanoseconds; two at least, for the first may have been interrupted. */
static int64_t time_best(probe *p, void (*run)(probe *))
{
    mr_clock *clock = mr_clock_real();
    int64_t start = clock->mono_ns(clock), now = start, best = INT64_MAX;
    for (int i = 0; i < 2 || (i < MEASURE_ROUNDS_MAX && now - start < MEASURE_NS_MAX); i++) {
        int64_t before = now;
        run(p);
        now = clock->mono_ns(clock);
        best = MR_MIN(best, now - before);
    }
    return best;
}

/* The walk is timed on MEASURE_ROWS rows, the masks on a block. */
static mr_status measure(mr_run64 *run, bool forced, mr_error *err)
{
    probe p;
    MR_TRY(probe_init(&p, run, err));
    int64_t masks = time_best(&p, run_masks);
    int64_t row = MR_MAX(time_best(&p, run_rows) / MEASURE_ROWS, 1);
    int64_t walk = time_best(&p, run_walk) * (MR_RUN64_BLOCK_ROWS / MEASURE_ROWS);
    probe_deinit(&p);
    run->rows_max = (size_t)MR_MIN(masks / row, MR_RUN64_BLOCK_ROWS - 1);
    if (walk <= masks && !forced) {
        mr_masks64_destroy(run->masks);
        run->masks = NULL;
    }
    if (forced)
        run->rows_max = 0;
    return MR_OK;
}

/* ---- choosing ---- */

typedef struct choice {
    const char *name;
    batch_call *call;
    uint32_t mask_bytes;
} choice;

static choice choose(const char *cpu)
{
#if defined(__x86_64__)
    bool any = strcmp(cpu, "auto") == 0;
    if ((any || strcmp(cpu, "avx512") == 0) && mr_masks64_avx512_here())
        return (choice){"masks-avx512", mr_masks64_avx512, 64};
    if (strcmp(cpu, "plain") != 0 && mr_masks64_avx2_here())
        return (choice){"masks-avx2", mr_masks64_avx2, 32};
#else
    (void)cpu;
#endif
    return (choice){0};
}

static mr_status plan(mr_run64 *run, const char *kernel, const char *cpu, mr_error *err)
{
    MR_TRY(mr_slots64_init(&run->slots, run->forest, err));
    MR_TRY(mr_walk64_create(run->forest, &run->slots, &run->walk, err));
    run->batch_kernel = "walk";
    run->rows_max = 1;
    choice best = choose(cpu);
    if (strcmp(kernel, "walk") == 0 || best.call == NULL)
        return MR_OK;
    run->call = best.call;
    MR_TRY(mr_masks64_create(run->forest, &run->slots, best.mask_bytes, &run->masks, err));
    if (run->masks == NULL)
        return MR_OK;
    MR_TRY(measure(run, strcmp(kernel, "masks") == 0, err));
    if (run->masks != NULL)
        run->batch_kernel = best.name;
    return MR_OK;
}

mr_status mr_run64_create(const mr_forest64 *forest, const char *kernel, const char *cpu,
                          mr_run64 **out, mr_error *err)
{
    mr_run64 *run = MR_NEW(mr_run64);
    *out = NULL;
    if (run == NULL)
        return MR_OUT_OF_MEMORY(err);
    run->forest = forest;
    mr_status status = plan(run, kernel, cpu, err);
    if (status != MR_OK) {
        mr_run64_destroy(run);
        return status;
    }
    *out = run;
    return MR_OK;
}

void mr_run64_destroy(mr_run64 *run)
{
    if (run == NULL)
        return;
    mr_masks64_destroy(run->masks);
    mr_walk64_destroy(run->walk);
    mr_slots64_deinit(&run->slots);
    mr_free(run);
}

/* ---- running ---- */

size_t mr_run64_scratch_bytes(const mr_run64 *run)
{
    size_t masks = run->masks != NULL ? mr_masks64_scratch_bytes(run->masks) : 0;
    return MR_MAX(mr_walk64_scratch_bytes(run->walk), masks);
}

size_t mr_run64_rows_max(const mr_run64 *run)
{
    return run->rows_max;
}

const char *mr_run64_batch_kernel(const mr_run64 *run)
{
    return run->batch_kernel;
}

const uint32_t *mr_run64_used(const mr_run64 *run, uint32_t *out_count)
{
    *out_count = run->slots.used_count;
    return run->slots.used;
}

void mr_run64_row(const mr_run64 *run, const double *inputs, double *sums, uint8_t *scratch)
{
    mr_walk64_row(run->walk, inputs, sums, scratch);
}

void mr_run64_batch(const mr_run64 *run, mr_run64_load *load, const void *context, size_t first,
                    size_t count, double *sums, size_t stride, uint8_t *scratch)
{
    MR_ASSERT(count <= MR_RUN64_BLOCK_ROWS);
    if (run->masks != NULL)
        run->call(run->masks, load, context, first, count, sums, stride, scratch);
    else
        mr_walk64_batch(run->walk, load, context, first, count, sums, stride, scratch);
}
