/* pmml_test.c -- PMML element by element, against values worked out by hand or given by JPMML; and what is refused. */
#include "test/test.h"

#include "base/assert.h"
#include "model/model.h"
#include "test/models.h"
#include "test/pmml_row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING NAN

static void expect(const char *what, double got, double wanted)
{
    bool same = isnan(wanted)
                    ? isnan(got)
                    : got == wanted || fabs(got - wanted) <= 1e-12 * fmax(1, fabs(wanted));
    if (!same)
        fail_msg("%s: %.17g, not %.17g", what, got, wanted);
}

/* ---- expressions ---- */

/* A regression whose only term is the derived field v. */
#define DERIVED(type, expression)                                                                  \
    MR_PMML_OF("<TransformationDictionary><DefineFunction name='half' dataType='double'>"          \
               "<ParameterField name='p'/><Apply function='/'><FieldRef field='p'/>"               \
               "<Constant dataType='double'>2</Constant></Apply></DefineFunction>"                 \
               "<DerivedField name='v' optype='continuous' dataType='" type "'>" expression        \
               "</DerivedField></TransformationDictionary>",                                       \
               "<RegressionModel functionName='regression'>" MR_PMML_SCHEMA(                       \
                   "<MiningField name='z'/>") "<RegressionTable intercept='0'>"                    \
                                              "<NumericPredictor name='v' coefficient='1'/>"       \
                                              "</RegressionTable></RegressionModel>")
#define F(name)                "<FieldRef field='" name "'/>"
#define C(text)                "<Constant>" text "</Constant>"
#define APPLY(name, arguments) "<Apply function='" name "'>" arguments "</Apply>"
#define APPLY_WITH(name, attributes, arguments)                                                    \
    "<Apply function='" name "' " attributes ">" arguments "</Apply>"

