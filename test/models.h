/* models.h -- small models as text, for tests. */
#ifndef MR_TEST_MODELS_H
#define MR_TEST_MODELS_H

/* Three inputs, two trees: thresholds, a default direction, a categorical split, a vector base_score. The tree text
 * can be replaced by tests that break it. */
#define MR_TEST_TREE(id, left, right, indices, conditions, defaults, types, categories, nodes,     \
                     segments, sizes, count)                                                       \
    "{\"tree_param\":{\"num_nodes\":\"" count "\",\"size_leaf_vector\":\"0\"},\"id\":" id          \
    ",\"left_children\":" left ",\"right_children\":" right ",\"split_indices\":" indices          \
    ",\"split_conditions\":" conditions ",\"default_left\":" defaults ",\"split_type\":" types     \
    ",\"categories\":" categories ",\"categories_nodes\":" nodes                                   \
    ",\"categories_segments\":" segments ",\"categories_sizes\":" sizes                            \
    ",\"base_weights\":[1,2,[3]],\"parents\":\"x\"}"

#define MR_TEST_MODEL_OF(booster, trees, tree_info, more, base, objective, features)               \
    "{\"learner\":{\"attributes\":{\"best_iteration\":\"0\"},\"feature_names\":[\"amount\","       \
    "\"night\",\"count 7d\"],"                                                                     \
    "\"gradient_booster\":{\"model\":{\"gbtree_model_param\":{\"num_parallel_tree\":\"1\",\"num_"  \
    "trees\":\"2\"},"                                                                              \
    "\"tree_info\":" tree_info ",\"trees\":" trees more "},\"name\":\"" booster "\"},"             \
    "\"learner_model_param\":{\"base_score\":\"" base                                              \
    "\",\"num_class\":\"0\",\"num_feature\":\"" features                                           \
    "\",\"num_target\":\"1\"},\"objective\":{\"name\":\"" objective "\"}},\"version\":[3,1,0]}"

#define MR_TEST_TREE_0                                                                             \
    MR_TEST_TREE("0", "[1,-1,3,-1,-1]", "[2,-1,4,-1,-1]", "[0,0,1,0,0]",                           \
                 "[1.5,-0.25,2.5E-1,0.125,7E-2]", "[1,0,false,0,0]", "[0,0,0,0,0]", "[]", "[]",    \
                 "[]", "[]", "5")
#define MR_TEST_TREE_1                                                                             \
    MR_TEST_TREE("1", "[1,-1,-1]", "[2,-1,-1]", "[2,0,0]", "[0,0.5,-0.5]", "[0,0,0]", "[1,0,0]",   \
                 "[1,3]", "[0]", "[0]", "[2]", "3")

#define MR_TEST_MODEL_XGBOOST                                                                      \
    MR_TEST_MODEL_OF("gbtree", "[" MR_TEST_TREE_0 "," MR_TEST_TREE_1 "]", "[0,0]", "", "[3E-1]",   \
                     "binary:logistic", "3")

/* LightGBM's text: three inputs, one of them a category by name; every mode of missing values; two iterations. Tests
 * break it line by line. */
#define MR_TEST_LIGHTGBM_HEAD                                                                      \
    "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=2\n"  \
    "objective=binary sigmoid:1\nfeature_names=amount count country\n"                             \
    "feature_infos=[-4:4] [-4:4] 0:1:2\ntree_sizes=1 1\n\n"
#define MR_TEST_LIGHTGBM_TREE_0                                                                    \
    "Tree=0\nnum_leaves=4\nnum_cat=1\nsplit_feature=0 1 2\nsplit_gain=1 1 1\n"                     \
    "threshold=0.5 -1.5 0\ndecision_type=10 4 1\nleft_child=1 -1 -3\nright_child=2 -2 -4\n"        \
    "leaf_value=0.1 -0.2 0.30000000000000004 -0.4\nleaf_weight=1 1 1 1\nleaf_count=10 20 30 40\n"  \
    "internal_value=0 0 0\ninternal_weight=0 0 0\ninternal_count=100 30 70\ncat_boundaries=0 1\n"  \
    "cat_threshold=5\nis_linear=0\nshrinkage=1\n\n\n"
#define MR_TEST_LIGHTGBM_TREE_1                                                                    \
    "Tree=1\nnum_leaves=2\nnum_cat=0\nsplit_feature=1\nsplit_gain=1\nthreshold=2\n"                \
    "decision_type=0\nleft_child=-1\nright_child=-2\nleaf_value=0.01 -0.02\nleaf_weight=1 1\n"     \
    "leaf_count=60 40\ninternal_value=0\ninternal_weight=0\ninternal_count=100\nis_linear=0\n"     \
    "shrinkage=0.1\n\n\n"
#define MR_TEST_LIGHTGBM_TAIL                                                                      \
    "end of trees\n\nfeature_importances:\namount=1\n\nparameters:\n[boosting: gbdt]\n"            \
    "end of parameters\n\npandas_categorical:[[\"a\", \"c\", \"e\"]]\n"
