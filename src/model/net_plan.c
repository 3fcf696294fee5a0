/* net_plan.c -- the finished program: steps that join others, lives of buffers, where they lie, running.
 *
 *   frame: | buffers, 64-byte aligned, sharing bytes when their lives do not overlap | abstain | work of the step |
 *
 * A buffer lives from the first step that writes it (inputs: from the start) to the last that reads it. */
#include "model/net_internal.h"

#include "base/assert.h"

#include <string.h>

#define SHARED_BUFFERS_MAX 4096        /* beyond, each gets its own bytes: planning is quadratic */
#define BLOCK_BYTES        (48u << 10) /* what a block of rows should take: the first cache */
#define BLOCK_ROWS_MIN     32
#define FRAME_BYTES_MAX    (256u << 20)

typedef struct plan {
    mr_net *net;
    mr_net_step *steps;
    mr_net_buffer *buffers;
    uint32_t *readers; /* of each buffer */
    uint32_t step_count, buffer_count;
} plan;

/* ---- joining: product, addition, maximum ---- */

static void count_readers(plan *p, const mr_tensor *const *results, size_t count)
{
    memset(p->readers, 0, sizeof *p->readers * p->buffer_count);
    for (uint32_t s = 0; s < p->step_count; s++)
        for (int i = 0; i < 3; i++)
            if (p->steps[s].in[i].count > 0 && p->steps[s].in[i].constant == NULL)
                p->readers[p->steps[s].in[i].buffer]++;
    const uint32_t *columns = (const uint32_t *)(const void *)p->net->columns.data;
    for (size_t r = 0; r < count; r++)
        for (uint32_t i = 0; i < results[r]->count; i++)
            if ((results[r]->elements[i] & MR_TENSOR_CONSTANT) == 0)
                p->readers[columns[results[r]->elements[i]]]++;
}

/* Whether `in` is all that the step before wrote, and nobody else reads it. */
static bool takes_over(const plan *p, const mr_net_step *before, const mr_net_operand *in)
{
    const mr_net_operand *out = &before->out;
    return in->constant == NULL && in->count == out->count && in->step == 1 &&
           in->buffer == out->buffer && in->first == out->first && p->readers[out->buffer] == 1 &&
           p->buffers[out->buffer].count == out->count;
}

static bool join(const plan *p, mr_net_step *before, const mr_net_step *next)
{
    if (!mr_net_is_product(before) || (before->flags & MR_NET_PRODUCT_RELU) != 0)
        return false;
    if (next->map == MR_NET_RELU && next->in[0].count > 0 && next->kernel != NULL &&
        takes_over(p, before, &next->in[0])) {
        before->flags |= MR_NET_PRODUCT_RELU;
        p->buffers[before->out.buffer].count = 0; /* nobody writes it any more */
        before->out = next->out;
        return true;
    }
    if (next->map != MR_NET_ADD || next->kernel == NULL || before->in[1].count > 0)
        return false;
    int other = takes_over(p, before, &next->in[0]) ? 1 : 0;
    if (!takes_over(p, before, &next->in[1 - other]))
        return false;
    const mr_net_operand *bias = &next->in[other];
    if (bias->constant == NULL || (bias->step == 0 && bias->count > 1))
        return false;
    before->in[1] = *bias;
    p->buffers[before->out.buffer].count = 0;
    before->out = next->out;
    return true;
}

static void join_steps(plan *p)
{
    uint32_t kept = 0;
    for (uint32_t s = 0; s < p->step_count; s++)
        if (kept == 0 || !join(p, &p->steps[kept - 1], &p->steps[s]))
            p->steps[kept++] = p->steps[s];
    p->step_count = kept;
    p->net->steps.size = kept * sizeof *p->steps;
}

/* ---- lives ---- */

static void find_lives(plan *p, const mr_tensor *const *results, size_t count)
{
    for (uint32_t b = 0; b < p->buffer_count; b++)
        p->buffers[b].born = UINT32_MAX, p->buffers[b].dies = 0;
    for (uint32_t s = 0; s < p->step_count; s++) {
        const mr_net_step *step = &p->steps[s];
        mr_net_buffer *out = step->out.count > 0 ? &p->buffers[step->out.buffer] : NULL;
        if (out != NULL && out->born == UINT32_MAX)
            out->born = s;
        if (out != NULL)
            out->dies = MR_MAX(out->dies, s);
        for (int i = 0; i < 3; i++)
            if (step->in[i].count > 0 && step->in[i].constant == NULL)
                p->buffers[step->in[i].buffer].dies = s;
    }
    const uint32_t *columns = (const uint32_t *)(const void *)p->net->columns.data;
    for (size_t r = 0; r < count; r++)
        for (uint32_t i = 0; i < results[r]->count; i++)
            if ((results[r]->elements[i] & MR_TENSOR_CONSTANT) == 0)
                p->buffers[columns[results[r]->elements[i]]].dies = UINT32_MAX;
    for (uint32_t b = 0; b < p->buffer_count; b++)
        if (p->buffers[b].born == UINT32_MAX)
            p->buffers[b].born = 0; /* an input */
}

/* ---- places ---- */

static size_t rounded(size_t bytes)
{
    return (bytes + MR_ALIGN - 1) / MR_ALIGN * MR_ALIGN;
}

