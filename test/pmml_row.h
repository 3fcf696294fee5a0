/* pmml_row.h -- PMML for tests: documents from pieces, and one row through a model. */
#ifndef MR_TEST_PMML_ROW_H
#define MR_TEST_PMML_ROW_H

#include "model/model.h"

/* Fields of all documents: x, y, z double; i, j integer; f float; b boolean; s string; o ordinal (low, mid, high); the
 * targets t (A, B, C), q (ordinal A, B, C) and r (double). */
#define MR_PMML_DICTIONARY                                                                         \
    "<DataDictionary>"                                                                             \
    "<DataField name='x' optype='continuous' dataType='double'/>"                                  \
    "<DataField name='y' optype='continuous' dataType='double'/>"                                  \
    "<DataField name='z' optype='continuous' dataType='double'>"                                   \
    "<Interval closure='closedOpen' leftMargin='0' rightMargin='10'/>"                             \
    "<Value value='-9' property='missing'/></DataField>"                                           \
    "<DataField name='i' optype='continuous' dataType='integer'/>"                                 \
    "<DataField name='j' optype='continuous' dataType='integer'/>"                                 \
    "<DataField name='f' optype='continuous' dataType='float'/>"                                   \
    "<DataField name='b' optype='categorical' dataType='boolean'/>"                                \
    "<DataField name='s' optype='categorical' dataType='string'/>"                                 \
    "<DataField name='o' optype='ordinal' dataType='string'><Value value='low'/>"                  \
    "<Value value='mid'/><Value value='high'/></DataField>"                                        \
    "<DataField name='t' optype='categorical' dataType='string'><Value value='A'/>"                \
    "<Value value='B'/><Value value='C'/></DataField>"                                             \
    "<DataField name='q' optype='ordinal' dataType='string'><Value value='A'/>"                    \
    "<Value value='B'/><Value value='C'/></DataField>"                                             \
    "<DataField name='w' optype='categorical' dataType='string'><Value value='A'/>"                \
    "<Value value='B'/></DataField>"                                                               \
    "<DataField name='r' optype='continuous' dataType='double'/></DataDictionary>"
#define MR_PMML_OF(transformations, model)                                                         \
    "<PMML xmlns='http://www.dmg.org/PMML-4_4' version='4.4'><Header/>" MR_PMML_DICTIONARY         \
        transformations model "</PMML>"
#define MR_PMML_FIELDS                                                                             \
    "<MiningField name='x'/><MiningField name='y'/><MiningField name='i'/><MiningField name='j'/>" \
    "<MiningField name='f'/><MiningField name='b'/><MiningField name='s'/><MiningField name='o'/>"
#define MR_PMML_SCHEMA(more) "<MiningSchema>" MR_PMML_FIELDS more "</MiningSchema>"

typedef struct mr_pmml_row {
    mr_model *model;
    mr_scratch *scratch;
    double scores[8];
    int32_t label;
} mr_pmml_row;

/* Opens the document; the test fails when it does not open. */
void mr_pmml_row_open(mr_pmml_row *row, const char *document, const char *outputs);
void mr_pmml_row_close(mr_pmml_row *row);
/* "x=1 s=abc b=1": inputs by name, those not given are missing; `_` in a text is a blank. */
void mr_pmml_row_score(mr_pmml_row *row, const char *inputs);
/* Opens, scores one row and closes: the first score. NaN: none. */
double mr_pmml_row_first(const char *document, const char *inputs);

#endif
