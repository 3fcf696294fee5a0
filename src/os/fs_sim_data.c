/* fs_sim_data.c -- one simulated file: its bytes as seen and as on disk, and what a crash leaves.
 *
 *   content  |  s0  |  s1  |  s2  |  s3  |      as seen
 *   dirty            { 1, disk bytes }, { 3, disk bytes }      the disk differs in these only
 *
 * (1) A clean sector is on disk as it is seen. slots[i] is 0 or 1 + the place of sector i in dirty.
 * (2) A mapped content is never moved or written by growth or a crash: a new buffer replaces it.
 * (3) A fate changes only bytes that differ between what is seen and what is on disk.
 * All costs are proportional to the bytes written. */
#include "os/fs_sim_internal.h"

#include "base/assert.h"

#include <string.h>

void sim_grow(void **array, size_t *capacity, size_t count, size_t bytes_each)
{
    if (count < *capacity)
        return;
    *capacity = MR_MAX(*capacity * 2, 8);
    *array = mr_realloc(*array, *capacity * bytes_each);
    MR_ASSERT(*array != NULL);
}

uint64_t sim_data_charge(const sim_data *data)
{
    return MR_MAX(data->size, data->reserved);
}

/* ---- content ---- */

static void replace_content(sim_data *data, size_t capacity)
{
    mr_buffer *grown = mr_buffer_create(capacity);
    MR_ASSERT(grown != NULL);
    if (data->content != NULL)
        memcpy(grown->bytes, data->content->bytes, (size_t)data->size);
    mr_buffer_release(data->content);
    data->content = grown;
}

/* Makes room for `size` bytes and zeroes those behind the present end. */
static void reach(sim_data *data, uint64_t size)
{
    size_t capacity = data->content != NULL ? data->content->size : 0;
    if (size > capacity)
        replace_content(data, (size_t)MR_MAX(size, MR_MAX(2 * capacity, SIM_SECTOR_BYTES)));
    if (size > data->size)
        memset(data->content->bytes + data->size, 0, (size_t)(size - data->size));
}

/* What is seen of a sector, zero-filled behind the end. */
static void copy_sector(const sim_data *data, uint64_t index, uint8_t *to)
{
    uint64_t from = index * SIM_SECTOR_BYTES;
    size_t have = from < data->size ? (size_t)MR_MIN(data->size - from, SIM_SECTOR_BYTES) : 0;
    if (have > 0)
        memcpy(to, data->content->bytes + from, have);
    memset(to + have, 0, SIM_SECTOR_BYTES - have);
}

/* ---- dirt ---- */

static void reach_slots(sim_data *data, uint64_t sectors)
{
    if (sectors <= data->slot_count)
        return;
    size_t count = (size_t)MR_MAX(sectors, data->slot_count * 2);
    data->slots = mr_realloc(data->slots, count * sizeof *data->slots);
    MR_ASSERT(data->slots != NULL);
    memset(data->slots + data->slot_count, 0, (count - data->slot_count) * sizeof *data->slots);
    data->slot_count = count;
}

/* Called before a sector changes. A sector that is dirty already may be written back just now. */
static void soil_sector(sim_data *data, mr_random_seeded *random, uint64_t index)
{
    uint32_t slot = data->slots[index];
    if (slot != 0) {
        sim_sector *sector = &data->dirty[slot - 1];
        if (!sector->doomed && mr_random_below(random, 4) == 0)
            copy_sector(data, index, sector->disk);
        sector->doomed = false;
        return;
    }
    void *array = data->dirty;
    sim_grow(&array, &data->dirty_capacity, data->dirty_count, sizeof *data->dirty);
    data->dirty = array;
    sim_sector *sector = &data->dirty[data->dirty_count++];
    sector->index = index;
    sector->doomed = false;
    copy_sector(data, index, sector->disk);
    data->slots[index] = (uint32_t)data->dirty_count;
}

