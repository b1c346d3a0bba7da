/* SPDX-License-Identifier: Apache-2.0 */
/* Who may go where: the order of the rules, every range that is never reached, every spelling. */
#include <arpa/inet.h>
#include <stdio.h>

#include "egress/verdict.h"
#include "ipc/egress_messages.h"
#include "test.h"

static struct place place(const char *text)
{
    struct range r;
    struct place p = {.port = 443};

    CHECK(range_read(str_of(text), &r) && r.bits == 128);
    memcpy(p.address, r.address, sizeof(p.address));
    return p;
}

static const struct site no_site;
static const struct policy no_policy;

static enum verdict ask(const struct site *site, const struct policy *policy, const char *to)
{
    struct place p = place(to);
    const char *rule = NULL;
    enum verdict v = verdict(site, policy, &p, (struct str){0}, &rule);

    CHECK(rule != NULL);
    return v;
}

static void never(void)
{
    static const char *const rows[] = {
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "169.254.0.1",
        "192.0.0.8",
        "192.0.0.170",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:0:1.2.3.4",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:10::1",
        "5f00::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
    };
    struct range all[] = {
        {{0}, 0}
    };
    const struct site open = {
        .allow = {all, 1}
    };
    const struct policy allowed = {
        .allow = {all, 1}
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool is_denied = ask(&no_site, &no_policy, rows[i]) == VERDICT_DENY &&
                         ask(&open, &allowed, rows[i]) == VERDICT_DENY;

        if (!is_denied)
            printf("# %s\n", rows[i]);
        CHECK(is_denied);
    }
}

static void private_networks(void)
{
    static const char *const rows[] = {
        "10.0.0.1",          "10.255.255.255",    "100.64.0.1", "100.127.255.255", "172.16.0.1",
        "172.31.0.1",        "192.168.1.1",       "198.18.0.1", "198.51.100.7",    "203.0.113.1",
        "192.0.2.1",         "fc00::1",           "fdff::1",    "2001:db8::1",     "3fff::1",
        "64:ff9b::10.0.0.1", "2002:0a00:0001::1",
    };
    struct range all[] = {
        {{0}, 0}
    };
    const struct site open = {
        .allow = {all, 1}
    };
    const struct policy allowed = {
        .allow = {all, 1}
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK(ask(&no_site, &no_policy, rows[i]) == VERDICT_DENY);
        /* its owner may not allow it, the operator may */
        CHECK(ask(&no_site, &allowed, rows[i]) == VERDICT_DENY);
        CHECK(ask(&open, &no_policy, rows[i]) == VERDICT_ALLOW);
    }
}

