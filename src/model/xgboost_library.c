/* xgboost_library.c -- dlopen of libxgboost under the names it has on Debian and elsewhere. */
#include "model/xgboost_library.h"

#include "base/assert.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *const file_names[] = {"libxgboost.so.0", "libxgboost.so"};

static void *open_any(void)
{
    void *handle = NULL;
    for (size_t i = 0; i < MR_COUNT_OF(file_names) && handle == NULL; i++)
        handle = dlopen(file_names[i], RTLD_NOW | RTLD_LOCAL);
    return handle;
}

/* ISO C has no cast from an object pointer to a function pointer; the bytes are the same. */
static bool find(void *handle, const char *name, void *to, mr_error *err)
{
    void *symbol = dlsym(handle, name);
    memcpy(to, &symbol, sizeof symbol);
    if (symbol == NULL)
        (void)MR_FAIL(err, MR_UNSUPPORTED,
                      "libxgboost has no function %s: version 1.6 or newer is needed", name);
    return symbol != NULL;
}

static bool find_all(void *handle, mr_xgboost_library *library, mr_error *err)
{
#define X(name, parameters)                                                                        \
    if (!find(handle, #name, &library->name, err))                                                 \
        return false;
    MR_XGBOOST_MAP(X)
#undef X
    return find(handle, "XGBGetLastError", &library->XGBGetLastError, err) &&
           find(handle, "XGBoostVersion", &library->XGBoostVersion, err);
}

mr_status mr_xgboost_library_load(const mr_xgboost_library **out, mr_error *err)
{
    static mr_xgboost_library library;
    static bool loaded;
    *out = &library;
    if (loaded)
        return MR_OK;
    void *handle = open_any();
    if (handle == NULL)
        return MR_FAIL(
            err, MR_NOT_FOUND,
            "training needs XGBoost's C library, and libxgboost.so.0 cannot be loaded (%s); on "
            "Debian: apt install libxgboost0",
            dlerror());
    if (!find_all(handle, &library, err)) {
        (void)dlclose(handle);
        return MR_UNSUPPORTED;
    }
    int major, minor, patch;
    library.XGBoostVersion(&major, &minor, &patch);
    (void)snprintf(library.version, sizeof library.version, "%d.%d.%d", major, minor, patch);
    (void)library.XGBSetGlobalConfig("{\"verbosity\": 0}");
    loaded = true;
    return MR_OK;
}

mr_status mr_xgboost_library_check(const mr_xgboost_library *library, int result, const char *what,
                                   mr_error *err)
{
    return result == 0
               ? MR_OK
               : MR_FAIL(err, MR_INVALID, "XGBoost, %s: %s", what, library->XGBGetLastError());
}
