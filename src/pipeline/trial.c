/* trial.c -- what is counted of a version on trial. */
#include "pipeline/trial.h"

#include "base/assert.h"
#include "base/hash.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRIAL_MAGIC UINT32_C(0x3154524d) /* "MRT1" */
#define FIRST_LOOK  50

/* ---- the cast ---- */

static void clear_step(mr_trial *trial, uint64_t position)
{
    trial->begun = position;
    trial->decided = trial->decided_before = 0;
    trial->live_scores = trial->its_scores = trial->times_ns = (trial_sketch){0};
    trial->arms = trial->slow = (trial_share){0};
    memset(trial->keys, 0, sizeof trial->keys);
    trial->control = trial->treated = (trial_mean){0};
    trial->next_look = FIRST_LOOK;
    for (size_t i = 0; i < CAST_PARTS_MAX; i++)
        trial->versus[i] = (trial_versus){0};
    trial->segment_count = 0;
}

void trial_deinit(mr_trial *trial)
{
    trial_queue_deinit(&trial->queue);
    *trial = (mr_trial){.from = trial->from};
}

static bool goes_on(const mr_trial *trial, const run_cast *cast)
{
    return trial->active && trial->id == cast->terms->id &&
           trial->refs[1].version == cast->parts[1].ref.version &&
           strcmp(trial->refs[1].hash, cast->parts[1].ref.hash) == 0 &&
           strcmp(trial->refs[0].hash, cast->parts[0].ref.hash) == 0;
}

static void note_parts(mr_trial *trial, const run_cast *cast)
{
    trial->part_count = cast->part_count;
    for (size_t i = 0; i < cast->part_count; i++)
        trial->refs[i] = cast->parts[i].ref;
}

/* A person let it go on: open questions get as much time again. */
static void resume(mr_trial *trial)
{
    trial->decided_before = trial->decided;
    trial->joined_before = trial->joined;
}

mr_status trial_recast(mr_trial *trial, const run_cast *cast, uint64_t position, mr_error *err)
{
    const trial_terms *terms = cast != NULL ? cast->terms : NULL;
    if (position < trial->from)
        return MR_OK;
    if (terms == NULL) {
        if (trial->active)
            trial_deinit(trial);
        return MR_OK;
    }
    bool same = goes_on(trial, cast);
    if (same && trial->step == terms->step && trial->paused == terms->paused)
        return MR_OK;
    if (!same) {
        trial_deinit(trial);
        trial->next_joined_look = FIRST_LOOK;
        trial->p = 1;
        if (terms->has_outcomes)
            MR_TRY(trial_queue_reserve(&trial->queue, terms->pending_max, err));
    }
    if (!same || trial->step != terms->step)
        clear_step(trial, position);
    else if (trial->paused && !terms->paused)
        resume(trial);
    note_parts(trial, cast);
    trial->active = true;
    trial->id = terms->id;
    trial->step = terms->step;
    trial->paused = terms->paused;
    trial->verdict = TRIAL_VERDICT_NONE;
    trial->why[0] = '\0';
    return MR_OK;
}

/* ---- rows ---- */

/* Whether the key is new. While there is room, so that memory has an end; the first keys are as good as any. */
static bool note_key(mr_trial *trial, uint64_t key)
{
    uint64_t hash = mr_hash_u64(key) | 1;
    size_t mask = MR_COUNT_OF(trial->keys) - 1, at = hash >> 40 & mask;
    if (trial->arms.count == TRIAL_KEYS_MAX)
        return false;
    for (; trial->keys[at] != 0; at = (at + 1) & mask)
        if (trial->keys[at] == hash)
            return false;
    trial->keys[at] = hash;
    return true;
}

static void add_versus(trial_versus *versus, double live, double its, bool flips)
{
    bool silent = isnan(its);
    versus->errors.count++;
    versus->errors.hits += silent && !isnan(live);
    versus->flips.count++;
    versus->flips.hits += flips;
    if (silent || isnan(live))
        return;
    trial_mean_add(&versus->mean, its - live);
    trial_sketch_add(&versus->differences, its - live);
}

static trial_segment *find_segment(mr_trial *trial, mr_text name)
{
    trial_segment *all = trial->segments;
    char text[sizeof all->name];
    (void)snprintf(text, sizeof text, "%.*s", (int)MR_MIN(name.size, sizeof text - 1),
                   name.bytes != NULL ? (const char *)name.bytes : "");
    for (uint32_t i = 0; i < trial->segment_count; i++)
        if (strcmp(all[i].name, text) == 0)
            return &all[i];
    bool others = trial->segment_count >= TRIAL_SEGMENTS_MAX;
    if (others && trial->segment_count > TRIAL_SEGMENTS_MAX)
        return &all[TRIAL_SEGMENTS_MAX];
    trial_segment *made = &all[trial->segment_count++];
    *made = (trial_segment){{0}, {0}, 0};
    (void)snprintf(made->name, sizeof made->name, "%s", others ? "(others)" : text);
    return made;
}

