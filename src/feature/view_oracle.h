/* view_oracle.h -- random streams and the plain answers to them, for view_test.c alone.
 *
 * The oracle keeps each key's records in a sorted list, applies the keeping rule of view.h word for word, and
 * computes every answer from nothing. */
#ifndef MR_FEATURE_VIEW_ORACLE_H
#define MR_FEATURE_VIEW_ORACLE_H

#include "feature/feature_internal.h"
#include "test/test.h"

#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { IN_AMOUNT, IN_COUNT, IN_SHOP, IN_WHEN, IN_RATE, IN_FLAG, IN_SMALL, IN_TOTAL };
enum { KEYS = 4, RECORDS = 420, WHERES = 2 };

static const mr_view_column inputs[IN_TOTAL] = {
    {"amount", {MR_FLOAT64, 0}}, {"items", {MR_INT64, 0}},  {"shop", {MR_STRING, 0}},
    {"due", {MR_TIMESTAMP, 0}},  {"rate", {MR_FLOAT32, 0}}, {"flag", {MR_BOOL, 0}},
    {"small", {MR_INT32, 0}},
};
static const mr_view_column wheres[WHERES] = {{"big", {MR_BOOL, 0}}, {"odd", {MR_BOOL, 0}}};
static const char *const shops[] = {"",  "a", "b\"\\\n", "caf\xc3\xa9", "a long name of a shop",
                                    "zz"};

typedef struct record {
    int key; /* -1: NULL */
    int64_t time;
    uint32_t act;
    bool null[IN_TOTAL];
    int64_t integer[IN_TOTAL]; /* shops: index */
    double number[IN_TOTAL];
    int where[WHERES];  /* 1, 0, -1 NULL */
    int64_t stood;      /* oracle: tile end, or time */
    int64_t fades_from; /* oracle */
} record;

typedef struct stream {
    record records[RECORDS];
    uint32_t count;
    int64_t step;
} stream;

/* ---- streams ---- */

typedef enum profile { CENTS, EXTREME, WHOLE, MIXED, PROFILES } profile;

static double random_amount(mr_random_seeded *random, profile style)
{
    double sign = mr_random_below(random, 4) == 0 ? -1.0 : 1.0;
    switch (mr_random_below(random, 30)) {
    case 0:
        return NAN;
    case 1:
        return sign * INFINITY;
    case 2:
        return sign * 0.0;
    default:
        break;
    }
    double cents = sign * (double)mr_random_below(random, 100000) / 100.0;
    if (style == CENTS)
        return cents;
    if (style == WHOLE)
        return sign * (double)mr_random_below(random, 8);
    if (style == MIXED && mr_random_below(random, 12) != 0)
        return cents;
    return sign * ldexp(mr_random_unit(random) + 0.5, (int)mr_random_below(random, 2090) - 1070);
}

static void random_values(mr_random_seeded *random, profile style, record *r)
{
    for (int i = 0; i < IN_TOTAL; i++)
        r->null[i] = mr_random_below(random, 8) == 0;
    r->number[IN_AMOUNT] = random_amount(random, style);
    r->number[IN_RATE] = (double)(float)random_amount(random, CENTS);
    r->integer[IN_COUNT] = mr_random_below(random, 9) == 0
                               ? (int64_t)mr_random_next(random)
                               : (int64_t)mr_random_below(random, 9) - 4;
    r->integer[IN_SHOP] = (int64_t)mr_random_below(random, MR_COUNT_OF(shops));
    r->integer[IN_WHEN] = (int64_t)mr_random_below(random, 5) * 1000001;
    r->integer[IN_FLAG] = (int64_t)mr_random_below(random, 2);
    r->integer[IN_SMALL] = (int64_t)mr_random_below(random, 4000000000u) - 2000000000;
    for (int i = 0; i < WHERES; i++)
        r->where[i] =
            (int)mr_random_below(random, 5) / 2 - (mr_random_below(random, 6) == 0 ? 3 : 0);
    for (int i = 0; i < WHERES; i++)
        r->where[i] = r->where[i] < 0 ? -1 : r->where[i] > 0;
}

