/* SPDX-License-Identifier: Apache-2.0 */
/* envd/encoding: what clients accept and send (wire.md 3.10 and 3.11, RFC 9110 12.5.3). */
#include "envd/encoding.h"
#include "test.h"

/* A head with one field per line of `lines`, all of that name; NULL: none. */
static struct http_head head_of(const char *name, const char *lines)
{
    struct http_head h = {0};
    struct str rest = str_of(lines);

    while (rest.at != NULL && h.field_count < HTTP_FIELDS_MAX) {
        bool is_more = str_find(rest, '\n') >= 0;

        h.fields[h.field_count].name = str_of(name);
        h.fields[h.field_count++].value = str_trim(str_cut(rest, '\n', &rest));
        if (!is_more)
            break;
    }
    return h;
}

static void answers(void)
{
    enum { ID = CODING_IDENTITY, GZ = CODING_GZIP, NO = CODING_NONE };

    static const struct {
        const char *accept;
        unsigned whole, part; /* without and with a Range or a condition */
    } rows[] = {
        {NULL,                                 ID, ID},
        {"",                                   ID, ID},
        {"identity",                           ID, ID},
        {"gzip",                               GZ, ID}, /* `gzip: true` of the SDKs */
        {"GZip",                               GZ, ID},
        {"x-gzip",                             GZ, ID},
        {"gzip, deflate",                      ID, ID}, /* the default of undici */
        {"gzip, deflate, br, zstd",            ID, ID},
        {"deflate, gzip",                      ID, ID},
        {"br",                                 ID, ID},
        {"*",                                  ID, ID},
        {"gzip, *",                            ID, ID},
        {"gzip, identity",                     ID, ID},
        {"gzip;q=1.0, identity;q=0.5, *;q=0",  GZ, ID},
        {"gzip;q=0.5, identity;q=0.6",         ID, ID},
        {"gzip;q=0.6, identity;q=0.5",         GZ, ID},
        {"gzip;q=0.5",                         GZ, ID},
        {"gzip;q=0.001",                       GZ, ID},
        {"gzip;q=0",                           ID, ID},
        {"gzip;q=0.000",                       ID, ID},
        {"gzip;q=0, *",                        ID, ID},
        {"gzip, *;q=0.5",                      GZ, ID},
        {"gzip;q=0.2, *;q=0.5",                ID, ID},
        {"identity;q=0",                       NO, NO},
        {"identity;q=0.0, gzip;q=0",           NO, NO},
        {"identity;q=0, br",                   NO, NO},
        {"*;q=0",                              NO, NO},
        {"*;q=0, identity",                    ID, ID},
        {"*;q=0, identity;q=0.1",              ID, ID},
        {"gzip, *;q=0",                        GZ, GZ},
        {"gzip, Identity ; Q=0.000",           GZ, GZ},
        {"identity;q=0, *",                    GZ, GZ},
        {"identity;q=0, gzip, deflate",        GZ, GZ},
        {"gzip, deflate, identity;q=0.5",      GZ, ID},
        {"gzip ; q=1 , identity ; q=0.9",      GZ, ID},
        {"gzip;level=9;q=0.8, identity;q=0.9", ID, ID},
        {"gzip;q=2",                           ID, ID}, /* malformed: not there */
        {"gzip;q=1.001",                       ID, ID},
        {"gzip;q=0.1234",                      ID, ID},
        {"gzip;q=",                            ID, ID},
        {"gzip;q=-1",                          ID, ID},
        {"gzip;q=.5",                          ID, ID},
        {"identity;q=x",                       ID, ID},
        {"identity;q=0.x, gzip",               GZ, ID},
        {", ,gzip,,",                          GZ, ID},
        {"gzip, deflate;q=0, br;q=0",          GZ, ID},
        {"gzipped",                            ID, ID},
        {"gzip\ndeflate",                      ID, ID}, /* two fields are one list */
        {"gzip\nidentity;q=0",                 GZ, GZ},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_head h = head_of("accept-encoding", rows[i].accept);

        test_note("%s", rows[i].accept == NULL ? "none" : rows[i].accept);
        CHECK(encoding_for_answer(&h, false) == rows[i].whole);
        CHECK(encoding_for_answer(&h, true) == rows[i].part);
    }
}

static void bodies(void)
{
    static const struct {
        const char *value;
        enum coding want;
    } rows[] = {
        {NULL,               CODING_IDENTITY},
        {"",                 CODING_IDENTITY},
        {"identity",         CODING_IDENTITY},
        {"gzip",             CODING_GZIP    },
        {"GZIP",             CODING_GZIP    },
        {"x-gzip",           CODING_GZIP    },
        {" gzip , identity", CODING_GZIP    },
        {"identity\ngzip",   CODING_GZIP    },
        {"deflate",          CODING_NONE    },
        {"br",               CODING_NONE    },
        {"gzip, gzip",       CODING_NONE    },
        {"gzip\ngzip",       CODING_NONE    },
        {"gzip, br",         CODING_NONE    },
        {"gzip;q=1",         CODING_NONE    },
        {"*",                CODING_NONE    },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_head h = head_of("Content-Encoding", rows[i].value);

        test_note("%s", rows[i].value == NULL ? "none" : rows[i].value);
        CHECK(encoding_of_body(&h) == rows[i].want);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"codings of answers", answers},
        {"codings of bodies",  bodies },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
