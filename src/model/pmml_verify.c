/* pmml_verify.c -- ModelVerification: rows the file brings along, with what the model must say of them.
 *
 * A number fits when it is within precision x the expected one (default 1e-6), or when both are within zeroThreshold of
 * zero (default 1e-16); a class when it is the same text. Columns that are neither fields nor results we compute are
 * passed over. A row that does not fit refuses the file. */
#include "model/pmml_read.h"

#include "base/number.h"

#define COLUMNS_MAX 4096

typedef enum column_kind { COLUMN_OTHER, COLUMN_INPUT, COLUMN_TARGET, COLUMN_OUTPUT } column_kind;

typedef struct column {
    const char *field, *cell; /* name, and that of the rows' element */
    column_kind kind;
    uint32_t index; /* input, or outputs[] */
    double precision, zero;
} column;

typedef struct verifier {
    mr_pmml_reader *r;
    const mr_pmml_model *model;
    const char *target;
    column *columns;
    uint32_t column_count;
    mr_pmml_state state;
} verifier;

/* ---- columns ---- */

static const char *name_of(const verifier *v, uint32_t symbol)
{
    return mr_pmml_symbols_text(&v->r->program->symbols, symbol);
}

static void classify(verifier *v, column *c)
{
    const mr_pmml *program = v->r->program;
    const mr_pmml_input *inputs = MR_PMML_LIST(program, inputs, mr_pmml_input);
    const mr_pmml_output *outputs = MR_PMML_LIST(program, outputs, mr_pmml_output);
    for (uint32_t i = 0; i < program->input_count; i++)
        if (strcmp(name_of(v, inputs[i].name), c->field) == 0) {
            c->kind = COLUMN_INPUT;
            c->index = i;
            return;
        }
    for (uint32_t i = 0; i < v->model->outputs.count; i++)
        if (strcmp(name_of(v, outputs[v->model->outputs.first + i].name), c->field) == 0) {
            c->kind = COLUMN_OUTPUT;
            c->index = v->model->outputs.first + i;
        }
    if (v->target != NULL && strcmp(v->target, c->field) == 0)
        c->kind = COLUMN_TARGET;
}

static bool read_columns(verifier *v, uint32_t fields)
{
    MR_PMML_EACH(v->r, field, fields)
    {
        column *c = &v->columns[v->column_count];
        if (v->column_count == COLUMNS_MAX)
            return mr_pmml_fail(v->r, field, MR_FULL, "more than %d columns", COLUMNS_MAX);
        if (!mr_pmml_need(v->r, field, "field", &c->field) ||
            !mr_pmml_number(v->r, field, "precision", 1e-6, &c->precision) ||
            !mr_pmml_number(v->r, field, "zeroThreshold", 1e-16, &c->zero))
            return false;
        c->cell = mr_pmml_get(v->r, field, "column");
        c->cell = c->cell != NULL ? c->cell : c->field;
        const char *colon = strrchr(c->cell, ':');
        c->cell = colon != NULL ? colon + 1 : c->cell;
        classify(v, c);
        v->column_count++;
    }
    return true;
}

/* ---- rows ---- */

/* NULL: the row does not say. */
static const char *cell_text(const verifier *v, uint32_t row, const column *c)
{
    uint32_t cell = mr_xml_find(&v->r->xml, row, c->cell);
    return cell == MR_XML_NONE ? NULL : mr_xml_text(&v->r->xml, cell);
}

static bool set_input(verifier *v, uint32_t row, const column *c)
{
    uint8_t type = MR_PMML_LIST(v->r->program, inputs, mr_pmml_input)[c->index].type;
    const char *text = cell_text(v, row, c);
    double value = NAN;
    if (text != NULL && type == MR_PMML_STRING)
        value = mr_pmml_text_lend(&v->state, text, strlen(text));
    else if (text != NULL && text[0] != '\0' && !mr_pmml_read_value(v->r, row, text, type, &value))
        return false;
    v->state.slots[1 + c->index] = value;
    return true;
}

static bool number_fits(const column *c, double expected, double got)
{
    if (fabs(expected) <= c->zero)
        return fabs(got) <= c->zero;
    return fabs(got - expected) <= fabs(expected) * c->precision;
}

static bool check_text(verifier *v, uint32_t row, const column *c, const char *expected,
                       mr_pmml_text got)
{
    double a, b;
    if (got.size == strlen(expected) && memcmp(got.bytes, expected, got.size) == 0)
        return true;
    if (mr_number_is_float64((const char *)got.bytes, got.size, &a) &&
        mr_pmml_parse_number(expected, &b) && number_fits(c, b, a))
        return true;
    return mr_pmml_fail(
        v->r, row, MR_INVALID, "the model gives '%.*s' as '%.60s', the file expects '%.60s'",
        (int)(got.size < 60 ? got.size : 60), (const char *)got.bytes, c->field, expected);
}

