/* pmml_xml.c -- expat's events become the compact tree.
 *
 * (1) Offset 0 of `texts` is the empty string: a zero anywhere is a text.
 * (2) `open` holds the elements that have begun and not ended; at most MR_XML_DEPTH_MAX.
 * Thread: the caller's; nothing is shared. */
#include "model/pmml_xml.h"

#include "base/hash.h"

#include <expat.h>
#include <string.h>

#define NAMES      1024       /* slots for names seen before; more are stored again */
#define PIECE      (1u << 20) /* bytes given to expat at once: it counts in int */
#define TEXT_MAX   (1u << 24) /* of one element */
#define NAME_PROBE 8

typedef struct builder {
    mr_xml *xml;
    XML_Parser parser;
    const char *const *skip;
    mr_error *err;
    mr_status status; /* the first failure */
    uint32_t names[NAMES];
    uint32_t open[MR_XML_DEPTH_MAX];
    uint32_t depth, skipping; /* elements open; of those inside a skipped one */
    mr_bytes text;            /* of the element that is open */
} builder;

static void stop(builder *b, mr_status status, const char *why)
{
    if (b->status != MR_OK)
        return;
    b->status = MR_FAIL(b->err, status, "%llu:%llu: %s",
                        (unsigned long long)XML_GetCurrentLineNumber(b->parser),
                        (unsigned long long)XML_GetCurrentColumnNumber(b->parser) + 1, why);
    (void)XML_StopParser(b->parser, XML_FALSE);
}

static void check_memory(builder *b)
{
    mr_xml *xml = b->xml;
    if (xml->elements.failed || xml->attributes.failed || xml->texts.failed || b->text.failed)
        stop(b, MR_NO_MEMORY, "out of memory");
}

static uint32_t add_text(builder *b, const char *text, size_t size)
{
    mr_bytes *texts = &b->xml->texts;
    if (texts->size + size + 1 >= UINT32_MAX) {
        stop(b, MR_FULL, "the texts of the file are too large");
        return 0;
    }
    uint32_t at = (uint32_t)texts->size;
    mr_bytes_append(texts, text, size);
    mr_bytes_append_byte(texts, 0);
    return texts->failed ? 0 : at;
}

/* Without the prefix of a namespace; the same name is stored once as long as the table has room. */
static uint32_t add_name(builder *b, const char *name)
{
    const char *colon = strrchr(name, ':');
    name = colon != NULL ? colon + 1 : name;
    size_t size = strlen(name), hash = mr_hash64(name, size);
    for (size_t i = 0; i < NAME_PROBE; i++) {
        uint32_t *slot = &b->names[(hash + i) % NAMES];
        if (*slot == 0)
            return *slot = add_text(b, name, size);
        if (strcmp((const char *)b->xml->texts.data + *slot, name) == 0)
            return *slot;
    }
    return add_text(b, name, size);
}

static bool skipped(const builder *b, const char *name)
{
    for (const char *const *skip = b->skip; *skip != NULL; skip++)
        if (strcmp(*skip, name) == 0)
            return true;
    return false;
}

static mr_xml_element *element_at(builder *b, uint32_t index)
{
    return (mr_xml_element *)(void *)b->xml->elements.data + index;
}

static void link_to_parent(builder *b, uint32_t index)
{
    if (b->depth == 0)
        return;
    mr_xml_element *parent = element_at(b, b->open[b->depth - 1]);
    if (parent->child == MR_XML_NONE)
        parent->child = index;
    else
        element_at(b, parent->last_child)->next = index;
    parent->last_child = index;
}

static uint32_t add_attributes(builder *b, const XML_Char **pairs)
{
    uint32_t count = 0;
    for (; pairs[0] != NULL; pairs += 2, count++) {
        mr_bytes_append_u32(&b->xml->attributes, add_name(b, pairs[0]));
        mr_bytes_append_u32(&b->xml->attributes, add_text(b, pairs[1], strlen(pairs[1])));
    }
    return count;
}

static void XMLCALL on_start(void *context, const XML_Char *name, const XML_Char **pairs)
{
    builder *b = context;
    mr_bytes_clear(&b->text);
    if (b->skipping > 0 || (b->depth > 0 && skipped(b, name))) {
        b->skipping++;
        return;
    }
    if (b->depth == MR_XML_DEPTH_MAX) {
        stop(b, MR_FULL, "elements nest deeper than 1024");
        return;
    }
    uint32_t index = mr_xml_count(b->xml);
    mr_xml_element element = {
        .name = add_name(b, name),
        .first_attribute = (uint32_t)(b->xml->attributes.size / 8),
        .line = (uint32_t)XML_GetCurrentLineNumber(b->parser),
        .column = (uint32_t)XML_GetCurrentColumnNumber(b->parser) + 1,
    };
    element.attribute_count = add_attributes(b, pairs);
    mr_bytes_append(&b->xml->elements, &element, sizeof element);
    check_memory(b);
    if (b->status != MR_OK)
        return;
    link_to_parent(b, index);
    b->open[b->depth++] = index;
}

static void XMLCALL on_end(void *context, const XML_Char *name)
{
    builder *b = context;
    (void)name;
    if (b->status != MR_OK)
        return;
    if (b->skipping > 0) {
        b->skipping--;
        return;
    }
    uint32_t index = b->open[--b->depth];
    if (b->text.size > 0 && element_at(b, index)->child == MR_XML_NONE)
        element_at(b, index)->text =
            add_text(b, (const char *)b->text.data, b->text.size); /* may not move elements */
    mr_bytes_clear(&b->text);
    check_memory(b);
}

