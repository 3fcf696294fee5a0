/* forest64_masks.c -- turns a float64 forest into the plan of the mask kernels. Portable; runs once, at load. */
#include "model/forest64_masks.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MASKS 6000

/* A question has a number before chunks are cut: lane * 255 + index, or behind all those, the set. */
typedef struct maker {
    mr_masks64 *masks;
    const mr_forest64 *forest;
    const mr_slots64 *slots;
    uint32_t *feature_at; /* per feature of the model: its number in masks->features + 1 */
    uint32_t *lane_of;    /* per slot: its first lane */
    uint32_t *index;      /* per split: its threshold's place */
    uint32_t *stamp;      /* per question: the chunk that asks it + 1 */
    uint32_t *local;      /* per question: its mask in the chunk */
    uint32_t *set_slots;  /* per set: the slot of its codes */
    size_t question_count;
    mr_bytes asked, chunks, runs, ranks, set_bytes, wide_sets, steps;
    bool fits;
    bool lost; /* some question of a chunk could not be kept */
} maker;

/* ---- thresholds ---- */

typedef struct pair {
    double threshold;
    uint32_t feature, split;
} pair;

static int by_feature_and_threshold(const void *a, const void *b)
{
    const pair *left = a, *right = b;
    if (left->feature != right->feature)
        return left->feature < right->feature ? -1 : 1;
    return (left->threshold > right->threshold) - (left->threshold < right->threshold);
}

static void number_pairs(maker *m, const pair *pairs, uint32_t count)
{
    mr_masks64 *masks = m->masks;
    uint32_t kept = 0;
    mr_ranks64_feature *feature = NULL;
    for (uint32_t i = 0; i < count; i++) {
        bool fresh = i == 0 || pairs[i].feature != pairs[i - 1].feature;
        if (fresh) {
            feature = &masks->features[masks->feature_count++];
            *feature = (mr_ranks64_feature){.feature = pairs[i].feature, .first = kept};
            m->feature_at[pairs[i].feature] = masks->feature_count;
        }
        MR_ASSERT(feature != NULL);
        if (fresh || pairs[i].threshold != pairs[i - 1].threshold) {
            masks->thresholds[kept++] = pairs[i].threshold;
            feature->rank_of_zero += pairs[i].threshold < 0.0;
            feature->count++;
        }
        m->index[pairs[i].split] = feature->count - 1;
    }
}

static mr_status sort_thresholds(maker *m, mr_error *err)
{
    const mr_forest64 *forest = m->forest;
    pair *pairs = mr_alloc(sizeof *pairs * ((size_t)forest->split_count + 1));
    if (pairs == NULL)
        return MR_OUT_OF_MEMORY(err);
    uint32_t count = 0;
    for (uint32_t i = 0; i < forest->split_count; i++)
        if (forest->splits[i].set == 0)
            pairs[count++] = (pair){forest->splits[i].threshold, forest->splits[i].feature, i};
    qsort(pairs, count, sizeof *pairs, by_feature_and_threshold);
    number_pairs(m, pairs, count);
    mr_free(pairs);
    return MR_OK;
}

/* ---- search trees of float32 ---- */

/* Rounding keeps the order, but must not make two thresholds one. */
static bool distinct_as_floats(const double *thresholds, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (!((float)thresholds[i - 1] < (float)thresholds[i]))
            return false;
    return true;
}

/* Thresholds i of level l: the middles of the 2^l intervals the levels above leave. */
static void fill_levels(const mr_ranks64_feature *feature, const double *thresholds, float *table)
{
    for (uint32_t l = 0; l < feature->level_count; l++) {
        uint32_t step = 1u << (feature->level_count - l), size = MR_MAX(1u << l, 16u);
        for (uint32_t i = 0; i < size; i++) {
            uint64_t at = (uint64_t)i * step + step / 2 - 1;
            table[mr_masks64_level(l) + i] =
                i < 1u << l && at < feature->count ? (float)thresholds[at] : NAN;
        }
    }
}

