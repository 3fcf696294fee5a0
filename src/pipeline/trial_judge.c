/* trial_judge.c -- looks: what is known, and what follows from it.
 *
 *   a guardrail surely broken ........ rolled back (or paused, or noted)
 *   the ratio of arms surely wrong ... paused: nothing that compares arms can be believed
 *   success: the lower bound of the improvement above zero, the estimate at least min_effect
 *   failure: the upper bound below min_effect: what is worth having is not there
 *   enough records, nothing broken ... the next step; after the last, success (if asked for) promotes
 *   open after max_records ........... paused for a person */
#include "pipeline/trial.h"

#include "base/assert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LOOK_ROWS  50
#define LOOK_SHARE 64 /* later looks come after another 1/64 */
#define DRIFT_ROWS 500
#define SLOW_SHARE 0.01

typedef enum finding { KEPT, OPEN, BROKEN } finding;

static void decide(mr_trial *trial, trial_verdict verdict, const char *why)
{
    if (trial->verdict != TRIAL_VERDICT_NONE)
        return;
    trial->verdict = verdict;
    (void)snprintf(trial->why, sizeof trial->why, "%s", why);
}

/* ---- guardrails ---- */

static finding share_finding(const trial_share *share, double limit, double alpha)
{
    trial_effect known = trial_share_interval(share, MR_MIN(MR_MAX(limit, 1e-9), 1 - 1e-9), alpha);
    if (share->count > 0 && known.low > limit)
        return BROKEN;
    return known.estimate <= limit ? KEPT : OPEN;
}

static finding drift_finding(const mr_trial *trial, double limit)
{
    if (trial->its_scores.count < DRIFT_ROWS)
        return KEPT;
    return trial_psi(&trial->live_scores, &trial->its_scores) > limit ? BROKEN : KEPT;
}

static finding quality_finding(const mr_trial *trial, double limit, double alpha)
{
    trial_effect known = trial_paired(&trial->worsening, limit, alpha);
    if (known.low > limit)
        return BROKEN;
    return known.estimate <= limit ? KEPT : OPEN;
}

static finding guard_finding(const mr_trial *trial, const trial_terms *terms, trial_guard_kind kind)
{
    double limit = terms->guards[kind].limit;
    switch (kind) {
    case TRIAL_ERROR_SHARE:
        return share_finding(&trial->versus[1].errors, limit, terms->alpha);
    case TRIAL_AGREEMENT:
        return share_finding(&trial->versus[1].flips, 1 - limit, terms->alpha);
    case TRIAL_P99:
        return share_finding(&trial->slow, SLOW_SHARE, terms->alpha);
    case TRIAL_DRIFT:
        return drift_finding(trial, limit);
    default:
        return quality_finding(trial, limit, terms->alpha);
    }
}

static void break_guard(mr_trial *trial, const trial_terms *terms, trial_guard_kind kind)
{
    char why[TRIAL_WHY_BYTES];
    trial_then then = terms->guards[kind].then;
    (void)snprintf(why, sizeof why,
                   "guardrail %s is broken after %" PRIu64 " records in step %" PRIu32,
                   trial_guard_text(kind), trial->decided, trial->step);
    if (then == TRIAL_THEN_ROLL_BACK)
        decide(trial, TRIAL_VERDICT_BACK, why);
    else if (then == TRIAL_THEN_PAUSE && !trial->paused)
        decide(trial, TRIAL_VERDICT_HOLD, why);
}

/* The worst of all; one that is only noted holds nobody up. */
static finding look_at_guards(mr_trial *trial, const trial_terms *terms)
{
    finding worst = KEPT;
    for (int i = 0; i < TRIAL_GUARD_COUNT; i++) {
        const trial_guard *guard = &terms->guards[i];
        finding found = guard->set ? guard_finding(trial, terms, (trial_guard_kind)i) : KEPT;
        if (found == BROKEN)
            break_guard(trial, terms, (trial_guard_kind)i);
        if (guard->then != TRIAL_THEN_NOTE)
            worst = MR_MAX(worst, found);
    }
    return worst;
}

