/* sha256_test.c -- the examples of FIPS 180-4, however the bytes are cut. */
#include "base/sha256.h"
#include "test/test.h"

#include <string.h>

TEST(sha256, equals_the_standards_examples)
{
    static const struct {
        const char *text, *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t cut = 0; cut <= strlen(cases[i].text); cut++) {
            mr_sha256 hash;
            char text[MR_SHA256_TEXT_BYTES];
            mr_sha256_init(&hash);
            mr_sha256_add(&hash, cases[i].text, cut);
            mr_sha256_add(&hash, cases[i].text + cut, strlen(cases[i].text) - cut);
            mr_sha256_finish(&hash, text);
            assert_string_equal(text, cases[i].hash);
        }
}
