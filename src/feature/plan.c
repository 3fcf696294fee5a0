/* plan.c -- a view's definition, checked and laid out: lanes, windows, cells, and their bytes.
 *
 * Equal (input, where) pairs share a lane, equal windows their bounds, equal pairs of both a cell, so that
 * count, sum and mean of one column over one window keep one count and one sum. Thread: start-up. */
#include "feature/feature_internal.h"

#define LATENESS_DEFAULT_US (INT64_C(3600) * MR_TIME_US_PER_SECOND)

/* ---- what is shared ---- */

static uint32_t find_lane(feature_plan *plan, int input, int where)
{
    for (uint32_t i = 0; i < plan->lane_count; i++)
        if (plan->lanes[i].input == input && plan->lanes[i].where == where)
            return i;
    feature_lane *lane = &plan->lanes[plan->lane_count];
    *lane = (feature_lane){
        .input = input, .where = where, .skips = input >= 0 || where >= 0, .base = NONE};
    if (input >= 0) {
        lane->is_float = plan->inputs[input].is_float;
        lane->is_text = plan->inputs[input].is_text;
        lane->input_flag = plan->inputs[input].flag;
        lane->value = plan->inputs[input].offset;
    }
    if (where >= 0)
        lane->where_flag = plan->where_flags[where];
    return plan->lane_count++;
}

static uint32_t find_window(feature_plan *plan, const mr_window *given, bool closed)
{
    mr_window window = {given->kind, 0, given->delay_us, 0};
    if (window.kind == MR_WINDOW_LAST)
        window.events = given->events;
    else if (window.kind == MR_WINDOW_SLIDING || window.kind == MR_WINDOW_SESSION)
        window.length_us = given->length_us;
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const mr_window *at = &plan->windows[i].window;
        if (plan->windows[i].closed == closed && at->kind == window.kind &&
            at->delay_us == window.delay_us && at->length_us == window.length_us &&
            at->events == window.events)
            return i;
    }
    plan->windows[plan->window_count] = (feature_window){.window = window, .closed = closed};
    return plan->window_count++;
}

/* Cells are gathered with their window in `sketch` and sorted afterwards. */
static uint32_t find_cell(feature_plan *plan, uint32_t window, uint32_t lane, uint32_t parts)
{
    for (uint32_t i = 0; i < plan->cell_count; i++)
        if (plan->cells[i].sketch == window && plan->cells[i].lane == lane) {
            plan->cells[i].parts |= parts;
            return i;
        }
    plan->cells[plan->cell_count] = (feature_cell){.lane = lane, .parts = parts, .sketch = window};
    return plan->cell_count++;
}

static uint32_t find_decay(feature_plan *plan, uint32_t lane, int64_t half_life_us, bool counts)
{
    for (uint32_t i = 0; i < plan->decay_count; i++)
        if (plan->decays[i].lane == lane && plan->decays[i].half_life_us == half_life_us &&
            plan->decays[i].counts == counts)
            return i;
    plan->decays[plan->decay_count] = (feature_decay){lane, half_life_us, counts, 0};
    return plan->decay_count++;
}

/* Records: what a cell and a lane need. Tiles: what a tile needs of its lane, and the closed cell of what tiles
 * have alike. The base's parts are the same for both. */
typedef struct kind_parts {
    uint32_t cell, lane, base, tile, closed;
} kind_parts;

