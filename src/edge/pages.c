/* SPDX-License-Identifier: Apache-2.0 */
/* Error bodies of the data plane; see pages.h. The JSON texts are part of what clients know. */
#include "edge/pages.h"

#include <stdio.h>

#include "codec/codec.h"

enum page_fields {
    SHOW_ID = 1,
    SHOW_PORT = 2,
    SHOW_PATH = 4,
    SHOW_LIMIT = 8,
    SHOW_MESSAGE = 16, /* facts.message is in place of ours where there is one */
};

struct page {
    unsigned status;
    unsigned retry_s;
    unsigned fields;
    const char *message; /* JSON */
    const char *title;   /* HTML */
    const char *advice;
    bool is_gone;
};

/* clang-format off */
static const struct page pages[PAGE_COUNT] = {
    [PAGE_NOT_FOUND] = {502, 0, SHOW_ID,
        "The sandbox was not found",
        "Sandbox Not Found",
        "It may have reached its timeout, been killed, or never existed. Check the address, or "
        "create a new sandbox and use the address that getHost() gives for it.", true},
    [PAGE_PAUSED] = {502, 0, SHOW_ID,
        "The sandbox was not found",
        "Sandbox Not Found",
        "It is paused, and requests do not resume it. Connect to it with an SDK or the command "
        "line to resume it, then reload."},
    [PAGE_PORT_CLOSED] = {502, 0, SHOW_ID | SHOW_PORT,
        "The sandbox is running but port is not open",
        "Closed Port",
        "The sandbox is running, but there is no service running on port"},
    [PAGE_TOKEN_MISSING] = {403, 0, SHOW_ID,
        "Sandbox is secured with traffic access token. Token header 'e2b-traffic-access-token' is "
        "missing",
        "Missing Traffic Access Token",
        "This sandbox is private. Send its token in the header e2b-traffic-access-token; the "
        "answer to its creation has it as trafficAccessToken."},
    [PAGE_TOKEN_WRONG] = {403, 0, SHOW_ID,
        "Sandbox is secured with traffic access token. Provided token in header "
        "'e2b-traffic-access-token' is invalid",
        "Invalid Traffic Access Token",
        "This sandbox is private, and the token in the header e2b-traffic-access-token is not the "
        "one it was created with. Use trafficAccessToken from the answer to its creation."},
    [PAGE_TRANSITION] = {409, 1, SHOW_ID,
        "The sandbox is still transitioning. Try again in a moment.",
        "Sandbox In Transition",
        "The sandbox is starting, pausing or resuming. Reload in a moment."},
    [PAGE_PRIVATE] = {404, 0, SHOW_PATH,
        "This endpoint is reserved for the E2B control plane and is not reachable through the "
        "sandbox URL",
        "Not Found",
        "This address is reserved for the server itself."},
    [PAGE_BUSY] = {503, 1, SHOW_ID,
        "The server is restarting. Try again in a moment.",
        "Back In A Moment",
        "A part of the server is restarting; sandboxes keep running. Reload in a moment."},
    [PAGE_SIGNATURE] = {401, 0, 0,
        "The signature of this URL is invalid, or its sandbox has ended",
        "Invalid Link",
        "The signature of this link is wrong, or its sandbox has ended. Make a new link with "
        "downloadUrl() or uploadUrl() of a running sandbox."},
    [PAGE_EXPIRED] = {401, 0, 0,
        "signature is already expired",
        "Expired Link",
        "The time of this link has passed. Make a new one with downloadUrl() or uploadUrl()."},
    [PAGE_RESUME_DENIED] = {403, 0, SHOW_ID,
        "This sandbox can't be resumed with the credentials provided. Check your access token and "
        "try again.",
        "Sandbox Is Paused",
        "It is paused, and this request has no right to resume it. Send the sandbox's access token "
        "in the header X-Access-Token."},
    [PAGE_RESUME_FAILED] = {502, 0, SHOW_ID | SHOW_MESSAGE,
        "The sandbox is paused and could not be resumed",
        "Sandbox Not Resumed",
        "It is paused, and resuming it failed. Connect to it with an SDK to see why."},
    [PAGE_TEAM_LIMIT] = {429, 5, SHOW_ID | SHOW_MESSAGE,
        "The team has reached its limit of running sandboxes",
        "Too Many Sandboxes",
        "This sandbox is paused, and its team runs as many others as it may. Kill or pause one of "
        "them, then reload."},
    [PAGE_FULL] = {429, 1, SHOW_ID | SHOW_LIMIT,
        "The sandbox has too many concurrent incoming connections",
        "Too Many Connections",
        "As many connections to this sandbox are open as it may have. Close some, or reload in a "
        "moment."},
    [PAGE_STALLED] = {408, 0, SHOW_ID,
        "The request stopped before its end",
        "Request Timeout",
        "The upload stopped before its end. Check the connection and try again."},
};
/* clang-format on */

const char page_json_type[] = "application/json; charset=utf-8";
const char page_html_type[] = "text/html; charset=utf-8";

static const char html_head[] =
    "<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<meta name=\"robots\" content=\"noindex\"><title>";
