/* dead.c -- the one form of a dead letter. */
#include "pipeline/dead.h"

#include <string.h>

#define DEAD_SCHEMA                                                                                \
    "source: string, place: string, field: string null, reason: string, record: bytes"

mr_status mr_dead_letter_schema(mr_schema **out, mr_error *err)
{
    return mr_schema_parse(DEAD_SCHEMA, strlen(DEAD_SCHEMA), out, err);
}

void mr_dead_letter_add(mr_builder *builder, const mr_dead_letter *letter)
{
    mr_builder_column *columns = builder->columns;
    mr_builder_text(&columns[0], letter->source, strlen(letter->source));
    mr_builder_text(&columns[1], letter->place, strlen(letter->place));
    if (letter->field[0] == '\0')
        mr_builder_null(&columns[2]);
    else
        mr_builder_text(&columns[2], letter->field, strlen(letter->field));
    mr_builder_text(&columns[3], letter->reason, strlen(letter->reason));
    mr_builder_text(&columns[4], letter->bytes, letter->size);
}
