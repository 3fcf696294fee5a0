/* ring.c -- the records of one key in order of time: insertion at its place, eviction, search.
 *
 * (1) times never decrease from first to end; of equal times the one that arrived first stands first.
 * (2) Eviction looks at the key's own records only: newest time, reach, lateness. The newest stay.
 * (3) Indices stay below INDEX_MAX: they are moved down together by whole rings when they come near.
 * Thread: the slot's worker. */
#include "feature/feature_internal.h"

#define INDEX_MAX (1u << 31)

enum { RING_LOG2_MIN = 2, RING_LOG2_MAX = 30 };

/* ---- texts ---- */

feature_text *text_create(mr_slot *slot, const void *bytes, size_t size)
{
    feature_text *text = mr_slot_alloc(slot, sizeof *text + size);
    if (text == NULL)
        return NULL;
    text->hash = mr_hash64(bytes, size);
    text->size = (uint32_t)size;
    if (size > 0)
        memcpy(text->bytes, bytes, size);
    return text;
}

void text_destroy(mr_slot *slot, feature_text *text)
{
    if (text != NULL)
        mr_slot_free(slot, text, sizeof *text + text->size);
}

static bool input_present(const feature_plan *plan, const feature_input *input,
                          const uint8_t *element)
{
    return (element_flags(plan, element) >> input->flag & 1) != 0;
}

void ring_free_element(const feature_key *key, uint8_t *element)
{
    const feature_plan *plan = key->plan;
    if (plan->tile_details)
        tile_free(key, element);
    for (uint32_t i = 0; plan->has_texts && i < plan->input_count; i++)
        if (plan->inputs[i].is_text && input_present(plan, &plan->inputs[i], element))
            text_destroy(key->slot, text_of(load_u64(element + plan->inputs[i].offset)));
}

/* ---- search ---- */

