/* event_time.c -- from a time to an offset.
 *
 * The answer is exact: the first record, in offset order, whose event time is >= t. Segments are left out by
 * the highest time in them, blocks by the highest time before them (index.h), and the block that is left is
 * read. Event times need not ascend. */
#include "log/partition.h"

#include "base/assert.h"

#include <string.h>

typedef struct time_search {
    mr_partition *partition;
    mr_partition_view view;
    int64_t event_time;
    bool found;
    uint64_t offset;
} time_search;

/* First row of the block whose event time is >= t; row_count when there is none. */
static mr_status search_block(time_search *search, mr_segment *segment, uint64_t position,
                              const mr_block_header *header, uint32_t *out_row, mr_error *err)
{
    mr_schema *schema;
    int column_index;
    mr_buffer *bytes = mr_buffer_create(header->block_bytes);
    if (bytes == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_batch *batch = NULL;
    mr_status status = mr_topic_schema_lookup(search->partition->topic, header->schema_id, &schema,
                                              &column_index, err);
    if (status == MR_OK)
        status = mr_file_read_exact(segment->file, position, bytes->bytes, bytes->size, err);
    if (status == MR_OK)
        status = mr_block_check_body(header, bytes->bytes + MR_BLOCK_HEADER_BYTES, err);
    if (status == MR_OK)
        status = mr_block_decode(header, bytes->bytes, bytes, schema, &batch, err);
    *out_row = header->row_count;
    if (status == MR_OK && column_index >= 0) {
        const mr_column *column = &batch->columns[column_index];
        const int64_t *times = column->values;
        uint32_t row = 0;
        while (row < batch->row_count &&
               (mr_column_is_null(column, row) || times[row] < search->event_time))
            row++;
        *out_row = row;
    }
    mr_batch_release(batch);
    mr_schema_release(schema);
    mr_buffer_release(bytes);
    return status;
}

/* A block that cannot be read may hold the record: the search ends in front of it, where reading says so. */
static mr_status try_block(time_search *search, mr_segment *segment, uint64_t position,
                           const mr_block_header *header, mr_error *err)
{
    uint32_t row;
    mr_error reason = {0};
    mr_status status = search_block(search, segment, position, header, &row, &reason);
    if (status != MR_OK && status != MR_CORRUPT)
        return MR_FAIL(err, status, "%s", reason.text);
    if (status == MR_CORRUPT)
        row = 0;
    search->found = row < header->row_count;
    search->offset = header->base_offset + row;
    return MR_OK;
}

static mr_status search_blocks(time_search *search, mr_segment *segment, uint64_t from,
                               uint64_t limit, mr_error *err)
{
    mr_segment_walk walk;
    mr_segment_walk_init(&walk, segment, from, limit);
    while (!search->found) {
        mr_block_header header;
        mr_error reason = {0};
        mr_status status = mr_segment_walk_peek(&walk, &header, &reason);
        if (status == MR_CORRUPT)
            status = mr_segment_walk_resync(&walk, walk.position + MR_ALIGN, 0, &header, &reason);
        if (status == MR_END)
            return MR_OK;
        if (status != MR_OK)
            return MR_FAIL(err, status, "%s", reason.text);
        if (header.has_event_time && header.event_max >= search->event_time)
            MR_TRY(try_block(search, segment, walk.position, &header, err));
        walk.position += header.block_bytes;
    }
    return MR_OK;
}

static mr_status search_sealed(time_search *search, mr_segment *segment, mr_error *err)
{
    mr_index index;
    uint64_t size;
    MR_TRY(mr_file_size(segment->file, &size, err));
    MR_TRY(mr_partition_sealed_index(search->partition, segment, &index, err));
    bool wanted = index.has_event_time && index.event_max >= search->event_time;
    uint64_t from = mr_index_find_time(&index, search->event_time).position;
    mr_index_deinit(&index);
    return wanted ? search_blocks(search, segment, from, size, err) : MR_OK;
}

static mr_status search_segment(time_search *search, mr_segment *segment, mr_error *err)
{
    if (segment->base_offset != search->view.segment_base)
        return search_sealed(search, segment, err);
    mr_index_entry entry;
    MR_TRY(mr_partition_find(search->partition, segment, false, search->view.position, true, 0,
                             search->event_time, &entry, err));
    return search_blocks(search, segment, entry.position, search->view.position, err);
}

static mr_status search_partition(time_search *search, mr_error *err)
{
    uint64_t offset, next_base;
    MR_TRY(mr_partition_see(search->partition, &search->view, err));
    MR_TRY(mr_partition_first_offset(search->partition, &offset, err));
    do {
        mr_segment *segment;
        MR_TRY(mr_partition_open_segment(search->partition, offset, &segment, &next_base, err));
        bool beyond = segment->base_offset > search->view.segment_base;
        mr_status status = beyond ? MR_OK : search_segment(search, segment, err);
        mr_segment_release(segment);
        MR_TRY(status);
        offset = beyond ? MR_LOG_OFFSET_NONE : next_base;
    } while (!search->found && offset != MR_LOG_OFFSET_NONE);
    return MR_OK;
}

mr_status mr_topic_offset_of_time(mr_topic *topic, uint32_t partition, int64_t event_time,
                                  uint64_t *out_offset, mr_error *err)
{
    mr_partition *of = mr_topic_partition(topic, partition, err);
    if (of == NULL)
        return MR_INVALID;
    if (topic->options.event_time[0] == '\0') /* fixed at creation */
        return MR_FAIL(
            err, MR_INVALID,
            "%s has no event time column; name one when the topic is created (event_time)",
            topic->name);
    time_search search = {.partition = of, .event_time = event_time};
    MR_TRY(search_partition(&search, err));
    *out_offset = search.found ? search.offset : search.view.offset;
    return MR_OK;
}