/* ---- success ---- */

trial_effect trial_success(const mr_trial *trial, const trial_terms *terms)
{
    return terms->metric == TRIAL_OUTCOME
               ? trial_between(&trial->control, &trial->treated, terms->min_effect, terms->alpha)
               : trial_paired(&trial->improvement, terms->min_effect, terms->alpha);
}

/* KEPT: shown; BROKEN: surely not worth having. */
static finding look_at_success(mr_trial *trial, const trial_terms *terms)
{
    trial_effect known = trial_success(trial, terms);
    char why[TRIAL_WHY_BYTES];
    trial->p = MR_MIN(trial->p, known.p);
    if (known.low > 0 && known.estimate >= terms->min_effect)
        return KEPT;
    if (!(known.high < terms->min_effect))
        return OPEN;
    (void)snprintf(why, sizeof why,
                   "%s improves by less than %g: %g, between %g and %g, of %" PRIu64 " records",
                   trial_metric_text(terms->metric), terms->min_effect, known.estimate, known.low,
                   known.high, known.count);
    decide(trial, TRIAL_VERDICT_BACK, why);
    return BROKEN;
}

/* ---- ratio of arms ---- */

static bool ratio_is_wrong(const mr_trial *trial, const trial_terms *terms)
{
    double share = trial_terms_share(terms) / 1e6;
    return share > 0 && share < 1 && trial_share_p(&trial->arms, share) < TRIAL_RATIO_ALPHA;
}

/* ---- going on ---- */

static void go_on(mr_trial *trial, const trial_terms *terms, finding success)
{
    char why[TRIAL_WHY_BYTES];
    bool last = trial->step + 1 >= terms->share_count;
    (void)snprintf(why, sizeof why, "%" PRIu64 " records in step %" PRIu32 ", nothing broken",
                   trial->decided, trial->step);
    if (terms->advances && !last)
        decide(trial, TRIAL_VERDICT_ADVANCE, why);
    else if (terms->has_success && success == KEPT && terms->share_count == 0)
        decide(trial, TRIAL_VERDICT_HOLD, "it is better, and only shadows: promote it, or not");
    else if ((terms->advances && !terms->has_success) || (terms->has_success && success == KEPT))
        decide(trial, TRIAL_VERDICT_PROMOTE, why);
}

static bool is_overdue(const mr_trial *trial, const trial_terms *terms)
{
    if (terms->has_success)
        return trial->joined - trial->joined_before >= terms->records_max;
    return terms->advances && trial->decided - trial->decided_before >= 20 * terms->records;
}

static void judge(mr_trial *trial, const trial_terms *terms)
{
    finding guards = look_at_guards(trial, terms);
    if (trial->paused)
        return; /* only what is broken counts until a person lets it go on */
    if (ratio_is_wrong(trial, terms))
        decide(trial, TRIAL_VERDICT_HOLD, "the arms do not have the shares that were declared");
    finding success = terms->has_success ? look_at_success(trial, terms) : KEPT;
    if (guards == KEPT && trial->decided >= (terms->advances ? terms->records : 1))
        go_on(trial, terms, success);
    if (is_overdue(trial, terms))
        decide(trial, TRIAL_VERDICT_HOLD, "the records declared are used up and nothing is sure");
}

static uint64_t next_look(uint64_t count)
{
    return count + MR_MAX(LOOK_ROWS, count / LOOK_SHARE);
}

void trial_look(mr_trial *trial, const trial_terms *terms)
{
    bool rows = trial->decided >= trial->next_look;
    bool outcomes = trial->joined >= trial->next_joined_look;
    if (!rows && !outcomes)
        return;
    if (rows)
        trial->next_look = next_look(trial->decided);
    if (outcomes)
        trial->next_joined_look = next_look(trial->joined);
    trial->looks++;
    if (trial->verdict == TRIAL_VERDICT_NONE)
        judge(trial, terms);
}

/* ---- for people ---- */

