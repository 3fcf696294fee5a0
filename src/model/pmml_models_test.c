/* pmml_models_test.c -- PMML model by model: the values are those of JPMML (jpmml_evaluator 0.16.0, the same documents), the
 * rest is worked out by hand; the wine files against their references. */
#include "test/test.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/model.h"
#include "test/cards.h"
#include "test/pmml_row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING NAN

static void expect(const char *what, double got, double wanted, double tolerance)
{
    bool same =
        isnan(wanted) ? isnan(got) : fabs(got - wanted) <= tolerance * fmax(1, fabs(wanted));
    if (!same)
        fail_msg("%s: %.17g, not %.17g", what, got, wanted);
}

typedef struct answer {
    const char *document, *inputs;
    double wanted[3];
    int32_t label;
} answer;

static void check(const answer *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mr_pmml_row row;
        char what[64];
        mr_pmml_row_open(&row, cases[i].document, NULL);
        mr_pmml_row_score(&row, cases[i].inputs);
        for (uint32_t k = 0; k < row.model->signature.output_count; k++) {
            (void)snprintf(what, sizeof what, "case %zu, score %u", i, k);
            expect(what, row.scores[k], cases[i].wanted[k], 1e-12);
        }
        if (row.model->signature.class_count > 0 && row.label != cases[i].label)
            fail_msg("case %zu: label %d, not %d", i, row.label, cases[i].label);
        mr_pmml_row_close(&row);
    }
}

#define MODEL(text) MR_PMML_OF("", text)
#define MS          "<MiningSchema><MiningField name='x'/><MiningField name='y'/></MiningSchema>"
#define MS_OF(target)                                                                              \
    "<MiningSchema><MiningField name='" target "' usageType='target'/><MiningField name='x'/>"     \
    "<MiningField name='y'/></MiningSchema>"

/* ---- RegressionModel ---- */

#define TABLE(class, intercept)                                                                    \
    "<RegressionTable targetCategory='" class "' intercept='" intercept "'/>"
#define THREE(target, how, a, b, c)                                                                \
    MODEL("<RegressionModel functionName='classification' normalizationMethod='" how               \
          "'>" MS_OF(target) TABLE("A", a) TABLE("B", b) TABLE("C", c) "</RegressionModel>")
#define ONE(how)                                                                                   \
    MODEL("<RegressionModel functionName='regression' normalizationMethod='" how "'>" MS           \
          "<RegressionTable intercept='0.3'/></RegressionModel>")
#define SUM(terms)                                                                                 \
    MODEL("<RegressionModel functionName='regression'>" MR_PMML_SCHEMA(                            \
        "") "<RegressionTable "                                                                    \
            "intercept='1'>" terms "</RegressionTable></RegressionModel>")

TEST(pmml, regressions_normalize_as_jpmml)
{
    static const answer cases[] = {
        {THREE("t", "none", "0.3", "0.5", "0.1"), "", {0.3, 0.5, 0.19999999999999996}, 1},
        {THREE("t", "softmax", "0.3", "0.5", "0.1"),
         "",
         {0.3289329222889067, 0.4017595785333554, 0.2693074991777379},
         1},
        {THREE("t", "logit", "0.3", "0.5", "0.1"),
         "",
         {0.3336133594429013, 0.3614996148812527, 0.304887025675846},
         1},
        {THREE("t", "simplemax", "0.3", "0.5", "0.1"),
         "",
         {0.3333333333333333, 0.5555555555555556, 0.11111111111111112},
         1},
        {THREE("q", "none", "-0.3", "0.5", "0"), "", {0, 0.5, 0.5}, 1},
        {THREE("q", "logit", "-0.3", "0.5", "0"),
         "",
         {0.425557483188341, 0.19690184801351357, 0.3775406687981454},
         0},
        {THREE("q", "probit", "-0.3", "0.5", "0"),
         "",
         {0.3820885778110474, 0.3093738834629656, 0.308537538725987},
         0},
        {THREE("q", "cloglog", "-0.3", "0.5", "0"),
         "",
         {0.5232763092854059, 0.2844280451666291, 0.19229564554796497},
         0},
        {THREE("q", "loglog", "-0.3", "0.5", "0"),
         "",
         {0.25927686599082755, 0.2859623459017775, 0.45476078810739495},
         2},
        {THREE("q", "cauchit", "-0.3", "0.5", "0"),
         "",
         {0.40722642092225764, 0.24035719672817563, 0.35241638234956674},
         0},
        {ONE("none"), "", {0.3}, 0},
        {ONE("softmax"), "", {0.574442516811659}, 0},
        {ONE("logit"), "", {0.574442516811659}, 0},
        {ONE("probit"), "", {0.6179114221889526}, 0},
        {ONE("cloglog"), "", {0.7407231340091724}, 0},
        {ONE("exp"), "", {1.3498588075760032}, 0},
        {ONE("loglog"), "", {0.4767236907145941}, 0},
        {ONE("cauchit"), "", {0.5927735790777423}, 0},
        {SUM("<NumericPredictor name='x' exponent='2' coefficient='3'/>"), "x=2", {13}, 0},
        {SUM("<NumericPredictor name='x' coefficient='3'/>"), "", {NOTHING}, 0},
        {SUM("<CategoricalPredictor name='s' value='a' coefficient='3'/>"), "s=a", {4}, 0},
        {SUM("<CategoricalPredictor name='s' value='a' coefficient='3'/>"), "", {1}, 0},
        {SUM("<PredictorTerm coefficient='2'><FieldRef field='x'/><FieldRef field='y'/>"
             "</PredictorTerm>"),
         "x=3 y=4",
         {25},
         0},
    };
    check(cases, MR_COUNT_OF(cases));
}

