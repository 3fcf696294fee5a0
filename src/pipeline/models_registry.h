/* models_registry.h -- the registry as a pipeline sees it: mr_models (models.h) over mr_registry.
 *
 *   fraud@champion ... where the alias points now      fraud ....... its champion
 *   fraud@7 .......... version 7, which never changes
 *
 * (1) Nothing is opened before the first question, and a home without a registry stays without one: whoever names no
 *     model pays nothing.
 * (2) The detail of a rollout's `set`, and of each `step` after it, is a whole rollout as under `score: rollout:`; the
 *     newest holds, also while it is paused. One that was aborted or has finished asks for nothing.
 * (3) A version is opened by number and must have the content that was asked for, so that a replay cannot meet
 *     another. */
#ifndef MR_PIPELINE_MODELS_REGISTRY_H
#define MR_PIPELINE_MODELS_REGISTRY_H

#include "pipeline/models.h"
#include "registry/registry.h"

/* The texts are copied, the rest is borrowed as mr_registry_open borrows it; log NULL: there is no home, and every
 * question is answered with MR_NOT_FOUND. */
mr_status mr_models_registry_open(const mr_registry_options *options, mr_models **out,
                                  mr_error *err);
void mr_models_registry_close(mr_models *models); /* NULL is allowed */
/* What versions are opened for, from now on: "run cards". Accesses are recorded with it. */
void mr_models_registry_for(mr_models *models, const char *what, const char *whom);
/* The registry below; lent. MR_NOT_FOUND: the home has none. */
mr_status mr_models_registry_get(mr_models *models, mr_registry **out, mr_error *err);

#endif
