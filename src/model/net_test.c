/* net_test.c -- random tensor programs against an evaluator that knows nothing of rows, columns or blocks: there the rows are
 * an axis like any other, and every operator is a loop over indices. */
#include "test/test.h"

#include "base/assert.h"
#include "model/net.h"

#include <math.h>
#include <string.h>

#define RANK_MAX   4
#define VALUES_MAX 12

/* ---- the obvious way ---- */

typedef struct plain {
    uint32_t rank, dims[RANK_MAX], count;
    float *data;
} plain;

static plain plain_make(uint32_t rank, const uint32_t *dims)
{
    plain p = {.rank = rank, .count = 1};
    for (uint32_t a = 0; a < rank; a++)
        p.count *= p.dims[a] = dims[a];
    p.data = mr_alloc(sizeof *p.data * (p.count + 1));
    return p;
}

/* Index of element i along every axis. */
static void index_of(const plain *p, uint32_t i, uint32_t *at)
{
    for (uint32_t a = p->rank; a-- > 0; i /= p->dims[a])
        at[a] = i % p->dims[a];
}

/* The element at an index of a shape with at least as many axes; axes of size 1 are repeated. */
static float get(const plain *p, const uint32_t *at, uint32_t rank)
{
    uint32_t i = 0;
    for (uint32_t a = 0; a < p->rank; a++)
        i = i * p->dims[a] + (p->dims[a] == 1 ? 0 : at[a + rank - p->rank]);
    return p->data[i];
}

static float one(mr_net_map map, float a, float b)
{
    switch (map) {
    case MR_NET_NEG:
        return -a;
    case MR_NET_ABS:
        return fabsf(a);
    case MR_NET_RELU:
        return a < 0 ? 0 : a;
    case MR_NET_TANH:
        return tanhf(a);
    case MR_NET_SIGMOID:
        return 1 / (1 + expf(-a));
    case MR_NET_ADD:
        return a + b;
    case MR_NET_SUB:
        return a - b;
    case MR_NET_MUL:
        return a * b;
    default:
        return a > b ? a : b;
    }
}

static plain plain_map(mr_net_map map, const plain *a, const plain *b)
{
    uint32_t dims[RANK_MAX], rank = b != NULL ? MR_MAX(a->rank, b->rank) : a->rank, at[RANK_MAX];
    for (uint32_t d = 0; d < rank; d++) {
        uint32_t of_a = d + a->rank >= rank ? a->dims[d + a->rank - rank] : 1;
        uint32_t of_b = b != NULL && d + b->rank >= rank ? b->dims[d + b->rank - rank] : 1;
        dims[d] = MR_MAX(of_a, of_b);
    }
    plain out = plain_make(rank, dims);
    for (uint32_t i = 0; i < out.count; i++) {
        index_of(&out, i, at);
        out.data[i] = one(map, get(a, at, rank), b != NULL ? get(b, at, rank) : 0);
    }
    return out;
}

static plain plain_reduce(const plain *a, uint32_t axis, bool most)
{
    uint32_t dims[RANK_MAX], at[RANK_MAX];
    memcpy(dims, a->dims, sizeof dims);
    dims[axis] = 1;
    plain out = plain_make(a->rank, dims);
    for (uint32_t i = 0; i < out.count; i++) {
        index_of(&out, i, at);
        float sum = most ? -INFINITY : 0;
        for (at[axis] = 0; at[axis] < a->dims[axis]; at[axis]++)
            sum = most ? fmaxf(sum, get(a, at, a->rank)) : sum + get(a, at, a->rank);
        out.data[i] = sum;
    }
    return out;
}

static plain plain_transpose(const plain *a, const uint32_t *order)
{
    uint32_t dims[RANK_MAX], at[RANK_MAX], from[RANK_MAX];
    for (uint32_t d = 0; d < a->rank; d++)
        dims[d] = a->dims[order[d]];
    plain out = plain_make(a->rank, dims);
    for (uint32_t i = 0; i < out.count; i++) {
        index_of(&out, i, at);
        for (uint32_t d = 0; d < a->rank; d++)
            from[order[d]] = at[d];
        out.data[i] = get(a, from, a->rank);
    }
    return out;
}