static size_t bytes_of(const mr_net_buffer *buffer, size_t rows)
{
    return rounded(buffer->count * mr_tensor_type_bytes(buffer->type) * rows);
}

/* The lowest place where the buffer touches none of those before it that live when it does. */
static size_t lowest_place(const plan *p, uint32_t number, size_t rows)
{
    const mr_net_buffer *mine = &p->buffers[number];
    size_t at = 0, bytes = bytes_of(mine, rows);
    for (uint32_t again = 1; again != 0;) {
        again = 0;
        for (uint32_t b = 0; b < number; b++) {
            const mr_net_buffer *other = &p->buffers[b];
            size_t end = other->offset + bytes_of(other, rows);
            bool together = other->born <= mine->dies && mine->born <= other->dies;
            if (together && at < end && other->offset < at + bytes) {
                at = end;
                again = 1;
            }
        }
    }
    return at;
}

static size_t place_buffers(plan *p, size_t rows)
{
    size_t top = 0;
    for (uint32_t b = 0; b < p->buffer_count; b++) {
        p->buffers[b].offset =
            p->buffer_count <= SHARED_BUFFERS_MAX ? lowest_place(p, b, rows) : top;
        top = MR_MAX(top, p->buffers[b].offset + bytes_of(&p->buffers[b], rows));
    }
    return top;
}

/* Rows of a block: as many as the cache holds; forests want whole blocks. */
static mr_status choose_rows(plan *p, size_t work, mr_error *err)
{
    mr_net *net = p->net;
    size_t per_row = MR_MAX(place_buffers(p, 16) / 16, (size_t)1), rows = BLOCK_BYTES / per_row;
    rows = rows / 64 * 64;
    rows = work > 0 ? MR_NET_ROWS_MAX : MR_MAX(rows, (size_t)BLOCK_ROWS_MIN);
    rows = MR_MIN(rows, (size_t)net->block_rows);
    while (rows > 1 && per_row * rows > FRAME_BYTES_MAX)
        rows /= 2;
    net->block_rows = (uint32_t)rows;
    net->abstain_offset = place_buffers(p, rows);
    net->memory_bytes = net->abstain_offset + rounded(rows) + work;
    return net->memory_bytes <= FRAME_BYTES_MAX
               ? MR_OK
               : MR_FAIL(err, MR_FULL, "scoring would need %zu bytes of scratch; the limit is %u",
                         net->memory_bytes, FRAME_BYTES_MAX);
}

static void set_offsets(plan *p)
{
    for (uint32_t s = 0; s < p->step_count; s++) {
        mr_net_step *step = &p->steps[s];
        if (step->out.count > 0)
            step->out.offset = p->buffers[step->out.buffer].offset;
        for (int i = 0; i < 3; i++)
            if (step->in[i].count > 0 && step->in[i].constant == NULL)
                step->in[i].offset = p->buffers[step->in[i].buffer].offset;
    }
}

static size_t greatest_work(const plan *p)
{
    size_t work = 0;
    for (uint32_t s = 0; s < p->step_count; s++)
        work = MR_MAX(work, rounded(p->steps[s].work_bytes));
    return work;
}

mr_status mr_net_finish(mr_net *net, const mr_tensor *const *results, size_t count, mr_error *err)
{
    plan p = {.net = net,
              .steps = (mr_net_step *)(void *)net->steps.data,
              .buffers = (mr_net_buffer *)(void *)net->buffers.data,
              .step_count = (uint32_t)(net->steps.size / sizeof(mr_net_step)),
              .buffer_count = (uint32_t)(net->buffers.size / sizeof(mr_net_buffer))};
    p.readers = MR_ARENA_ARRAY(&net->temp, uint32_t, p.buffer_count + 1);
    if (p.readers == NULL)
        return MR_OUT_OF_MEMORY(err);
    count_readers(&p, results, count);
    join_steps(&p);
    find_lives(&p, results, count);
    MR_TRY(choose_rows(&p, greatest_work(&p), err));
    set_offsets(&p);
    return MR_OK;
}

/* ---- running ---- */

mr_net_frame mr_net_frame_of(const mr_net *net, uint8_t *memory, size_t rows)
{
    MR_ASSERT(rows <= net->block_rows);
    return (mr_net_frame){.memory = memory,
                          .rows = rows,
                          .abstain = memory + net->abstain_offset,
                          .work = memory + net->abstain_offset + rounded(net->block_rows)};
}

void *mr_net_column(const mr_net *net, uint32_t column, const mr_net_frame *frame)
{
    uint32_t number = ((const uint32_t *)(const void *)net->columns.data)[column];
    const mr_net_buffer *buffer = (const mr_net_buffer *)(const void *)net->buffers.data + number;
    return frame->memory + buffer->offset +
           (column - buffer->first) * frame->rows * mr_tensor_type_bytes(buffer->type);
}

void mr_net_run(const mr_net *net, const mr_net_frame *frame)
{
    const mr_net_step *steps = (const mr_net_step *)(const void *)net->steps.data;
    size_t count = net->steps.size / sizeof *steps;
    for (size_t s = 0; s < count; s++)
        steps[s].run(&steps[s], frame);
}
