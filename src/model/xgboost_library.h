/* xgboost_library.h -- XGBoost's own C library, loaded when it is needed and not before.
 *
 * Only training (and tests that compare with it) wants it: the program starts fast and small without it.
 * The declarations are the C interface of XGBoost 1.7 (xgboost/c_api.h), written down here so that
 * building needs no header of it. */
#ifndef MR_MODEL_XGBOOST_LIBRARY_H
#define MR_MODEL_XGBOOST_LIBRARY_H

#include "base/status.h"

#include <stdint.h>

typedef void *mr_xgboost_handle;
typedef uint64_t mr_xgboost_ulong; /* bst_ulong */

/*  X(name, parameters); all return 0 when well, else XGBGetLastError() says why */
#define MR_XGBOOST_MAP(X)                                                                          \
    X(XGBSetGlobalConfig, (const char *json))                                                      \
    X(XGDMatrixCreateFromMat, (const float *data, mr_xgboost_ulong rows, mr_xgboost_ulong columns, \
                               float missing, mr_xgboost_handle *out))                             \
    X(XGDMatrixFree, (mr_xgboost_handle matrix))                                                   \
    X(XGDMatrixSetFloatInfo,                                                                       \
      (mr_xgboost_handle matrix, const char *field, const float *values, mr_xgboost_ulong count))  \
    X(XGDMatrixSetUIntInfo, (mr_xgboost_handle matrix, const char *field, const unsigned *values,  \
                             mr_xgboost_ulong count))                                              \
    X(XGDMatrixSetStrFeatureInfo,                                                                  \
      (mr_xgboost_handle matrix, const char *field, const char **texts, mr_xgboost_ulong count))   \
    X(XGBoosterCreate,                                                                             \
      (const mr_xgboost_handle matrices[], mr_xgboost_ulong count, mr_xgboost_handle *out))        \
    X(XGBoosterFree, (mr_xgboost_handle booster))                                                  \
    X(XGBoosterSetParam, (mr_xgboost_handle booster, const char *name, const char *value))         \
    X(XGBoosterUpdateOneIter, (mr_xgboost_handle booster, int round, mr_xgboost_handle train))     \
    X(XGBoosterSlice,                                                                              \
      (mr_xgboost_handle booster, int begin, int end, int step, mr_xgboost_handle *out))           \
    X(XGBoosterSetAttr, (mr_xgboost_handle booster, const char *name, const char *value))          \
    X(XGBoosterSetStrFeatureInfo,                                                                  \
      (mr_xgboost_handle booster, const char *field, const char **texts, mr_xgboost_ulong count))  \
    X(XGBoosterPredictFromDMatrix,                                                                 \
      (mr_xgboost_handle booster, mr_xgboost_handle matrix, const char *config,                    \
       const mr_xgboost_ulong **out_shape, mr_xgboost_ulong *out_dimensions, const float **out))   \
    X(XGBoosterPredictFromDense,                                                                   \
      (mr_xgboost_handle booster, const char *values, const char *config, mr_xgboost_handle proxy, \
       const mr_xgboost_ulong **out_shape, mr_xgboost_ulong *out_dimensions, const float **out))   \
    X(XGBoosterLoadModelFromBuffer,                                                                \
      (mr_xgboost_handle booster, const void *bytes, mr_xgboost_ulong size))                       \
    X(XGBoosterSaveModelToBuffer, (mr_xgboost_handle booster, const char *config,                  \
                                   mr_xgboost_ulong *out_size, const char **out_bytes))

typedef struct mr_xgboost_library {
#define X(name, parameters) int(*name) parameters;
    MR_XGBOOST_MAP(X)
#undef X
    const char *(*XGBGetLastError)(void);
    void (*XGBoostVersion)(int *major, int *minor, int *patch);
    char version[32];
} mr_xgboost_library;

/* The loaded library; static, loaded once, never unloaded. MR_NOT_FOUND tells which package has it. Any
 * thread, but the first call must not race with another. */
mr_status mr_xgboost_library_load(const mr_xgboost_library **out, mr_error *err);
/* Turns a return value into a status with the library's own text. */
mr_status mr_xgboost_library_check(const mr_xgboost_library *library, int result, const char *what,
                                   mr_error *err);

#endif