/* Steps away from the hint are doubled until the place is between two of them, then halved. */
uint32_t ring_bound(const feature_plan *plan, const key_state *state, int64_t time_us,
                    uint32_t hint)
{
    uint32_t low = state->first, high = state->end;
    hint = MR_MIN(MR_MAX(hint, low), high);
    for (uint32_t step = 1; hint < high; step *= 2) {
        if (time_at(plan, state, hint) > time_us) {
            high = hint;
            break;
        }
        low = hint + 1;
        hint = high - low > step ? low + step - 1 : high;
    }
    for (uint32_t step = 1; high > low; step *= 2) { /* nothing at or behind high is in */
        uint32_t at = high - low > step ? high - step : low;
        if (time_at(plan, state, at) <= time_us) {
            low = at + 1;
            break;
        }
        high = at;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (time_at(plan, state, middle) <= time_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- room ---- */

static mr_status ring_resize(feature_key *key, uint8_t log2, mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key), old = *state;
    if (log2 > RING_LOG2_MAX)
        return MR_FAIL(err, MR_FULL,
                       "a key holds %u records in its windows, more than can be kept; a "
                       "resolution would keep tiles instead",
                       old.end - old.first);
    size_t bytes = (size_t)plan->element_bytes << log2;
    uint8_t *ring = mr_slot_alloc(key->slot, bytes);
    if (ring == NULL)
        return MR_OUT_OF_MEMORY(err);
    state->ring = ring;
    state->ring_log2 = log2;
    for (uint32_t i = old.first; i != old.end; i++)
        memcpy(element_at(plan, state, i), element_at(plan, &old, i), plan->element_bytes);
    if (old.ring != NULL)
        mr_slot_free(key->slot, old.ring, (size_t)plan->element_bytes << old.ring_log2);
    return plan->has_trees ? tree_resize(key, old.ring_log2, log2, err) : MR_OK;
}

mr_status ring_reserve(feature_key *key, uint32_t count, mr_error *err)
{
    key_state *state = state_of(key);
    uint8_t log2 = state->ring != NULL ? state->ring_log2 : RING_LOG2_MIN;
    while (count > 1u << log2)
        log2++;
    return state->ring != NULL && log2 == state->ring_log2 ? MR_OK : ring_resize(key, log2, err);
}

static void lower_indices(feature_key *key)
{
    key_state *state = state_of(key);
    uint32_t by = state->first & ~((1u << MR_MAX(state->ring_log2, TREE_BLOCK)) - 1);
    state->first -= by;
    state->end -= by;
    for (uint32_t i = 0; i < key->plan->window_count; i++) {
        window_bounds *bounds = bounds_of(key, &key->plan->windows[i]);
        bounds->lo -= by;
        bounds->hi -= by;
    }
}

/* ---- insertion ---- */

static mr_status write_raw(feature_key *key, const feature_event *event, uint8_t *element,
                           mr_error *err)
{
    const feature_plan *plan = key->plan;
    uint64_t word = (uint64_t)event->time_us << FLAG_BITS;
    if (plan->flag_word)
        store_u64(element + 8, event->flags);
    store_u64(element, plan->flag_word ? word : word | event->flags);
    for (uint32_t i = 0; i < plan->input_count; i++) {
        uint64_t bits = event->inputs[i];
        if (plan->inputs[i].is_text) {
            bits = 0;
            if ((event->flags >> plan->inputs[i].flag & 1) != 0) {
                feature_text *text =
                    text_create(key->slot, event->texts[i].bytes, event->texts[i].size);
                if (text == NULL)
                    return MR_OUT_OF_MEMORY(err);
                bits = (uint64_t)(uintptr_t)text;
            }
        }
        store_u64(element + plan->inputs[i].offset, bits);
    }
    return MR_OK;
}

/* A record that comes later than one that has left counts from that one's time on. */
int64_t ring_decay_time(const feature_key *key, int64_t time_us)
{
    const base_state *base = base_of(key);
    return base != NULL ? MR_MAX(time_us, base->time_us) : time_us;
}

static double decay_value(const feature_lane *lane, const feature_decay *decay,
                          const uint8_t *element)
{
    if (decay->counts)
        return 1.0;
    return lane->is_float ? load_f64(element + lane->value)
                          : (double)(int64_t)load_u64(element + lane->value);
}

/* Decayed values run along the ring: each is the one before it, faded, plus its own. */
void ring_decays_from(const feature_key *key, uint32_t index)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    base_state *base = base_of(key);
    for (; index < state->end; index++) {
        uint8_t *element = element_at(plan, state, index);
        const uint8_t *before = index > state->first ? element_at(plan, state, index - 1) : NULL;
        int64_t now = ring_decay_time(key, element_time(element));
        int64_t past = before != NULL ? ring_decay_time(key, element_time(before))
                       : base != NULL ? base->time_us
                                      : now;
        for (uint32_t i = 0; i < plan->decay_count; i++) {
            const feature_decay *decay = &plan->decays[i];
            const feature_lane *lane = &plan->lanes[decay->lane];
            double value = before != NULL ? load_f64(before + decay->offset)
                           : base != NULL ? base_decays(plan, base)[i]
                                          : 0.0;
            if (value != 0.0 && now > past)
                value *= mr_steady_exp2(-(double)(now - past) / (double)decay->half_life_us);
            if (lane_matches(plan, lane, element))
                value += decay_value(lane, decay, element);
            memcpy(element + decay->offset, &value, sizeof value);
        }
    }
}

static void admit(feature_key *key, const uint8_t *element)
{
    const feature_plan *plan = key->plan;
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        int low, high;
        if ((plan->lanes[i].parts & PART_SUM) != 0 && plan->lanes[i].is_float &&
            lane_range(plan, &plan->lanes[i], element, &low, &high))
            lane_admit(key, i, low, high);
    }
}

/* Opens a gap at `index` by moving what stands behind it. */
static void shift_up(const feature_plan *plan, key_state *state, uint32_t index)
{
    for (uint32_t i = state->end; i > index; i--)
        memcpy(element_at(plan, state, i), element_at(plan, state, i - 1), plan->element_bytes);
    state->end++;
}