static void XMLCALL on_text(void *context, const XML_Char *text, int size)
{
    builder *b = context;
    if (b->skipping > 0 || b->status != MR_OK)
        return;
    if (b->text.size + (size_t)size > TEXT_MAX)
        stop(b, MR_FULL, "a text is longer than 16 MiB");
    mr_bytes_append(&b->text, text, (size_t)size);
    check_memory(b);
}

static void XMLCALL on_entity(void *context, const XML_Char *name, int is_parameter,
                              const XML_Char *value, int size, const XML_Char *base,
                              const XML_Char *system_id, const XML_Char *public_id,
                              const XML_Char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)size, (void)base, (void)system_id;
    (void)public_id, (void)notation;
    stop(context, MR_UNSUPPORTED, "entity declarations are refused");
}

static mr_status feed(builder *b, const char *bytes, size_t size)
{
    for (size_t at = 0; b->status == MR_OK && (at < size || size == 0); at += PIECE) {
        size_t piece = size - at < PIECE ? size - at : PIECE;
        bool last = at + piece == size;
        if (XML_Parse(b->parser, bytes + at, (int)piece, last) == XML_STATUS_ERROR) {
            enum XML_Error code = XML_GetErrorCode(b->parser);
            bool memory = code == XML_ERROR_NO_MEMORY;
            stop(b, memory ? MR_NO_MEMORY : MR_INVALID, XML_ErrorString(code));
        }
        if (last)
            break;
    }
    return b->status;
}

static mr_status read_with(builder *b, const void *bytes, size_t size)
{
    static const XML_Memory_Handling_Suite memory = {mr_alloc, mr_realloc, mr_free};
    b->parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    mr_bytes_append_byte(&b->xml->texts, 0);
    (void)mr_bytes_reserve(&b->xml->attributes, 2 * sizeof(uint32_t));
    if (b->parser == NULL || b->xml->texts.failed || b->xml->attributes.failed)
        return MR_OUT_OF_MEMORY(b->err);
    XML_SetUserData(b->parser, b);
    XML_SetElementHandler(b->parser, on_start, on_end);
    XML_SetCharacterDataHandler(b->parser, on_text);
    XML_SetEntityDeclHandler(b->parser, on_entity);
    (void)XML_SetParamEntityParsing(b->parser, XML_PARAM_ENTITY_PARSING_NEVER);
    return feed(b, bytes, size);
}

mr_status mr_xml_read(mr_xml *xml, const void *bytes, size_t size, const char *const *skip,
                      mr_error *err)
{
    *xml = (mr_xml){0};
    if (size > MR_XML_BYTES_MAX)
        return MR_FAIL(err, MR_FULL, "%zu bytes of XML, at most %llu are read", size,
                       MR_XML_BYTES_MAX);
    builder *b = MR_NEW(builder);
    if (b == NULL)
        return MR_OUT_OF_MEMORY(err);
    b->xml = xml;
    b->skip = skip;
    b->err = err;
    mr_status status = read_with(b, bytes, size);
    if (b->parser != NULL)
        XML_ParserFree(b->parser);
    mr_bytes_deinit(&b->text);
    mr_free(b);
    if (status != MR_OK)
        mr_xml_deinit(xml);
    return status;
}

void mr_xml_deinit(mr_xml *xml)
{
    mr_bytes_deinit(&xml->elements);
    mr_bytes_deinit(&xml->attributes);
    mr_bytes_deinit(&xml->texts);
}

/* ---- questions ---- */

uint32_t mr_xml_count(const mr_xml *xml)
{
    return (uint32_t)(xml->elements.size / sizeof(mr_xml_element));
}

const mr_xml_element *mr_xml_at(const mr_xml *xml, uint32_t element)
{
    return (const mr_xml_element *)(const void *)xml->elements.data + element;
}

static const char *text_at(const mr_xml *xml, uint32_t at)
{
    return (const char *)xml->texts.data + at;
}

const char *mr_xml_name(const mr_xml *xml, uint32_t element)
{
    return text_at(xml, mr_xml_at(xml, element)->name);
}

bool mr_xml_is(const mr_xml *xml, uint32_t element, const char *name)
{
    return strcmp(mr_xml_name(xml, element), name) == 0;
}

const char *mr_xml_get(const mr_xml *xml, uint32_t element, const char *attribute)
{
    const mr_xml_element *e = mr_xml_at(xml, element);
    const uint32_t *pairs = (const uint32_t *)(const void *)xml->attributes.data;
    for (uint32_t i = 0; i < e->attribute_count; i++)
        if (strcmp(text_at(xml, pairs[2 * (e->first_attribute + i)]), attribute) == 0)
            return text_at(xml, pairs[2 * (e->first_attribute + i) + 1]);
    return NULL;
}

const char *mr_xml_text(const mr_xml *xml, uint32_t element)
{
    return text_at(xml, mr_xml_at(xml, element)->text);
}

uint32_t mr_xml_child(const mr_xml *xml, uint32_t element)
{
    return mr_xml_at(xml, element)->child;
}

uint32_t mr_xml_next(const mr_xml *xml, uint32_t element)
{
    return mr_xml_at(xml, element)->next;
}

static uint32_t named(const mr_xml *xml, uint32_t element, const char *name)
{
    while (element != MR_XML_NONE && !mr_xml_is(xml, element, name))
        element = mr_xml_next(xml, element);
    return element;
}

uint32_t mr_xml_find(const mr_xml *xml, uint32_t element, const char *name)
{
    return named(xml, mr_xml_child(xml, element), name);
}

uint32_t mr_xml_again(const mr_xml *xml, uint32_t element, const char *name)
{
    return named(xml, mr_xml_next(xml, element), name);
}
