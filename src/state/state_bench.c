/* state_bench.c -- keyed state at a million keys: lookups, memory, checkpoints, recovery, and a quarter of the memory.
 *
 * A value is like a feature view's: 48 bytes and a ring of up to 16 (time, amount) pairs. Events come in micro-batches of
 * 4096, keys uniform, which is the hardest case for spilling. */
#include "bench/bench.h"
#include "os/process.h"
#include "state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS       1000000
#define BATCH_ROWS 4096
#define RING_MAX   16

typedef struct pair {
    int64_t time_us;
    double amount;
} pair;

typedef struct value {
    int64_t last_us;
    double sum;
    uint64_t total;
    pair *ring;
    uint32_t first, count, capacity, unused;
} value;

_Static_assert(sizeof(value) == 48, "an entry is one cache line");

static void encode(void *context, mr_slot *slot, const void *memory, mr_bytes *out)
{
    (void)context, (void)slot;
    const value *v = memory;
    mr_bytes_append(out, v, 24);
    mr_bytes_append_u32(out, v->count);
    for (uint32_t i = 0; i < v->count; i++)
        mr_bytes_append(out, &v->ring[(v->first + i) % v->capacity], sizeof(pair));
}

static bool grow(mr_slot *slot, value *v, uint32_t count)
{
    size_t bytes = mr_slot_alloc_bytes(count * sizeof(pair));
    pair *ring = mr_slot_alloc(slot, bytes);
    if (ring == NULL)
        return false;
    for (uint32_t i = 0; i < v->count; i++)
        ring[i] = v->ring[(v->first + i) % v->capacity];
    mr_slot_free(slot, v->ring, v->capacity * sizeof(pair));
    v->ring = ring;
    v->first = 0;
    v->capacity = (uint32_t)(bytes / sizeof(pair));
    return true;
}

static mr_status decode(void *context, mr_slot *slot, void *memory, mr_reader *from, mr_error *err)
{
    (void)context;
    value *v = memory;
    const uint8_t *head = mr_reader_bytes(from, 24);
    uint32_t count = mr_reader_u32(from);
    const uint8_t *pairs = mr_reader_bytes(from, count * sizeof(pair));
    if (pairs == NULL)
        return MR_FAIL(err, MR_CORRUPT, "short value");
    memcpy(v, head, 24);
    if (!grow(slot, v, count))
        return MR_OUT_OF_MEMORY(err);
    memcpy(v->ring, pairs, count * sizeof(pair));
    v->count = count;
    return MR_OK;
}

static void drop(void *context, mr_slot *slot, void *memory)
{
    (void)context;
    value *v = memory;
    mr_slot_free(slot, v->ring, v->capacity * sizeof(pair));
}

static void prefetch(void *context, const void *memory)
{
    (void)context;
    const value *v = memory;
    for (uint32_t at = 0; at < v->capacity * sizeof(pair); at += MR_ALIGN)
        __builtin_prefetch((const uint8_t *)v->ring + at);
}

static const mr_table_kind kind = {.name = "bench",
                                   .version = 1,
                                   .encode = encode,
                                   .decode = decode,
                                   .drop = drop,
                                   .prefetch = prefetch};

typedef struct setup {
    mr_state *state;
    mr_table *table;
    mr_budget budget;
    uint64_t position;
    uint64_t random;
    uint64_t budget_bytes_max;
    uint64_t resident_bytes_max;
    double sum;
} setup;

static char folder[256];

static void open_state(setup *s, uint64_t budget_bytes, int workers, bool spill)
{
    char checkpoints[300], spilled[300];
    (void)snprintf(folder, sizeof folder, "%s/millrace-bench-%d",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", mr_process_id());
    (void)snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder);
    (void)snprintf(spilled, sizeof spilled, "%s/spill", folder);
    *s = (setup){.random = 1};
    mr_budget_init(&s->budget, budget_bytes, NULL);
    mr_state_options options = {.fs = mr_fs_real(),
                                .folder = checkpoints,
                                .spill_folder = spill ? spilled : NULL,
                                .budget = &s->budget,
                                .workers = workers,
                                .background = true};
    mr_error err = {0};
    mr_bench_check(mr_state_open(&options, &s->state, &err), &err);
    mr_table_options table = {.name = "bench", .kind = &kind, .value_bytes = sizeof(value)};
    mr_bench_check(mr_state_add_table(s->state, &table, &s->table, &err), &err);
}

