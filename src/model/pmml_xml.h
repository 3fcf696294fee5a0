/* pmml_xml.h -- an XML file as a compact tree that lives while a model is read, and not longer.
 *
 *   element 36 bytes, attribute 8 bytes, names once, values as they stand: about the size of the file
 *
 * Elements are numbers; 0 is the root and, since it is nobody's child, also "none". What is not needed is never stored:
 * comments, processing instructions, and whole elements the caller wants skipped. Namespace prefixes are cut off.
 *
 * From anyone: nesting, size and counts are limited; entity declarations are refused, so that nothing expands and
 * nothing outside the file is read. */
#ifndef MR_MODEL_PMML_XML_H
#define MR_MODEL_PMML_XML_H

#include "base/memory.h"

#define MR_XML_BYTES_MAX (1ull << 30)
#define MR_XML_DEPTH_MAX 1024 /* a tree of a model nests its nodes */
#define MR_XML_NONE      0u

typedef struct mr_xml_element {
    uint32_t name; /* where it stands in `texts`, terminated; so all texts */
    uint32_t first_attribute, attribute_count;
    uint32_t child, last_child, next; /* first and last child, next sibling; MR_XML_NONE */
    uint32_t text;                    /* of an element without children; 0: none */
    uint32_t line, column;            /* from 1 */
} mr_xml_element;

typedef struct mr_xml {
    mr_bytes elements, attributes, texts;
} mr_xml;

/* Elements named in `skip` (ended by NULL) are left out with all that is in them. */
mr_status mr_xml_read(mr_xml *xml, const void *bytes, size_t size, const char *const *skip,
                      mr_error *err);
void mr_xml_deinit(mr_xml *xml);

uint32_t mr_xml_count(const mr_xml *xml);
const mr_xml_element *mr_xml_at(const mr_xml *xml, uint32_t element);
const char *mr_xml_name(const mr_xml *xml, uint32_t element);
bool mr_xml_is(const mr_xml *xml, uint32_t element, const char *name);
/* The value, NULL: no such attribute. Lent. */
const char *mr_xml_get(const mr_xml *xml, uint32_t element, const char *attribute);
/* Character data, "" when there is none. */
const char *mr_xml_text(const mr_xml *xml, uint32_t element);
uint32_t mr_xml_child(const mr_xml *xml, uint32_t element); /* the first of any name */
uint32_t mr_xml_next(const mr_xml *xml, uint32_t element);
/* The first child of that name, and the next sibling of that name. */
uint32_t mr_xml_find(const mr_xml *xml, uint32_t element, const char *name);
uint32_t mr_xml_again(const mr_xml *xml, uint32_t element, const char *name);

#endif