/* ---- GeneralRegressionModel ---- */

#define GENERAL(function, target, attributes, cells)                                               \
    MODEL("<GeneralRegressionModel functionName='" function "' " attributes ">" MS_OF(             \
        target) "<ParameterList><Parameter name='p0'/><Parameter name='p1'/></ParameterList>"      \
                "<FactorList/><CovariateList><Predictor name='x'/></CovariateList><PPMatrix>"      \
                "<PPCell value='2' predictorName='x' "                                             \
                "parameterName='p1'/></PPMatrix><ParamMatrix>" cells                               \
                "</ParamMatrix></GeneralRegressionModel>")
#define CELLS_OF(class, b0, b1)                                                                    \
    "<PCell targetCategory='" class "' parameterName='p0' beta='" b0                               \
                                    "'/><PCell targetCategory='" class "' parameterName='p1' "     \
                                                                       "beta='" b1 "'/>"
#define LINKED(link)                                                                               \
    GENERAL("regression", "r",                                                                     \
            "modelType='generalizedLinear' linkFunction='" link                                    \
            "' linkParameter='2' distParameter='3' offsetValue='0.1'",                             \
            "<PCell parameterName='p0' beta='-0.3'/><PCell parameterName='p1' beta='0.2'/>")

TEST(pmml, general_regressions_link_as_jpmml)
{
    static const answer cases[] = {
        {GENERAL("classification", "t",
                 "modelType='multinomialLogistic' targetReferenceCategory='C'",
                 CELLS_OF("A", "0.3", "0.2") CELLS_OF("B", "-0.3", "0.1")),
         "x=1.5",
         {0.5233953685995787, 0.22937016541442565, 0.2472344659859957},
         0},
        {GENERAL("classification", "t", "modelType='multinomialLogistic'",
                 CELLS_OF("A", "0.3", "0.2") CELLS_OF("B", "-0.3", "0.1")),
         "x=1.5",
         {0.5233953685995787, 0.22937016541442565, 0.2472344659859957},
         0},
        {GENERAL("classification", "t", "modelType='ordinalMultinomial' cumulativeLink='logit'",
                 "<PCell targetCategory='A' parameterName='p0' beta='-0.3'/><PCell "
                 "targetCategory='B' parameterName='p0' beta='0.6'/><PCell parameterName='p1' "
                 "beta='0.2'/>"),
         "x=1.5",
         {0.5374298453437496, 0.2033450538384044, 0.259225100817846},
         0},
        {GENERAL("classification", "w",
                 "modelType='generalizedLinear' linkFunction='logit' targetReferenceCategory='A'",
                 CELLS_OF("B", "-0.3", "0.2")),
         "x=1.5",
         {0.46257015465625045, 0.5374298453437496},
         1},
        {LINKED("cloglog"), "x=1.5", {0.7230796659000911}, 0},
        {LINKED("identity"), "x=1.5", {0.25}, 0},
        {LINKED("log"), "x=1.5", {1.2840254166877414}, 0},
        {LINKED("logc"), "x=1.5", {-0.2840254166877414}, 0},
        {LINKED("logit"), "x=1.5", {0.5621765008857981}, 0},
        {LINKED("loglog"), "x=1.5", {0.4589560693076638}, 0},
        {LINKED("negbin"), "x=1.5", {-1.506937221395933}, 0},
        {LINKED("oddspower"), "x=1.5", {0.5505102572168219}, 0},
        {LINKED("power"), "x=1.5", {0.5}, 0},
        {LINKED("probit"), "x=1.5", {0.5987063256829237}, 0},
        {LINKED("inverse"), "x=1.5", {4}, 0},
        {LINKED("logit"), "", {NOTHING}, 0},
    };
    check(cases, MR_COUNT_OF(cases));
}