TEST(pmml, functions_give_what_jpmml_gives)
{
    static const struct {
        const char *document, *inputs;
        double wanted;
    } cases[] = {
        {DERIVED("double", APPLY("/", F("i") F("j"))), "i=7 j=2", 3},
        {DERIVED("double", APPLY("/", F("i") F("j"))), "i=7 j=0", NOTHING},
        {DERIVED("double", APPLY("/", F("x") F("y"))), "x=2 y=0", INFINITY},
        {DERIVED("double", APPLY("+", F("x") F("y"))), "x=2", NOTHING},
        {DERIVED("double", APPLY_WITH("+", "defaultValue='9'", F("x") F("y"))), "x=2", 9},
        {DERIVED("double", APPLY_WITH("+", "mapMissingTo='8'", F("x") F("y"))), "x=2", 8},
        {DERIVED("double", APPLY("ln", F("x"))), "x=-1", NOTHING},
        {DERIVED("double",
                 APPLY_WITH("ln", "invalidValueTreatment='asMissing' defaultValue='4'", F("x"))),
         "x=-1", 4},
        {DERIVED("double", APPLY("ln", F("x"))), "x=0", -INFINITY},
        {DERIVED("double", APPLY("sum", F("x") F("y"))), "x=2", 2},
        {DERIVED("double", APPLY("avg", F("x") F("y") F("i"))), "x=2 i=4", 3},
        {DERIVED("double", APPLY("min", F("x") F("y"))), "x=2 y=-3", -3},
        {DERIVED("double", APPLY("max", F("x") F("y"))), "x=2", 2},
        {DERIVED("double", APPLY("product", F("x") F("y"))), "x=2 y=4", 8},
        {DERIVED("double", APPLY("median", F("x") F("y") F("i") F("j"))), "x=9 y=1 i=2 j=4", 3},
        {DERIVED("double", APPLY("round", F("x"))), "x=2.5", 3},
        {DERIVED("double", APPLY("round", F("x"))), "x=-2.5", -2},
        {DERIVED("double", APPLY("round", F("x"))), "x=0.49999999999999994", 0},
        {DERIVED("double", APPLY("rint", F("x"))), "x=2.5", 2},
        {DERIVED("double", APPLY("floor", F("x"))), "x=-2.5", -3},
        {DERIVED("double", APPLY("modulo", F("x") F("y"))), "x=-7 y=3", 2},
        {DERIVED("double", APPLY("pow", F("x") F("y"))), "x=2 y=0.5", 1.4142135623730951},
        {DERIVED("double", APPLY("threshold", F("x") F("y"))), "x=2 y=2", 0},
        {DERIVED("double", APPLY("stdNormalCDF", F("x"))), "x=2", 0.9772498680518208},
        {DERIVED("double", APPLY("normalIDF", F("x") C("0") C("1"))), "x=0.3", -0.5244005127080409},
        {DERIVED("double", APPLY("stdNormalIDF", F("x"))), "x=1e-20", -9.262340089798408},
        {DERIVED("double", APPLY("erf", F("x"))), "x=2", 0.9953222650189527},
        {DERIVED("double", APPLY("if", APPLY("greaterThan", F("x") C("1")) F("y") F("i"))),
         "x=2 y=5", 5},
        {DERIVED("double", APPLY("if", APPLY("equal", F("s") C("7")) C("1.5") C("2"))), "s=7", 1.5},
        {DERIVED("double", APPLY("if", APPLY("isMissing", F("x")) C("1") F("x"))), "", 1},
        {DERIVED("double", APPLY("if", APPLY("and", APPLY("equal", F("y") F("x")) APPLY(
                                                        "equal", F("x") C("3"))) C("1") C("2"))),
         "x=2", 2},
        {DERIVED("double", APPLY("if", APPLY("or", APPLY("equal", F("y") F("x")) APPLY(
                                                       "equal", F("x") C("2"))) C("1") C("2"))),
         "x=2", 1},
        {DERIVED("double", APPLY("if", APPLY("not", F("b")) C("1") C("2"))), "b=0", 1},
        {DERIVED("double", APPLY("if", APPLY("isIn", F("s") C("a") C("b")) C("1") C("2"))), "s=b",
         1},
        {DERIVED("double", APPLY("if", APPLY("isNotIn", F("x") C("1") C("2")) C("1") C("2"))),
         "x=2", 2},
        {DERIVED("double", APPLY("if", APPLY("equal", APPLY("concat", F("s") C("-") F("x"))
                                                          C("ab-2.0")) C("1") C("2"))),
         "s=ab x=2", 1},
        {DERIVED("double",
                 APPLY("if", APPLY("equal", APPLY("uppercase", F("s")) C("ABC")) C("1") C("2"))),
         "s=aBc", 1},
        {DERIVED("double", APPLY("stringLength", APPLY("trimBlanks", F("s")))), "s=_a_c_", 3},
        {DERIVED("double", APPLY("stringLength", APPLY("substring", F("s") C("2") C("20")))),
         "s=h\xc3\xa9llo", 4},
        {DERIVED("double", APPLY("half", APPLY("half", F("x")))), "x=6", 1.5},
        {DERIVED("float", F("x")), "x=0.1", 0.1f},
        {DERIVED("integer", F("x")), "x=2.5", NOTHING},
        {DERIVED("double", F("f")), "f=0.1", 0.1f},
        {DERIVED("double", F("i")), "i=2.5", NOTHING},
        {DERIVED("double", F("b")), "b=2", NOTHING},
        {DERIVED("double", "<Apply function='if'><Apply function='equal'><FieldRef field='s'/>"
                           "<FieldRef field='o'/></Apply><Constant>1</Constant>"
                           "<Constant>0</Constant></Apply>"),
         "s=low o=low", 1},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "case %zu", i);
        expect(what, mr_pmml_row_first(cases[i].document, cases[i].inputs), cases[i].wanted);
    }
}

