/* SPDX-License-Identifier: Apache-2.0 */
/* References to images (CT-11, CT-21), as github.com/distribution/reference reads them. */
#include "base/image_name.h"
#include "test.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct sample {
    const char *text, *full;
};

static void check_full(const char *text, const char *full)
{
    struct image_name n, again;
    struct arena mem;
    struct buf out;
    struct err err;

    test_note("%s", text);
    arena_init(&mem, 1 << 16);
    buf_init(&out, 4096);
    CHECK(image_name_parse(str_of(text), &mem, &n, &err) == 0);
    image_name_write(&n, &out);
    CHECK(str_is(buf_str(&out), full));
    CHECK(image_name_parse(buf_str(&out), &mem, &again, &err) == 0);
    CHECK(str_eq(n.host, again.host) && str_eq(n.path, again.path) && str_eq(n.tag, again.tag) &&
          str_eq(n.digest, again.digest));
    buf_done(&out);
    arena_done(&mem);
}

static void good_names(void)
{
    static const struct sample samples[] = {
        {"ubuntu",                                           "docker.io/library/ubuntu:latest"   },
        {" ubuntu:22.04\t",                                  "docker.io/library/ubuntu:22.04"    },
        {"library/ubuntu",                                   "docker.io/library/ubuntu:latest"   },
        {"docker.io/ubuntu:22.04",                           "docker.io/library/ubuntu:22.04"    },
        {"index.docker.io/a/b",                              "docker.io/a/b:latest"              },
        {"e2bdev/base",                                      "docker.io/e2bdev/base:latest"      },
        {"ghcr.io/a/b/c:1.2-rc_3",                           "ghcr.io/a/b/c:1.2-rc_3"            },
        {"GHCR.io/a/b",                                      "ghcr.io/a/b:latest"                },
        {"localhost/x",                                      "localhost/x:latest"                },
        {"localhost:5000/x",                                 "localhost:5000/x:latest"           },
        {"127.0.0.1:5000/x:y",                               "127.0.0.1:5000/x:y"                },
        {"[::1]:5000/x",                                     "[::1]:5000/x:latest"               },
        {"host:5000/a__b/c-d--e/f.g_h",                      "host:5000/a__b/c-d--e/f.g_h:latest"},
        {"a@sha256:" HEX,                                    "docker.io/library/a@sha256:" HEX   },
        {"x.y/a:t@sha256:" HEX,                              "x.y/a:t@sha256:" HEX               },
        {"123456789012.dkr.ecr.eu-west-1.amazonaws.com/r:1",
         "123456789012.dkr.ecr.eu-west-1.amazonaws.com/r:1"                                      },
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++)
        check_full(samples[i].text, samples[i].full);
}

static void bad_names(void)
{
    static const struct {
        const char *text;
        enum err_kind kind;
    } samples[] = {
        {"",                   ERR_INVALID    },
        {":x",                 ERR_INVALID    },
        {"a:",                 ERR_INVALID    },
        {"a:-x",               ERR_INVALID    },
        {"a:x y",              ERR_INVALID    },
        {"Ubuntu",             ERR_INVALID    },
        {"a/B",                ERR_INVALID    },
        {"/a",                 ERR_INVALID    },
        {"a/",                 ERR_INVALID    },
        {"a//b",               ERR_INVALID    },
        {"a/../b",             ERR_INVALID    },
        {"a/.b",               ERR_INVALID    },
        {"a/b.",               ERR_INVALID    },
        {"a/b___c",            ERR_INVALID    },
        {"a/-b",               ERR_INVALID    },
        {"https://ghcr.io/a",  ERR_INVALID    },
        {"user@host/a",        ERR_UNSUPPORTED},
        {"host:0/a",           ERR_INVALID    },
        {"host:65536/a",       ERR_INVALID    },
        {"host:5x/a",          ERR_INVALID    },
        {"-host.x/a",          ERR_INVALID    },
        {"host..x/a",          ERR_INVALID    },
        {"host.x",             ERR_NONE       },
        {"[::1/a",             ERR_INVALID    },
        {"[]:5000/a",          ERR_INVALID    },
        {"a@sha256:12",        ERR_INVALID    },
        {"a@sha512:" HEX HEX,  ERR_UNSUPPORTED},
        {"a@sha256:" HEX "@x", ERR_INVALID    },
        {"a\nb",               ERR_INVALID    },
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct image_name n;
        struct arena mem;
        struct err err = {0};
        int result;

        test_note("%s", samples[i].text);
        arena_init(&mem, 1 << 16);
        result = image_name_parse(str_of(samples[i].text), &mem, &n, &err);
        CHECK(result == (samples[i].kind == ERR_NONE ? 0 : -1));
        CHECK(err.kind == samples[i].kind);
        arena_done(&mem);
    }
}

static void lengths(void)
{
    char text[IMAGE_NAME_MAX + 8];
    struct image_name n;
    struct arena mem;
    struct err err;

    arena_init(&mem, 1 << 16);
    memset(text, 'a', sizeof text);
    CHECK(image_name_parse((struct str){text, 200}, &mem, &n, &err) == 0);
    CHECK(image_name_parse((struct str){text, 255}, &mem, &n, &err) == -1);
    CHECK(image_name_parse((struct str){text, IMAGE_NAME_MAX + 1}, &mem, &n, &err) == -1);
    text[0] = 'x';
    text[1] = ':';
    CHECK(image_name_parse((struct str){text, 2 + IMAGE_TAG_MAX}, &mem, &n, &err) == 0);
    CHECK(image_name_parse((struct str){text, 3 + IMAGE_TAG_MAX}, &mem, &n, &err) == -1);
    arena_done(&mem);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"CT-11: references get their full form", good_names},
        {"CT-11: other texts are refused",        bad_names },
        {"lengths are bounded",                   lengths   },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