static int64_t random_step(mr_random_seeded *random, int64_t step)
{
    switch (mr_random_below(random, 14)) {
    case 0:
    case 1:
    case 2:
        return 0;
    case 3:
        return step * (int64_t)mr_random_below(random, 12);
    case 4:
        return -step * (int64_t)mr_random_below(random, 6);
    case 5:
        return mr_random_below(random, 8) == 0 ? -step * (int64_t)mr_random_below(random, 200)
                                               : (int64_t)mr_random_below(random, 3) - 1;
    default:
        return step * (int64_t)mr_random_below(random, 3);
    }
}

static void random_stream(mr_random_seeded *random, profile style, bool mixed_acts, stream *out)
{
    static const int64_t steps[] = {1000000, 1800000000, 20000000000};
    out->step = steps[mr_random_below(random, MR_COUNT_OF(steps))];
    out->count = RECORDS;
    int64_t now = mr_random_below(random, 4) == 0 ? -out->step * 50 : out->step * 900000;
    for (uint32_t i = 0; i < out->count; i++) {
        record *r = &out->records[i];
        int64_t move = random_step(random, out->step);
        *r = (record){.key = mr_random_below(random, 40) == 0 ? -1
                                                              : (int)mr_random_below(random, KEYS),
                      .act = MR_VIEW_BOTH};
        if (r->key > 0 && mr_random_below(random, 2) == 0)
            r->key = 0; /* one key is busy */
        r->time = now + move;
        if (move > 0)
            now += move;
        if (mixed_acts && mr_random_below(random, 3) == 0)
            r->act = (uint32_t)mr_random_below(random, 3);
        random_values(random, style, r);
    }
}

/* ---- the oracle ---- */

typedef struct oracle_key {
    record kept[RECORDS]; /* in order of time, then arrival */
    uint32_t count;
    record gone[RECORDS]; /* in the order they left */
    uint32_t gone_count;
    int64_t gone_us;
} oracle_key;

typedef struct oracle {
    const mr_view_spec *spec;
    int64_t lateness, reach;
    oracle_key *keys;
} oracle;

typedef struct answer {
    bool present;
    bool close; /* compare with `tolerance` */
    double number, tolerance;
    int64_t integer;
    char text[1024];
} answer;

static int64_t round_down(int64_t value, int64_t step)
{
    int64_t rest = ((value % step) + step) % step;
    return value - rest;
}

static int64_t round_up(int64_t value, int64_t step)
{
    return round_down(value + step - 1, step);
}

static void oracle_open(oracle *o, const mr_view_spec *spec)
{
    int64_t hour = INT64_C(3600000000), longest = 0;
    *o = (oracle){.spec = spec, .keys = calloc(KEYS, sizeof *o->keys)};
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const mr_window *w = &spec->aggregates[i].window;
        bool sliding = w->kind == MR_WINDOW_SLIDING, day = w->kind == MR_WINDOW_DAY;
        int64_t reach = w->delay_us + (sliding ? w->length_us + spec->resolution_us
                                       : day   ? 24 * hour
                                               : 0);
        int64_t length = sliding ? w->length_us : day ? 24 * hour : hour;
        o->reach = reach > o->reach ? reach : o->reach;
        longest = length > longest ? length : longest;
    }
    o->lateness = spec->lateness_us >= 0 ? spec->lateness_us : longest < hour ? longest : hour;
}

/* First index in the window of a question at `time` whose records end before index `hi`. */
static uint32_t oracle_lo(const oracle *o, const oracle_key *key, const mr_window *w, int64_t time,
                          uint32_t hi)
{
    int64_t end = time - w->delay_us, start;
    uint32_t lo = 0;
    switch (w->kind) {
    case MR_WINDOW_SLIDING:
        start = end - w->length_us;
        if (o->spec->resolution_us > 0)
            start = round_down(start, o->spec->resolution_us);
        while (lo < hi && key->kept[lo].stood <= start)
            lo++;
        return lo;
    case MR_WINDOW_DAY:
        while (lo < hi && key->kept[lo].stood < round_down(end, INT64_C(86400000000)))
            lo++;
        return lo;
    case MR_WINDOW_LAST:
        return hi > w->events ? hi - w->events : 0;
    case MR_WINDOW_SESSION:
        if (hi == 0 || end - key->kept[hi - 1].stood > w->length_us)
            return hi;
        lo = hi - 1;
        while (lo > 0 && key->kept[lo].stood - key->kept[lo - 1].stood <= w->length_us)
            lo--;
        return lo;
    default:
        return 0;
    }
}