static plain plain_take(const plain *a, uint32_t axis, const uint32_t *index, uint32_t count)
{
    uint32_t dims[RANK_MAX], at[RANK_MAX];
    memcpy(dims, a->dims, sizeof dims);
    dims[axis] = count;
    plain out = plain_make(a->rank, dims);
    for (uint32_t i = 0; i < out.count; i++) {
        index_of(&out, i, at);
        at[axis] = index[at[axis]];
        uint32_t flat = 0;
        for (uint32_t d = 0; d < a->rank; d++)
            flat = flat * a->dims[d] + at[d];
        out.data[i] = a->data[flat];
    }
    return out;
}

/* Along the last axis. */
static plain plain_product(const plain *a, const float *weights, uint32_t n)
{
    uint32_t dims[RANK_MAX], k = a->dims[a->rank - 1];
    memcpy(dims, a->dims, sizeof dims);
    dims[a->rank - 1] = n;
    plain out = plain_make(a->rank, dims);
    for (uint32_t i = 0; i < out.count; i++) {
        float sum = 0;
        for (uint32_t x = 0; x < k; x++)
            sum = fmaf(a->data[i / n * k + x], weights[x * n + i % n], sum);
        out.data[i] = sum;
    }
    return out;
}

/* ---- both ways ---- */

typedef struct pair {
    mr_tensor tensor;
    plain plain;
} pair;

typedef struct world {
    mr_random_seeded random;
    mr_net net;
    uint32_t rows;
    pair values[VALUES_MAX];
    uint32_t count;
} world;

static uint32_t below(world *w, uint32_t n)
{
    return (uint32_t)mr_random_below(&w->random, n);
}

static float number(world *w)
{
    return (float)(mr_random_unit(&w->random) * 4 - 2);
}

static pair *pick(world *w)
{
    return &w->values[below(w, w->count)];
}

/* An axis that is not the rows; -1: there is none. */
static int inner_axis(world *w, const pair *p)
{
    uint32_t first = below(w, p->tensor.rank);
    for (uint32_t i = 0; i < p->tensor.rank; i++)
        if ((int32_t)((first + i) % p->tensor.rank) != p->tensor.batch)
            return (int)((first + i) % p->tensor.rank);
    return -1;
}

static void make_input(world *w)
{
    mr_error err = {0};
    uint32_t dims[3] = {w->rows, 1 + below(w, 4), 1 + below(w, 20)}, rank = 2 + below(w, 2);
    pair *p = &w->values[w->count++];
    p->plain = plain_make(rank, dims);
    for (uint32_t i = 0; i < p->plain.count; i++)
        p->plain.data[i] = number(w);
    assert_ok(mr_net_fresh(&w->net, MR_TENSOR_FLOAT32, rank, dims, 0, &p->tensor, &err), &err);
}

/* A constant that can be spread over `like`: some of its axes, or 1 in their place. */
static pair make_constant(world *w, const pair *like)
{
    mr_error err = {0};
    uint32_t dims[RANK_MAX], rank = below(w, like->tensor.rank + 1);
    for (uint32_t d = 0; d < rank; d++) {
        uint32_t axis = d + like->tensor.rank - rank;
        bool flat = (int32_t)axis == like->tensor.batch || below(w, 4) == 0;
        dims[d] = flat ? 1 : like->plain.dims[axis];
    }
    pair p = {.plain = plain_make(rank, dims)};
    for (uint32_t i = 0; i < p.plain.count; i++)
        p.plain.data[i] = number(w);
    assert_ok(
        mr_net_constants(&w->net, MR_TENSOR_FLOAT32, rank, dims, p.plain.data, &p.tensor, &err),
        &err);
    return p;
}

static void do_unary(world *w, const pair *a, pair *out, mr_error *err)
{
    static const mr_net_map maps[] = {MR_NET_NEG, MR_NET_ABS, MR_NET_RELU, MR_NET_TANH,
                                      MR_NET_SIGMOID};
    mr_net_map map = maps[below(w, MR_COUNT_OF(maps))];
    assert_ok(mr_net_unary(&w->net, map, &a->tensor, 0, 0, &out->tensor, err), err);
    out->plain = plain_map(map, &a->plain, NULL);
}