#define MR_TEST_MODEL_LIGHTGBM                                                                     \
    MR_TEST_LIGHTGBM_HEAD MR_TEST_LIGHTGBM_TREE_0 MR_TEST_LIGHTGBM_TREE_1 MR_TEST_LIGHTGBM_TAIL

/* PMML: three numbers; a chain of a forest, a derived field and a classification. */
#define MR_TEST_PMML_TREE(score, field, value)                                                     \
    "<Segment><True/><TreeModel functionName=\"regression\" "                                      \
    "missingValueStrategy=\"defaultChild\">"                                                       \
    "<MiningSchema><MiningField name=\"amount\"/><MiningField name=\"count 7d\"/></MiningSchema>"  \
    "<Node id=\"1\" defaultChild=\"2\"><True/><Node id=\"2\" score=\"" score                       \
    "\"><SimplePredicate "                                                                         \
    "field=\"" field "\" operator=\"lessThan\" value=\"" value "\"/></Node><Node id=\"3\" "        \
    "score=\"0.125\"><SimplePredicate field=\"" field                                              \
    "\" operator=\"greaterOrEqual\" value=\"" value "\"/></Node></Node></TreeModel></Segment>"
#define MR_TEST_MODEL_PMML                                                                         \
    "<?xml version=\"1.0\"?><PMML xmlns=\"http://www.dmg.org/PMML-4_4\" version=\"4.4\"><Header/>" \
    "<DataDictionary><DataField name=\"amount\" optype=\"continuous\" dataType=\"double\"/>"       \
    "<DataField name=\"night\" optype=\"continuous\" dataType=\"double\"/><DataField "             \
    "name=\"count "                                                                                \
    "7d\" optype=\"continuous\" dataType=\"double\"/><DataField name=\"bad\" "                     \
    "optype=\"categorical\" "                                                                      \
    "dataType=\"string\"><Value value=\"no\"/><Value value=\"yes\"/></DataField></DataDictionary>" \
    "<MiningModel functionName=\"classification\"><MiningSchema><MiningField name=\"bad\" "        \
    "usageType=\"target\"/><MiningField name=\"amount\"/><MiningField name=\"night\" "             \
    "missingValueReplacement=\"0.5\"/><MiningField name=\"count 7d\" "                             \
    "outliers=\"asExtremeValues\" "                                                                \
    "lowValue=\"-2\" highValue=\"3\"/></MiningSchema><LocalTransformations><DerivedField "         \
    "name=\"twice\" optype=\"continuous\" dataType=\"double\"><Apply function=\"*\"><FieldRef "    \
    "field=\"night\"/><Constant>2</Constant></Apply></DerivedField></LocalTransformations>"        \
    "<Segmentation multipleModelMethod=\"modelChain\"><Segment><True/><MiningModel "               \
    "functionName=\"regression\"><MiningSchema><MiningField name=\"amount\"/><MiningField "        \
    "name=\"count 7d\"/></MiningSchema><Output><OutputField name=\"sum\" optype=\"continuous\" "   \
    "dataType=\"double\" feature=\"predictedValue\"/></Output><Segmentation "                      \
    "multipleModelMethod=\"sum\">" MR_TEST_PMML_TREE("-0.5", "amount", "1.5") MR_TEST_PMML_TREE(   \
        "0.75", "count 7d",                                                                        \
        "0.5") "</Segmentation></MiningModel></Segment>"                                           \
               "<Segment><True/><RegressionModel functionName=\"classification\" "                 \
               "normalizationMethod=\"logit\"><MiningSchema><MiningField "                         \
               "name=\"sum\"/><MiningField "                                                       \
               "name=\"twice\"/></MiningSchema><RegressionTable intercept=\"0.25\" "               \
               "targetCategory=\"yes\">"                                                           \
               "<NumericPredictor name=\"sum\" coefficient=\"1\"/><NumericPredictor "              \
               "name=\"twice\" "                                                                   \
               "coefficient=\"0.375\"/></RegressionTable><RegressionTable intercept=\"0\" "        \
               "targetCategory=\"no\"/></RegressionModel></Segment></Segmentation></"              \
               "MiningModel></PMML>"

/* A linear model of ours: one input may be missing, one stands for its mean, one makes the row have no result. */
#define MR_TEST_MODEL_GLM                                                                          \
    "{\"millrace_model\": \"linear\", \"link\": \"logit\", \"intercept\": -0.5,\n"                 \
    " \"inputs\": [{\"name\": \"amount\", \"weight\": 0.25, \"mean\": 1.5, \"scale\": 2},\n"       \
    "  {\"name\": \"night\", \"weight\": 0.75, \"missing\": 0},\n"                                 \
    "  {\"name\": \"count 7d\", \"weight\": -1e-1, \"mean\": 3, \"missing\": \"mean\"}],\n"        \
    " \"classes\": [\"genuine\", \"fraud\"]}\n"

#endif
