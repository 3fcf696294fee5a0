/* trial_outcome.c -- what became of the records that both versions scored.
 *
 * Records wait in the order in which they came, with both scores; an outcome finds its record by id. It counts at once,
 * or when by event time the record is as old as `maturity` says: then the last outcome that came is the final one, and
 * one that never came is `missing`. When the room is full new records are not followed: those that wait are a
 * sample that no result has chosen. */
#include "pipeline/trial.h"

#include "base/assert.h"
#include "base/hash.h"
#include "feature/exact.h"

#include <math.h>
#include <string.h>

#define LN2         0.69314718055994530942
#define SURE        1e-12 /* log loss of a score of 0 or 1 has an end */
#define PENDING_MAX 1000000u

/* ---- the queue ---- */

mr_status trial_queue_reserve(trial_queue *queue, uint64_t room, mr_error *err)
{
    uint64_t slots = 16;
    while (slots < 2 * room)
        slots *= 2;
    queue->items = mr_alloc_zero(room, sizeof *queue->items);
    queue->table = mr_alloc_zero(slots, sizeof *queue->table);
    queue->room = room;
    queue->clock_us = INT64_MIN;
    return queue->items != NULL && queue->table != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

void trial_queue_deinit(trial_queue *queue)
{
    mr_free(queue->items);
    mr_free(queue->table);
    *queue = (trial_queue){0};
}

static uint64_t mask_of(const trial_queue *queue)
{
    uint64_t slots = 16;
    while (slots < 2 * queue->room)
        slots *= 2;
    return slots - 1;
}

static uint64_t home_of(const trial_queue *queue, uint64_t id)
{
    return (mr_hash_u64(id) >> 20) & mask_of(queue);
}

/* The slot of the table that has the id, or the empty one where it would be. */
static uint64_t find(const trial_queue *queue, uint64_t id)
{
    uint64_t mask = mask_of(queue), at = home_of(queue, id);
    while (queue->table[at] != 0 && queue->items[queue->table[at] - 1].id != id)
        at = (at + 1) & mask;
    return at;
}

/* Those behind it move up, so that no search ends early. */
static void unlink_id(trial_queue *queue, uint64_t id)
{
    uint64_t mask = mask_of(queue), hole = find(queue, id);
    queue->table[hole] = 0;
    for (uint64_t at = (hole + 1) & mask; queue->table[at] != 0; at = (at + 1) & mask) {
        uint64_t home = home_of(queue, queue->items[queue->table[at] - 1].id);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        queue->table[hole] = queue->table[at];
        queue->table[at] = 0;
        hole = at;
    }
}

static void push(trial_queue *queue, const trial_pending *item)
{
    uint64_t place = (queue->first + queue->count) % queue->room;
    uint64_t at = find(queue, item->id);
    if (queue->table[at] != 0) {
        queue->not_followed++; /* an id twice: the first record is followed */
        return;
    }
    queue->items[place] = *item;
    queue->table[at] = (uint32_t)place + 1;
    queue->count++;
}

static void pop(trial_queue *queue)
{
    const trial_pending *item = &queue->items[queue->first];
    unlink_id(queue, item->id);
    queue->first = (queue->first + 1) % queue->room;
    queue->count--;
}

/* ---- metrics ---- */

static double log_loss(double score, double outcome)
{
    double p = MR_MIN(MR_MAX(score, SURE), 1 - SURE);
    return -LN2 * (outcome * mr_steady_log2(p) + (1 - outcome) * mr_steady_log2(1 - p));
}

/* What a score cost, given what became. */
static double loss(trial_metric metric, double score, double outcome)
{
    double off = score - outcome;
    switch (metric) {
    case TRIAL_SQUARED_ERROR:
        return off * off;
    case TRIAL_ABSOLUTE_ERROR:
        return fabs(off);
    case TRIAL_LOG_LOSS:
        return log_loss(score, outcome);
    default: /* a hit: both are above a half, or both are not */
        return (score > 0.5) != (outcome > 0.5);
    }
}

static bool compares_arms(const trial_terms *terms)
{
    return terms->has_success && terms->metric == TRIAL_OUTCOME;
}

static void count_arm(mr_trial *trial, const trial_terms *terms, const trial_pending *item)
{
    if (item->step != trial->step)
        return;
    double value = terms->lower ? -item->outcome : item->outcome;
    trial_mean_add(item->treated ? &trial->treated : &trial->control, value);
    trial->joined += item->treated;
}

static void count_paired(mr_trial *trial, const trial_terms *terms, const trial_pending *item)
{
    if (isnan(item->live) || isnan(item->its))
        return;
    const trial_guard *guard = &terms->guards[TRIAL_QUALITY];
    if (terms->has_success && terms->metric < TRIAL_OUTCOME)
        trial_mean_add(&trial->improvement, loss(terms->metric, item->live, item->outcome) -
                                                loss(terms->metric, item->its, item->outcome));
    if (guard->set && guard->metric < TRIAL_OUTCOME)
        trial_mean_add(&trial->worsening, loss(guard->metric, item->its, item->outcome) -
                                              loss(guard->metric, item->live, item->outcome));
    trial->joined += !compares_arms(terms);
}

static void count(mr_trial *trial, const trial_terms *terms, const trial_pending *item)
{
    if (compares_arms(terms))
        count_arm(trial, terms, item);
    count_paired(trial, terms, item);
}

/* ---- flow ---- */

void trial_follow(mr_trial *trial, const trial_terms *terms, const trial_row *row)
{
    trial_queue *queue = &trial->queue;
    if (!row->saw[1] && !compares_arms(terms))
        return;
    if (queue->count == queue->room) {
        queue->not_followed++;
        return;
    }
    trial_pending item = {.id = row->id,
                          .time_us = row->time_us,
                          .live = row->live,
                          .its = row->saw[1] ? row->said[1] : NAN,
                          .step = trial->step,
                          .treated = row->treated};
    push(queue, &item);
}

/* Those at the front that are done with, or too old. At once: an outcome was counted when it came, and its record goes
 * when all before it have gone or the room is wanted. */
static void let_go(mr_trial *trial, const trial_terms *terms)
{
    trial_queue *queue = &trial->queue;
    while (queue->count > 0) {
        trial_pending *item = &queue->items[queue->first];
        bool old = terms->maturity_us > 0 && queue->clock_us - item->time_us >= terms->maturity_us;
        bool done = terms->maturity_us == 0 && item->has_outcome;
        if (!old && !done)
            return;
        if (old && !item->has_outcome && terms->has_missing) {
            item->outcome = terms->missing;
            item->has_outcome = 1;
        }
        if (old && item->has_outcome)
            count(trial, terms, item);
        queue->without += !item->has_outcome;
        pop(queue);
    }
}

void trial_advance(mr_trial *trial, const trial_terms *terms, int64_t time_us)
{
    trial->queue.clock_us = MR_MAX(trial->queue.clock_us, time_us);
    let_go(trial, terms);
}

void trial_add_outcome(mr_trial *trial, const trial_terms *terms, uint64_t id, double value)
{
    trial_queue *queue = &trial->queue;
    if (!trial->active || queue->room == 0 || isnan(value))
        return;
    uint32_t place = queue->table[find(queue, id)];
    if (place == 0) {
        queue->unmatched++;
        return;
    }
    trial_pending *item = &queue->items[place - 1];
    bool first = !item->has_outcome;
    item->outcome = value;
    item->has_outcome = 1;
    if (terms->maturity_us == 0 && first)
        count(trial, terms, item);
    let_go(trial, terms);
    trial_look(trial, terms);
}

/* ---- bytes ---- */

void trial_queue_encode(const trial_queue *queue, mr_bytes *out)
{
    mr_bytes_append_u64(out, queue->room);
    mr_bytes_append_u64(out, queue->count);
    mr_bytes_append_u64(out, queue->not_followed);
    mr_bytes_append_u64(out, queue->unmatched);
    mr_bytes_append_u64(out, queue->without);
    mr_bytes_append_u64(out, (uint64_t)queue->clock_us);
    for (uint64_t i = 0; i < queue->count; i++)
        mr_bytes_append(out, &queue->items[(queue->first + i) % queue->room],
                        sizeof(trial_pending));
}

_Static_assert(sizeof(trial_pending) == 48, "as it is kept");

mr_status trial_queue_decode(trial_queue *queue, mr_reader *from, mr_error *err)
{
    uint64_t room = mr_reader_u64(from), count_kept = mr_reader_u64(from);
    uint64_t not_followed = mr_reader_u64(from), unmatched = mr_reader_u64(from);
    uint64_t without = mr_reader_u64(from), clock = mr_reader_u64(from);
    from->failed = from->failed || room > PENDING_MAX || count_kept > room;
    if (from->failed || room == 0)
        return MR_OK;
    MR_TRY(trial_queue_reserve(queue, room, err));
    queue->not_followed = not_followed;
    queue->unmatched = unmatched;
    queue->without = without;
    queue->clock_us = (int64_t)clock;
    for (uint64_t i = 0; i < count_kept && !from->failed; i++) {
        trial_pending item;
        const uint8_t *bytes = mr_reader_bytes(from, sizeof item);
        if (from->failed)
            break;
        memcpy(&item, bytes, sizeof item);
        push(queue, &item);
    }
    return MR_OK;
}