static void add_segment(mr_trial *trial, const trial_row *row)
{
    trial_segment *segment = find_segment(trial, row->segment);
    double difference = row->said[1] - row->live;
    if (!isnan(difference))
        trial_mean_add(&segment->mean, difference);
    segment->flips += row->flips[1];
}

/* The metric `score` needs no outcome: higher, or lower, is better. */
static void add_score(mr_trial *trial, const trial_terms *terms, const trial_row *row)
{
    double difference = row->said[1] - row->live;
    if (!terms->has_success || terms->metric != TRIAL_SCORE || isnan(difference))
        return;
    trial_mean_add(&trial->improvement, terms->lower ? -difference : difference);
    trial->joined++;
}

void trial_add_row(mr_trial *trial, const trial_terms *terms, const trial_row *row)
{
    if (row->position < trial->from || !trial->active)
        return;
    bool canary = trial_terms_share(terms) > 0;
    if (canary && note_key(trial, row->key)) {
        trial->arms.count++;
        trial->arms.hits += row->treated;
    }
    for (size_t i = 1; i < trial->part_count; i++)
        if (row->saw[i])
            add_versus(&trial->versus[i], row->live, row->said[i], row->flips[i]);
    trial_sketch_add(&trial->live_scores, row->live);
    if (row->saw[1]) {
        trial->decided++;
        trial_sketch_add(&trial->its_scores, row->said[1]);
        add_score(trial, terms, row);
        if (terms->segments >= 0)
            add_segment(trial, row);
    }
    if (terms->has_outcomes) {
        trial_follow(trial, terms, row);
        trial_advance(trial, terms, row->time_us);
    }
    trial_look(trial, terms);
}

/* ---- bytes ---- */

static void put_double(mr_bytes *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    mr_bytes_append_u64(out, bits);
}

