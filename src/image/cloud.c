/* SPDX-License-Identifier: Apache-2.0 */
/* See cloud.h. */
#include "image/cloud.h"

#include "base/digest.h"

enum {
    ANSWER_MAX = 64 << 10,
    REGION_MAX = 40,
    SECRET_MAX = 1024,
};

struct ecr_data {
    struct str token; /* base64 of "AWS:password" */
};

struct ecr_answer {
    struct codec_list data; /* struct ecr_data */
};

/* clang-format off */
static const struct codec_field data_fields[] = {
    {1, "authorizationToken", CODEC_STRING, 0, offsetof(struct ecr_data, token)},
};
static const struct codec_message data_message = {NULL, sizeof(struct ecr_data), data_fields,
                                                  COUNT_OF(data_fields)};
static const struct codec_field answer_fields[] = {
    {1, "authorizationData", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct ecr_answer, data), 0, &data_message},
};
static const struct codec_message answer_message = {NULL, sizeof(struct ecr_answer), answer_fields,
                                                    COUNT_OF(answer_fields)};
/* clang-format on */

static int gather(void *ctx, unsigned status, struct str data, struct err *err)
{
    struct buf *out = ctx;

    ignore((long)status);
    buf_add_str(out, data);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "the answer of ECR is too large");
}

static bool region_is_good(struct str region)
{
    for (size_t i = 0; i < region.len; i++) {
        char c = region.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return region.len > 0 && region.len <= REGION_MAX;
}

static int read_answer(struct str text, struct arena *a, struct cloud_login *out, struct err *err)
{
    struct ecr_answer answer = {0};
    const struct ecr_data *data;
    struct str both, password;
    uint8_t *bytes;
    ssize_t len;

    if (json_decode(&answer_message, text, a, &answer, err) != 0)
        return err_wrap(err, "answer of ECR");
    data = answer.data.items;
    bytes = answer.data.count == 0 ? NULL : arena_alloc(a, base64_decoded_max(data->token.len) + 1);
    len = bytes == NULL ? -1 : base64_decode(data->token, bytes);
    if (len < 0)
        return err_set(err, ERR_INVALID, "ECR answers without a token");
    both = (struct str){(const char *)bytes, (size_t)len};
    out->user = str_cut(both, ':', &password);
    out->password = password;
    return out->user.len > 0 ? 0 : err_set(err, ERR_INVALID, "ECR answers with a bad token");
}

static int ask_ecr(struct fetcher *f, const struct image_login *login, struct arena *a,
                   struct cloud_login *out, struct err *err)
{
    static const char *const fields[] = {
        "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        "Content-Type: application/x-amz-json-1.1", NULL};
    const char *endpoint = getenv("AWS_ENDPOINT_URL_ECR");
    struct str region = login->aws_region;
    struct buf body;
    struct fetch r = {
        .url = endpoint != NULL
                   ? endpoint
                   : arena_printf(a, "https://api.ecr.%.*s.amazonaws.com%s/", STR_ARG(region),
                                  str_has_prefix(region, "cn-") ? ".cn" : ""),
        .post = "{}",
        .fields = fields,
        .aws_sigv4 = arena_printf(a, "aws:amz:%.*s:ecr", STR_ARG(region)),
        .user = arena_printf(a, "%.*s", STR_ARG(login->aws_access_key_id)),
        .password = arena_printf(a, "%.*s", STR_ARG(login->aws_secret_access_key)),
        .on_body = gather,
        .ctx = &body,
    };
    int result;

    if (r.url == NULL || r.aws_sigv4 == NULL || r.user == NULL || r.password == NULL)
        return err_set(err, ERR_LIMIT, "no memory for a login");
    buf_init(&body, ANSWER_MAX);
    result = fetch_run(f, &r, err) == 0 ? 0 : err_wrap(err, "ask ECR for a login");
    if (result == 0 && r.status != 200)
        result = err_set(err, r.status < 500 ? ERR_DENIED : ERR_UNAVAILABLE,
                         "ECR refuses the login (status %u)", r.status);
    if (result == 0)
        result = read_answer(buf_str(&body), a, out, err);
    fetch_done(&r);
    buf_done(&body);
    return result;
}

static int login_registry(struct fetcher *f, const struct image_login *login, struct arena *a,
                          struct cloud_login *out, struct err *err)
{
    ignore((long)(f != NULL && a != NULL));
    if (login->username.len == 0)
        return err_set(err, ERR_INVALID, "a login without a user name");
    *out = (struct cloud_login){login->username, login->password};
    return 0;
}

static int login_gcp(struct fetcher *f, const struct image_login *login, struct arena *a,
                     struct cloud_login *out, struct err *err)
{
    ignore((long)(f != NULL && a != NULL));
    if (!json_valid(login->service_account_json))
        return err_set(err, ERR_INVALID, "serviceAccountJson is not JSON");
    *out = (struct cloud_login){STR("_json_key"), login->service_account_json};
    return 0;
}

static int login_aws(struct fetcher *f, const struct image_login *login, struct arena *a,
                     struct cloud_login *out, struct err *err)
{
    if (!region_is_good(login->aws_region) || login->aws_access_key_id.len == 0 ||
        login->aws_access_key_id.len > SECRET_MAX || login->aws_secret_access_key.len == 0 ||
        login->aws_secret_access_key.len > SECRET_MAX)
        return err_set(err, ERR_INVALID, "awsRegion, awsAccessKeyId or awsSecretAccessKey is bad");
    return ask_ecr(f, login, a, out, err);
}

typedef int login_fn(struct fetcher *f, const struct image_login *login, struct arena *a,
                     struct cloud_login *out, struct err *err);

static const struct {
    const char *type;
    login_fn *fn;
} kinds[] = {
    {"registry", login_registry},
    {"aws",      login_aws     },
    {"gcp",      login_gcp     },
};

int cloud_login(struct fetcher *f, const struct image_login *login, struct arena *a,
                struct cloud_login *out, struct err *err)
{
    if (login->type.len == 0)
        return 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (str_is(login->type, kinds[i].type))
            return kinds[i].fn(f, login, a, out, err);
    }
    return err_set(err, ERR_INVALID, "no registry login of type '%.*s'",
                   STR_ARG(str_upto(login->type, 40)));
}
