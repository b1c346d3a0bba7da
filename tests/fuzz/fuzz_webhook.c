/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz what webhooks are given by others: their URLs, and what getent says of a name. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "domain/webhook_url.h"
#include "io/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct str part, struct str whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    char address[RESOLVER_ADDRESS_MAX];
    struct webhook_url url;
    struct err err = {0};

    if (webhook_url_parse(in, &url, &err) == 0) {
        assert(is_inside(url.host, in) && is_inside(url.authority, in));
        assert(url.host.len > 0 && url.port > 0 && url.target.len > 0 && url.target.at[0] == '/');
        for (size_t i = 0; i < url.target.len; i++)
            assert(url.target.at[i] > ' ' && url.target.at[i] < 0x7f);
        assert(str_find(url.authority, '@') < 0 && str_find(url.authority, '/') < 0);
    } else {
        assert(err.kind == ERR_INVALID);
    }
    if (resolver_parse(in, address)) {
        unsigned char bytes[sizeof(struct in6_addr)];
        size_t len = strlen(address);

        if (address[0] == '[') {
            assert(address[len - 1] == ']');
            address[len - 1] = '\0';
            assert(inet_pton(AF_INET6, address + 1, bytes) == 1);
        } else {
            assert(inet_pton(AF_INET, address, bytes) == 1);
        }
    }
    return 0;
}