TEST(pmml, normalizes_bins_and_maps)
{
#define POINTS                                                                                     \
    "<LinearNorm orig='0' norm='0'/><LinearNorm orig='10' norm='1'/><LinearNorm orig='20' "        \
    "norm='4'/></NormContinuous>"
#define BINS                                                                                       \
    "<DiscretizeBin binValue='1'><Interval closure='openClosed' rightMargin='0'/>"                 \
    "</DiscretizeBin><DiscretizeBin binValue='2'><Interval closure='openOpen' leftMargin='0' "     \
    "rightMargin='5'/></DiscretizeBin></Discretize>"
#define TABLE                                                                                      \
    "<FieldColumnPair field='s' column='in'/><FieldColumnPair field='i' column='data:n'/>"         \
    "<InlineTable><row><in>a</in><n>1</n><out>10</out></row><row><in>a</in><n>2</n><out>20</out>"  \
    "</row><row><in>a</in><n>2</n><out>30</out></row></InlineTable></MapValues>"
    static const struct {
        const char *document, *inputs;
        double wanted;
    } cases[] = {
        {DERIVED("double", "<NormContinuous field='x'>" POINTS), "x=5", 0.5},
        {DERIVED("double", "<NormContinuous field='x'>" POINTS), "x=15", 2.5},
        {DERIVED("double", "<NormContinuous field='x'>" POINTS), "x=30", 7},
        {DERIVED("double", "<NormContinuous field='x'>" POINTS), "x=-10", -1},
        {DERIVED("double", "<NormContinuous field='x' outliers='asExtremeValues'>" POINTS), "x=30",
         4},
        {DERIVED("double", "<NormContinuous field='x' outliers='asMissingValues' "
                           "mapMissingTo='-1'>" POINTS),
         "x=30", -1},
        {DERIVED("double", "<NormContinuous field='x' mapMissingTo='-1'>" POINTS), "", -1},
        {DERIVED("double", "<NormDiscrete field='s' value='a'/>"), "s=a", 1},
        {DERIVED("double", "<NormDiscrete field='s' value='a'/>"), "s=never_seen", 0},
        {DERIVED("double", "<NormDiscrete field='s' value='a' mapMissingTo='0.5'/>"), "", 0.5},
        {DERIVED("double", "<Discretize field='x' defaultValue='9' mapMissingTo='8'>" BINS), "x=0",
         1},
        {DERIVED("double", "<Discretize field='x' defaultValue='9' mapMissingTo='8'>" BINS),
         "x=4.5", 2},
        {DERIVED("double", "<Discretize field='x' defaultValue='9' mapMissingTo='8'>" BINS), "x=5",
         9},
        {DERIVED("double", "<Discretize field='x' defaultValue='9' mapMissingTo='8'>" BINS), "", 8},
        {DERIVED("double", "<MapValues outputColumn='out' defaultValue='7'>" TABLE), "s=a i=2", 20},
        {DERIVED("double", "<MapValues outputColumn='out' defaultValue='7'>" TABLE), "s=b i=2", 7},
        {DERIVED("double", "<MapValues outputColumn='out' mapMissingTo='6'>" TABLE), "s=b", 6},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "case %zu", i);
        expect(what, mr_pmml_row_first(cases[i].document, cases[i].inputs), cases[i].wanted);
    }
}

/* ---- MiningSchema and Targets ---- */

#define TREATED(rules)                                                                             \
    MR_PMML_OF("", "<RegressionModel functionName='regression'><MiningSchema><MiningField "        \
                   "name='z' " rules "/></MiningSchema><RegressionTable intercept='0'>"            \
                   "<NumericPredictor name='z' coefficient='1'/></RegressionTable>"                \
                   "</RegressionModel>")
#define TARGETED(target)                                                                           \
    MR_PMML_OF("", "<RegressionModel functionName='regression'><MiningSchema><MiningField "        \
                   "name='r' usageType='target'/><MiningField name='x'/></MiningSchema><Targets>"  \
                   "<Target field='r' " target "</Target></Targets><RegressionTable "              \
                   "intercept='0'><NumericPredictor name='x' coefficient='1'/></RegressionTable>"  \
                   "</RegressionModel>")

TEST(pmml, treats_values_as_the_schema_says)
{
    static const struct {
        const char *document, *inputs;
        double wanted;
    } cases[] = {
        {TREATED(""), "z=5", 5},
        {TREATED(""), "z=10", NOTHING},
        {TREATED("invalidValueTreatment='asIs'"), "z=10", 10},
        {TREATED("invalidValueTreatment='asMissing' missingValueReplacement='1'"), "z=10", 1},
        {TREATED("invalidValueTreatment='asValue' invalidValueReplacement='2'"), "z=10", 2},
        {TREATED("missingValueReplacement='3'"), "z=-9", 3},
        {TREATED("missingValueReplacement='3'"), "", 3},
        {TREATED("missingValueTreatment='returnInvalid'"), "", NOTHING},
        {TREATED("outliers='asExtremeValues' lowValue='2' highValue='4'"), "z=5", 4},
        {TREATED("outliers='asExtremeValues' lowValue='2' highValue='4'"), "z=1", 2},
        {TREATED("outliers='asMissingValues' lowValue='2' highValue='4' "
                 "missingValueReplacement='3'"),
         "z=5", 3},
        {TREATED("invalidValueTreatment='asIs' outliers='asExtremeValues' lowValue='0' "
                 "highValue='3'"),
         "z=50", 50},
        {TARGETED("min='-2' max='3' rescaleFactor='2' rescaleConstant='0.6' castInteger='round'>"),
         "x=3.4", 7},
        {TARGETED("castInteger='round'>"), "x=-2.5", -2},
        {TARGETED("castInteger='ceiling'>"), "x=2.1", 3},
        {TARGETED("castInteger='floor'>"), "x=2.9", 2},
        {TARGETED("><TargetValue defaultValue='7'/>"), "", 7},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "case %zu", i);
        expect(what, mr_pmml_row_first(cases[i].document, cases[i].inputs), cases[i].wanted);
    }
}