static mr_status make_floats(maker *m, mr_error *err)
{
    mr_masks64 *masks = m->masks;
    size_t total = 0;
    for (uint32_t f = 0; f < masks->feature_count; f++) {
        mr_ranks64_feature *feature = &masks->features[f];
        while ((1u << feature->level_count) - 1 < feature->count)
            feature->level_count++;
        bool narrow = distinct_as_floats(masks->thresholds + feature->first, feature->count);
        feature->first_float = narrow ? (uint32_t)total : UINT32_MAX;
        total += narrow ? mr_masks64_level(feature->level_count) + 16 : 0;
    }
    masks->floats = mr_alloc_aligned(sizeof(float) * (total + 16));
    if (masks->floats == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t f = 0; f < masks->feature_count; f++)
        if (masks->features[f].first_float != UINT32_MAX)
            fill_levels(&masks->features[f], masks->thresholds + masks->features[f].first,
                        masks->floats + masks->features[f].first_float);
    return MR_OK;
}

/* ---- lanes ---- */

static void assign_rank_lanes(maker *m)
{
    mr_masks64 *masks = m->masks;
    for (uint32_t f = 0; f < masks->feature_count; f++) {
        mr_ranks64_feature *feature = &masks->features[f];
        feature->segments = (feature->count + MR_MASKS64_RANKS - 1) / MR_MASKS64_RANKS;
        m->fits &= feature->count <= MR_MASKS64_RANKS_MAX;
        for (uint32_t view = 0; view < MR_VIEWS; view++) {
            uint32_t slot = m->slots->of[(size_t)feature->feature * MR_VIEWS + view];
            bool asked = slot != MR_NO_SLOT64 && view != MR_VIEW_CODE;
            feature->lanes[view] = asked ? masks->lane_count : MR_NO_SLOT64;
            if (!asked)
                continue;
            m->lane_of[slot] = masks->lane_count;
            masks->lane_count += feature->segments;
        }
    }
}

static void assign_code_lanes(maker *m)
{
    mr_masks64 *masks = m->masks;
    masks->code_lane_first = masks->lane_count;
    for (uint32_t slot = 0; slot < m->slots->count; slot++) {
        if (m->slots->views[slot] != MR_VIEW_CODE)
            continue;
        masks->code_features[masks->code_count++] = m->slots->features[slot];
        m->lane_of[slot] = masks->lane_count++;
    }
    m->fits &= masks->lane_count <= MR_MASKS64_LANES_MAX;
}

static bool is_wide(const mr_forest64 *forest, uint32_t set)
{
    const mr_tree_set *s = &forest->sets[set];
    for (uint32_t w = 0; w < s->word_count; w++) {
        uint32_t word = forest->set_words[s->first_word + w];
        if (w >= 8 ? word != 0 : w == 7 && word >> 31 != 0)
            return true;
    }
    return false;
}

/* ---- questions ---- */

static size_t sets_from(const maker *m)
{
    return (size_t)m->masks->lane_count * MR_MASKS64_RANKS;
}

static size_t question_of(const maker *m, uint32_t split_index)
{
    const mr_split64 *split = &m->forest->splits[split_index];
    if (split->set != 0)
        return sets_from(m) + split->set - 1;
    /* segments follow each other, 255 ranks each */
    return (size_t)m->lane_of[mr_slot64_of(m->slots, split)] * MR_MASKS64_RANKS +
           m->index[split_index];
}

static uint32_t asked_count(const maker *m)
{
    return (uint32_t)(m->asked.size / sizeof(uint64_t));
}

