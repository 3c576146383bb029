#include "cli/security/user_verbs.h"

#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/security/user_place.h"

#include <stdio.h>

struct remove_options {
    struct user_place place;
};

static const struct help_page page = {
    .name = "tidings user remove",
    .usage = "NAME... [OPTIONS]",
    .about = "Takes users away: they cannot log in any more. Connections where they are logged in\n"
             "go on until they end, or until the login expires (connections.max.reauth.ms). Rules\n"
             "about them stay (tidings acl).",
    .examples = "  tidings user remove shop\n"
                "  tidings user remove shop mail --data /var/lib/tidings\n",
};

/* Which mechanisms a user has. */
struct search {
    const char *name;
    struct user_change changes[SCRAM_MECHANISMS];
    size_t count;
};

static void find(void *context, const struct user_told *told)
{
    struct search *search = context;
    if (search->count < SCRAM_MECHANISMS && slice_equal_str(told->name, search->name)) {
        search->changes[search->count++] =
            (struct user_change){.name = slice_str(search->name),
                                 .is_removal = true,
                                 .credential = {.mechanism = told->mechanism}};
    }
}

static int remove_one(const char *dir, const char *name)
{
    struct search search = {.name = name};
    struct reason reason;
    struct control_wait wait = user_wait();
    enum err err = user_store_each(dir, &wait, find, &search, &reason);
    if (err == ERR_NONE && search.count == 0) {
        return cli_fail(EXIT_NOT_FOUND, "tidings user list shows who there is",
                        "there is no user %s", name);
    }
    if (err == ERR_NONE) {
        err = user_store_change(dir, &wait, search.changes, search.count, &reason);
    }
    if (err != ERR_NONE) {
        return user_fail(err, &reason);
    }
    output_text(stdout, "removed user %s\n", name);
    return EXIT_OK;
}

int cli_user_remove(int argc, char **argv)
{
    struct remove_options options = {0};
    struct option_set sets[] = {user_place_option_set(&options.place)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 1, argc, argv, &arguments, &code)) {
        code = arguments.count > 0 ? EXIT_OK
                                   : options_fail(&page, "which user? tidings user remove NAME");
        for (size_t i = 0; code == EXIT_OK && i < arguments.count; i++) {
            code = remove_one(user_place_dir(&options.place), arguments.items[i]);
        }
        code = code == EXIT_OK ? output_finish(EXIT_OK) : code;
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 1);
    return code;
}
