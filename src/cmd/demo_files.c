/* demo_files.c -- the pipelines of examples/cards, carried in the program so that the demo runs anywhere.
 *
 * The assembler copies the files in as they are; the build knows that this object depends on them. */
#include "cmd/demo.h"

#define CARRY(symbol, path)                                                                        \
    __asm__(".section .rodata\n"                                                                   \
            ".balign 8\n"                                                                          \
            ".global " #symbol "_size\n" #symbol "_size: .quad " #symbol "_end - " #symbol "\n"    \
            ".global " #symbol "\n" #symbol ": .incbin \"" path "\"\n" #symbol "_end: .byte 0\n"   \
            ".previous\n");                                                                        \
    extern const char symbol[];                                                                    \
    extern const uint64_t symbol##_size

CARRY(mr_demo_features_yaml, "examples/cards/features.yaml");
CARRY(mr_demo_pipeline_yaml, "examples/cards/pipeline.yaml");

const mr_demo_file *mr_demo_files(void)
{
    static mr_demo_file files[] = {{"features.yaml", mr_demo_features_yaml, 0},
                                   {"pipeline.yaml", mr_demo_pipeline_yaml, 0},
                                   {NULL, NULL, 0}};
    files[0].size = mr_demo_features_yaml_size;
    files[1].size = mr_demo_pipeline_yaml_size;
    return files;
}