static void do_binary(world *w, const pair *a, pair *out, mr_error *err)
{
    static const mr_net_map maps[] = {MR_NET_ADD, MR_NET_SUB, MR_NET_MUL, MR_NET_MAX};
    mr_net_map map = maps[below(w, MR_COUNT_OF(maps))];
    pair b = make_constant(w, a);
    bool exchanged = below(w, 2) == 0, same = below(w, 4) == 0;
    const pair *x = same ? a : exchanged ? &b : a, *y = same ? a : exchanged ? a : &b;
    assert_ok(mr_net_binary(&w->net, map, &x->tensor, &y->tensor, &out->tensor, err), err);
    out->plain = plain_map(map, &x->plain, &y->plain);
    mr_free(b.plain.data);
}

static void do_reduce(world *w, const pair *a, int axis, pair *out, mr_error *err)
{
    bool most = below(w, 2) == 0;
    assert_ok(mr_net_reduce(&w->net, most ? MR_NET_GREATEST : MR_NET_SUM, &a->tensor, 1u << axis,
                            true, &out->tensor, err),
              err);
    out->plain = plain_reduce(&a->plain, (uint32_t)axis, most);
}

static void do_transpose(world *w, const pair *a, pair *out, mr_error *err)
{
    uint32_t order[RANK_MAX] = {0, 1, 2, 3}, rank = a->tensor.rank;
    for (uint32_t i = rank; i > 1; i--) {
        uint32_t j = below(w, i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
    assert_ok(mr_tensor_transpose(&w->net.pool, &a->tensor, order, &out->tensor, err), err);
    out->plain = plain_transpose(&a->plain, order);
}

static void do_take(world *w, const pair *a, int axis, pair *out, mr_error *err)
{
    uint32_t index[24], count = 1 + below(w, 24);
    for (uint32_t i = 0; i < count; i++)
        index[i] = below(w, a->plain.dims[axis]);
    assert_ok(
        mr_tensor_take(&w->net.pool, &a->tensor, (uint32_t)axis, index, count, &out->tensor, err),
        err);
    out->plain = plain_take(&a->plain, (uint32_t)axis, index, count);
}

static void do_product(world *w, const pair *a, pair *out, mr_error *err)
{
    uint32_t k = a->plain.dims[a->tensor.rank - 1], n = 1 + below(w, 40);
    float *weights = mr_arena_alloc(&w->net.keep, sizeof *weights * k * n);
    for (uint32_t i = 0; i < k * n; i++)
        weights[i] = number(w) / 4;
    assert_ok(mr_net_product(&w->net, &a->tensor, weights, n, NULL, &out->tensor, err), err);
    out->plain = plain_product(&a->plain, weights, n);
}

static void grow(world *w)
{
    mr_error err = {0};
    pair *a = pick(w), *out = &w->values[w->count];
    int axis = inner_axis(w, a);
    bool last_is_inner = a->tensor.batch != (int32_t)a->tensor.rank - 1;
    switch (below(w, 7)) {
    case 0:
        do_reduce(w, a, axis, out, &err);
        break;
    case 1:
        do_transpose(w, a, out, &err);
        break;
    case 2:
        do_take(w, a, axis, out, &err);
        break;
    case 3:
        if (last_is_inner) {
            do_product(w, a, out, &err);
            break;
        }
        /* fall through */
    case 4:
        do_unary(w, a, out, &err);
        break;
    default:
        do_binary(w, a, out, &err);
    }
    w->count++;
}

/* The element of row r: rows stand at the batch axis of the plain tensor. */
static float plain_at(const pair *p, uint32_t element, uint32_t r)
{
    uint32_t at[RANK_MAX] = {0};
    for (uint32_t a = p->tensor.rank; a-- > 0;) {
        bool rows = (int32_t)a == p->tensor.batch;
        at[a] = rows ? r : element % p->plain.dims[a];
        element /= rows ? 1 : p->plain.dims[a];
    }
    return get(&p->plain, at, p->tensor.rank);
}

static void check(const world *w, const mr_net_frame *frame, uint32_t first)
{
    for (uint32_t v = 0; v < w->count; v++) {
        const pair *p = &w->values[v];
        assert_int_equal(p->tensor.batch >= 0 ? p->tensor.count * w->rows : p->tensor.count,
                         p->plain.count);
        for (uint32_t e = 0; e < p->tensor.count; e++)
            for (uint32_t r = 0; r < frame->rows; r++) {
                const float *column = mr_net_column(&w->net, p->tensor.elements[e], frame);
                float wanted = plain_at(p, e, first + r);
                if (!(fabsf(column[r] - wanted) <= 4e-6f * fmaxf(1, fabsf(wanted))))
                    fail_msg("seed %llu, value %u, element %u, row %u of %zu: %.9g, not %.9g",
                             (unsigned long long)mr_test_seed(), v, e, first + r, frame->rows,
                             (double)column[r], (double)wanted);
            }
    }
}

static void run_blocks(world *w, uint8_t *memory)
{
    const pair *input = &w->values[0];
    for (uint32_t at = 0; at < w->rows;) {
        uint32_t rows = 1 + below(w, MR_MIN(w->rows - at, w->net.block_rows));
        mr_net_frame frame = mr_net_frame_of(&w->net, memory, rows);
        for (uint32_t e = 0; e < input->tensor.count; e++)
            for (uint32_t r = 0; r < rows; r++)
                ((float *)mr_net_column(&w->net, input->tensor.elements[e], &frame))[r] =
                    plain_at(input, e, at + r);
        mr_net_run(&w->net, &frame);
        check(w, &frame, at);
        at += rows;
    }
}

TEST(net, random_programs_give_what_loops_give)
{
    static const char *const cpus[] = {"plain", "avx2", "auto"};
    for (uint64_t round = 0; round < mr_test_rounds(250); round++) {
        mr_error err = {0};
        world w = {.random = mr_test_random(round), .rows = 1 + (uint32_t)(round * 7 % 90)};
        const mr_tensor *results[VALUES_MAX];
        assert_ok(mr_net_init(&w.net, 1 << 16, cpus[round % 3], &err), &err);
        make_input(&w);
        while (w.count < VALUES_MAX)
            grow(&w);
        for (uint32_t i = 0; i < w.count; i++)
            results[i] = &w.values[i].tensor;
        assert_ok(mr_net_finish(&w.net, results, w.count, &err), &err);
        uint8_t *memory = mr_alloc_aligned(w.net.memory_bytes);
        run_blocks(&w, memory);
        mr_free(memory);
        mr_net_deinit(&w.net);
        for (uint32_t i = 0; i < w.count; i++)
            mr_free(w.values[i].plain.data);
    }
}

/* Products have the same bits for one row as for many, and on every processor. */
TEST(net, products_have_the_same_bits_everywhere)
{
    const mr_net_kernels *all[] = {mr_net_kernels_best("plain"), mr_net_kernels_best("avx2"),
                                   mr_net_kernels_best("auto")};
    mr_random_seeded random = mr_test_random(3);
    for (uint64_t round = 0; round < mr_test_rounds(60); round++) {
        uint32_t k = 1 + (uint32_t)mr_random_below(&random, 40),
                 n = 1 + (uint32_t)mr_random_below(&random, 40),
                 rows = 1 + (uint32_t)mr_random_below(&random, 80);
        float *x = mr_alloc(sizeof *x * k * rows), *row = mr_alloc(sizeof *row * k),
              *weights = mr_alloc(sizeof *weights * k * n), *bias = mr_alloc(sizeof *bias * n),
              *out[3], *single = mr_alloc(sizeof *single * n);
        for (uint32_t i = 0; i < k * rows; i++)
            x[i] = (float)mr_random_unit(&random) - 0.5f;
        for (uint32_t i = 0; i < k * n; i++)
            weights[i] = (float)mr_random_unit(&random) - 0.5f;
        for (uint32_t i = 0; i < n; i++)
            bias[i] = (float)mr_random_unit(&random) - 0.5f;
        for (int c = 0; c < 3; c++) {
            out[c] = mr_alloc(sizeof **out * n * rows);
            all[c]->product32(out[c], x, rows, k, n, weights, bias, round % 2 == 0);
            assert_memory_equal(out[c], out[0], sizeof **out * n * rows);
        }
        for (uint32_t r = 0; r < rows; r++) {
            for (uint32_t i = 0; i < k; i++)
                row[i] = x[i * rows + r];
            all[2]->product32(single, row, 1, k, n, weights, bias, round % 2 == 0);
            for (uint32_t j = 0; j < n; j++)
                assert_true(single[j] == out[0][j * rows + r]);
        }
        for (int c = 0; c < 3; c++)
            mr_free(out[c]);
        mr_free(x);
        mr_free(row);
        mr_free(weights);
        mr_free(bias);
        mr_free(single);
    }
}
