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

#endif
