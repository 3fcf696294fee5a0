/* pmml_read.h -- from the bytes of a PMML file to a program; and the check the file brings along. */
#ifndef MR_MODEL_PMML_READ_H
#define MR_MODEL_PMML_READ_H

#include "model/pmml_reader.h"

/* The reader stays usable for mr_pmml_verify; deinit it in any case. *out_model is the top model's element. */
mr_status mr_pmml_read(mr_pmml_reader *r, mr_pmml *program, const void *bytes, size_t size,
                       uint32_t *out_model, mr_error *err);
void mr_pmml_reader_deinit(mr_pmml_reader *r);
/* Runs the rows of the model's ModelVerification; MR_INVALID when one is not reproduced. */
mr_status mr_pmml_verify(mr_pmml_reader *r, uint32_t model);

/* The model's target field; NULL: it names none. Lent by the reader. */
const char *mr_pmml_target_name(mr_pmml_reader *r, uint32_t model);

#endif
