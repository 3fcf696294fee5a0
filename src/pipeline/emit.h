/* emit.h -- windows that emit a row when the watermark passes their end: `aggregate:` in a pipeline file.
 *
 *   records ──▶ watermark ──▶ due windows ──▶ rows            windows of one key, gap g, lateness l:
 *      │                                                        session  [first .. last]   due last + g + l
 *      └──▶ update of each window that holds the record         tumbling [start, start+w)  due start + w + l
 *
 * At a record's position p first the watermark moves, then the windows that are due emit, then the record is put
 * into its windows, or is late. (1) All of it is a function of the sequence of records. (2) Whether a record is
 * late is arithmetic over the watermark alone: it does not depend on what is pending, so that a replay over state
 * restored at mixed positions decides the same. (3) The timers' table says which windows are pending; the heap is
 * made from it at recovery.
 * Records whose key is NULL belong to no group. What a session has emitted is forgotten: a record within lateness
 * that would have joined it opens a session of its own.
 * Thread: the pipeline's. */
#ifndef MR_PIPELINE_EMIT_H
#define MR_PIPELINE_EMIT_H

#include "pipeline/run_internal.h"

/* An event time that jumps further ahead than this is believed only when the next record says so, too: one record
 * from the year 9999 must not close every window. */
#define EMIT_JUMP_US INT64_C(86400000000)

/* ---- the watermark of a source ---- */

typedef struct emit_watermark {
    int64_t time_us;      /* INT64_MIN: none yet */
    int64_t candidate_us; /* a jump ahead that the record before claimed; INT64_MIN: none */
} emit_watermark;

void emit_watermark_init(emit_watermark *watermark);
/* Takes one record's event time; returns the watermark. */
int64_t emit_watermark_take(emit_watermark *watermark, int64_t time_us);

/* ---- windows ---- */

/* Start of the last window that holds t; windows start at multiples of hop_us since 1970. */
int64_t emit_window_start(int64_t time_us, int64_t hop_us);
/* a + b, kept within int64. */
int64_t emit_add(int64_t a, int64_t b);

/* ---- timers ---- */

/* One pending window: its key's bytes (see emit_key_encode), its start or a session's last time. */
typedef struct emit_timer {
    int64_t due_us;
    int64_t start_us; /* sessions: first time */
    int64_t last_us;  /* sessions: last time; else the window's end */
    uint32_t key_bytes;
    uint8_t *key; /* owned by the timer */
} emit_timer;

typedef struct emit_timers {
    const plan_emit *plan;
    mr_table *table;
    emit_timer *heap; /* least (due, key, start) first */
    size_t count, room;
    mr_bytes scratch;
} emit_timers;

/* Adds the table to the state; before recovery. */
mr_status emit_timers_open(emit_timers *timers, const plan_emit *plan, mr_state *state,
                           mr_error *err);
void emit_timers_close(emit_timers *timers);
/* Makes the heap from the table. */
mr_status emit_timers_restore(emit_timers *timers, mr_error *err);
/* Notes that a record at `position` with that key and time lies in the window starting at start_us (sessions: in
 * whatever session). */
mr_status emit_timers_add(emit_timers *timers, uint64_t position, const mr_bytes *key,
                          int64_t start_us, int64_t time_us, mr_error *err);
/* The next window that is due at that watermark, taken off, if there is one. The key's bytes are the caller's to
 * free. */
mr_status emit_timers_pop(emit_timers *timers, int64_t watermark_us, emit_timer *out,
                          bool *out_found, mr_error *err);

#endif