static uint32_t oracle_hi(const oracle *o, const oracle_key *key, const mr_window *w, int64_t time,
                          int self)
{
    int64_t end = time - w->delay_us, r = o->spec->resolution_us;
    uint32_t hi = 0;
    if (r > 0)
        end = w->delay_us > 0 ? round_down(end, r) : round_up(end, r);
    else if (w->delay_us == 0 && self >= 0)
        return (uint32_t)self + 1;
    while (hi < key->count && key->kept[hi].stood <= end)
        hi++;
    return hi;
}

static int oracle_insert(oracle *o, const record *r)
{
    oracle_key *key = &o->keys[r->key];
    record stood = *r;
    stood.stood = o->spec->resolution_us > 0 ? round_up(r->time, o->spec->resolution_us) : r->time;
    stood.fades_from = key->gone_count > 0 && key->gone_us > r->time ? key->gone_us : r->time;
    uint32_t at = key->count;
    while (at > 0 && (key->kept[at - 1].stood > stood.stood ||
                      (key->kept[at - 1].stood == stood.stood && key->kept[at - 1].time > r->time)))
        at--;
    memmove(key->kept + at + 1, key->kept + at, (key->count - at) * sizeof stood);
    key->kept[at] = stood;
    key->count++;
    return (int)at;
}

static void oracle_evict(oracle *o, int key_index)
{
    oracle_key *key = &o->keys[key_index];
    int64_t newest = key->kept[key->count - 1].stood;
    uint32_t keep = UINT32_MAX;
    for (size_t i = 0; i < o->spec->aggregate_count; i++) {
        mr_window w = o->spec->aggregates[i].window;
        if (w.kind != MR_WINDOW_LAST && w.kind != MR_WINDOW_SESSION)
            continue;
        w.delay_us += o->lateness;
        uint32_t lo = oracle_lo(o, key, &w, newest, oracle_hi(o, key, &w, newest, -1));
        keep = lo < keep ? lo : keep;
    }
    int64_t reach = o->reach + o->lateness > 1 ? o->reach + o->lateness : 1;
    while (keep > 0 && key->kept[0].stood <= newest - reach) {
        record *gone = &key->gone[key->gone_count++];
        *gone = key->kept[0];
        key->gone_us =
            key->gone_count == 1 || gone->stood > key->gone_us ? gone->stood : key->gone_us;
        key->count--;
        memmove(key->kept, key->kept + 1, key->count * sizeof *key->kept);
        keep = keep == UINT32_MAX ? keep : keep - 1;
    }
}

static bool oracle_matches(const mr_view_aggregate *a, const record *r)
{
    if (a->where >= 0 && r->where[a->where] != 1)
        return false;
    if (a->input < 0)
        return true;
    return !r->null[a->input] &&
           ((a->input != IN_AMOUNT && a->input != IN_RATE) || isfinite(r->number[a->input]));
}

static bool is_number_input(int input)
{
    return input == IN_AMOUNT || input == IN_RATE;
}

static double as_number(const mr_view_aggregate *a, const record *r)
{
    return is_number_input(a->input) ? r->number[a->input] : (double)r->integer[a->input];
}

static void give(answer *out, const mr_view_aggregate *a, const record *r)
{
    out->present = true;
    if (a->input == IN_SHOP)
        (void)snprintf(out->text, sizeof out->text, "%s", shops[r->integer[IN_SHOP]]);
    else if (is_number_input(a->input))
        out->number = r->number[a->input];
    else
        out->integer = r->integer[a->input];
}

static void give_empty(answer *out, const mr_view_aggregate *a)
{
    mr_aggregate_id id = a->kind->id;
    out->present = a->empty_given || id == MR_AGGREGATE_COUNT || id == MR_AGGREGATE_SUM ||
                   id == MR_AGGREGATE_RATE || id == MR_AGGREGATE_DISTINCT_COUNT;
    out->number = a->empty_given ? a->empty : 0.0;
    out->integer = (int64_t)out->number;
}

static int compare_values(const mr_view_aggregate *a, const record *x, const record *y)
{
    if (a->input == IN_SHOP)
        return strcmp(shops[x->integer[IN_SHOP]], shops[y->integer[IN_SHOP]]);
    if (is_number_input(a->input)) {
        double p = x->number[a->input], q = y->number[a->input];
        return p < q ? -1 : p > q;
    }
    return (x->integer[a->input] > y->integer[a->input]) -
           (x->integer[a->input] < y->integer[a->input]);
}

