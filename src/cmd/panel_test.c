/* panel_test.c -- the live panel counts what was decided and shows what was not ordinary. */
#include "cmd/panel.h"
#include "test/test.h"

#include <string.h>

#define SCHEMA "tx: int64, amount: float64, score: float32, action: string null"

static mr_batch *make_decisions(const char *const *actions, size_t count)
{
    mr_schema *schema = NULL;
    mr_batch *batch = NULL;
    mr_builder builder;
    mr_error err = {0};
    assert_ok(mr_schema_parse(SCHEMA, strlen(SCHEMA), &schema, &err), &err);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (size_t i = 0; i < count; i++) {
        mr_builder_int64(&builder.columns[0], (int64_t)i);
        mr_builder_float64(&builder.columns[1], 0.1 + 0.2);
        mr_builder_float32(&builder.columns[2], 0.25f);
        if (actions[i] == NULL)
            mr_builder_null(&builder.columns[3]);
        else
            mr_builder_text(&builder.columns[3], actions[i], strlen(actions[i]));
    }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return batch;
}

static uint64_t count_of(const mr_panel *panel, const char *name)
{
    for (size_t i = 0; i < panel->action_count; i++)
        if (strcmp(panel->actions[i].name, name) == 0)
            return panel->actions[i].count;
    return 0;
}

TEST(panel, counts_decisions_by_action)
{
    static const char *const actions[] = {"allow", "allow", "block", "allow", NULL, "review"};
    mr_panel panel = {0};
    mr_batch *batch = make_decisions(actions, 6);
    mr_panel_take(&panel, batch);
    mr_panel_take(&panel, batch);
    mr_panel_take(&panel, NULL);
    assert_int_equal(count_of(&panel, "allow"), 6);
    assert_int_equal(count_of(&panel, "block"), 2);
    assert_int_equal(count_of(&panel, "review"), 2);
    assert_int_equal(count_of(&panel, ""), 2); /* no decision is one, too */
    mr_batch_release(batch);
}

TEST(panel, shows_the_newest_that_are_not_ordinary)
{
    static const char *const actions[] = {"allow", "block", "allow", "allow", "review", "allow"};
    mr_panel panel = {0};
    mr_batch *batch = make_decisions(actions, 6);
    mr_panel_take(&panel, batch);
    assert_int_equal(panel.alert_count, 2);
    assert_string_equal(panel.alerts[0], "review  score 0.2500  tx 4  amount 0.3  ");
    assert_non_null(strstr(panel.alerts[1], "block  score 0.2500  tx 1 "));
    for (int i = 0; i < 10; i++)
        mr_panel_take(&panel, batch);
    assert_int_equal(panel.alert_count, MR_PANEL_ALERTS_MAX);
    mr_batch_release(batch);
}

/* More kinds of decisions than there is room for, and decisions without an action, are no trouble. */
TEST(panel, bears_anything)
{
    static const char *const actions[] = {"a",
                                          "b",
                                          "c",
                                          "d",
                                          "e",
                                          "f",
                                          "g",
                                          "h",
                                          "i",
                                          "j",
                                          "a name that is longer than the panel has room to keep",
                                          ""};
    mr_panel panel = {0};
    mr_batch *batch = make_decisions(actions, 12);
    mr_panel_take(&panel, batch);
    assert_int_equal(panel.action_count, MR_PANEL_ACTIONS_MAX);
    mr_batch_release(batch);
}
