/* SPDX-License-Identifier: MIT */
/* A stranger's first program: it knows <ndshare/ndshare.h> and nothing else. */
#include <ndshare/ndshare.h>

#include <stdio.h>

int
main(void)
{
    nds_array *a = NULL;
    nds_scalar sum;
    int64_t shape[] = {3, 4};

    if (nds_array_new(&a, NDS_FLOAT64, 2, shape, NULL) < 0 ||
        nds_fill(nds_array_view(a), nds_float(2)) < 0 ||
        nds_sum(&sum, nds_array_view(a)) < 0) {
        fprintf(stderr, "%s\n", nds_last_error()->message);
        return 1;
    }
    printf("%s %.1f\n", nds_version(), nds_scalar_double(&sum));
    nds_array_close(a);
    return 0;
}
