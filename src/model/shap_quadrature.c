/* shap_quadrature.c -- Gauss-Legendre points and weights on (0, 1), by Newton's method on Legendre's recurrence. */
#include "model/shap_internal.h"

#include <math.h>
#include <string.h>

#define NEWTON_STEPS 12 /* quadratic: four do; the rest costs nothing */

/* P_n(x), and its derivative. */
static double legendre(uint32_t n, double x, double *out_slope)
{
    double before = 1.0, here = x;
    for (uint32_t k = 2; k <= n; k++) {
        double next = ((2.0 * k - 1.0) * x * here - (k - 1.0) * before) / k;
        before = here;
        here = next;
    }
    *out_slope = n * (x * here - before) / (x * x - 1.0);
    return here;
}

void mr_shap_quadrature(uint32_t n, double *out)
{
    const double pi = 3.14159265358979323846;
    uint32_t pad = MR_SHAP_PAD(n);
    memset(out, 0, 3 * (size_t)pad * sizeof *out);
    for (uint32_t i = 0; i < n; i++) {
        double x = cos(pi * (i + 0.75) / (n + 0.5)), slope = 1.0;
        for (int step = 0; step < NEWTON_STEPS; step++)
            x -= legendre(n, x, &slope) / slope;
        (void)legendre(n, x, &slope);
        out[i] = 1.0 / ((1.0 - x * x) * slope * slope);
        out[pad + i] = (1.0 + x) / 2.0;
        out[2 * pad + i] = (1.0 - x) / 2.0;
    }
}