static void ask_tree(maker *m, uint32_t tree)
{
    for (uint32_t i = m->forest->first_splits[tree]; i < m->forest->first_splits[tree + 1]; i++) {
        uint64_t question = question_of(m, i);
        if (m->stamp[question] == m->masks->chunk_count + 1)
            continue;
        m->stamp[question] = m->masks->chunk_count + 1;
        mr_bytes_append(&m->asked, &question, sizeof question);
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void append_set(maker *m, uint32_t set)
{
    uint8_t bytes[MR_MASKS64_SET_BYTES] = {0};
    const mr_tree_set *s = &m->forest->sets[set];
    for (uint32_t w = 0; w < MR_MIN(s->word_count, 8u); w++)
        for (uint32_t b = 0; b < 32; b++)
            if (m->forest->set_words[s->first_word + w] >> b & 1)
                mr_bit_set(bytes, w * 32 + b);
    mr_bytes_append(&m->set_bytes, bytes, sizeof bytes);
}

static mr_masks64_run run_of(const maker *m, uint64_t question)
{
    if (question < sets_from(m))
        return (mr_masks64_run){(uint32_t)(question / MR_MASKS64_RANKS), (uint32_t)m->ranks.size, 0,
                                MR_RUN_RANKS};
    uint32_t set = (uint32_t)(question - sets_from(m)), lane = m->lane_of[m->set_slots[set]];
    if (is_wide(m->forest, set))
        return (mr_masks64_run){lane, (uint32_t)(m->wide_sets.size / 4), 0, MR_RUN_WIDE};
    return (mr_masks64_run){lane, (uint32_t)(m->set_bytes.size / MR_MASKS64_SET_BYTES), 0,
                            MR_RUN_SETS};
}

static void append_test(maker *m, uint64_t question, const mr_masks64_run *run)
{
    if (run->kind == MR_RUN_RANKS)
        mr_bytes_append_byte(&m->ranks, (uint8_t)(question % MR_MASKS64_RANKS));
    else if (run->kind == MR_RUN_SETS)
        append_set(m, (uint32_t)(question - sets_from(m)));
    else
        mr_bytes_append_u32(&m->wide_sets, (uint32_t)(question - sets_from(m)));
}

/* The chunk's questions in order become runs; each gets its mask's number. */
static uint32_t number_questions(maker *m)
{
    uint64_t *asked = (uint64_t *)(void *)m->asked.data;
    uint32_t count = asked_count(m), run_count = 0;
    if (count > 0)
        qsort(asked, count, sizeof *asked, by_number);
    mr_masks64_run run = {.lane = UINT32_MAX};
    for (uint32_t i = 0; i < count; i++) {
        mr_masks64_run here = run_of(m, asked[i]);
        if (here.lane != run.lane || here.kind != run.kind) {
            if (run_count++ > 0)
                mr_bytes_append(&m->runs, &run, sizeof run);
            run = here;
        }
        run.count++;
        m->local[asked[i]] = i;
        append_test(m, asked[i], &run);
    }
    if (run_count > 0)
        mr_bytes_append(&m->runs, &run, sizeof run);
    m->masks->mask_count_max = MR_MAX(m->masks->mask_count_max, count);
    return run_count;
}

/* ---- programs ---- */

/* Results a subtree needs on the stack at once; at most log2(leaves) + 1. `need` is per split. */
static uint32_t need_of(const mr_split64 *splits, int32_t child, uint8_t *need)
{
    if (child < 0)
        return 0;
    uint32_t left = need_of(splits, splits[child].left, need);
    uint32_t right = need_of(splits, splits[child].right, need);
    uint32_t both = left == right ? left + 1 : MR_MAX(left, right);
    need[child] = (uint8_t)both;
    return both;
}

static uint32_t place_bytes(const maker *m, uint32_t place)
{
    return (MR_MASKS64_CONSTANTS + place * MR_MASKS64_PLANES) * m->masks->mask_bytes;
}

/* Emits the steps of a subtree whose result goes to `place`; gives where the result is. Trees have at most 256 leaves,
 * so the recursion is bounded. */
static uint32_t emit(maker *m, uint32_t first_split, int32_t child, uint32_t place,
                     const uint8_t *need)
{
    if (child < 0)
        return m->masks->window[~child];
    const mr_split64 *split = &m->forest->splits[first_split + (uint32_t)child];
    uint32_t left_need = split->left >= 0 ? need[split->left] : 0;
    uint32_t right_need = split->right >= 0 ? need[split->right] : 0;
    mr_masks64_step step = {.out = place_bytes(m, place)};
    if (left_need >= right_need) {
        step.left = emit(m, first_split, split->left, place, need);
        step.right = emit(m, first_split, split->right, place + (split->left >= 0), need);
    } else {
        step.right = emit(m, first_split, split->right, place, need);
        step.left = emit(m, first_split, split->left, place + 1, need);
    }
    size_t question = question_of(m, first_split + (uint32_t)child);
    step.mask = m->local[question] * m->masks->mask_bytes;
    MR_ASSERT(place < MR_MASKS64_STACK);
    mr_bytes_append(&m->steps, &step, sizeof step);
    return step.out;
}

static uint32_t planes_for(uint32_t leaves)
{
    uint32_t planes = 0;
    while ((1u << planes) < leaves)
        planes++;
    return planes;
}

static void fill_table(const maker *m, uint32_t tree, const mr_masks64_tree *to)
{
    uint32_t first = m->forest->first_leaves[tree];
    for (uint32_t i = 0; i < m->forest->first_leaves[tree + 1] - first; i++) {
        uint64_t bits;
        memcpy(&bits, &m->forest->leaves[first + i], sizeof bits);
        for (uint32_t b = 0; b < 8; b++)
            m->masks->tables[to->first_byte + ((size_t)b << to->table_bits) + i] =
                (uint8_t)(bits >> (8 * b));
    }
}

static void lay_chunk(maker *m, const mr_masks64_chunk *chunk)
{
    uint8_t need[MR_MASKS64_LEAVES_MAX];
    for (uint32_t t = chunk->first_tree; t < chunk->first_tree + chunk->tree_count; t++) {
        uint32_t first = m->forest->first_splits[t];
        mr_masks64_tree *tree = &m->masks->trees[t];
        tree->first_step = (uint32_t)(m->steps.size / sizeof(mr_masks64_step));
        tree->step_count = m->forest->first_splits[t + 1] - first;
        if (tree->step_count > 0) {
            (void)need_of(m->forest->splits + first, 0, need);
            (void)emit(m, first, 0, 0, need);
        }
        fill_table(m, t, tree);
    }
}

static void close_chunk(maker *m, uint32_t first_tree, uint32_t end_tree)
{
    mr_masks64_chunk chunk = {.first_tree = first_tree,
                              .tree_count = end_tree - first_tree,
                              .first_run = (uint32_t)(m->runs.size / sizeof(mr_masks64_run))};
    chunk.run_count = number_questions(m);
    mr_bytes_append(&m->chunks, &chunk, sizeof chunk);
    m->masks->chunk_count++;
    lay_chunk(m, &chunk);
    m->lost |= m->asked.failed; /* clear forgets it */
    mr_bytes_clear(&m->asked);
}

/* A chunk is closed when the next tree might not fit any more. */
static void cut_chunks(maker *m)
{
    uint32_t first = 0;
    for (uint32_t t = 0; t < m->forest->tree_count; t++) {
        uint32_t splits = m->forest->first_splits[t + 1] - m->forest->first_splits[t];
        if (t > first && asked_count(m) + splits > CHUNK_MASKS) {
            close_chunk(m, first, t);
            first = t;
        }
        ask_tree(m, t);
    }
    close_chunk(m, first, m->forest->tree_count);
}

/* ---- constants ---- */

/* The greedy sequence: a 1 whenever the window it ends has not been seen. */
static void make_constants(mr_masks64 *masks)
{
    bool seen[256] = {true};
    for (uint32_t at = MR_MASKS64_PLANES; at < MR_MASKS64_CONSTANTS; at++) {
        uint32_t number = 0;
        for (uint32_t b = 0; b + 1 < MR_MASKS64_PLANES; b++)
            number |= (uint32_t)masks->constants[at - 7 + b] << b;
        masks->constants[at] = !seen[number | 128];
        number |= (uint32_t)masks->constants[at] << 7;
        seen[number] = true;
        masks->window[number] = (at - 7) * masks->mask_bytes;
    }
}

/* ---- all together ---- */

void mr_masks64_destroy(mr_masks64 *masks)
{
    if (masks == NULL)
        return;
    void *all[] = {masks->features,  masks->code_features, masks->thresholds, masks->floats,
                   masks->chunks,    masks->runs,          masks->ranks,      masks->set_bytes,
                   masks->wide_sets, masks->steps,         masks->trees,      masks->tables};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_free(all[i]);
    mr_free(masks);
}

static void maker_deinit(maker *m)
{
    mr_bytes *bytes[] = {&m->asked,     &m->chunks,    &m->runs, &m->ranks,
                         &m->set_bytes, &m->wide_sets, &m->steps};
    void *all[] = {m->feature_at, m->lane_of, m->index, m->stamp, m->local, m->set_slots};
    for (size_t i = 0; i < MR_COUNT_OF(bytes); i++)
        mr_bytes_deinit(bytes[i]);
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_free(all[i]);
}

static bool collected(maker *m)
{
    mr_masks64 *masks = m->masks;
    bool failed = m->lost || m->chunks.failed || m->runs.failed || m->ranks.failed ||
                  m->set_bytes.failed || m->wide_sets.failed || m->steps.failed;
    masks->chunks = (mr_masks64_chunk *)(void *)m->chunks.data;
    masks->runs = (mr_masks64_run *)(void *)m->runs.data;
    masks->ranks = m->ranks.data;
    masks->set_bytes = m->set_bytes.data;
    masks->wide_sets = (uint32_t *)(void *)m->wide_sets.data;
    masks->steps = (mr_masks64_step *)(void *)m->steps.data;
    m->chunks = m->runs = m->ranks = m->set_bytes = m->wide_sets = m->steps = (mr_bytes){0};
    return !failed;
}

static mr_status plan_inputs(maker *m, mr_error *err)
{
    const mr_forest64 *forest = m->forest;
    mr_masks64 *masks = m->masks;
    m->feature_at = mr_alloc_zero((size_t)forest->feature_count + 1, 4);
    m->lane_of = mr_alloc_zero((size_t)m->slots->count + 1, 4);
    m->index = mr_alloc_zero((size_t)forest->split_count + 1, 4);
    m->set_slots = mr_alloc_zero((size_t)forest->set_count + 1, 4);
    masks->features = mr_alloc(sizeof *masks->features * ((size_t)forest->feature_count + 1));
    masks->code_features = mr_alloc(4 * ((size_t)forest->feature_count + 1));
    masks->thresholds = mr_alloc(sizeof(double) * ((size_t)forest->split_count + 1));
    if (m->feature_at == NULL || m->lane_of == NULL || m->index == NULL || m->set_slots == NULL ||
        masks->features == NULL || masks->code_features == NULL || masks->thresholds == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(sort_thresholds(m, err));
    assign_rank_lanes(m);
    assign_code_lanes(m);
    return m->fits ? make_floats(m, err) : MR_OK;
}

static void find_sets(maker *m)
{
    for (uint32_t i = 0; i < m->forest->split_count; i++) {
        const mr_split64 *split = &m->forest->splits[i];
        if (split->set == 0)
            continue;
        m->set_slots[split->set - 1] = mr_slot64_of(m->slots, split);
        m->masks->has_wide |= is_wide(m->forest, split->set - 1);
    }
}

static size_t place_tables(maker *m)
{
    size_t next = 0;
    for (uint32_t t = 0; t < m->forest->tree_count; t++) {
        uint32_t leaves = m->forest->first_leaves[t + 1] - m->forest->first_leaves[t];
        mr_masks64_tree *tree = &m->masks->trees[t];
        *tree = (mr_masks64_tree){.group = m->forest->groups[t],
                                  .planes = planes_for(leaves),
                                  .table_bits = MR_MAX(planes_for(leaves), 6u),
                                  .first_byte = next};
        next += (size_t)8 << tree->table_bits;
    }
    return next;
}

static mr_status plan_trees(maker *m, mr_error *err)
{
    const mr_forest64 *forest = m->forest;
    mr_masks64 *masks = m->masks;
    m->question_count = sets_from(m) + forest->set_count + 1;
    m->stamp = mr_alloc_zero(m->question_count, sizeof *m->stamp);
    m->local = mr_alloc_zero(m->question_count, sizeof *m->local);
    masks->trees = mr_alloc(sizeof *masks->trees * ((size_t)forest->tree_count + 1));
    if (m->stamp == NULL || m->local == NULL || masks->trees == NULL)
        return MR_OUT_OF_MEMORY(err);
    size_t table_bytes = place_tables(m);
    masks->tables = mr_alloc_aligned(table_bytes);
    if (masks->tables == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(masks->tables, 0, table_bytes);
    find_sets(m);
    cut_chunks(m);
    return collected(m) ? MR_OK : MR_OUT_OF_MEMORY(err);
}

mr_status mr_masks64_create(const mr_forest64 *forest, const mr_slots64 *slots, uint32_t mask_bytes,
                            mr_masks64 **out, mr_error *err)
{
    *out = NULL;
    if (forest->leaves_max > MR_MASKS64_LEAVES_MAX || forest->split_count == 0 ||
        forest->linear != NULL)
        return MR_OK;
    mr_masks64 *masks = MR_NEW(mr_masks64);
    if (masks == NULL)
        return MR_OUT_OF_MEMORY(err);
    masks->forest = forest;
    masks->slots = slots;
    masks->mask_bytes = mask_bytes;
    masks->rows = mask_bytes * 8;
    make_constants(masks);
    maker m = {.masks = masks, .forest = forest, .slots = slots, .fits = true};
    mr_status status = plan_inputs(&m, err);
    if (status == MR_OK && m.fits)
        status = plan_trees(&m, err);
    maker_deinit(&m);
    if (status == MR_OK && m.fits)
        *out = masks;
    else
        mr_masks64_destroy(masks);
    return status;
}

/* ---- scratch: column | sums | codes | planes | lanes | masks | ranks; all multiples of a vector ---- */

static size_t planes_bytes(const mr_masks64 *masks)
{
    return (size_t)(MR_MASKS64_CONSTANTS + 1 + MR_MASKS64_STACK * MR_MASKS64_PLANES) *
           masks->mask_bytes;
}

mr_masks64_work mr_masks64_work_of(const mr_masks64 *masks, uint8_t *scratch)
{
    mr_masks64_work w = {.column = (double *)(void *)scratch};
    w.sums = w.column + masks->rows;
    w.codes = (int32_t *)(void *)(w.sums + (size_t)masks->rows * masks->forest->group_count);
    w.planes =
        (uint8_t *)(w.codes + (masks->has_wide ? (size_t)masks->rows * masks->code_count : 0));
    w.lanes = w.planes + planes_bytes(masks);
    w.masks = w.lanes + (size_t)masks->rows * masks->lane_count;
    w.ranks = (uint16_t *)(void *)(w.masks + (size_t)masks->mask_bytes * masks->mask_count_max);
    return w;
}

size_t mr_masks64_scratch_bytes(const mr_masks64 *masks)
{
    size_t rows = masks->rows, codes = masks->has_wide ? masks->code_count : 0;
    return sizeof(double) * rows * (1 + (size_t)masks->forest->group_count) +
           sizeof(int32_t) * rows * codes + planes_bytes(masks) + rows * masks->lane_count +
           (size_t)masks->mask_bytes * masks->mask_count_max + sizeof(uint16_t) * rows;
}

/* ---- what both instruction sets share ---- */

void mr_masks64_search(const mr_masks64 *masks, const mr_ranks64_feature *feature,
                       const double *column, uint16_t *ranks)
{
    const double *thresholds = masks->thresholds + feature->first;
    uint32_t top = 1u << (feature->level_count - 1), count = feature->count;
    for (uint32_t r = 0; r < masks->rows; r++) {
        double x = column[r];
        uint32_t rank = 0;
        for (uint32_t step = top; step > 0; step /= 2) {
            uint32_t next = rank + step;
            rank = next <= count && thresholds[MR_MIN(next, count) - 1] < x ? next : rank;
        }
        ranks[r] = (uint16_t)rank;
    }
}

void mr_masks64_code_lane(const mr_masks64 *masks, uint32_t code_feature, const double *column,
                          const mr_masks64_work *work)
{
    uint8_t *lane = work->lanes + (size_t)masks->rows * (masks->code_lane_first + code_feature);
    int32_t *codes = work->codes + (size_t)masks->rows * code_feature;
    for (uint32_t r = 0; r < masks->rows; r++) {
        double x = mr_view64_value(MR_VIEW_CODE, column[r]);
        lane[r] = x >= 0.0 && x < MR_MASKS64_CODES ? (uint8_t)x : (uint8_t)MR_MASKS64_CODES;
        if (masks->has_wide)
            codes[r] = (int32_t)x;
    }
}

void mr_masks64_wide_run(const mr_masks64 *masks, const mr_masks64_run *run, const int32_t *codes,
                         uint8_t *to)
{
    const mr_forest64 *forest = masks->forest;
    for (uint32_t t = 0; t < run->count; t++) {
        const mr_tree_set *set = &forest->sets[masks->wide_sets[run->first + t]];
        const uint32_t *words = forest->set_words + set->first_word;
        uint32_t end = set->word_count * 32;
        for (uint32_t b = 0; b < masks->mask_bytes; b++) {
            uint32_t byte = 0;
            for (uint32_t i = 0; i < 8; i++) {
                uint32_t code = (uint32_t)codes[b * 8 + i];
                byte |= (uint32_t) !(code < end && (words[code / 32] >> (code % 32) & 1) != 0) << i;
            }
            to[(size_t)t * masks->mask_bytes + b] = (uint8_t)byte;
        }
    }
}