static void update(setup *s, int64_t word, uint64_t hash)
{
    mr_error err;
    mr_slot *slot = &mr_table_slots(s->table)[mr_key_slot(hash)];
    value *v = mr_slot_get_word(slot, hash, word, true, &err);
    if (v == NULL) {
        mr_bench_check(MR_FULL, &err);
        return;
    }
    if (v->count == v->capacity && v->count < RING_MAX &&
        !grow(slot, v, v->count == 0 ? 2 : v->count * 2))
        abort();
    if (v->count == RING_MAX) {
        s->sum -= v->ring[v->first].amount;
        v->first = (v->first + 1) % v->capacity;
        v->count--;
    }
    v->ring[(v->first + v->count++) % v->capacity] = (pair){(int64_t)s->position, 1.5};
    v->last_us = (int64_t)s->position++;
    v->sum += 1.5;
    v->total++;
}

static void run_rows(setup *s, uint64_t first_key, int rows)
{
    static int64_t words[BATCH_ROWS];
    static uint64_t hashes[BATCH_ROWS];
    mr_error err = {0};
    mr_bench_check(mr_state_maintain(s->state, &err), &err);
    for (int i = 0; i < rows; i++) {
        s->random = mr_hash_u64(s->random + 1);
        words[i] = first_key != UINT64_MAX ? (int64_t)((first_key + (uint64_t)i) % KEYS)
                                           : (int64_t)(s->random % KEYS);
        hashes[i] = mr_key_hash_word(words[i]);
    }
    for (int i = 0; i < rows; i++) {
        if (i + 24 < rows)
            mr_slot_prefetch(&mr_table_slots(s->table)[mr_key_slot(hashes[i + 24])],
                             hashes[i + 24]);
        if (i + 12 < rows)
            (void)mr_slot_prefetch_entry(&mr_table_slots(s->table)[mr_key_slot(hashes[i + 12])],
                                         hashes[i + 12]);
        update(s, words[i], hashes[i]);
    }
    s->budget_bytes_max = s->budget_bytes_max > mr_budget_used(&s->budget)
                              ? s->budget_bytes_max
                              : mr_budget_used(&s->budget);
}

static void run_batch(setup *s, uint64_t first_key)
{
    run_rows(s, first_key, BATCH_ROWS);
}

static double run_events(setup *s, uint64_t events, bool random)
{
    double best_ns = 1e18;
    int64_t window_start = mr_process_cpu_ns(); /* others may share the machine */
    uint64_t batches = events / BATCH_ROWS, in_window = 0;
    for (uint64_t b = 0; b < batches; b++) {
        run_batch(s, random ? UINT64_MAX : b * BATCH_ROWS);
        if (++in_window < batches / 4)
            continue;
        int64_t now = mr_process_cpu_ns();
        double ns = (double)(now - window_start) / (double)(in_window * BATCH_ROWS);
        best_ns = ns < best_ns ? ns : best_ns;
        window_start = now;
        in_window = 0;
        uint64_t resident = mr_process_memory_resident_bytes();
        s->resident_bytes_max = resident > s->resident_bytes_max ? resident : s->resident_bytes_max;
    }
    return best_ns;
}