static const char html_style[] =
    "</title><style>"
    ":root{color-scheme:light dark;--bg:#f6f6f4;--card:#fff;--fg:#1c1c1a;--dim:#6b6b66;"
    "--line:#e4e4df;--mark:#c2410c}"
    "@media(prefers-color-scheme:dark){:root{--bg:#141413;--card:#1d1d1b;--fg:#f0efeb;"
    "--dim:#a09f98;--line:#32322f;--mark:#fb923c}}"
    "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;"
    "padding:24px;background:var(--bg);color:var(--fg);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "main{width:100%;max-width:520px;padding:32px;background:var(--card);"
    "border:1px solid var(--line);border-radius:14px}"
    ".code{font:600 13px ui-monospace,monospace;color:var(--mark);letter-spacing:.06em}"
    "h1{margin:6px 0 10px;font-size:24px;line-height:1.25}p{margin:0 0 18px;color:var(--dim)}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:6px 16px;margin:0;padding-top:16px;"
    "border-top:1px solid var(--line);font-size:14px}dt{color:var(--dim)}"
    "dd{margin:0;font-family:ui-monospace,monospace;overflow-wrap:anywhere}"
    "</style></head><body><main>";

unsigned page_status(enum page_kind kind, const struct page_facts *f)
{
    return pages[kind].is_gone && f->gone_status != 0 ? f->gone_status : pages[kind].status;
}

const char *page_retcode(enum page_kind kind)
{
    return pages[kind].is_gone ? "310410" : NULL;
}

unsigned page_retry_s(enum page_kind kind)
{
    return pages[kind].retry_s;
}

static bool has_text(struct str in, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; len <= in.len && i <= in.len - len; i++) {
        if (str_ieq((struct str){in.at + i, len}, (struct str){word, len}))
            return true;
    }
    return false;
}

static bool has_any(struct str in, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (has_text(in, words[i]))
            return true;
    }
    return false;
}

bool page_wants_html(const struct http_head *h)
{
    static const char *const script_modes[] = {"cors", "no-cors", "same-origin", "websocket"};
    static const char *const browsers[] = {"mozilla", "chrome", "safari", "firefox",
                                           "edge",    "opera",  "msie"};
    struct str accept = http_field(h, "Accept");
    struct str mode = http_field(h, "Sec-Fetch-Mode");

    if (has_text(accept, "application/json") && !has_text(accept, "text/html"))
        return false;
    for (size_t i = 0; i < COUNT_OF(script_modes); i++) {
        if (str_ieq(mode, str_of(script_modes[i])))
            return false;
    }
    if (http_field(h, "X-Requested-With").at != NULL && !str_ieq(mode, STR("navigate")))
        return false;
    return has_any(http_field(h, "User-Agent"), browsers, COUNT_OF(browsers));
}

static void add_message(const struct page *p, const struct page_facts *f, struct buf *out)
{
    char text[128];

    if ((p->fields & SHOW_LIMIT) != 0) {
        ignore(snprintf(text, sizeof text, "%s (limit: %u)", p->message, f->limit));
        json_quote(out, str_of(text));
    } else if ((p->fields & SHOW_MESSAGE) != 0 && f->message.len > 0) {
        json_quote(out, f->message);
    } else {
        json_quote(out, str_of(p->message));
    }
}

void page_json(enum page_kind kind, const struct page_facts *f, struct buf *out)
{
    const struct page *p = &pages[kind];

    buf_add_byte(out, '{');
    if ((p->fields & SHOW_ID) != 0) {
        buf_add_text(out, "\"sandboxId\":");
        json_quote(out, f->sandbox_id);
        buf_add_byte(out, ',');
    }
    buf_add_text(out, "\"message\":");
    add_message(p, f, out);
    if ((p->fields & SHOW_PORT) != 0)
        buf_printf(out, ",\"port\":%u", f->port);
    if ((p->fields & SHOW_PATH) != 0) {
        buf_add_text(out, ",\"path\":");
        json_quote(out, f->path);
    }
    buf_printf(out, ",\"code\":%u", page_status(kind, f));
    if ((p->fields & SHOW_LIMIT) != 0)
        buf_printf(out, ",\"connectionLimit\":%u", f->limit);
    buf_add_byte(out, '}');
}

static void add_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.at[i]) {
        case '&': buf_add_text(out, "&amp;"); break;
        case '<': buf_add_text(out, "&lt;"); break;
        case '>': buf_add_text(out, "&gt;"); break;
        case '"': buf_add_text(out, "&quot;"); break;
        case '\'': buf_add_text(out, "&#39;"); break;
        default: buf_add_byte(out, text.at[i]);
        }
    }
}

static void add_row(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "<dt>%s</dt><dd>", name);
    add_escaped(out, value);
    buf_add_text(out, "</dd>");
}

void page_html(enum page_kind kind, const struct page_facts *f, struct buf *out)
{
    const struct page *p = &pages[kind];

    buf_add_text(out, html_head);
    buf_add_text(out, p->title);
    buf_add_text(out, html_style);
    buf_printf(out, "<div class=\"code\">%u</div><h1>%s</h1><p>%s", page_status(kind, f), p->title,
               p->advice);
    if ((p->fields & SHOW_PORT) != 0)
        buf_printf(out, " %u. Start a server there and reload", f->port);
    buf_add_text(out, (p->fields & SHOW_PORT) != 0 ? ".</p>" : "</p>");
    if ((p->fields & (SHOW_ID | SHOW_PATH)) != 0) {
        buf_add_text(out, "<dl>");
        if ((p->fields & SHOW_ID) != 0)
            add_row(out, "Sandbox", f->sandbox_id);
        if ((p->fields & SHOW_PORT) != 0)
            buf_printf(out, "<dt>Port</dt><dd>%u</dd>", f->port);
        if ((p->fields & SHOW_PATH) != 0)
            add_row(out, "Path", f->path);
        if ((p->fields & SHOW_LIMIT) != 0)
            buf_printf(out, "<dt>Limit</dt><dd>%u</dd>", f->limit);
        if ((p->fields & SHOW_MESSAGE) != 0 && f->message.len > 0)
            add_row(out, "Message", f->message);
        buf_add_text(out, "</dl>");
    }
    buf_add_text(out, "</main></body></html>");
}
