/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of network options. Called by api/ before anything is done. */
#include "domain/network.h"

#include <arpa/inet.h>

#include "base/host_name.h"

static bool is_cidr(struct str text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    struct str bits, host = str_cut(text, '/', &bits);
    uint64_t prefix = 0, prefix_max = 32;

    if (!str_to_c(host, address, sizeof(address)))
        return false;
    if (inet_pton(AF_INET, address, bytes) != 1) {
        if (inet_pton(AF_INET6, address, bytes) != 1)
            return false;
        prefix_max = 128;
    }
    if (host.len == text.len)
        return true;
    return str_to_u64(bits, &prefix) && prefix <= prefix_max;
}

int network_check_deny(const struct codec_list *deny_out, struct err *err)
{
    const struct str *entries = deny_out->items;

    if (deny_out->count > NETWORK_RULES_MAX)
        return err_set(err, ERR_INVALID, "denyOut can have at most %d entries", NETWORK_RULES_MAX);
    for (size_t i = 0; i < deny_out->count; i++)
        if (!is_cidr(entries[i]))
            return err_set(err, ERR_INVALID, "invalid denied CIDR %.*s",
                           STR_ARG(str_upto(entries[i], 64)));
    return 0;
}

static bool denies_all(const struct codec_list *deny_out)
{
    const struct str *entries = deny_out->items;

    for (size_t i = 0; i < deny_out->count; i++)
        if (str_is(entries[i], "0.0.0.0/0"))
            return true;
    return false;
}

int network_check_allow(const struct codec_list *allow_out, const struct codec_list *deny_out,
                        struct err *err)
{
    const struct str *entries = allow_out->items;
    bool has_domain = false;

    if (allow_out->count > NETWORK_RULES_MAX)
        return err_set(err, ERR_INVALID, "allowOut can have at most %d entries", NETWORK_RULES_MAX);
    for (size_t i = 0; i < allow_out->count; i++) {
        if (is_cidr(entries[i]))
            continue;
        if (!host_pattern_is_good(entries[i]))
            return err_set(err, ERR_INVALID, "invalid allowed address %.*s",
                           STR_ARG(str_upto(entries[i], 64)));
        has_domain = true;
    }
    if (has_domain && !denies_all(deny_out))
        return err_set(err, ERR_INVALID,
                       "When specifying allowed domains in allow out, you must include "
                       "'ALL_TRAFFIC' in deny out to block all other traffic.");
    return 0;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-';
}

int network_check_mask(struct str mask_host, struct err *err)
{
    struct str port, host = str_cut(mask_host, ':', &port);
    uint64_t number = 0;
    bool is_good = mask_host.len == 0 || (host.len > 0 && mask_host.len <= MASK_HOST_MAX);

    for (size_t i = 0; i < mask_host.len; i++)
        if ((unsigned char)mask_host.at[i] >= 0x80)
            return err_set(
                err, ERR_INVALID,
                "mask request host '%.*s' is not ASCII. Please use ASCII characters only.",
                STR_ARG(str_upto(mask_host, 64)));
    for (size_t i = 0; i < host.len; i++)
        is_good = is_good && is_host_char(host.at[i]);
    if (host.len < mask_host.len && !str_is(port, "${PORT}"))
        is_good = is_good && str_to_u64(port, &number) && number > 0 && number < 65536;
    if (!is_good)
        return err_set(err, ERR_INVALID, "mask request host is not valid: %.*s",
                       STR_ARG(str_upto(mask_host, 64)));
    return 0;
}