static void report_memory(const setup *s)
{
    mr_table_stats stats;
    mr_table_stats_get(s->table, &stats);
    uint64_t pairs = 0, room = 0;
    for (int64_t word = 0; word < KEYS; word++) {
        uint64_t hash = mr_key_hash_word(word);
        const value *v =
            mr_slot_peek_word(&mr_table_slots(s->table)[mr_key_slot(hash)], hash, word);
        pairs += v != NULL ? v->count : 0;
        room += v != NULL ? mr_slot_alloc_bytes(v->capacity * sizeof(pair)) : 0;
    }
    double needed =
        (double)stats.keys * (sizeof(mr_entry) + sizeof(value)) + (double)pairs * sizeof(pair);
    mr_bench_report("state.memory.bytes_per_key", (double)stats.bytes / (double)stats.keys, "B");
    mr_bench_report("state.memory.over_contents", ((double)stats.bytes / needed - 1) * 100, "%");
    needed += (double)room - (double)pairs * sizeof(pair);
    mr_bench_report("state.memory.over_what_was_asked_for",
                    ((double)stats.bytes / needed - 1) * 100, "%");
}

static void checkpoint(setup *s, const char *name)
{
    char full[128];
    mr_error err = {0};
    int64_t start = mr_bench_now_ns(), longest = 0, busy = 0, slow = 0;
    bool done = false;
    mr_bench_check(mr_state_checkpoint_begin(s->state, 1, s->position, NULL, 0, &err), &err);
    while (!done) {
        int64_t before = mr_bench_now_ns();
        mr_bench_check(mr_state_checkpoint_step(s->state, s->position, 4, &done, &err), &err);
        int64_t took = mr_bench_now_ns() - before;
        longest = took > longest ? took : longest;
        busy += took;
        slow += took > 500000;
    }
    for (done = false; !done;)
        mr_bench_check(mr_state_checkpoint_finish(s->state, s->position, &done, &err), &err);
    (void)snprintf(full, sizeof full, "state.checkpoint.%s.wall", name);
    mr_bench_report(full, (double)(mr_bench_now_ns() - start) / 1e6, "ms");
    (void)snprintf(full, sizeof full, "state.checkpoint.%s.on_the_pipeline", name);
    mr_bench_report(full, (double)busy / 1e6, "ms");
    mr_bench_note("state: %s: %lld steps over 500 us", name, (long long)slow);
    (void)snprintf(full, sizeof full, "state.checkpoint.%s.longest_step", name);
    mr_bench_report(full, (double)longest / 1e3, "us");
}

static int64_t since(int64_t start)
{
    return mr_bench_now_ns() - start;
}

/* One round over what a micro-batch changed; what its calls take from the pipeline. */
static void time_calls(setup *s, int64_t *begin, int64_t *finish)
{
    mr_error err = {0};
    run_batch(s, UINT64_MAX);
    int64_t start = mr_bench_now_ns();
    mr_bench_check(mr_state_checkpoint_begin(s->state, 1, s->position, NULL, 0, &err), &err);
    *begin = since(start);
    for (bool done = false; !done;)
        mr_bench_check(mr_state_checkpoint_step(s->state, s->position, 8, &done, &err), &err);
    *finish = 0;
    for (bool done = false; !done;) {
        start = mr_bench_now_ns();
        mr_bench_check(mr_state_checkpoint_finish(s->state, s->position, &done, &err), &err);
        *finish = since(start) > *finish ? since(start) : *finish;
    }
}

static void checkpoint_calls(setup *s)
{
    int64_t begin = INT64_MAX, finish = INT64_MAX;
    for (int i = 0; i < 8; i++) {
        int64_t one_begin, one_finish;
        time_calls(s, &one_begin, &one_finish);
        begin = one_begin < begin ? one_begin : begin;
        finish = one_finish < finish ? one_finish : finish;
    }
    mr_bench_report("state.checkpoint.call.begin", (double)begin / 1e3, "us");
    mr_bench_report("state.checkpoint.call.finish_longest", (double)finish / 1e3, "us");
}

