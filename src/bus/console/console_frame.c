#include "bus/console/console_page.h"

#include "bus/console/console_files.h"

#include <string.h>

static const char *file_url(struct page *page, const char *name)
{
    for (size_t i = 0; i < console_file_count; i++) {
        if (strcmp(console_files[i].name, name) == 0) {
            return html_url(&page->arena, "/console/{}?v={}", name, console_files[i].version);
        }
    }
    return NULL;
}

static void put_head(struct page *page, struct html *to)
{
    buf_append_str(&to->out, "<!doctype html>\n");
    html_begin(to, "html", "lang", "en", NULL);
    html_begin(to, "head", NULL);
    html_void(to, "meta", "charset", "utf-8", NULL);
    html_void(to, "meta", "name", "viewport", "content", "width=device-width, initial-scale=1",
              NULL);
    html_void(to, "meta", "name", "color-scheme", "content", "light dark", NULL);
    html_begin(to, "title", NULL);
    html_text(to, page->title);
    html_text(to, " · Tidings");
    html_end(to, "title");
    html_void(to, "link", "rel", "icon", "href", file_url(page, "icon.svg"), NULL);
    html_void(to, "link", "rel", "stylesheet", "href", file_url(page, "console.css"), NULL);
    html_element(to, "script", "", "src", file_url(page, "theme.js"), NULL);
    html_element(to, "script", "", "type", "module", "src", file_url(page, "console.js"), NULL);
    html_end(to, "head");
}

/* --- navigation --- */

static void put_link(struct page *page, const struct page_kind *kind, struct html *to)
{
    const char *here = page->kind->nav_of != NULL ? page->kind->nav_of : page->kind->path;
    bool is_here = strcmp(here, kind->path) == 0;
    if (kind->needs != NULL && !console_has(page->console, kind->needs)) {
        return;
    }
    html_begin(to, "li", NULL);
    html_element(to, "a", kind->nav, "href", kind->path, "data-key", kind->key, "aria-current",
                 is_here ? "page" : NULL, NULL);
    html_end(to, "li");
}

static void put_search(struct page *page, struct html *to)
{
    const char *asked = page->kind->show == page_story ? page_query(page, "q", "") : "";
    html_begin(to, "form", "class", "find", "role", "search", "action", "/story", NULL);
    html_void(to, "input", "type", "search", "name", "q", "value", asked, "aria-label",
              "Find the story of an event: its id, key, trace, or topic:partition:offset",
              "placeholder", "Story of an event: id, key, trace …", "autocomplete", "off",
              "spellcheck", "false", "id", "find", NULL);
    html_end(to, "form");
}

static void put_bar(struct page *page, struct html *to)
{
    html_element(to, "a", "Skip to the content", "class", "skip", "href", "#content", NULL);
    html_begin(to, "header", "class", "bar", NULL);
    html_begin(to, "a", "class", "brand", "href", "/", NULL);
    html_void(to, "img", "src", file_url(page, "icon.svg"), "alt", "", "width", "22", "height",
              "22", NULL);
    html_text(to, "Tidings");
    html_end(to, "a");
    put_search(page, to);
    html_begin(to, "div", "class", "tools", NULL);
    html_element(to, "span", "", "id", "live", "role", "status", "hidden", "", NULL);
    html_element(to, "button", "Theme", "type", "button", "id", "theme", "hidden", "", "title",
                 "Light or dark (key: y)", NULL);
    html_element(to, "button", "?", "type", "button", "id", "help", "hidden", "", "aria-label",
                 "Keys", "title", "Keys (key: ?)", NULL);
    html_end(to, "div");
    html_end(to, "header");
    html_begin(to, "nav", "class", "side", "aria-label", "Pages", NULL);
    html_begin(to, "ul", NULL);
    for (size_t i = 0; i < page_kind_count; i++) {
        if (page_kinds[i].nav != NULL) {
            put_link(page, &page_kinds[i], to);
        }
    }
    html_end(to, "ul");
    html_end(to, "nav");
}

/* --- keys --- */

static void put_key(struct html *to, const char *keys, const char *does)
{
    html_begin(to, "dt", NULL);
    html_element(to, "kbd", keys, NULL);
    html_end(to, "dt");
    html_element(to, "dd", does, NULL);
}

static void put_keys(struct html *to)
{
    static const struct {
        const char *keys, *does;
    } rows[] = {{"/", "find the story of an event"},
                {"f", "go to the filter of the page"},
                {"j  k", "next, previous row"},
                {"Enter", "open the row"},
                {"u", "one level up"},
                {"[  ]", "previous, next"},
                {"+  -", "a larger, a smaller map"},
                {".", "stop or start live updates"},
                {"c", "copy the command that shows the same"},
                {"y", "light, dark, or as the system says"},
                {"?", "these keys"}};
    html_begin(to, "dialog", "id", "keys", "aria-labelledby", "keys-title", NULL);
    html_element(to, "h2", "Keys", "id", "keys-title", NULL);
    html_begin(to, "dl", NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_key(to, rows[i].keys, rows[i].does);
    }
    for (size_t i = 0; i < page_kind_count; i++) {
        if (page_kinds[i].nav != NULL) {
            char keys[] = "g  x";
            keys[3] = page_kinds[i].key[0];
            put_key(to, keys, page_kinds[i].nav);
        }
    }
    html_end(to, "dl");
    html_begin(to, "form", "method", "dialog", NULL);
    html_element(to, "button", "Close", NULL);
    html_end(to, "form");
    html_end(to, "dialog");
}

/* --- the whole --- */

static void put_foot(struct html *to)
{
    html_begin(to, "footer", NULL);
    html_text(to, "Tidings " TIDINGS_VERSION " · ");
    html_element(to, "a", "API", "href", "/v1/openapi.json", NULL);
    html_text(to, " · ");
    html_element(to, "a", "Metrics", "href", "/metrics", NULL);
    html_text(to, " · times are UTC");
    html_end(to, "footer");
}

static void put_title(struct page *page, struct html *to)
{
    html_begin(to, "div", "class", "title", NULL);
    html_element(to, "h1", page->title, NULL);
    if (page->command != NULL) {
        html_begin(to, "p", "class", "cmd", "title", "Shows the same in a terminal", NULL);
        html_element(to, "code", page->command, NULL);
        html_end(to, "p");
    }
    html_end(to, "div");
}

void page_frame(struct page *page, struct html *to)
{
    put_head(page, to);
    html_begin(to, "body", "data-live",
               page->live_ms > 0 ? arena_sprintf(&page->arena, "%d", page->live_ms) : NULL,
               "data-mark", page->mark, NULL);
    put_bar(page, to);
    html_begin(to, "main", "id", "content", "tabindex", "-1", NULL);
    put_title(page, to);
    html_append(to, buf_slice(&page->html.out));
    html_end(to, "main");
    put_foot(to);
    put_keys(to);
    html_end(to, "body");
    html_end(to, "html");
    buf_append_u8(&to->out, '\n');
}