static double get_double(mr_reader *from)
{
    uint64_t bits = mr_reader_u64(from);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_mean(mr_bytes *out, const trial_mean *mean)
{
    mr_bytes_append_u64(out, mean->count);
    put_double(out, mean->mean);
    put_double(out, mean->squares);
}

static trial_mean get_mean(mr_reader *from)
{
    trial_mean mean;
    mean.count = mr_reader_u64(from);
    mean.mean = get_double(from);
    mean.squares = get_double(from);
    return mean;
}

static void put_share(mr_bytes *out, const trial_share *share)
{
    mr_bytes_append_u64(out, share->count);
    mr_bytes_append_u64(out, share->hits);
}

static trial_share get_share(mr_reader *from)
{
    trial_share share;
    share.count = mr_reader_u64(from);
    share.hits = mr_reader_u64(from);
    return share;
}

static void put_text(mr_bytes *out, const char *text)
{
    mr_bytes_append_u16(out, (uint16_t)strlen(text));
    mr_bytes_append_text(out, text);
}

static void get_text(mr_reader *from, char *out, size_t room)
{
    size_t size = mr_reader_u16(from);
    const uint8_t *text = mr_reader_bytes(from, size);
    from->failed = from->failed || size >= room;
    (void)snprintf(out, room, "%.*s", from->failed ? 0 : (int)size, (const char *)text);
}

/* Numbers of one size, in the order of both functions below. */
#define TRIAL_NUMBERS(X)                                                                           \
    X(from)                                                                                        \
    X(id)                                                                                          \
    X(begun) X(decided) X(decided_before) X(joined) X(joined_before) X(next_look)                  \
        X(next_joined_look) X(looks)

static void put_parts(const mr_trial *trial, mr_bytes *out)
{
    mr_bytes_append_u32(out, (uint32_t)trial->part_count);
    for (size_t i = 0; i < trial->part_count; i++) {
        const trial_versus *versus = &trial->versus[i];
        put_text(out, trial->refs[i].name);
        put_text(out, trial->refs[i].hash);
        mr_bytes_append_u64(out, trial->refs[i].version);
        put_mean(out, &versus->mean);
        put_share(out, &versus->flips);
        put_share(out, &versus->errors);
        trial_sketch_encode(&versus->differences, out);
    }
}

static void get_parts(mr_trial *trial, mr_reader *from)
{
    trial->part_count = mr_reader_u32(from);
    from->failed = from->failed || trial->part_count > CAST_PARTS_MAX;
    for (size_t i = 0; !from->failed && i < trial->part_count; i++) {
        trial_versus *versus = &trial->versus[i];
        get_text(from, trial->refs[i].name, sizeof trial->refs[i].name);
        get_text(from, trial->refs[i].hash, sizeof trial->refs[i].hash);
        trial->refs[i].version = mr_reader_u64(from);
        versus->mean = get_mean(from);
        versus->flips = get_share(from);
        versus->errors = get_share(from);
        from->failed = !trial_sketch_decode(&versus->differences, from);
    }
}

static void put_segments(const mr_trial *trial, mr_bytes *out)
{
    mr_bytes_append_u32(out, trial->segment_count);
    for (uint32_t i = 0; i < trial->segment_count; i++) {
        put_text(out, trial->segments[i].name);
        put_mean(out, &trial->segments[i].mean);
        mr_bytes_append_u64(out, trial->segments[i].flips);
    }
}

static void get_segments(mr_trial *trial, mr_reader *from)
{
    trial->segment_count = mr_reader_u32(from);
    from->failed = from->failed || trial->segment_count > MR_COUNT_OF(trial->segments);
    for (uint32_t i = 0; !from->failed && i < trial->segment_count; i++) {
        get_text(from, trial->segments[i].name, sizeof trial->segments[i].name);
        trial->segments[i].mean = get_mean(from);
        trial->segments[i].flips = mr_reader_u64(from);
    }
}

static void put_keys(const mr_trial *trial, mr_bytes *out)
{
    uint32_t count = 0;
    for (size_t i = 0; i < MR_COUNT_OF(trial->keys); i++)
        count += trial->keys[i] != 0;
    mr_bytes_append_u32(out, count);
    for (size_t i = 0; i < MR_COUNT_OF(trial->keys); i++)
        if (trial->keys[i] != 0) {
            mr_bytes_append_u16(out, (uint16_t)i);
            mr_bytes_append_u64(out, trial->keys[i]);
        }
}

static void get_keys(mr_trial *trial, mr_reader *from)
{
    uint32_t count = mr_reader_u32(from);
    from->failed = from->failed || count > TRIAL_KEYS_MAX;
    for (uint32_t i = 0; !from->failed && i < count; i++) {
        size_t at = mr_reader_u16(from) & (MR_COUNT_OF(trial->keys) - 1);
        trial->keys[at] = mr_reader_u64(from);
    }
}

void trial_encode(const mr_trial *trial, mr_bytes *out)
{
    mr_bytes_append_u32(out, TRIAL_MAGIC);
#define X(name) mr_bytes_append_u64(out, trial->name);
    TRIAL_NUMBERS(X)
#undef X
    mr_bytes_append_u32(out, trial->step);
    mr_bytes_append_byte(out, trial->active);
    mr_bytes_append_byte(out, trial->paused);
    mr_bytes_append_byte(out, (uint8_t)trial->verdict);
    put_text(out, trial->why);
    put_double(out, trial->p);
    put_parts(trial, out);
    put_segments(trial, out);
    trial_sketch_encode(&trial->live_scores, out);
    trial_sketch_encode(&trial->its_scores, out);
    put_share(out, &trial->arms);
    put_keys(trial, out);
    put_mean(out, &trial->control);
    put_mean(out, &trial->treated);
    put_mean(out, &trial->improvement);
    put_mean(out, &trial->worsening);
    trial_queue_encode(&trial->queue, out);
}

static void get_head(mr_trial *trial, mr_reader *from)
{
    from->failed = mr_reader_u32(from) != TRIAL_MAGIC || from->failed;
#define X(name) trial->name = mr_reader_u64(from);
    TRIAL_NUMBERS(X)
#undef X
    trial->step = mr_reader_u32(from);
    trial->active = mr_reader_u8(from) != 0;
    trial->paused = mr_reader_u8(from) != 0;
    uint8_t verdict = mr_reader_u8(from);
    from->failed = from->failed || verdict >= TRIAL_VERDICT_COUNT;
    trial->verdict = from->failed ? TRIAL_VERDICT_NONE : (trial_verdict)verdict;
    get_text(from, trial->why, sizeof trial->why);
    trial->p = get_double(from);
}

mr_status trial_decode(mr_trial *trial, const mr_bytes *bytes, mr_error *err)
{
    mr_reader from = mr_reader_of(bytes->data, bytes->size);
    trial_deinit(trial);
    get_head(trial, &from);
    get_parts(trial, &from);
    get_segments(trial, &from);
    from.failed = from.failed || !trial_sketch_decode(&trial->live_scores, &from) ||
                  !trial_sketch_decode(&trial->its_scores, &from);
    trial->arms = get_share(&from);
    get_keys(trial, &from);
    trial->control = get_mean(&from);
    trial->treated = get_mean(&from);
    trial->improvement = get_mean(&from);
    trial->worsening = get_mean(&from);
    mr_status status = from.failed ? MR_OK : trial_queue_decode(&trial->queue, &from, err);
    if (status == MR_OK && (from.failed || mr_reader_left(&from) > 0))
        status = MR_FAIL(err, MR_CORRUPT, "what is known of the rollout is damaged");
    if (status != MR_OK)
        trial_deinit(trial);
    return status;
}