static void the_rest(void)
{
    static const char *const rows[] = {
        "1.1.1.1",      "9.255.255.255", "11.0.0.1",    "100.63.255.255",   "100.128.0.1",
        "126.0.0.1",    "128.0.0.1",     "169.253.0.1", "172.15.0.1",       "172.32.0.1",
        "192.0.1.1",    "192.167.0.1",   "198.17.0.1",  "198.20.0.1",       "223.0.0.1",
        "2606:4700::1", "2a00::1",       "2003::1",     "64:ff9b::8.8.8.8", "2002:0808:0808::1",
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK(ask(&no_site, &no_policy, rows[i]) == VERDICT_ALLOW);
}

static void order(void)
{
    struct range net[1], host[1], mirror[1];
    struct policy p = {
        .deny = {net, 1}
    };
    struct site s = {0};

    CHECK(range_read(STR("8.8.0.0/16"), &net[0]) && range_read(STR("8.8.8.8"), &host[0]) &&
          range_read(STR("10.1.0.0/16"), &mirror[0]));
    CHECK(ask(&s, &p, "8.8.4.4") == VERDICT_DENY && ask(&s, &p, "8.9.4.4") == VERDICT_ALLOW);
    CHECK(ask(&s, &p, "64:ff9b::8.8.4.4") == VERDICT_DENY); /* what it is inside */
    p.allow = (struct ranges){host, 1};
    CHECK(ask(&s, &p, "8.8.8.8") == VERDICT_ALLOW && ask(&s, &p, "8.8.4.4") == VERDICT_DENY);
    p.is_offline = true;
    CHECK(ask(&s, &p, "8.8.8.8") == VERDICT_ALLOW && ask(&s, &p, "1.1.1.1") == VERDICT_DENY &&
          ask(&s, &p, "2a00::1") == VERDICT_DENY);
    s.allow = (struct ranges){mirror, 1};
    CHECK(ask(&s, &p, "10.1.2.3") == VERDICT_DENY); /* still offline */
    p.is_offline = false;
    CHECK(ask(&s, &p, "10.1.2.3") == VERDICT_ALLOW && ask(&s, &p, "10.2.2.3") == VERDICT_DENY);
    s.deny = (struct ranges){host, 1};
    CHECK(ask(&s, &p, "8.8.8.8") == VERDICT_DENY); /* the operator's word is above the owner's */
}

static void ranges(void)
{
    static const char *const bad[] = {
        "",       "1.2.3",       "1.2.3.4/33", "1.2.3.4/",    "1.2.3.4/-1",
        "::/129", "example.com", "1.2.3.4 ",   "01.2.3.4/8x", ":::"};
    struct range r;
    struct place p;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!range_read(str_of(bad[i]), &r));
    CHECK(range_read(STR("0.0.0.0/0"), &r) && r.bits == 96);
    p = place("255.0.0.1");
    CHECK(range_has(&r, &p));
    p = place("2a00::1");
    CHECK(!range_has(&r, &p));
    CHECK(range_read(STR("10.0.0.0/9"), &r));
    p = place("10.127.0.1");
    CHECK(range_has(&r, &p));
    p = place("10.128.0.1");
    CHECK(!range_has(&r, &p));
}

static void sites(void)
{
    struct site s;
    struct err err;
    struct place p = place("10.1.2.3");

    CHECK(site_read("10.1.0.0/16, fd00::/8,", "", &s, &err) == 0);
    CHECK(s.allow.count == 2 && s.deny.count == 0);
    CHECK(verdict(&s, &no_policy, &p, (struct str){0}, NULL) == VERDICT_ALLOW);
    site_done(&s);
    CHECK(site_read("mirror.example", "", &s, &err) != 0 && err.kind == ERR_INVALID);
}

static void policies(void)
{
    struct str deny[] = {STR("8.8.8.8"), STR("1.0.0.0/8")}, broken[] = {STR("what")};
    struct egress_policy m = {
        .is_offline = false, .deny_out = {deny, 2},
             .connections_max = 7
    };
    const struct policy defaults = {.connections_max = 100, .bytes_per_s = 5};
    struct policy p;
    struct buf bytes;
    struct err err;

    buf_init(&bytes, EGRESS_POLICY_MAX);
    proto_encode(&egress_policy_message, &m, &bytes);
    CHECK(policy_read(buf_str(&bytes), &defaults, &p, &err) == 0);
    CHECK(p.deny.count == 2 && p.connections_max == 7 && p.bytes_per_s == 5 && !p.is_offline);
    policy_done(&p);
    CHECK(policy_read((struct str){0}, &defaults, &p, &err) == 0 && p.connections_max == 100);
    policy_done(&p);
    buf_clear(&bytes);
    m.deny_out = (struct codec_list){broken, 1};
    proto_encode(&egress_policy_message, &m, &bytes);
    CHECK(policy_read(buf_str(&bytes), &defaults, &p, &err) != 0 && err.kind == ERR_INVALID);
    buf_done(&bytes);
}

