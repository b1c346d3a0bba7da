/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of images, and the ids of stacks of layers. */
#include "image/oci.h"
#include "test.h"

#define A       "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B       "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEAD    "{\"schemaVersion\":2,"
#define FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
#define HELM    "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
#define GZIP    "application/vnd.oci.image.layer.v1.tar+gzip"

static void manifests(void)
{
    /* clang-format off */
    static const struct {
        const char *text;
        enum err_kind kind;
        size_t layers, manifests;
    } samples[] = {
        {HEAD "\"config\":{\"digest\":\"" A "\",\"size\":1},\"layers\":[{\"mediaType\":\"" GZIP
         "\",\"digest\":\"" B "\",\"size\":5}]}", ERR_NONE, 1, 0},
        {HEAD "\"manifests\":[{\"digest\":\"" A "\",\"size\":1,\"platform\":{\"os\":\"linux\","
         "\"architecture\":\"amd64\",\"os.version\":\"1\"}}]}", ERR_NONE, 0, 1},
        {HEAD "\"config\":{\"digest\":\"" A "\"},\"layers\":[{\"mediaType\":\"" FOREIGN
         "\",\"digest\":\"" B "\"}]}", ERR_UNSUPPORTED, 0, 0},
        {HEAD "\"config\":{\"digest\":\"" A "\"},\"layers\":[{\"mediaType\":\"" HELM
         "\",\"digest\":\"" B "\"}]}", ERR_UNSUPPORTED, 0, 0},
        {"{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[]}", ERR_UNSUPPORTED, 0, 0},
        {"{\"schemaVersion\":2}", ERR_INVALID, 0, 0},
        {HEAD "\"config\":{\"digest\":\"sha256:../../x\"},\"layers\":[]}", ERR_INVALID, 0, 0},
        {HEAD "\"config\":{\"digest\":\"" A "\",\"size\":-1},\"layers\":[]}", ERR_INVALID, 0, 0},
        {HEAD "\"config\":{},\"layers\":[]}", ERR_INVALID, 0, 0},
        {"[]", ERR_INVALID, 0, 0},
        {"", ERR_INVALID, 0, 0},
    };
    /* clang-format on */

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct oci_manifest m = {0};
        struct arena mem;
        struct err err = {0};

        test_note("%s", samples[i].text);
        arena_init(&mem, 1 << 20);
        CHECK(oci_manifest_read(str_of(samples[i].text), &mem, &m, &err) ==
              (samples[i].kind == ERR_NONE ? 0 : -1));
        CHECK(err.kind == samples[i].kind);
        CHECK(m.layers.count == samples[i].layers && m.manifests.count == samples[i].manifests);
        arena_done(&mem);
    }
}

static void platforms(void)
{
    static const char *const text =
        "{\"schemaVersion\":2,\"manifests\":["
        "{\"digest\":\"" A "\",\"platform\":{\"os\":\"windows\",\"architecture\":\"amd64\"}},"
        "{\"digest\":\"" A "\",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
        "{\"digest\":\"" A "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}},"
        "{\"digest\":\"" B "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
        "{\"digest\":\"" B
        "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}}]}";
    struct oci_manifest m;
    struct arena mem;
    struct err err;

    arena_init(&mem, 1 << 20);
    CHECK(oci_manifest_read(str_of(text), &mem, &m, &err) == 0 && m.is_index);
    CHECK(oci_choose(&m) != NULL && str_is(oci_choose(&m)->digest, B));
    m.manifests.count = 3;
    CHECK(oci_choose(&m) == NULL);
    arena_done(&mem);
}

static void configs(void)
{
    static const char *const text =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"A=1\",\"B=x=y\"],"
        "\"Cmd\":null,"
        "\"Entrypoint\":[\"/init\"],\"WorkingDir\":\"/"
        "w\",\"User\":\"1000:1000\",\"Labels\":{\"a\":\"b\",\"sandlot.x\":\"y\"},"
        "\"ExposedPorts\":{\"80/tcp\":{},\"53/"
        "udp\":{\"x\":\"y\"}}},\"rootfs\":{\"type\":\"layers\","
        "\"diff_ids\":[\"" A "\",\"" B "\"]},\"history\":[{\"created\":\"x\"}]}";
    struct oci_config c;
    struct codec_list ports, labels;
    struct arena mem;
    struct err err;

    arena_init(&mem, 1 << 20);
    CHECK(oci_config_read(str_of(text), &mem, &c, &err) == 0);
    oci_labels(c.run, "sandlot.", &mem, &labels);
    CHECK(labels.count == 1 && str_is(((struct codec_pair *)labels.items)[0].value, "y"));
    c.run->labels = STR("{\"sandlot.x\":7}");
    oci_labels(c.run, "sandlot.", &mem, &labels);
    CHECK(labels.count == 0); /* nobody's labels are a reason to refuse an image */
    CHECK(c.diff_count == 2 && c.run->env.count == 2 && c.run->cmd.count == 0);
    CHECK(str_is(((struct str *)c.run->env.items)[1], "B=x=y"));
    CHECK(str_is(c.run->user, "1000:1000") && str_is(c.run->workdir, "/w"));
    oci_ports(c.run, &mem, &ports);
    CHECK(ports.count == 2);
    CHECK(str_is(((struct str *)ports.items)[0], "80/tcp"));
    CHECK(str_is(((struct str *)ports.items)[1], "53/udp"));
    CHECK(oci_config_read(STR("{\"os\":\"windows\",\"rootfs\":{}}"), &mem, &c, &err) == -1);
    CHECK(err.kind == ERR_UNSUPPORTED);
    CHECK(oci_config_read(STR("{\"architecture\":\"s390x\",\"rootfs\":{}}"), &mem, &c, &err) == -1);
    CHECK(oci_config_read(STR("{}"), &mem, &c, &err) == -1 && err.kind == ERR_INVALID);
    CHECK(oci_config_read(STR("{\"rootfs\":{\"diff_ids\":[\"x\"]}}"), &mem, &c, &err) == -1);
    CHECK(oci_config_read(STR("{\"rootfs\":{\"diff_ids\":[]}}"), &mem, &c, &err) == 0);
    CHECK(c.run != NULL && c.diff_count == 0);
    arena_done(&mem);
}

/* sha256("sha256:aaaa… sha256:bbbb…") by sha256sum(1). */
static void chains(void)
{
    struct digest a, b, chain, want;

    CHECK(digest_read(STR(A), &a) && digest_read(STR(B), &b));
    chain = digest_chain(NULL, &a);
    CHECK(digest_eq(&chain, &a));
    chain = digest_chain(&a, &b);
    CHECK(digest_read_hex(STR("ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"),
                          &want));
    CHECK(digest_eq(&chain, &want));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"manifests and indexes are read, other things refused", manifests},
        {"CT-11: our processor's image is chosen",               platforms},
        {"configurations are read",                              configs  },
        {"layers are named by all that is below them",           chains   },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
