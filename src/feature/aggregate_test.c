/* aggregate_test.c -- the table of aggregates is whole, and the reference page is what it says. */
#include "feature/aggregate.h"
#include "test/test.h"

#include <stdlib.h>
#include <string.h>

#define PAGE "docs/reference/aggregates.md"

TEST(aggregate, every_kind_says_all_about_itself)
{
    for (size_t i = 0; i < MR_AGGREGATE_COUNT_OF; i++) {
        const mr_aggregate_kind *kind = &mr_aggregate_kinds[i];
        assert_int_equal(kind->id, i);
        assert_ptr_equal(mr_aggregate_find(kind->name, strlen(kind->name)), kind);
        const char *const texts[] = {kind->arguments, kind->description, kind->result,
                                     kind->empty,     kind->bounds,      kind->missing};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            assert_true(texts[k] != NULL && texts[k][0] != '\0');
        assert_true(kind->windows != 0 && kind->windows < 1u << MR_WINDOW_KINDS);
        assert_int_equal(strncmp(kind->arguments, kind->name, strlen(kind->name)), 0);
    }
    assert_null(mr_aggregate_find("mea", 3));
    assert_null(mr_aggregate_find("means", 5));
}

/* GOLDEN=update writes the page anew. */
TEST(aggregate, reference_page_is_current)
{
    mr_error err = {0};
    mr_bytes wanted = {0}, found = {0};
    mr_aggregate_reference(&wanted);
    assert_false(wanted.failed);
    const char *golden = getenv("GOLDEN");
    if (golden != NULL && strcmp(golden, "update") == 0)
        assert_ok(mr_fs_write_file(mr_fs_real(), PAGE, wanted.data, wanted.size, &err), &err);
    assert_ok(mr_fs_read_file(mr_fs_real(), PAGE, 1 << 20, &found, &err), &err);
    assert_int_equal(found.size, wanted.size);
    assert_memory_equal(found.data, wanted.data, wanted.size);
    mr_bytes_deinit(&wanted);
    mr_bytes_deinit(&found);
}
