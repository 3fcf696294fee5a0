/* main.c -- where the program starts. */
#include "cmd/verb.h"

int main(int argc, char **argv)
{
    return mr_verb_main(argc, argv);
}