/* -0.0 before 0.0, for min and max. */
static int compare_order(const mr_view_aggregate *a, const record *x, const record *y)
{
    int order = compare_values(a, x, y);
    if (order == 0 && is_number_input(a->input))
        order = (signbit(y->number[a->input]) != 0) - (signbit(x->number[a->input]) != 0);
    return order;
}

static void write_value(const mr_view_aggregate *a, const record *r, char *out, size_t bytes)
{
    static const char *const quoted[] = {
        "\"\"",  "\"a\"", "\"b\\\"\\\\\\u000a\"", "\"caf\xc3\xa9\"", "\"a long name of a shop\"",
        "\"zz\""};
    char text[64] = "";
    if (is_number_input(a->input)) {
        double value = r->number[a->input] == 0.0 ? 0.0 : r->number[a->input];
        text[mr_number_format_float64(value, text)] = '\0';
    } else if (a->input == IN_WHEN) {
        text[0] = '"';
        size_t size = mr_time_format(r->integer[a->input], text + 1) + 1;
        text[size] = '"';
        text[size + 1] = '\0';
    } else if (a->input == IN_FLAG) {
        (void)snprintf(text, sizeof text, "%s", r->integer[a->input] ? "true" : "false");
    } else if (a->input != IN_SHOP) {
        (void)snprintf(text, sizeof text, "%lld", (long long)r->integer[a->input]);
    }
    (void)snprintf(out, bytes, "%s", a->input == IN_SHOP ? quoted[r->integer[IN_SHOP]] : text);
}

typedef struct counted {
    const record *value;
    uint32_t count;
} counted;

static uint32_t count_values(const mr_view_aggregate *a, const record **in, uint32_t n,
                             counted *out)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k < used && compare_values(a, out[k].value, in[i]) != 0)
            k++;
        if (k == used)
            out[used++] = (counted){in[i], 0};
        out[k].count++;
    }
    return used;
}

static void give_top(answer *out, const mr_view_aggregate *a, counted *values, uint32_t used)
{
    size_t at = 0;
    for (uint32_t k = 0; k < a->k && k < used; k++) {
        uint32_t best = k;
        for (uint32_t i = k + 1; i < used; i++)
            if (values[i].count > values[best].count ||
                (values[i].count == values[best].count &&
                 compare_values(a, values[i].value, values[best].value) < 0))
                best = i;
        counted swap = values[k];
        values[k] = values[best];
        values[best] = swap;
        char text[128];
        write_value(a, values[k].value, text, sizeof text);
        at +=
            (size_t)snprintf(out->text + at, sizeof out->text - at, "%s{\"value\":%s,\"count\":%u}",
                             k == 0 ? "[" : ",", text, values[k].count);
    }
    (void)snprintf(out->text + at, sizeof out->text - at, "]");
    out->present = true;
}

static mr_super super_of(const mr_view_aggregate *a, const record **in, uint32_t n, bool square)
{
    mr_super super = {{0}};
    for (uint32_t i = 0; i < n; i++) {
        int exponent = 0;
        int64_t m = is_number_input(a->input) ? mr_exact_split(in[i]->number[a->input], &exponent)
                                              : in[i]->integer[a->input];
        mr_square squared = mr_square_of(m < 0 ? -(uint64_t)m : (uint64_t)m);
        if (square)
            mr_super_add(&super, squared.words, 4, 2 * exponent, false);
        else
            mr_super_add_int(&super, m, exponent);
    }
    return super;
}

static void give_sum(answer *out, const mr_view_aggregate *a, const record **in, uint32_t n)
{
    if (is_number_input(a->input)) {
        mr_super sum = super_of(a, in, n, false);
        out->number = mr_super_mean(&sum, 1);
        out->present = true;
        return;
    }
    mr_int128 sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += in[i]->integer[a->input];
    out->present = sum <= INT64_MAX && sum >= INT64_MIN;
    out->integer = (int64_t)sum;
}

