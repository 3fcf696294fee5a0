/* demo_files.c -- the pipelines of examples/cards, carried in the program so that the demo runs anywhere.
 *
 * The assembler copies the files in as they are; the build knows that this object depends on them. */
#include "cmd/demo.h"

#define CARRY(symbol, path)                                                                        \
    __asm__(".section .rodata\n"                                                                   \
            ".global " #symbol "\n" #symbol ":\n"                                                  \
            ".incbin \"" path "\"\n"                                                               \
            ".global " #symbol "_end\n" #symbol "_end:\n"                                          \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char symbol[];                                                                    \
    extern const char symbol##_end[]

CARRY(mr_demo_features_yaml, "examples/cards/features.yaml");
CARRY(mr_demo_pipeline_yaml, "examples/cards/pipeline.yaml");

const mr_demo_file *mr_demo_files(void)
{
    static mr_demo_file files[] = {{"features.yaml", mr_demo_features_yaml, 0},
                                   {"pipeline.yaml", mr_demo_pipeline_yaml, 0},
                                   {NULL, NULL, 0}};
    files[0].size = (size_t)(mr_demo_features_yaml_end - mr_demo_features_yaml);
    files[1].size = (size_t)(mr_demo_pipeline_yaml_end - mr_demo_pipeline_yaml);
    return files;
}