/* ---- NeuralNetwork ---- */

#define INPUT(id, field)                                                                           \
    "<NeuralInput id='" id "'><DerivedField optype='continuous' dataType='double'><FieldRef "      \
    "field='" field "'/></DerivedField></NeuralInput>"
#define OUTPUT(id, class)                                                                          \
    "<NeuralOutput outputNeuron='" id "'><DerivedField optype='categorical' dataType='string'>"    \
    "<NormDiscrete field='t' value='" class "'/></DerivedField></NeuralOutput>"
#define NETWORK(attributes, layer)                                                                 \
    MODEL("<NeuralNetwork functionName='classification' activationFunction='identity' " attributes \
          ">" MS_OF("t") "<NeuralInputs>" INPUT("i1", "x") INPUT(                                  \
              "i2",                                                                                \
              "y") "</NeuralInputs><NeuralLayer><Neuron id='h1' bias='0.1'><Con from='i1' "        \
                   "weight='1'/>"                                                                  \
                   "<Con from='i2' weight='0.5'/></Neuron><Neuron id='h2'><Con from='i2' "         \
                   "weight='0.5'/>"                                                                \
                   "</Neuron></NeuralLayer><NeuralLayer " layer "><Neuron id='o1'><Con from='h1' " \
                   "weight='1'/></Neuron><Neuron id='o2'><Con from='h2' "                          \
                   "weight='1'/></Neuron><Neuron "                                                 \
                   "id='o3'><Con from='h1' "                                                       \
                   "weight='0.3'/></Neuron></NeuralLayer><NeuralOutputs>" OUTPUT("o1", "A")        \
                       OUTPUT("o2", "B") OUTPUT("o3", "C") "</NeuralOutputs></NeuralNetwork>")
#define NEURON(activation, attributes, output)                                                     \
    MODEL(                                                                                         \
        "<NeuralNetwork functionName='regression' activationFunction='" activation "'>" MS         \
        "<NeuralInputs>" INPUT("i1", "x") INPUT(                                                   \
            "i2", "y") "</NeuralInputs><NeuralLayer " attributes                                   \
                       "><Neuron id='o'><Con from='i1' weight='1'/><Con from='i2' weight='0.5'/>"  \
                       "</Neuron></NeuralLayer><NeuralOutputs><NeuralOutput "                      \
                       "outputNeuron='o'><DerivedField "                                           \
                       "optype='continuous' dataType='double'>" output                             \
                       "</DerivedField></NeuralOutput>"                                            \
                       "</NeuralOutputs></NeuralNetwork>")
#define AS_IS "<FieldRef field='r'/>"