static kind_parts parts_of(const mr_aggregate_kind *kind, bool has_input)
{
    switch (kind->id) {
    case MR_AGGREGATE_COUNT:
        return (kind_parts){PART_COUNT, 0, 0, 0, 0};
    case MR_AGGREGATE_SUM:
    case MR_AGGREGATE_MEAN:
        return (kind_parts){PART_COUNT | PART_SUM, PART_SUM, PART_SUM, 0, 0};
    case MR_AGGREGATE_VARIANCE:
    case MR_AGGREGATE_STDDEV:
    case MR_AGGREGATE_VARIANCE_POP:
    case MR_AGGREGATE_STDDEV_POP:
        return (kind_parts){PART_COUNT | PART_SUM | PART_SQUARE, PART_SUM | PART_SQUARE,
                            PART_SUM | PART_SQUARE, 0, 0};
    case MR_AGGREGATE_MIN:
    case MR_AGGREGATE_MAX:
        return (kind_parts){0, PART_TREE, PART_TREE, 0, 0};
    case MR_AGGREGATE_FIRST:
    case MR_AGGREGATE_LAST:
    case MR_AGGREGATE_TIME_SINCE_LAST:
        return (kind_parts){0, 0, PART_ENDS, PART_ENDS, 0};
    case MR_AGGREGATE_RATE:
    case MR_AGGREGATE_RATIO:
        return has_input ? (kind_parts){PART_COUNT | PART_SUM, PART_SUM, PART_SUM, 0, 0}
                         : (kind_parts){PART_COUNT, 0, 0, 0, 0};
    case MR_AGGREGATE_DISTINCT_COUNT:
        return (kind_parts){PART_TABLE, 0, PART_DISTINCT, PART_DISTINCT, PART_DISTINCT};
    case MR_AGGREGATE_QUANTILE:
        return (kind_parts){PART_COUNT | PART_SKETCH, 0, PART_SKETCH, PART_SKETCH, PART_SKETCH};
    case MR_AGGREGATE_TOP_K:
        return (kind_parts){PART_TABLE | PART_TEXTS, 0, PART_TOP, PART_TOP, PART_TOP};
    case MR_AGGREGATE_COUNT_OF:
        break;
    }
    MR_UNREACHABLE();
}

mr_type feature_output_type(const mr_view_spec *spec, const mr_view_aggregate *aggregate)
{
    mr_type_id input = aggregate->input >= 0 ? spec->inputs[aggregate->input].type.id : MR_INT64;
    bool is_float = input == MR_FLOAT32 || input == MR_FLOAT64;
    bool decayed = aggregate->window.kind == MR_WINDOW_DECAYED;
    switch (aggregate->kind->id) {
    case MR_AGGREGATE_COUNT:
    case MR_AGGREGATE_DISTINCT_COUNT:
        return (mr_type){decayed ? MR_FLOAT64 : MR_INT64, 0};
    case MR_AGGREGATE_SUM:
        return (mr_type){is_float || decayed ? MR_FLOAT64 : MR_INT64, 0};
    case MR_AGGREGATE_MIN:
    case MR_AGGREGATE_MAX:
    case MR_AGGREGATE_FIRST:
    case MR_AGGREGATE_LAST:
        if (input == MR_TIMESTAMP || mr_type_is_text(input))
            return (mr_type){input, 0};
        return (mr_type){is_float ? MR_FLOAT64 : MR_INT64, 0};
    case MR_AGGREGATE_TOP_K:
        return (mr_type){MR_STRING, 0};
    default:
        return (mr_type){MR_FLOAT64, 0};
    }
}

static void use_lane(feature_plan *plan, uint32_t lane, uint32_t window, const kind_parts *parts)
{
    plan->lanes[lane].parts |= plan->tiled ? parts->lane | parts->tile : parts->lane;
    if (plan->windows[window].window.kind != MR_WINDOW_LIFETIME)
        return;
    plan->lanes[lane].base_parts |= parts->base;
    if (plan->lanes[lane].base == NONE)
        plan->lanes[lane].base = plan->base_lane_count++;
    plan->has_base = true;
}

static uint32_t use_cell(feature_plan *plan, uint32_t window, uint32_t lane, uint32_t parts)
{
    if (plan->tiled)
        parts &= PART_COUNT | PART_SUM | PART_SQUARE; /* the rest is in the closed cell */
    else if (!plan->lanes[lane].skips)
        parts &= ~(uint32_t)PART_COUNT; /* every record matches: the bounds say how many */
    return parts != 0 ? find_cell(plan, window, lane, parts) : NONE;
}