/* Names decide where addresses are denied, and only there (semantics.md 13.3). */
static void by_name(void)
{
    struct str names[] = {STR("a.test"), STR("*.b.test")};
    struct range net[1], all[] = {
                             {{0}, 0}
    };
    struct policy p = {
        .deny = {all, 1}
    };
    static const struct {
        const char *to, *name;
        enum verdict verdict;
    } rows[] = {
        {"1.1.1.1",           "",          VERDICT_BY_NAME},
        {"2a00::1",           "",          VERDICT_BY_NAME},
        {"1.1.1.1",           "a.test",    VERDICT_ALLOW  },
        {"1.1.1.1",           "A.TEST",    VERDICT_ALLOW  },
        {"1.1.1.1",           "x.b.test",  VERDICT_ALLOW  },
        {"1.1.1.1",           "b.test",    VERDICT_DENY   },
        {"1.1.1.1",           "a.test.",   VERDICT_DENY   },
        {"1.1.1.1",           "evil.test", VERDICT_DENY   },
        {"8.8.1.1",           "",          VERDICT_ALLOW  }, /* by address */
        {"8.8.1.1",           "evil.test", VERDICT_ALLOW  },
        {"10.0.0.1",          "",          VERDICT_DENY   },
        {"10.0.0.1",          "a.test",    VERDICT_DENY   }, /* where rebinding leads */
        {"127.0.0.1",         "a.test",    VERDICT_DENY   },
        {"169.254.169.254",   "a.test",    VERDICT_DENY   },
        {"64:ff9b::10.0.0.1", "a.test",    VERDICT_DENY   },
        {"64:ff9b::1.1.1.1",  "",          VERDICT_BY_NAME},
    };

    CHECK(range_read(STR("8.8.0.0/16"), &net[0]));
    p.allow = (struct ranges){net, 1};
    p.names = (struct names){.rows = names, .count = 2};
    for (int is_offline = 0; is_offline < 2; is_offline++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            struct place to = place(rows[i].to);

            test_note("%s %s", rows[i].to, rows[i].name);
            CHECK(verdict(&no_site, &p, &to, str_of(rows[i].name), NULL) == rows[i].verdict);
        }
        p.is_offline = true; /* the same as denying all */
        p.deny.count = 0;
    }
}

static void policies_with_names(void)
{
    struct str allow[] = {STR("8.8.8.8"), STR("a.test"), STR("1.0.0.0/8"), STR("*.b.test"),
                          STR("*")};
    struct str deny[] = {STR("0.0.0.0/0")}, name[] = {STR("a.test")};
    struct egress_policy m = {
        .allow_out = {allow, 5},
          .deny_out = {deny,  1}
    };
    struct place v6 = place("2a00::1");
    struct policy p;
    struct buf bytes;
    struct err err;

    buf_init(&bytes, EGRESS_POLICY_MAX);
    proto_encode(&egress_policy_message, &m, &bytes);
    CHECK(policy_read(buf_str(&bytes), &no_policy, &p, &err) == 0);
    CHECK(p.allow.count == 2 && p.names.count == 3 && str_is(p.names.rows[0], "a.test") &&
          str_is(p.names.rows[1], "*.b.test") && str_is(p.names.rows[2], "*"));
    CHECK(range_has(&p.deny.rows[0], &v6)); /* "all traffic" */
    policy_done(&p);
    buf_clear(&bytes);
    m.deny_out = (struct codec_list){name, 1};
    proto_encode(&egress_policy_message, &m, &bytes);
    CHECK(policy_read(buf_str(&bytes), &no_policy, &p, &err) != 0 && err.kind == ERR_INVALID);
    buf_done(&bytes);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"what no policy and no operator opens",         never              },
        {"private networks are the operator's to open",  private_networks   },
        {"everything else, up to the edges of ranges",   the_rest           },
        {"operator, then allow, then deny, then online", order              },
        {"addresses and CIDRs",                          ranges             },
        {"the operator's lists",                         sites              },
        {"policies as api encodes them",                 policies           },
        {"names, where addresses are denied",            by_name            },
        {"policies with names",                          policies_with_names},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