TEST(pmml, networks_compute_layer_by_layer)
{
    static const answer cases[] = {
        {NETWORK("", "normalizationMethod='softmax'"),
         "x=1 y=2",
         {0.6398785484367875, 0.21299706585330755, 0.1471243857099049},
         0},
        {NETWORK("normalizationMethod='softmax'", ""),
         "x=1 y=2",
         {0.45502884304024277, 0.27584540915778427, 0.269125747801973},
         0},
        {NETWORK("normalizationMethod='simplemax'", ""),
         "x=1 y=2",
         {0.5630026809651475, 0.2680965147453083, 0.16890080428954427},
         0},
        {NETWORK("", ""), "x=1", {NOTHING, NOTHING, NOTHING}, -1},
        {NEURON("threshold", "threshold='1.5'", AS_IS), "x=1 y=1", {0}, 0},
        {NEURON("threshold", "threshold='1'", AS_IS), "x=1 y=1", {1}, 0},
        {NEURON("logistic", "", AS_IS), "x=1 y=-2", {0.5}, 0},
        {NEURON("tanh", "", AS_IS), "x=1 y=0", {0.7615941559557649}, 0},
        {NEURON("exponential", "", AS_IS), "x=1 y=0", {2.718281828459045}, 0},
        {NEURON("reciprocal", "", AS_IS), "x=1 y=2", {0.5}, 0},
        {NEURON("square", "", AS_IS), "x=1 y=2", {4}, 0},
        {NEURON("Gauss", "", AS_IS), "x=1 y=0", {0.36787944117144233}, 0},
        {NEURON("sine", "", AS_IS), "x=1 y=0", {0.8414709848078965}, 0},
        {NEURON("cosine", "", AS_IS), "x=1 y=0", {0.5403023058681398}, 0},
        {NEURON("Elliott", "", AS_IS), "x=1 y=0", {0.5}, 0},
        {NEURON("arctan", "", AS_IS), "x=1 y=0", {0.5}, 0},
        {NEURON("rectifier", "", AS_IS), "x=-1 y=0", {0}, 0},
        /* exp(2 ln 3 - (0.25 + 0.25) / (2 x 0.5^2)) */
        {NEURON("radialBasis", "width='0.5' altitude='3'", AS_IS),
         "x=0.5 y=1",
         {9 * 0.36787944117144233},
         0},
        {NEURON("identity", "",
                "<NormContinuous field='r'><LinearNorm orig='10' norm='0'/><LinearNorm orig='30' "
                "norm='1'/></NormContinuous>"),
         "x=0.5 y=0",
         {20},
         0},
    };
    check(cases, MR_COUNT_OF(cases));
}

/* ---- MiningModel ---- */

#define SEGMENT(attributes, predicate, model) "<Segment" attributes ">" predicate model "</Segment>"
#define ALWAYS                                "<True/>"
#define CONST(value)                                                                               \
    "<RegressionModel functionName='regression'>" MS "<RegressionTable intercept='" value          \
    "'/></RegressionModel>"
#define IF_POSITIVE(score)                                                                         \
    "<TreeModel functionName='regression'>" MS "<Node><True/><Node score='" score                  \
    "'><SimplePredicate field='x' operator='greaterThan' value='0'/></Node></Node></TreeModel>"
#define MINING(method, attributes, segments)                                                       \
    MODEL("<MiningModel functionName='regression'>" MS                                             \
          "<Segmentation multipleModelMethod='" method "' " attributes ">" segments                \
          "</Segmentation></MiningModel>")
#define THREE_PARTS                                                                                \
    SEGMENT("", ALWAYS, IF_POSITIVE("4"))                                                          \
    SEGMENT("", ALWAYS, CONST("3")) SEGMENT("", ALWAYS, CONST("6"))
#define TREES                                                                                      \
    SEGMENT(" weight='1'", ALWAYS, IF_POSITIVE("4"))                                               \
    SEGMENT(" weight='3'", ALWAYS, IF_POSITIVE("2"))
#define SHARES(class, a, b, c)                                                                     \
    "<TreeModel functionName='classification'>" MS                                                 \
    "<Node score='" class "'><True/><ScoreDistribution value='A' recordCount='" a                  \
                          "'/><ScoreDistribution value='B' "                                       \
                          "recordCount='" b "'/><ScoreDistribution value='C' recordCount='" c      \
                          "'/></Node></TreeModel>"
#define FOUR                                                                                       \
    SEGMENT(" weight='1'", ALWAYS, SHARES("A", "6", "3", "1"))                                     \
    SEGMENT(" weight='2'", ALWAYS, SHARES("B", "2", "5", "3"))                                     \
    SEGMENT(" weight='3'", ALWAYS, SHARES("B", "1", "7", "2"))                                     \
    SEGMENT(" weight='4'", ALWAYS, SHARES("C", "1", "2", "7"))
#define CLASSES(method, segments)                                                                  \
    MODEL("<MiningModel functionName='classification'>" MS_OF(                                     \
        "t") "<Segmentation "                                                                      \
             "multipleModelMethod='" method "'>" segments "</Segmentation></MiningModel>")