static mr_status add_output(const mr_view_spec *spec, const mr_view_aggregate *aggregate,
                            mr_arena *arena, feature_plan *plan, mr_error *err)
{
    kind_parts parts = parts_of(aggregate->kind, aggregate->input >= 0);
    feature_output *output = &plan->outputs[plan->output_count++];
    *output = (feature_output){.kind = aggregate->kind,
                               .name = mr_arena_strdup(arena, aggregate->name),
                               .type = feature_output_type(spec, aggregate),
                               .cell = NONE,
                               .closed_cell = NONE,
                               .whole_cell = NONE,
                               .decay = NONE,
                               .decay_weight = NONE,
                               .quantile = aggregate->quantile,
                               .k = aggregate->k,
                               .unit_us = aggregate->unit_us > 0 ? aggregate->unit_us
                                                                 : MR_TIME_US_PER_SECOND,
                               .empty_given = aggregate->empty_given,
                               .empty = aggregate->empty};
    if (output->name == NULL)
        return MR_OUT_OF_MEMORY(err);
    output->lane = find_lane(plan, aggregate->input, aggregate->where);
    output->window = find_window(plan, &aggregate->window, false);
    if (aggregate->window.kind == MR_WINDOW_DECAYED) {
        plan->has_base = true;
        output->decay_weight = find_decay(plan, output->lane, aggregate->window.length_us, true);
        if (aggregate->kind->id != MR_AGGREGATE_COUNT)
            output->decay = find_decay(plan, output->lane, aggregate->window.length_us, false);
        return MR_OK;
    }
    use_lane(plan, output->lane, output->window, &parts);
    output->cell = use_cell(plan, output->window, output->lane, parts.cell);
    if (plan->tiled && parts.closed != 0) {
        output->closed = find_window(plan, &aggregate->window, true);
        output->closed_cell = find_cell(plan, output->closed, output->lane, parts.closed);
    }
    if (aggregate->kind->id == MR_AGGREGATE_RATIO) {
        const kind_parts whole = {.cell = PART_COUNT};
        output->whole_lane = find_lane(plan, -1, -1);
        use_lane(plan, output->whole_lane, output->window, &whole);
        output->whole_cell = use_cell(plan, output->window, output->whole_lane, PART_COUNT);
    }
    return MR_OK;
}

/* ---- layout ---- */

static void lay_inputs(const mr_view_spec *spec, feature_plan *plan)
{
    uint32_t flags = 0;
    plan->where_count = (uint32_t)spec->where_count;
    plan->input_count = (uint32_t)spec->input_count;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        mr_type_id type = spec->inputs[i].type.id;
        bool is_float = type == MR_FLOAT32 || type == MR_FLOAT64;
        plan->inputs[i] = (feature_input){type, is_float, mr_type_is_text(type), 0, 0};
        if (!is_float)
            plan->inputs[i].flag = (uint8_t)flags++;
        plan->has_texts = plan->has_texts || (plan->inputs[i].is_text && !plan->tiled);
    }
    for (uint32_t i = 0; i < plan->where_count; i++)
        plan->where_flags[i] = (uint8_t)flags++;
    plan->flag_word = flags > FLAG_BITS;
    plan->element_bytes = plan->flag_word ? 16 : 8;
    for (uint32_t i = 0; i < plan->input_count; i++, plan->element_bytes += 8)
        plan->inputs[i].offset = plan->element_bytes;
}

static uint32_t place(uint32_t *at, uint32_t bytes)
{
    uint32_t offset = *at;
    *at += bytes;
    return offset;
}