static void recover(int workers)
{
    double best = 1e18;
    mr_state_recovery out = {0};
    for (int i = 0; i < 3; i++) {
        setup s;
        mr_error err = {0};
        open_state(&s, 0, workers, false);
        int64_t start = mr_bench_now_ns();
        mr_bench_check(mr_state_recover(s.state, &out, &err), &err);
        double seconds = (double)(mr_bench_now_ns() - start) / 1e9;
        mr_table_stats stats;
        mr_table_stats_get(s.table, &stats);
        seconds /= (double)stats.bytes / 1e9;
        best = seconds < best ? seconds : best;
        mr_state_close(s.state);
        mr_bytes_deinit(&out.flow);
    }
    mr_bench_report(workers == 1 ? "state.recover.1_worker" : "state.recover.2_workers", best,
                    "s/GB");
}

static void spill(uint64_t state_bytes, uint64_t budget_bytes, const char *name)
{
    char full[128];
    setup s;
    mr_error err = {0};
    open_state(&s, budget_bytes, 1, true);
    uint64_t base = mr_process_memory_resident_bytes();
    (void)run_events(&s, KEYS * 3, true);
    double ns = run_events(&s, KEYS, true);
    uint64_t mapped = mr_process_memory_mapped_bytes();
    (void)snprintf(full, sizeof full, "state.update.%s", name);
    mr_bench_report(full, ns, "ns/event");
    (void)snprintf(full, sizeof full, "state.update.%s.budget_used_max", name);
    mr_bench_report(full, 100.0 * (double)s.budget_bytes_max / (double)budget_bytes, "%");
    (void)snprintf(full, sizeof full, "state.update.%s.resident_over_budget", name);
    mr_bench_report(
        full, ((double)s.resident_bytes_max - (double)base - (double)budget_bytes) / 1e6, "MB");
    (void)snprintf(full, sizeof full, "state.update.%s.mapped", name);
    mr_bench_report(full, (double)mapped / 1e6, "MB");
    mr_table_stats stats;
    mr_table_stats_get(s.table, &stats);
    mr_bench_note("state: %s: %llu keys in memory, %llu spilled, state %.0f MB, budget %.0f MB",
                  name, (unsigned long long)stats.keys, (unsigned long long)stats.keys_spilled,
                  (double)state_bytes / 1e6, (double)budget_bytes / 1e6);
    checkpoint(&s, name);
    mr_state_close(s.state);
    mr_bench_check(mr_fs_remove_tree(mr_fs_real(), folder, &err), &err);
}

BENCH(state)
{
    setup s;
    mr_error err = {0};
    open_state(&s, 0, 1, false);
    mr_bench_report("state.memory.empty_table", (double)mr_budget_used(&s.budget) / 1e6, "MB");
    (void)run_events(&s, KEYS, false);
    (void)run_events(&s, KEYS * 2, true);
    mr_bench_report("state.update.in_memory", run_events(&s, KEYS * 2, true), "ns/event");
    /* Quiet micro-batches: what growth left behind is compacted. */
    for (int i = 0; i < 400000; i++)
        mr_bench_check(mr_state_maintain(s.state, &err), &err);
    report_memory(&s);
    checkpoint(&s, "all");
    run_batch(&s, UINT64_MAX);
    checkpoint(&s, "after_4096_events");
    checkpoint_calls(&s);
    mr_state_close(s.state);
    recover(1);
    recover(2);
    mr_bench_check(mr_fs_remove_tree(mr_fs_real(), folder, &err), &err);
}

/* ---- pauses: what checkpoints that never cease add to the time a micro-batch takes ---- */

#define PAUSE_ROWS    256
#define PAUSE_BATCHES 30000
#define PAUSE_ROUNDS  5

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* As the pipeline does between micro-batches. */
static void roll(setup *s, bool *written)
{
    mr_error err = {0};
    bool done;
    if (!mr_state_checkpoint_running(s->state)) {
        *written = false;
        mr_bench_check(mr_state_checkpoint_begin(s->state, 1, s->position, NULL, 0, &err), &err);
    } else if (!*written) {
        mr_bench_check(mr_state_checkpoint_step(s->state, s->position, 1, written, &err), &err);
    } else {
        mr_bench_check(mr_state_checkpoint_finish(s->state, s->position, &done, &err), &err);
    }
}