TEST(pmml, segments_combine_as_jpmml)
{
    static const answer cases[] = {
        {MINING("sum", "", THREE_PARTS), "x=1", {13}, 0},
        {MINING("sum", "", THREE_PARTS), "x=-1", {NOTHING}, 0},
        {MINING("sum", "missingPredictionTreatment='skipSegment'", THREE_PARTS), "x=-1", {9}, 0},
        {MINING("average", "missingPredictionTreatment='skipSegment'", THREE_PARTS),
         "x=-1",
         {4.5},
         0},
        {MINING("median", "missingPredictionTreatment='skipSegment'", THREE_PARTS),
         "x=-1",
         {4.5},
         0},
        {MINING("sum", "missingPredictionTreatment='skipSegment' missingThreshold='0.3'",
                THREE_PARTS),
         "x=-1",
         {NOTHING},
         0},
        {MINING("max", "", THREE_PARTS), "x=1", {6}, 0},
        {MINING("median", "", THREE_PARTS), "x=1", {4}, 0},
        {MINING("sum", "", SEGMENT("", "<False/>", CONST("1"))), "", {NOTHING}, 0},
        {MINING("sum", "", TREES), "x=1", {6}, 0},
        {MINING("average", "", TREES), "x=1", {3}, 0},
        {MINING("weightedAverage", "", TREES), "x=1", {2.5}, 0},
        {MINING("weightedAverage", "", TREES), "x=0", {NOTHING}, 0},
        {MINING("selectFirst", "",
                SEGMENT("", "<False/>", CONST("1")) SEGMENT("", ALWAYS, CONST("2"))
                    SEGMENT("", ALWAYS, CONST("3"))),
         "",
         {2},
         0},
        {MINING("modelChain", "",
                SEGMENT("", ALWAYS, CONST("2")) SEGMENT("", ALWAYS, CONST("3"))
                    SEGMENT("", "<False/>", CONST("4"))),
         "",
         {3},
         0},
        {CLASSES("average", FOUR), "", {0.25, 0.425, 0.325}, 1},
        {CLASSES("weightedAverage", FOUR), "", {0.17, 0.42, 0.41}, 1},
        {CLASSES("median", FOUR), "", {0.2, 0.5, 0.3}, 1},
        {CLASSES("max", FOUR), "", {0.1, 0.7, 0.2}, 1},
        {CLASSES("majorityVote", FOUR), "", {0.25, 0.5, 0.25}, 1},
        {CLASSES("weightedMajorityVote", FOUR), "", {0.1, 0.5, 0.4}, 1},
        /* Equal votes: the first that was voted for. */
        {CLASSES("majorityVote", SEGMENT("", ALWAYS, SHARES("C", "1", "2", "7"))
                                     SEGMENT("", ALWAYS, SHARES("A", "6", "3", "1"))),
         "",
         {0.5, 0, 0.5},
         2},
    };
    check(cases, MR_COUNT_OF(cases));
}

/* ---- trees that follow all branches ---- */

#define SPLIT(strategy)                                                                            \
    MODEL("<TreeModel functionName='classification' missingValueStrategy='" strategy "'>" MS_OF(   \
        "w") "<Node score='A' recordCount='100'><True/><ScoreDistribution value='A' "              \
             "recordCount='60'/><ScoreDistribution value='B' recordCount='40'/><Node score='A' "   \
             "recordCount='80'><SimplePredicate field='x' operator='lessThan' value='0'/>"         \
             "<ScoreDistribution value='A' recordCount='60'/><ScoreDistribution value='B' "        \
             "recordCount='20'/></Node><Node score='B' recordCount='20'><SimplePredicate "         \
             "field='x' "                                                                          \
             "operator='greaterOrEqual' value='0'/><ScoreDistribution value='A' recordCount='5'/>" \
             "<ScoreDistribution value='B' recordCount='15'/></Node></Node></TreeModel>")

TEST(pmml, trees_that_follow_all_branches)
{
    static const answer cases[] = {
        {SPLIT("weightedConfidence"), "x=-1", {0.75, 0.25}, 0},
        {SPLIT("weightedConfidence"), "", {0.65, 0.35}, 0}, /* 0.8 x 0.75 + 0.2 x 0.25 */
        {SPLIT("aggregateNodes"), "", {0.65, 0.35}, 0},     /* (60 + 5) / 100 */
        {SPLIT("aggregateNodes"), "x=1", {0.25, 0.75}, 1},
        {SPLIT("nullPrediction"), "", {NOTHING, NOTHING}, -1},
        {SPLIT("lastPrediction"), "", {0.6, 0.4}, 0},
        {SPLIT("none"), "", {NOTHING, NOTHING}, -1},
    };
    check(cases, MR_COUNT_OF(cases));
}

/* ---- outputs and names ---- */