static void lay_tile(feature_plan *plan)
{
    uint32_t at = 8;
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        feature_lane *lane = &plan->lanes[i];
        uint32_t parts = lane->parts;
        lane->tile_count = place(&at, sizeof(feature_tile));
        lane->tile_sum = place(&at, (parts & PART_SUM) != 0 ? 16 : 0);
        lane->tile_square = place(&at, (parts & PART_SQUARE) != 0 ? 32 : 0);
        lane->tile_least = place(&at, (parts & PART_TREE) != 0 ? 16 : 0);
        lane->tile_ends = place(&at, (parts & PART_ENDS) != 0 ? sizeof(feature_ends) : 0);
        lane->tile_distinct = place(&at, (parts & PART_DISTINCT) != 0 ? 8 : 0);
        lane->tile_sketch = place(&at, (parts & PART_SKETCH) != 0 ? 8 : 0);
        lane->tile_top = place(&at, (parts & PART_TOP) != 0 ? 8 : 0);
        plan->tile_details = plan->tile_details || at > lane->tile_ends;
    }
    plan->element_bytes = at;
}

static void lay_element(feature_plan *plan)
{
    if (plan->tiled) {
        lay_tile(plan);
        return;
    }
    for (uint32_t i = 0; i < plan->decay_count; i++, plan->element_bytes += 8)
        plan->decays[i].offset = plan->element_bytes;
}

static mr_status sort_cells(mr_arena *arena, feature_plan *plan, mr_error *err)
{
    feature_cell *sorted = MR_ARENA_ARRAY(arena, feature_cell, plan->cell_count + 1);
    uint32_t *moved = MR_ARENA_ARRAY(arena, uint32_t, plan->cell_count + 1), at = 0;
    if (sorted == NULL || moved == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t w = 0; w < plan->window_count; w++) {
        plan->windows[w].cell_first = at;
        for (uint32_t i = 0; i < plan->cell_count; i++)
            if (plan->cells[i].sketch == w) {
                moved[i] = at;
                sorted[at++] = plan->cells[i];
            }
        plan->windows[w].cell_count = at - plan->windows[w].cell_first;
        plan->windows[w].moves = plan->windows[w].cell_count > 0;
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        feature_output *output = &plan->outputs[i];
        output->cell = output->cell != NONE ? moved[output->cell] : NONE;
        output->whole_cell = output->whole_cell != NONE ? moved[output->whole_cell] : NONE;
        output->closed_cell = output->closed_cell != NONE ? moved[output->closed_cell] : NONE;
    }
    plan->cells = sorted;
    return MR_OK;
}

static void lay_value(feature_plan *plan)
{
    uint32_t at = sizeof(key_state);
    for (uint32_t i = 0; i < plan->lane_count; i++)
        if ((plan->lanes[i].parts & PART_SUM) != 0 && plan->lanes[i].is_float)
            plan->lanes[i].state = place(&at, sizeof(lane_state));
    for (uint32_t i = 0; i < plan->window_count; i++)
        plan->windows[i].bounds = place(&at, sizeof(window_bounds));
    for (uint32_t i = 0; i < plan->cell_count; i++)
        if ((plan->cells[i].parts & PART_COUNT) != 0)
            plan->cells[i].count = place(&at, 4);
    at = (at + 7) & ~7u;
    if (plan->has_base)
        plan->base_offset = place(&at, 8);
    for (uint32_t i = 0; i < plan->lane_count; i++)
        if ((plan->lanes[i].parts & PART_TREE) != 0) {
            plan->lanes[i].tree = place(&at, 8);
            plan->has_trees = true;
        }
    for (uint32_t i = 0; i < plan->cell_count; i++) {
        feature_cell *cell = &plan->cells[i];
        cell->table = (cell->parts & (PART_TABLE | PART_TOP)) != 0 ? place(&at, 8) : 0;
        cell->distinct = (cell->parts & PART_DISTINCT) != 0 ? place(&at, sizeof(mr_union)) : 0;
        cell->sketch = (cell->parts & PART_SKETCH) != 0 ? place(&at, 8) : 0;
        cell->sum = (cell->parts & PART_SUM) != 0 ? place(&at, 16) : 0;
        cell->square = (cell->parts & PART_SQUARE) != 0 ? place(&at, 32) : 0;
    }
    plan->value_bytes = at;
}