static void soil(sim_data *data, mr_random_seeded *random, uint64_t from, uint64_t to)
{
    uint64_t end = (to + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
    reach_slots(data, end);
    for (uint64_t index = from / SIM_SECTOR_BYTES; index < end; index++)
        soil_sector(data, random, index);
}

void sim_data_write(sim_data *data, mr_random_seeded *random, uint64_t offset, const uint8_t *from,
                    size_t size)
{
    if (size == 0)
        return;
    soil(data, random, offset, offset + size);
    reach(data, offset + size);
    memcpy(data->content->bytes + offset, from, size);
    data->size = MR_MAX(data->size, offset + size);
}

void sim_data_truncate(sim_data *data, mr_random_seeded *random, uint64_t size)
{
    if (size < data->size)
        soil(data, random, size, data->size);
    else
        reach(data, size);
    data->size = size;
    data->reserved = MR_MIN(data->reserved, size);
}

/* ---- sync ---- */

static void keep_dirty(sim_data *data, size_t to, size_t from)
{
    if (to != from)
        data->dirty[to] = data->dirty[from];
    data->slots[data->dirty[to].index] = (uint32_t)to + 1;
}

void sim_data_sync(sim_data *data)
{
    size_t kept = 0;
    for (size_t i = 0; i < data->dirty_count; i++) {
        data->slots[data->dirty[i].index] = 0;
        if (data->dirty[i].doomed)
            keep_dirty(data, kept++, i);
    }
    data->dirty_count = kept;
    data->disk_size = data->size;
}

void sim_data_sync_failed(sim_data *data, mr_random_seeded *random)
{
    uint64_t disk_size = data->disk_size;
    for (size_t i = 0; i < data->dirty_count; i++)
        if (mr_random_below(random, 2) == 0)
            data->dirty[i].doomed = true;
    sim_data_sync(data);
    if (mr_random_below(random, 2) == 0)
        data->disk_size = disk_size;
}

/* ---- crash ---- */

typedef enum sim_fate {
    FATE_KEEP,
    FATE_LOSE,
    FATE_TEAR,
    FATE_FLIP,
    FATE_GARBLE,
    FATE_COUNT
} sim_fate;

/* How the sectors of one file fare together: real crashes are often all or nothing, or in order of
 * writing. */
typedef enum sim_mood { MOOD_KEEP, MOOD_LOSE, MOOD_PREFIX, MOOD_EACH, MOOD_COUNT } sim_mood;

static sim_fate draw_fate(mr_random_seeded *random, const mr_fs_sim_options *options)
{
    static const uint32_t usual[FATE_COUNT] = {50, 35, 10, 3, 2};
    const uint32_t asked[FATE_COUNT] = {options->keep_weight, options->lose_weight,
                                        options->tear_weight, options->flip_weight,
                                        options->garble_weight};
    uint64_t sum = 0;
    for (int i = 0; i < FATE_COUNT; i++)
        sum += asked[i];
    const uint32_t *weights = sum > 0 ? asked : usual;
    uint64_t draw = mr_random_below(random, sum > 0 ? sum : 100);
    int fate = 0;
    while (draw >= weights[fate])
        draw -= weights[fate++];
    return (sim_fate)fate;
}

/* Takes the disk's bytes in front of, or behind, a cut. */
static void tear(uint8_t *seen, const uint8_t *disk, size_t bytes, mr_random_seeded *random)
{
    size_t cut = (size_t)mr_random_below(random, bytes + 1);
    if (mr_random_below(random, 2) == 0)
        memcpy(seen, disk, cut);
    else
        memcpy(seen + cut, disk + cut, bytes - cut);
}

static void garble(uint8_t *seen, const uint8_t *disk, size_t bytes, mr_random_seeded *random)
{
    for (size_t i = 0; i < bytes; i++)
        if (seen[i] != disk[i])
            seen[i] = (uint8_t)mr_random_next(random);
}

static void flip(uint8_t *seen, const uint8_t *disk, size_t bytes, mr_random_seeded *random)
{
    size_t start = (size_t)mr_random_below(random, bytes);
    for (size_t i = 0; i < bytes; i++) {
        size_t at = (start + i) % bytes;
        if (seen[at] == disk[at])
            continue;
        seen[at] = (uint8_t)(seen[at] ^ (1u << mr_random_below(random, 8)));
        return;
    }
}

static void apply_fate(sim_fate fate, uint8_t *seen, const uint8_t *disk, size_t bytes,
                       mr_random_seeded *random)
{
    switch (fate) {
    case FATE_LOSE:
        memcpy(seen, disk, bytes);
        break;
    case FATE_TEAR:
        tear(seen, disk, bytes, random);
        break;
    case FATE_FLIP:
        flip(seen, disk, bytes, random);
        break;
    case FATE_GARBLE:
        garble(seen, disk, bytes, random);
        break;
    case FATE_KEEP:
    case FATE_COUNT:
        break;
    }
}

static sim_fate fate_in_mood(sim_mood mood, bool before_cut, mr_random_seeded *random,
                             const mr_fs_sim_options *options)
{
    if (mood == MOOD_EACH)
        return draw_fate(random, options);
    return mood == MOOD_KEEP || (mood == MOOD_PREFIX && before_cut) ? FATE_KEEP : FATE_LOSE;
}

static uint64_t size_in_mood(const sim_data *data, sim_mood mood, mr_random_seeded *random)
{
    if (mood == MOOD_KEEP || mood == MOOD_LOSE)
        return mood == MOOD_KEEP ? data->size : data->disk_size;
    uint64_t low = MR_MIN(data->size, data->disk_size), high = MR_MAX(data->size, data->disk_size);
    switch (mr_random_below(random, 3)) {
    case 0:
        return data->size;
    case 1:
        return data->disk_size;
    default:
        return low + mr_random_below(random, high - low + 1);
    }
}

static void forget_dirt(sim_data *data)
{
    for (size_t i = 0; i < data->dirty_count; i++)
        data->slots[data->dirty[i].index] = 0;
    data->dirty_count = 0;
}

void sim_data_crash(sim_data *data, mr_random_seeded *random, const mr_fs_sim_options *options)
{
    data->reserved = 0;
    if (data->dirty_count == 0 && data->size == data->disk_size)
        return;
    uint64_t whole = MR_MAX(data->size, data->disk_size);
    replace_content(data, (size_t)MR_MAX(whole, 1));
    reach(data, whole);
    sim_mood mood = (sim_mood)mr_random_below(random, MOOD_COUNT);
    size_t cut = (size_t)mr_random_below(random, data->dirty_count + 1);
    for (size_t i = 0; i < data->dirty_count; i++) {
        const sim_sector *sector = &data->dirty[i];
        uint64_t at = sector->index * SIM_SECTOR_BYTES;
        sim_fate fate = fate_in_mood(mood, i < cut, random, options);
        if (at < whole)
            apply_fate(sector->doomed ? FATE_LOSE : fate, data->content->bytes + at, sector->disk,
                       (size_t)MR_MIN(whole - at, SIM_SECTOR_BYTES), random);
    }
    data->size = data->disk_size = size_in_mood(data, mood, random);
    forget_dirt(data);
}

void sim_data_flip(sim_data *data, uint64_t offset, unsigned bit)
{
    replace_content(data, (size_t)data->size);
    data->content->bytes[offset] = (uint8_t)(data->content->bytes[offset] ^ (1u << bit));
}

void sim_data_deinit(sim_data *data)
{
    mr_buffer_release(data->content);
    mr_free(data->dirty);
    mr_free(data->slots);
    *data = (sim_data){0};
}
