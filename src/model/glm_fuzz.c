/* glm_fuzz.c -- linear models from anyone: refused with a place, or what is written of them reads back the same. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/glm.h"

#include <string.h>

FUZZ(glm)
{
    mr_error err = {0};
    mr_glm first, second;
    mr_bytes once = {0}, twice = {0};
    mr_status status = mr_glm_read(data, size, &first, &err);
    MR_ASSERT(status == MR_OK || strncmp(err.text, "line ", 5) == 0);
    if (status != MR_OK)
        return 0;
    mr_glm_write(&first, &once);
    MR_ASSERT(mr_glm_read(once.data, once.size, &second, &err) == MR_OK);
    mr_glm_write(&second, &twice);
    MR_ASSERT(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    mr_glm_deinit(&first);
    mr_glm_deinit(&second);
    mr_bytes_deinit(&once);
    mr_bytes_deinit(&twice);
    return 0;
}