#define DECLARED                                                                                   \
    MODEL("<RegressionModel functionName='regression'>" MS "<Output><OutputField name='raw' "      \
          "feature='predictedValue' optype='continuous' dataType='double'/><OutputField "          \
          "name='twice' feature='transformedValue' optype='continuous' dataType='double'><Apply "  \
          "function='*'><FieldRef field='raw'/><Constant>2</Constant></Apply></OutputField>"       \
          "<OutputField name='verdict' feature='decision' optype='categorical' dataType='string'>" \
          "<Constant>yes</Constant></OutputField><OutputField name='rank' feature='affinity'/>"    \
          "</Output><RegressionTable intercept='1'><NumericPredictor name='x' coefficient='2'/>"   \
          "</RegressionTable></RegressionModel>")

TEST(pmml, outputs_are_the_files_when_wanted)
{
    mr_pmml_row row;
    mr_pmml_row_open(&row, DECLARED, "declared");
    assert_int_equal(row.model->signature.output_count, 2);
    assert_string_equal(row.model->signature.output_names[0], "raw");
    assert_string_equal(row.model->signature.output_names[1], "twice");
    mr_pmml_row_score(&row, "x=3");
    assert_true(row.scores[0] == 7 && row.scores[1] == 14);
    mr_pmml_row_close(&row);
    mr_pmml_row_open(&row, DECLARED, NULL);
    assert_int_equal(row.model->signature.output_count, 1);
    assert_string_equal(row.model->signature.output_names[0], "raw");
    mr_pmml_row_close(&row);
}

/* ---- explaining ---- */

TEST(pmml, linear_contributions_add_up)
{
    mr_error err = {0};
    mr_pmml_row row;
    mr_binding *binding;
    mr_schema *schema;
    const char *text = "x: float64, y: float64";
    double x[2] = {3, -1}, y[2] = {0.5, 4}, out[6], margins[2];
    mr_column columns[2] = {{.type = {MR_FLOAT64, 0}, .values = x},
                            {.type = {MR_FLOAT64, 0}, .values = y}};
    mr_pmml_row_open(&row,
                     MODEL("<RegressionModel functionName='regression' "
                           "normalizationMethod='logit'>" MS "<RegressionTable intercept='0.25'>"
                           "<NumericPredictor name='x' coefficient='2'/><NumericPredictor "
                           "name='y' exponent='2' coefficient='-1'/></RegressionTable>"
                           "</RegressionModel>"),
                     NULL);
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    assert_ok(mr_model_bind(row.model, schema, &binding, &err), &err);
    assert_ok(mr_model_explain(row.model, binding, columns, 0, 2, out, row.scratch, &err), &err);
    mr_model_out to = {.margins = margins, .stride = 2};
    assert_ok(mr_model_score(row.model, binding, columns, 0, 2, &to, row.scratch, &err), &err);
    assert_true(out[0] == 6 && out[1] == -0.25 && out[2] == 0.25);
    assert_true(out[3] == -2 && out[4] == -16 && out[5] == 0.25);
    assert_true(margins[0] == 6 && margins[1] == -17.75);
    mr_binding_destroy(binding);
    mr_schema_release(schema);
    mr_pmml_row_close(&row);
}

/* ---- the wine files ---- */

#define WINES  1599
#define INPUTS 11

static const char *const wine_inputs[INPUTS] = {"fixed acidity",
                                                "volatile acidity",
                                                "citric acid",
                                                "residual sugar",
                                                "chlorides",
                                                "free sulfur dioxide",
                                                "total sulfur dioxide",
                                                "density",
                                                "pH",
                                                "sulphates",
                                                "alcohol"};

static double next_number(const char **at)
{
    char *end;
    double value = strtod(*at, &end);
    *at = end + (*end != '\0');
    return value;
}

static void read_wines(double *columns)
{
    mr_error err = {0};
    mr_bytes text = {0};
    const char *path = mr_test_data("wine/winequality_red.original.csv");
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
    const char *at = mr_bytes_text(&text);
    for (size_t row = 0; row < WINES; row++)
        for (size_t i = 0; i <= INPUTS; i++) {
            double value = next_number(&at);
            if (i < INPUTS)
                columns[i * WINES + row] = value;
        }
    mr_bytes_deinit(&text);
}

typedef struct wines {
    double *columns, *scores;
    int32_t *labels;
    mr_model *model;
} wines;