/* `in`: n matching records in order, of `all` records of the window. */
static void oracle_number(const mr_view_aggregate *a, const record **in, uint32_t n, uint32_t all,
                          answer *out)
{
    mr_super sum, squares;
    switch (a->kind->id) {
    case MR_AGGREGATE_MEAN:
        sum = super_of(a, in, n, false);
        out->number = mr_super_mean(&sum, n);
        break;
    case MR_AGGREGATE_VARIANCE:
    case MR_AGGREGATE_STDDEV:
    case MR_AGGREGATE_VARIANCE_POP:
    case MR_AGGREGATE_STDDEV_POP: {
        bool sample = a->kind->id == MR_AGGREGATE_VARIANCE || a->kind->id == MR_AGGREGATE_STDDEV;
        bool root = a->kind->id == MR_AGGREGATE_STDDEV || a->kind->id == MR_AGGREGATE_STDDEV_POP;
        sum = super_of(a, in, n, false);
        squares = super_of(a, in, n, true);
        out->number = mr_super_variance(&sum, &squares, n, sample ? n - 1 : n);
        out->number = root ? sqrt(out->number) : out->number;
        break;
    }
    case MR_AGGREGATE_RATE: {
        double total = n;
        if (a->input >= 0) {
            sum = super_of(a, in, n, false);
            total = mr_super_mean(&sum, 1);
        }
        int64_t unit = a->unit_us > 0 ? a->unit_us : 1000000;
        out->number = total * ((double)unit / (double)a->window.length_us);
        break;
    }
    case MR_AGGREGATE_RATIO:
        out->number = (double)n / (double)all;
        if (a->input >= 0) {
            sum = super_of(a, in, n, false);
            out->number = mr_super_mean(&sum, all);
        }
        break;
    default:
        fail();
    }
    out->present = true;
}

static int by_number(const void *x, const void *y)
{
    double p = *(const double *)x, q = *(const double *)y;
    return p < q ? -1 : p > q;
}

static void give_quantile(answer *out, const mr_view_aggregate *a, const record **in, uint32_t n,
                          uint32_t all, bool tiled)
{
    double values[2 * RECORDS] = {0};
    for (uint32_t i = 0; i < n; i++)
        values[i] = as_number(a, in[i]) + 0.0;
    qsort(values, n, sizeof *values, by_number);
    double rank = ceil(a->quantile * n);
    out->number = values[rank < 1 ? 0 : (size_t)rank - 1];
    out->present = true;
    out->close = tiled || a->window.kind == MR_WINDOW_LIFETIME || all > 256;
    out->tolerance = fabs(out->number) * 0.010000001 + 0x1p-1074; /* subnormal numbers: to a unit */
}

static void give_decayed(const oracle_key *key, const mr_view_aggregate *a, uint32_t hi,
                         int64_t time, answer *out)
{
    long double sum = 0, weight = 0, size = 0;
    int64_t end = time - a->window.delay_us, latest = end;
    for (uint32_t i = 0; i < key->gone_count + hi; i++) {
        const record *r = i < key->gone_count ? &key->gone[i] : &key->kept[i - key->gone_count];
        latest = r->fades_from > latest ? r->fades_from : latest;
    }
    for (uint32_t i = 0; i < key->gone_count + hi; i++) {
        const record *r = i < key->gone_count ? &key->gone[i] : &key->kept[i - key->gone_count];
        if (!oracle_matches(a, r))
            continue;
        long double w =
            exp2l(-(long double)(latest - r->fades_from) / (long double)a->window.length_us);
        weight += w;
        if (a->input >= 0) {
            sum += w * as_number(a, r);
            size += fabsl(w * as_number(a, r));
        }
    }
    out->close = true;
    if (weight < 1e-290L) { /* near the end of the range the weights may have vanished */
        out->tolerance = INFINITY;
        return;
    }
    out->present = true;
    if (a->kind->id == MR_AGGREGATE_COUNT) {
        out->number = (double)weight;
        out->tolerance = (double)weight * 1e-11;
    } else {
        long double by = a->kind->id == MR_AGGREGATE_MEAN ? weight : 1;
        out->number = (double)(sum / by);
        out->tolerance = (double)(size / by) * 1e-11 + 1e-290;
    }
}

/* Tiles: the last of the earlier tiles, unless the newest one knows of one that is at or before t: its last, or
 * else its first. `in` are the matching records of the window in order, the first `gone` of them in tiles
 * that have left. */