/* ---- predicates ---- */

#define ASKED(predicate)                                                                           \
    MR_PMML_OF("", "<TreeModel functionName='regression' missingValueStrategy='lastPrediction' "   \
                   "noTrueChildStrategy='returnNullPrediction'>" MR_PMML_SCHEMA(                   \
                       "") "<Node score='2'><True/><Node score='1'>" predicate                     \
                           "</Node><Node score='0'><True/></Node></Node></TreeModel>")
#define SIMPLE(field, operator, value)                                                             \
    "<SimplePredicate field='" field "' operator='" operator"' value='" value "'/>"
#define MANY(operator, parts)                                                                      \
    "<CompoundPredicate booleanOperator='" operator"'>" parts "</CompoundPredicate>"

/* 1: true, 0: false, 2: unknown. */
TEST(pmml, predicates_have_three_values)
{
    static const struct {
        const char *document, *inputs;
        double wanted;
    } cases[] = {
        {ASKED(SIMPLE("x", "lessThan", "1")), "x=1", 0},
        {ASKED(SIMPLE("x", "lessThan", "1")), "x=0.9999999999999999", 1},
        {ASKED(SIMPLE("x", "lessThan", "0")), "x=-0", 0},
        {ASKED(SIMPLE("x", "lessThan", "-INF")), "x=-inf", 0},
        {ASKED(SIMPLE("x", "lessOrEqual", "1")), "x=1", 1},
        {ASKED(SIMPLE("x", "greaterThan", "1")), "x=1", 0},
        {ASKED(SIMPLE("x", "greaterOrEqual", "1")), "x=1", 1},
        {ASKED(SIMPLE("x", "greaterOrEqual", "1")), "", 2},
        {ASKED(SIMPLE("f", "lessThan", "0.1")), "f=0.1", 0},
        {ASKED(SIMPLE("f", "equal", "0.1")), "f=0.1", 1},
        {ASKED(SIMPLE("s", "equal", "a")), "s=a", 1},
        {ASKED(SIMPLE("s", "notEqual", "a")), "s=never", 1},
        {ASKED(SIMPLE("s", "notEqual", "a")), "", 2},
        {ASKED(SIMPLE("b", "equal", "true")), "b=1", 1},
        {ASKED(SIMPLE("o", "lessThan", "mid")), "o=low", 1},
        {ASKED(SIMPLE("o", "greaterOrEqual", "mid")), "o=low", 0},
        {ASKED(SIMPLE("o", "greaterOrEqual", "mid")), "o=high", 1},
        {ASKED("<SimplePredicate field='x' operator='isMissing'/>"), "", 1},
        {ASKED("<SimplePredicate field='x' operator='isNotMissing'/>"), "", 0},
        {ASKED("<SimpleSetPredicate field='s' booleanOperator='isIn'><Array type='string' n='2'>"
               "b \"x \\\"y\"</Array></SimpleSetPredicate>"),
         "s=x_\"y", 1},
        {ASKED("<SimpleSetPredicate field='i' booleanOperator='isNotIn'><Array type='int' n='2'>"
               "3 1</Array></SimpleSetPredicate>"),
         "i=3", 0},
        {ASKED("<SimpleSetPredicate field='i' booleanOperator='isNotIn'><Array type='int' n='2'>"
               "3 1</Array></SimpleSetPredicate>"),
         "", 2},
        {ASKED(MANY("and", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "x=2", 0},
        {ASKED(MANY("and", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "x=0", 2},
        {ASKED(MANY("or", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "y=0", 1},
        {ASKED(MANY("or", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "y=2", 2},
        {ASKED(MANY("xor", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "x=0 y=0",
         0},
        {ASKED(MANY("xor", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "x=0 y=2",
         1},
        {ASKED(MANY("xor", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "x=0", 2},
        {ASKED(MANY("surrogate", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "y=0",
         1},
        {ASKED(MANY("surrogate", SIMPLE("x", "lessThan", "1") SIMPLE("y", "lessThan", "1"))), "",
         2},
        {ASKED("<False/>"), "", 0},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "case %zu", i);
        expect(what, mr_pmml_row_first(cases[i].document, cases[i].inputs), cases[i].wanted);
    }
}

/* ---- what is refused, and where ---- */

#define MODEL(text) MR_PMML_OF("", text)

TEST(pmml, refuses_by_name_and_place)
{
    static const struct {
        const char *document, *says;
    } cases[] = {
        {"<PMML version='3.2'/>", "<PMML> at 1:1: version 3.2; 4.x is supported"},
        {"<PMML version='4.1'><Header/></PMML>", "<PMML> at 1:1: it has no DataDictionary"},
        {"<PMML version='4.1'>\n <Header>", "2:10: no element found"},
        {"<!DOCTYPE PMML [<!ENTITY a 'b'>]><PMML version='4.1'/>",
         "entity declarations are refused"},
        {MODEL("\n <ClusteringModel functionName='clustering'/>"),
         "<ClusteringModel> at 2:2: models of this kind are not supported"},
        {MODEL("\n<TreeModel functionName='clustering'/>"),
         "<TreeModel> at 2:1: functionName=\"clustering\" is not among: regression, "
         "classification"},
        {MODEL("<TreeModel functionName='regression'/>"), "it has no MiningSchema"},
        {MODEL("<TreeModel functionName='regression' isScorable='false'/>"), "isScorable is false"},
        {MODEL("<RegressionModel functionName='regression'><MiningSchema/>\n<RegressionTable "
               "intercept='1,5'/></RegressionModel>"),
         "<RegressionTable> at 2:1: intercept=\"1,5\" is no number"},
        {MODEL("<RegressionModel functionName='regression'><MiningSchema/><RegressionTable "
               "intercept='1'>\n  <NumericPredictor name='u' coefficient='1'/></RegressionTable>"
               "</RegressionModel>"),
         "<NumericPredictor> at 2:3: no field is called 'u' here"},
        {MODEL("<MiningModel functionName='regression'><MiningSchema/><Segmentation "
               "multipleModelMethod='selectAll'/></MiningModel>"),
         "multipleModelMethod=\"selectAll\" is not among: sum, average"},
        {MODEL("<GeneralRegressionModel functionName='regression' modelType='CoxRegression'>"
               "<MiningSchema/></GeneralRegressionModel>"),
         "modelType=\"CoxRegression\" is not among"},
        {DERIVED("double", "<TextIndex textField='s'/>"), "<TextIndex> at 1:"},
        {DERIVED("double", APPLY("soundex", F("s"))), "function 'soundex' is not supported"},
        {DERIVED("double", APPLY("+", F("x"))), "1 arguments; '+' takes 2 to 2"},
        {DERIVED("double", APPLY("+", F("x") F("s"))), "argument 2 is a string"},
        {DERIVED("double", APPLY("half", F("x") F("y"))), "the number of arguments does not fit"},
        {MODEL("<TreeModel functionName='regression' missingValueStrategy='defaultChild'>"
               "<MiningSchema><MiningField name='x'/></MiningSchema><Node><True/>\n<Node score='1'>"
               "<SimplePredicate field='x' operator='lessThan' value='1'/></Node></Node>"
               "</TreeModel>"),
         "needs a defaultChild here"},
        {MODEL("<TreeModel functionName='regression'><MiningSchema/><Node><True/>"
               "<EmbeddedModel/></Node></TreeModel>"),
         "<EmbeddedModel> at"},
        {MODEL("<RegressionModel functionName='regression'><MiningSchema><MiningField name='x'/>"
               "<MiningField name='x'/></MiningSchema></RegressionModel>"),
         "'x' is there twice"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model = NULL;
        mr_model_options options = {.kind = "pmml"};
        mr_status status = mr_model_open_bytes(cases[i].document, strlen(cases[i].document),
                                               &options, &model, &err);
        if (status == MR_OK || strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, status == MR_OK ? "it opened" : err.text);
        assert_null(model);
    }
}

/* ---- ModelVerification ---- */

#define VERIFIED(expected)                                                                         \
    MODEL("<RegressionModel functionName='regression'><MiningSchema><MiningField name='r' "        \
          "usageType='target'/><MiningField name='x'/><MiningField name='s'/></MiningSchema>"      \
          "<RegressionTable intercept='1'><NumericPredictor name='x' coefficient='2'/>"            \
          "<CategoricalPredictor name='s' value='a' coefficient='10'/></RegressionTable>"          \
          "<ModelVerification><VerificationFields><VerificationField field='x' column='c1'/>"      \
          "<VerificationField field='s' column='data:c2'/><VerificationField field='r' "           \
          "column='c3' precision='1e-3'/></VerificationFields><InlineTable>\n<row><c1>1</c1>"      \
          "<c2>a</c2><c3>13</c3></row>\n<row><c1>2</c1><c3>" expected                              \
          "</c3></row></InlineTable></ModelVerification></RegressionModel>")

TEST(pmml, runs_the_rows_a_file_brings_along)
{
    mr_error err = {0};
    mr_model *model;
    mr_pmml_row row;
    mr_pmml_row_open(&row, VERIFIED("5.004"), NULL);
    mr_pmml_row_close(&row);
    const char *wrong = VERIFIED("5.1");
    assert_int_equal(mr_model_open_bytes(wrong, strlen(wrong), NULL, &model, &err), MR_INVALID);
    if (strstr(err.text, "<row> at 3:1: the model gives 5 as 'r', the file expects 5.0999") == NULL)
        fail_msg("%s", err.text);
}

/* ---- hostile bytes ---- */

/* Every prefix is refused; a flipped byte is refused, or gives a model that scores. */
TEST(pmml, survives_cut_and_changed_files)
{
    const char *document = MR_TEST_MODEL_PMML;
    size_t size = strlen(document);
    char *copy = mr_alloc(size + 1);
    mr_random_seeded random = mr_test_random(1);
    mr_model_options options = {.kind = "pmml"};
    assert_non_null(copy);
    for (size_t n = 0; n < size; n++) {
        mr_error err = {0};
        mr_model *model;
        assert_true(mr_model_open_bytes(document, n, &options, &model, &err) != MR_OK);
        assert_true(err.text[0] != '\0');
    }
    for (uint64_t n = 0; n < mr_test_rounds(3000); n++) {
        mr_error err = {0};
        mr_model *model = NULL;
        memcpy(copy, document, size + 1);
        for (uint64_t flips = 1 + mr_random_below(&random, 3); flips > 0; flips--)
            copy[mr_random_below(&random, size)] = document[mr_random_below(&random, size)];
        if (mr_model_open_bytes(copy, size, &options, &model, &err) == MR_OK)
            mr_model_close(model);
        else
            assert_true(err.text[0] != '\0');
    }
    mr_free(copy);
}

/* Elements within elements, functions that call functions: bounded, whatever the file says. */
TEST(pmml, bounds_what_a_small_file_can_ask_for)
{
    mr_error err = {0};
    mr_model *model;
    mr_bytes text = {0};
    mr_model_options options = {.kind = "pmml"};
    for (int i = 0; i < 100000; i++)
        mr_bytes_append_text(&text, "<PMML version='4.4'>");
    assert_int_equal(mr_model_open_bytes(text.data, text.size, &options, &model, &err), MR_FULL);
    mr_bytes_clear(&text);
    mr_bytes_append_text(&text, "<PMML version='4.4'>" MR_PMML_DICTIONARY
                                "<TransformationDictionary><DefineFunction name='f0'>"
                                "<ParameterField name='p'/><FieldRef field='p'/></DefineFunction>");
    for (int i = 1; i < 60; i++)
        mr_bytes_printf(&text,
                        "<DefineFunction name='f%d'><ParameterField name='p'/><Apply "
                        "function='+'><Apply function='f%d'><FieldRef field='p'/></Apply><Apply "
                        "function='f%d'><FieldRef field='p'/></Apply></Apply></DefineFunction>",
                        i, i - 1, i - 1);
    mr_bytes_append_text(&text, "<DerivedField name='v' optype='continuous' dataType='double'>"
                                "<Apply function='f59'><FieldRef field='x'/></Apply>"
                                "</DerivedField></TransformationDictionary><RegressionModel "
                                "functionName='regression'><MiningSchema><MiningField name='x'/>"
                                "</MiningSchema><RegressionTable intercept='0'/></RegressionModel>"
                                "</PMML>");
    assert_int_equal(mr_model_open_bytes(text.data, text.size, &options, &model, &err), MR_FULL);
    mr_bytes_deinit(&text);
}