static void score_wines(wines *w, const char *file)
{
    mr_error err = {0};
    mr_schema *schema;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_field fields[INPUTS];
    mr_column columns[INPUTS];
    w->columns = mr_alloc(sizeof(double) * WINES * INPUTS);
    w->scores = mr_alloc(sizeof(double) * WINES * 6);
    w->labels = mr_alloc(sizeof(int32_t) * WINES);
    read_wines(w->columns);
    assert_ok(mr_model_open(mr_fs_real(), mr_test_data(file), NULL, &w->model, &err), &err);
    for (size_t i = 0; i < INPUTS; i++) {
        fields[i] = (mr_field){.name = wine_inputs[i], .type = {MR_FLOAT64, 0}};
        columns[i] = (mr_column){.type = {MR_FLOAT64, 0}, .values = w->columns + i * WINES};
    }
    assert_ok(mr_schema_create(fields, INPUTS, &schema, &err), &err);
    assert_ok(mr_model_bind(w->model, schema, &binding, &err), &err);
    assert_ok(mr_scratch_create(w->model, &scratch, &err), &err);
    mr_model_out out = {.scores = w->scores, .stride = WINES};
    out.labels = w->model->signature.class_count > 0 ? w->labels : NULL;
    assert_ok(mr_model_score(w->model, binding, columns, 0, WINES, &out, scratch, &err), &err);
    mr_scratch_destroy(scratch);
    mr_binding_destroy(binding);
    mr_schema_release(schema);
}

static void close_wines(wines *w)
{
    mr_model_close(w->model);
    mr_free(w->columns);
    mr_free(w->scores);
    mr_free(w->labels);
}

static void check_wines(const char *model, const char *reference, uint32_t classes)
{
    mr_error err = {0};
    mr_bytes text = {0};
    wines w;
    char what[32];
    score_wines(&w, model);
    assert_ok(mr_cards_read_zst(mr_test_data(reference), &text, &err), &err);
    const char *at = strchr(mr_bytes_text(&text), '\n') + 1;
    for (size_t row = 0; row < WINES; row++) {
        (void)snprintf(what, sizeof what, "row %zu", row + 1);
        (void)next_number(&at);
        double prediction = next_number(&at);
        expect(what,
               classes > 0 ? strtod(w.model->signature.class_names[w.labels[row]], NULL)
                           : w.scores[row],
               prediction, 1e-9);
        for (uint32_t k = 0; k < classes; k++) {
            char name[16];
            (void)snprintf(name, sizeof name, "%u", 3 + k);
            uint32_t class = 0;
            while (strcmp(w.model->signature.class_names[class], name) != 0)
                class ++;
            expect(what, w.scores[class * WINES + row], next_number(&at), 1e-9);
        }
    }
    mr_bytes_deinit(&text);
    close_wines(&w);
}

TEST(pmml, the_wine_files_give_their_references)
{
    check_wines("wine/models/winequalityLinearRegression.pmml",
                "wine/predictions_LinearRegression.csv.zst", 0);
    check_wines("wine/models/winequalityGeneralizedLinearRegressionGaussian.pmml",
                "wine/predictions_GeneralizedLinearRegressionGaussian.csv.zst", 0);
    check_wines("wine/models/winequalityDecisionTreeClassification.pmml",
                "wine/predictions_DecisionTreeClassification.csv.zst", 6);
}

/* Sums and hits of the files without a reference, as JPMML gives them on all rows. */
TEST(pmml, the_other_wine_files_give_jpmmls_figures)
{
    static const struct {
        const char *file;
        double sum; /* of the scores x (1 + row % 7) */
    } cases[] = {
        {"wine/models/winequalityDesisionTreeRegression.pmml", 36025.89684270378},
        {"wine/models/winequalityGeneralizedLinearRegressionGamma.pmml", 35936.394519338166},
        {"wine/models/winequalityMultilayerPerceptron.pmml", 11692.880963447109},
        {"wine/models/winequalityRandonForrestClassification.pmml", 11683.480362538718},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        wines w;
        double sum = 0;
        score_wines(&w, cases[i].file);
        for (size_t row = 0; row < WINES; row++)
            for (uint32_t k = 0; k < w.model->signature.output_count; k++)
                sum += w.scores[k * WINES + row] * (double)(1 + row % 7) * (double)(1 + k);
        expect(cases[i].file, sum, cases[i].sum, 1e-11);
        close_wines(&w);
    }
}