static int64_t time_before_in_tiles(const oracle *o, const record **in, uint32_t gone, uint32_t n,
                                    int64_t time, const record *self)
{
    int64_t end = round_up(time, o->spec->resolution_us), least = INT64_MAX, most = INT64_MIN;
    uint32_t i = n;
    for (; i > gone && in[i - 1]->stood == end; i--)
        if (in[i - 1] != self) {
            least = in[i - 1]->time < least ? in[i - 1]->time : least;
            most = in[i - 1]->time > most ? in[i - 1]->time : most;
        }
    if (least <= time)
        return most <= time ? most : least;
    return i > 0 ? in[i - 1]->time : INT64_MIN;
}

static void oracle_answer(const oracle *o, const record *r, const mr_view_aggregate *a, int self,
                          answer *out)
{
    const record *in[2 * RECORDS];
    const oracle_key *key = &o->keys[r->key];
    uint32_t hi = oracle_hi(o, key, &a->window, r->time, self), n = 0;
    uint32_t lo = oracle_lo(o, key, &a->window, r->time, hi), all = hi - lo;
    *out = (answer){.present = false};
    if (a->window.kind == MR_WINDOW_DECAYED) {
        give_decayed(key, a, hi, r->time, out);
        if (!out->present && out->tolerance == 0)
            give_empty(out, a);
        return;
    }
    if (a->window.kind == MR_WINDOW_LIFETIME) {
        all += key->gone_count;
        for (uint32_t i = 0; i < key->gone_count; i++)
            if (oracle_matches(a, &key->gone[i]))
                in[n++] = &key->gone[i];
    }
    uint32_t end = hi, gone = n;
    bool since = a->kind->id == MR_AGGREGATE_TIME_SINCE_LAST, tiled = o->spec->resolution_us > 0;
    bool sees_self = self >= 0 && a->window.delay_us == 0;
    if (since && sees_self && !tiled)
        end = (uint32_t)self;
    for (uint32_t i = lo; i < end; i++)
        if (oracle_matches(a, &key->kept[i]))
            in[n++] = &key->kept[i];
    if (since && tiled) {
        const record *own = sees_self ? &key->kept[self] : NULL;
        int64_t before = time_before_in_tiles(o, in, gone, n, r->time, own);
        if (before == INT64_MIN)
            give_empty(out, a);
        else
            *out = (answer){.present = true, .number = (double)(r->time - before) / 1e6};
        return;
    }
    bool sample = a->kind->id == MR_AGGREGATE_VARIANCE || a->kind->id == MR_AGGREGATE_STDDEV;
    if ((n == 0 && (a->kind->id != MR_AGGREGATE_RATIO || all == 0)) || (sample && n < 2)) {
        give_empty(out, a);
        return;
    }
    counted values[2 * RECORDS];
    const record *best = n > 0 ? in[0] : NULL;
    switch (a->kind->id) {
    case MR_AGGREGATE_COUNT:
        *out = (answer){.present = true, .integer = n};
        break;
    case MR_AGGREGATE_SUM:
        give_sum(out, a, in, n);
        break;
    case MR_AGGREGATE_MIN:
    case MR_AGGREGATE_MAX:
        for (uint32_t i = 1; i < n; i++)
            if ((a->kind->id == MR_AGGREGATE_MIN) == (compare_order(a, in[i], best) < 0) &&
                compare_order(a, in[i], best) != 0)
                best = in[i];
        give(out, a, best);
        break;
    case MR_AGGREGATE_FIRST:
        give(out, a, in[0]);
        break;
    case MR_AGGREGATE_LAST:
        give(out, a, in[n - 1]);
        break;
    case MR_AGGREGATE_TIME_SINCE_LAST:
        *out = (answer){.present = true, .number = (double)(r->time - in[n - 1]->time) / 1e6};
        break;
    case MR_AGGREGATE_DISTINCT_COUNT:
        *out = (answer){.present = true, .integer = count_values(a, in, n, values)};
        break;
    case MR_AGGREGATE_TOP_K:
        give_top(out, a, values, count_values(a, in, n, values));
        break;
    case MR_AGGREGATE_QUANTILE:
        give_quantile(out, a, in, n, all, o->spec->resolution_us > 0);
        break;
    default:
        oracle_number(a, in, n, all, out);
    }
}

#endif