mr_status ring_open(feature_key *key, uint32_t index, mr_error *err)
{
    key_state *state = state_of(key);
    if (state->ring == NULL || state->end - state->first == 1u << state->ring_log2)
        MR_TRY(ring_reserve(key, state->end - state->first + 1, err));
    if (index < state->end)
        MR_TRY(window_step_back(key, index, true, err));
    shift_up(key->plan, state, index);
    return MR_OK;
}

/* ---- the verbs ---- */

static mr_status insert_raw(feature_key *key, const feature_event *event, uint32_t *out_index,
                            mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    uint32_t index = state->end;
    if (state->end != state->first && time_at(plan, state, state->end - 1) > event->time_us)
        index = ring_bound(plan, state, event->time_us, state->end);
    MR_TRY(ring_open(key, index, err));
    mr_status status = write_raw(key, event, element_at(plan, state, index), err);
    if (status != MR_OK)
        state->first = state->end; /* unusable from here on, but it can be dropped */
    *out_index = index;
    return status;
}

mr_status ring_insert(feature_key *key, const feature_event *event, uint32_t *out_index,
                      mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    if (MR_UNLIKELY(state->end >= INDEX_MAX))
        lower_indices(key);
    MR_TRY(plan->tiled ? tile_insert(key, event, out_index, err)
                       : insert_raw(key, event, out_index, err));
    admit(key, element_at(plan, state, *out_index));
    if (plan->decay_count > 0)
        ring_decays_from(key, *out_index);
    if (plan->has_trees)
        tree_update(key, *out_index, state->end);
    return MR_OK;
}

void ring_renew(feature_key *key)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    for (uint32_t i = state->first; i < state->end; i++)
        admit(key, element_at(plan, state, i));
    if (plan->decay_count > 0)
        ring_decays_from(key, state->first);
    if (plan->has_trees)
        tree_update(key, state->first, state->end);
}

/* ---- eviction ---- */

static uint32_t keep_from(const feature_key *key, int64_t newest_us)
{
    const feature_plan *plan = key->plan;
    uint32_t keep = UINT32_MAX;
    for (uint32_t i = plan->keep_first; i < plan->window_count; i++) {
        window_bounds bounds = window_find(key, &plan->windows[i], newest_us, NONE);
        *bounds_of(key, &plan->windows[i]) = bounds;
        keep = MR_MIN(keep, bounds.lo);
    }
    return keep;
}

static mr_status evict_first(feature_key *key, mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const feature_window *window = &plan->windows[i];
        window_bounds at = *bounds_of(key, window);
        if (at.lo == state->first)
            MR_TRY(window_move(key, window, (window_bounds){at.lo + 1, MR_MAX(at.hi, at.lo + 1)},
                               err));
    }
    uint8_t *element = element_at(plan, state, state->first);
    if (plan->has_base)
        MR_TRY(base_add(key, element, err));
    ring_free_element(key, element);
    state->first++;
    for (uint32_t i = 0; i < plan->lane_count; i++)
        if ((plan->lanes[i].parts & PART_SUM) != 0 && plan->lanes[i].is_float &&
            lane_is_wide(key, &plan->lanes[i]))
            lane_retry(key, i);
    return MR_OK;
}

mr_status ring_evict(feature_key *key, mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    int64_t newest = time_at(plan, state, state->end - 1);
    int64_t bound = newest - MR_MAX(plan->reach_us + plan->lateness_us, 1);
    if (time_at(plan, state, state->first) > bound)
        return MR_OK;
    uint32_t keep = keep_from(key, newest);
    while (state->first < keep && time_at(plan, state, state->first) <= bound)
        MR_TRY(evict_first(key, err));
    uint32_t count = state->end - state->first;
    if (state->ring_log2 > SHRINK_LOG2_MIN && count < 1u << (state->ring_log2 - 2))
        MR_TRY(ring_resize(key, (uint8_t)(state->ring_log2 - 1), err));
    return MR_OK;
}

mr_status ring_forget(feature_key *key, int64_t time_us, mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    while (state->first < state->end && time_at(plan, state, state->first) <= time_us)
        MR_TRY(evict_first(key, err));
    return MR_OK;
}