static bool check_number(verifier *v, uint32_t row, const column *c, const char *expected,
                         double got)
{
    double wanted;
    if (strcmp(expected, "true") == 0 || strcmp(expected, "false") == 0)
        wanted = expected[0] == 't';
    else if (!mr_pmml_parse_number(expected, &wanted))
        return mr_pmml_fail(v->r, row, MR_INVALID, "'%.60s' of '%.60s' is no number", expected,
                            c->field);
    return number_fits(c, wanted, got) ||
           mr_pmml_fail(v->r, row, MR_INVALID,
                        "the model gives %.17g as '%.60s', the file expects %.17g", got, c->field,
                        wanted);
}

static bool check_target(verifier *v, uint32_t row, const column *c, const char *expected)
{
    const double *result = v->state.results + v->model->result;
    if (isnan(result[0]) || v->state.failed)
        return mr_pmml_fail(v->r, row, MR_INVALID,
                            "the model gives no result as '%.60s', the file expects '%.60s'",
                            c->field, expected);
    if (!v->model->classifies)
        return check_number(v, row, c, expected, result[0]);
    uint32_t symbol = MR_PMML_LIST(v->r->program, indexes,
                                   uint32_t)[v->model->classes.first + (uint32_t)result[0]];
    return check_text(v, row, c, expected, mr_pmml_value_text(&v->state, symbol));
}

static bool check_output(verifier *v, uint32_t row, const column *c, const char *expected)
{
    const mr_pmml_output *o = MR_PMML_LIST(v->r->program, outputs, mr_pmml_output) + c->index;
    double value = v->state.slots[o->slot];
    if (isnan(value) || v->state.failed)
        return mr_pmml_fail(v->r, row, MR_INVALID,
                            "the model gives no result as '%.60s', the file expects '%.60s'",
                            c->field, expected);
    if (o->type == MR_PMML_STRING)
        return check_text(v, row, c, expected, mr_pmml_value_text(&v->state, value));
    return check_number(v, row, c, expected, value);
}

static bool check_row(verifier *v, uint32_t row)
{
    mr_pmml_state_begin(&v->state);
    for (uint32_t i = 0; i < v->r->program->input_count; i++)
        v->state.slots[1 + i] = NAN;
    for (uint32_t i = 0; i < v->column_count; i++)
        if (v->columns[i].kind == COLUMN_INPUT && !set_input(v, row, &v->columns[i]))
            return false;
    mr_pmml_run(&v->state, v->r->program->top);
    for (uint32_t i = 0; i < v->column_count; i++) {
        const column *c = &v->columns[i];
        const char *expected = c->kind > COLUMN_INPUT ? cell_text(v, row, c) : NULL;
        if (expected == NULL || expected[0] == '\0')
            continue;
        if (!(c->kind == COLUMN_TARGET ? check_target(v, row, c, expected)
                                       : check_output(v, row, c, expected)))
            return false;
    }
    return true;
}

static bool check_rows(verifier *v, uint32_t verification)
{
    uint32_t fields = mr_xml_find(&v->r->xml, verification, "VerificationFields");
    uint32_t table = mr_xml_find(&v->r->xml, verification, "InlineTable");
    if (fields == MR_XML_NONE || table == MR_XML_NONE)
        return mr_pmml_fail(v->r, verification, MR_INVALID, "it has no %s",
                            fields == MR_XML_NONE ? "VerificationFields" : "InlineTable");
    if (!read_columns(v, fields))
        return false;
    MR_PMML_EACH(v->r, row, table)
    {
        if (!check_row(v, row))
            return false;
    }
    return true;
}

const char *mr_pmml_target_name(mr_pmml_reader *r, uint32_t model)
{
    uint32_t schema = mr_xml_find(&r->xml, model, "MiningSchema");
    MR_PMML_EACH(r, field, schema)
    {
        const char *usage = mr_pmml_get(r, field, "usageType");
        if (usage != NULL && (strcmp(usage, "target") == 0 || strcmp(usage, "predicted") == 0))
            return mr_pmml_get(r, field, "name");
    }
    return NULL;
}

mr_status mr_pmml_verify(mr_pmml_reader *r, uint32_t model)
{
    uint32_t verification = mr_xml_find(&r->xml, model, "ModelVerification");
    if (verification == MR_XML_NONE)
        return MR_OK;
    verifier v = {.r = r,
                  .model = MR_PMML_AT(r, models, mr_pmml_model, r->program->top),
                  .target = mr_pmml_target_name(r, model)};
    void *memory = mr_alloc_aligned(mr_pmml_state_bytes(r->program));
    v.columns = mr_alloc_zero(COLUMNS_MAX, sizeof *v.columns);
    if (memory == NULL || v.columns == NULL) {
        (void)mr_pmml_out_of_memory(r);
    } else {
        memset(memory, 0, mr_pmml_state_bytes(r->program));
        mr_pmml_state_init(&v.state, r->program, memory);
        v.state.declared = true;
        (void)check_rows(&v, verification);
    }
    mr_free(memory);
    mr_free(v.columns);
    return r->status;
}
