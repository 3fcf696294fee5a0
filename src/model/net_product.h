/* net_product.h -- dot products of a block of rows with the columns of a matrix, for one width of numbers.
 *
 * Many rows: TILE vectors of rows times up to STRIP outputs stay in registers while the inputs go by. One row: vectors
 * over the outputs. Both add each output's terms in the order of the inputs, fused, from 0: the same bits. */

/* TILE vectors of rows from r on, `count` outputs from j on: count is a constant at every call. */
__attribute__((always_inline)) static inline void
W(tile)(SCALAR *out, const SCALAR *x, size_t rows, size_t r, uint32_t k, uint32_t n, uint32_t j,
        const SCALAR *weights, const SCALAR *bias, bool relu, const int vectors, const int count)
{
    V sums[STRIP][TILE];
    for (int c = 0; c < count; c++)
        for (int v = 0; v < vectors; v++)
            sums[c][v] = W(ZERO)();
    const SCALAR *from = x + r, *weight = weights + j;
    for (uint32_t i = 0; i < k; i++, from += rows, weight += n) {
        V in[TILE];
        for (int v = 0; v < vectors; v++)
            in[v] = W(LOAD)(from + v * W(WIDTH));
        for (int c = 0; c < count; c++) {
            V spread = W(SPREAD)(weight[c]);
            for (int v = 0; v < vectors; v++)
                sums[c][v] = W(FMA)(in[v], spread, sums[c][v]);
        }
    }
    for (int c = 0; c < count; c++)
        for (int v = 0; v < vectors; v++) {
            V sum = sums[c][v];
            if (bias != NULL)
                sum = W(ADD)(sum, W(SPREAD)(bias[j + (uint32_t)c]));
            if (relu)
                sum = W(RELU)(sum);
            W(STORE)(out + (j + (uint32_t)c) * rows + r + (size_t)(v * W(WIDTH)), sum);
        }
}

__attribute__((always_inline)) static inline void
W(strip)(SCALAR *out, const SCALAR *x, size_t rows, size_t r, uint32_t k, uint32_t n,
         const SCALAR *weights, const SCALAR *bias, bool relu, const int vectors)
{
    uint32_t j = 0;
    for (; j + STRIP <= n; j += STRIP)
        W(tile)(out, x, rows, r, k, n, j, weights, bias, relu, vectors, STRIP);
    for (; j + 2 <= n; j += 2)
        W(tile)(out, x, rows, r, k, n, j, weights, bias, relu, vectors, 2);
    for (; j < n; j++)
        W(tile)(out, x, rows, r, k, n, j, weights, bias, relu, vectors, 1);
}

static void W(product_tiles)(SCALAR *out, const SCALAR *x, size_t rows, size_t r, uint32_t k,
                             uint32_t n, const SCALAR *weights, const SCALAR *bias, bool relu)
{
    W(strip)(out, x, rows, r, k, n, weights, bias, relu, TILE);
}

static void W(product_vectors)(SCALAR *out, const SCALAR *x, size_t rows, size_t r, uint32_t k,
                               uint32_t n, const SCALAR *weights, const SCALAR *bias, bool relu)
{
    W(strip)(out, x, rows, r, k, n, weights, bias, relu, 1);
}

/* One row: `vectors` vectors of outputs from j on. */
__attribute__((always_inline)) static inline void
W(row_tile)(SCALAR *out, const SCALAR *x, uint32_t k, uint32_t n, uint32_t j, const SCALAR *weights,
            const SCALAR *bias, bool relu, const int vectors)
{
    V sums[ROW_TILE];
    for (int v = 0; v < vectors; v++)
        sums[v] = W(ZERO)();
    const SCALAR *weight = weights + j;
    for (uint32_t i = 0; i < k; i++, weight += n) {
        V spread = W(SPREAD)(x[i]);
        for (int v = 0; v < vectors; v++)
            sums[v] = W(FMA)(spread, W(LOAD)(weight + v * W(WIDTH)), sums[v]);
    }
    for (int v = 0; v < vectors; v++) {
        size_t at = j + (size_t)(v * W(WIDTH));
        V sum = bias != NULL ? W(ADD)(sums[v], W(LOAD)(bias + at)) : sums[v];
        W(STORE)(out + at, relu ? W(RELU)(sum) : sum);
    }
}

static void W(product_row)(SCALAR *out, const SCALAR *x, uint32_t k, uint32_t n,
                           const SCALAR *weights, const SCALAR *bias, bool relu)
{
    uint32_t j = 0;
    for (; j + ROW_TILE * W(WIDTH) <= n; j += ROW_TILE * W(WIDTH))
        W(row_tile)(out, x, k, n, j, weights, bias, relu, ROW_TILE);
    for (; j + 2 * W(WIDTH) <= n; j += 2 * W(WIDTH))
        W(row_tile)(out, x, k, n, j, weights, bias, relu, 2);
    for (; j + W(WIDTH) <= n; j += W(WIDTH))
        W(row_tile)(out, x, k, n, j, weights, bias, relu, 1);
    W(product_plain)(out, x, 1, 0, 1, k, n, j, weights, bias, relu);
}

static void W(product)(void *vout, const void *vx, size_t rows, uint32_t k, uint32_t n,
                       const void *vweights, const void *vbias, bool relu)
{
    SCALAR *out = vout;
    const SCALAR *x = vx, *weights = vweights, *bias = vbias;
    size_t r = 0;
    if (rows == 1) {
        W(product_row)(out, x, k, n, weights, bias, relu);
        return;
    }
    for (; r + TILE * W(WIDTH) <= rows; r += TILE * W(WIDTH))
        W(product_tiles)(out, x, rows, r, k, n, weights, bias, relu);
    for (; r + W(WIDTH) <= rows; r += W(WIDTH))
        W(product_vectors)(out, x, rows, r, k, n, weights, bias, relu);
    W(product_plain)(out, x, rows, r, rows, k, n, 0, weights, bias, relu);
}