/* Micro-batches come due one period after the other. How long after it was due each is done, sorted. */
static void run_paced(setup *s, int64_t period_ns, bool checkpoints, int64_t *took_ns)
{
    mr_error err = {0};
    bool written = false;
    int64_t due = mr_bench_now_ns() + period_ns;
    for (int i = 0; i < PAUSE_BATCHES; i++, due += period_ns) {
        while (mr_bench_now_ns() < due)
            continue;
        run_rows(s, UINT64_MAX, PAUSE_ROWS);
        took_ns[i] = since(due);
        if (checkpoints)
            roll(s, &written);
    }
    for (bool done = !mr_state_checkpoint_running(s->state); !done;) {
        if (!written)
            mr_bench_check(mr_state_checkpoint_step(s->state, s->position, 64, &written, &err),
                           &err);
        else
            mr_bench_check(mr_state_checkpoint_finish(s->state, s->position, &done, &err), &err);
    }
    qsort(took_ns, PAUSE_BATCHES, sizeof *took_ns, by_size);
}

typedef struct pauses {
    double p50, p99, p99_9; /* the least of all rounds: other programs only add */
} pauses;

static void note_pauses(pauses *best, const int64_t *took_ns)
{
    const size_t half = PAUSE_BATCHES / 2, most = PAUSE_BATCHES / 100 * 99,
                 nearly_all = PAUSE_BATCHES / 1000 * 999;
    double p50 = (double)took_ns[half] / 1e3;
    double p99 = (double)took_ns[most] / 1e3;
    double p99_9 = (double)took_ns[nearly_all] / 1e3;
    best->p50 = best->p50 == 0 || p50 < best->p50 ? p50 : best->p50;
    best->p99 = best->p99 == 0 || p99 < best->p99 ? p99 : best->p99;
    best->p99_9 = best->p99_9 == 0 || p99_9 < best->p99_9 ? p99_9 : best->p99_9;
}

static void report_pauses(const char *name, const pauses *best)
{
    char full[128];
    (void)snprintf(full, sizeof full, "state.pauses.%s.p50", name);
    mr_bench_report(full, best->p50, "us");
    (void)snprintf(full, sizeof full, "state.pauses.%s.p99", name);
    mr_bench_report(full, best->p99, "us");
    (void)snprintf(full, sizeof full, "state.pauses.%s.p99_9", name);
    mr_bench_report(full, best->p99_9, "us");
}

BENCH(state_pauses)
{
    static int64_t took_ns[PAUSE_BATCHES];
    pauses without = {0}, with = {0};
    mr_error err = {0};
    setup s;
    open_state(&s, 0, 1, false);
    (void)run_events(&s, KEYS * 3, true);
    int64_t start = mr_bench_now_ns();
    for (int i = 0; i < 2000; i++)
        run_rows(&s, UINT64_MAX, PAUSE_ROWS);
    int64_t period_ns = since(start) / 2000 * 2; /* half load */
    for (int i = 0; i < PAUSE_ROUNDS; i++) {
        run_paced(&s, period_ns, false, took_ns);
        note_pauses(&without, took_ns);
        run_paced(&s, period_ns, true, took_ns);
        note_pauses(&with, took_ns);
    }
    report_pauses("without_checkpoints", &without);
    report_pauses("with_checkpoints", &with);
    mr_state_close(s.state);
    mr_bench_check(mr_fs_remove_tree(mr_fs_real(), folder, &err), &err);
}

/* On its own, so that what the process took before is not in the figures. */
BENCH(state_spill)
{
    setup s;
    open_state(&s, 0, 1, false);
    (void)run_events(&s, KEYS * 4, true);
    uint64_t bytes = mr_budget_used(&s.budget);
    mr_state_close(s.state);
    spill(bytes, bytes * 2, "within_budget");
    spill(bytes, bytes / 4, "quarter_budget");
}