/* ---- how long records are kept ---- */

static void set_reach(const mr_view_spec *spec, feature_plan *plan)
{
    int64_t longest = 0;
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const mr_window *window = &plan->windows[i].window;
        bool sliding = window->kind == MR_WINDOW_SLIDING, day = window->kind == MR_WINDOW_DAY;
        int64_t length = sliding ? window->length_us + spec->resolution_us
                         : day   ? MR_TIME_US_PER_DAY
                                 : 0;
        int64_t length_or_all = sliding ? window->length_us
                                : day   ? MR_TIME_US_PER_DAY
                                        : LATENESS_DEFAULT_US;
        plan->reach_us = MR_MAX(plan->reach_us, length + window->delay_us);
        longest = MR_MAX(longest, length_or_all);
    }
    plan->lateness_us =
        spec->lateness_us >= 0 ? spec->lateness_us : MR_MIN(LATENESS_DEFAULT_US, longest);
}

/* Windows that end where the latest admissible record may ask: what they hold must stay. */
static void add_keeps(feature_plan *plan)
{
    plan->keep_first = plan->window_count;
    for (uint32_t i = 0; i < plan->keep_first; i++) {
        mr_window window = plan->windows[i].window;
        window.delay_us += plan->lateness_us;
        if (window.kind == MR_WINDOW_LAST || window.kind == MR_WINDOW_SESSION)
            plan->windows[plan->window_count++] = (feature_window){.window = window};
    }
}

static mr_status make_room(const mr_view_spec *spec, mr_arena *arena, feature_plan *plan,
                           mr_error *err)
{
    size_t n = spec->aggregate_count;
    plan->inputs = MR_ARENA_ARRAY(arena, feature_input, spec->input_count + 1);
    plan->where_flags = MR_ARENA_ARRAY(arena, uint8_t, spec->where_count + 1);
    plan->lanes = MR_ARENA_ARRAY(arena, feature_lane, n + 1);
    plan->windows = MR_ARENA_ARRAY(arena, feature_window, 2 * n);
    plan->cells = MR_ARENA_ARRAY(arena, feature_cell, 2 * n);
    plan->decays = MR_ARENA_ARRAY(arena, feature_decay, 2 * n);
    plan->outputs = MR_ARENA_ARRAY(arena, feature_output, n);
    plan->keys = MR_ARENA_ARRAY(arena, mr_type, spec->key_count);
    if (plan->inputs == NULL || plan->where_flags == NULL || plan->lanes == NULL ||
        plan->windows == NULL || plan->cells == NULL || plan->decays == NULL ||
        plan->outputs == NULL || plan->keys == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(plan->keys, spec->keys, spec->key_count * sizeof *plan->keys);
    plan->key_count = (uint32_t)spec->key_count;
    plan->byte_keys = spec->key_count > 1 || mr_type_is_text(spec->keys[0].id);
    plan->resolution_us = spec->resolution_us;
    plan->tiled = spec->resolution_us > 0;
    plan->limits = (feature_limits){TILE_DISTINCT_MAX, TILE_COUNTERS_MAX, BUCKETS_MAX};
    plan->ttl_us = spec->ttl_us;
    return MR_OK;
}

mr_status feature_plan_build(const mr_view_spec *spec, mr_arena *arena, feature_plan *plan,
                             mr_error *err)
{
    *plan = (feature_plan){0};
    MR_TRY(feature_plan_check(spec, err));
    MR_TRY(make_room(spec, arena, plan, err));
    lay_inputs(spec, plan);
    for (size_t i = 0; i < spec->aggregate_count; i++)
        MR_TRY(add_output(spec, &spec->aggregates[i], arena, plan, err));
    MR_TRY(sort_cells(arena, plan, err));
    set_reach(spec, plan);
    add_keeps(plan);
    lay_element(plan);
    lay_value(plan);
    return fast_plan_build(plan, arena, err);
}