static void put_number(mr_bytes *out, const char *key, double value)
{
    if (isfinite(value))
        mr_bytes_printf(out, ",\"%s\":%.9g", key, value);
}

static void put_quoted(mr_bytes *out, const char *text)
{
    mr_bytes_append_byte(out, '"');
    for (; *text != '\0'; text++)
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
            mr_bytes_printf(out, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            mr_bytes_append_byte(out, (uint8_t)*text);
    mr_bytes_append_byte(out, '"');
}

static void describe_versus(const mr_trial *trial, size_t part, mr_bytes *out)
{
    static const double at[] = {0.01, 0.5, 0.99};
    static const char *const names[] = {"p01", "p50", "p99"};
    const trial_versus *versus = &trial->versus[part];
    mr_bytes_printf(out,
                    "%s{\"model\":\"%s\",\"version\":%" PRIu64 ",\"records\":%" PRIu64
                    ",\"flips\":%" PRIu64 ",\"errors\":%" PRIu64,
                    part > 1 ? "," : "", trial->refs[part].name, trial->refs[part].version,
                    versus->flips.count, versus->flips.hits, versus->errors.hits);
    put_number(out, "mean", versus->mean.mean);
    for (size_t i = 0; i < MR_COUNT_OF(at); i++)
        put_number(out, names[i], trial_sketch_quantile(&versus->differences, at[i]));
    mr_bytes_append_byte(out, '}');
}

static void describe_segments(const mr_trial *trial, mr_bytes *out)
{
    mr_bytes_append_text(out, ",\"segments\":[");
    for (uint32_t i = 0; i < trial->segment_count; i++) {
        const trial_segment *segment = &trial->segments[i];
        mr_bytes_append_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        put_quoted(out, segment->name);
        mr_bytes_printf(out, ",\"records\":%" PRIu64 ",\"flips\":%" PRIu64, segment->mean.count,
                        segment->flips);
        put_number(out, "mean", segment->mean.mean);
        mr_bytes_append_byte(out, '}');
    }
    mr_bytes_append_byte(out, ']');
}

static void describe_success(const mr_trial *trial, const trial_terms *terms, mr_bytes *out)
{
    trial_effect known = trial_success(trial, terms);
    mr_bytes_printf(out, ",\"success\":{\"metric\":\"%s\",\"records\":%" PRIu64,
                    trial_metric_text(terms->metric), known.count);
    put_number(out, "estimate", known.estimate);
    put_number(out, "low", known.low);
    put_number(out, "high", known.high);
    put_number(out, "p", trial->p);
    mr_bytes_append_byte(out, '}');
}

void trial_describe(const mr_trial *trial, const trial_terms *terms, const char *pipeline,
                    mr_bytes *out)
{
    mr_bytes_printf(out,
                    "{\"pipeline\":\"%s\",\"step\":%" PRIu32 ",\"steps\":%" PRIu32
                    ",\"share\":%g,\"records\":%" PRIu64 ",\"joined\":%" PRIu64
                    ",\"looks\":%" PRIu64 ",\"verdict\":\"%s\",\"why\":",
                    pipeline, trial->step, terms->share_count, trial_terms_share(terms) / 1e6,
                    trial->decided, trial->joined, trial->looks,
                    trial->verdict == TRIAL_VERDICT_NONE   ? ""
                    : trial->verdict == TRIAL_VERDICT_BACK ? "rolled back"
                    : trial->verdict == TRIAL_VERDICT_HOLD ? "paused"
                                                           : "advanced");
    put_quoted(out, trial->why);
    put_number(out, "drift", trial_psi(&trial->live_scores, &trial->its_scores));
    put_number(out, "time_p99_ns", trial_sketch_quantile(&trial->times_ns, 0.99));
    if (terms->has_success)
        describe_success(trial, terms, out);
    mr_bytes_append_text(out, ",\"versions\":[");
    for (size_t i = 1; i < trial->part_count; i++)
        describe_versus(trial, i, out);
    mr_bytes_append_byte(out, ']');
    describe_segments(trial, out);
    mr_bytes_append_text(out, "}\n");
}
