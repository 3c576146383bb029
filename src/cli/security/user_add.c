#include "cli/security/user_verbs.h"

#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/security/password.h"
#include "cli/security/user_place.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/stat.h>

struct add_options {
    struct user_place place;
    struct text_list mechanisms;
    int64_t iterations;
    const char *password_file;
};

static const struct help_page page = {
    .name = "tidings user add",
    .usage = "NAME [OPTIONS]",
    .about =
        "Makes a user, or gives one another password, which then counts for the next login. The\n"
        "password is typed at the terminal, or is the first line of a file or of standard input;\n"
        "it is never on the command line, where others on the machine could read it. Kept is\n"
        "what SCRAM needs to check it, for each mechanism: with that nobody can log in.",
    .examples = "  tidings user add shop\n"
                "  tidings user add shop --password-file /run/secrets/shop\n"
                "  openssl rand -base64 24 | tee shop.secret | tidings user add shop\n"
                "  tidings user add root --data /var/lib/tidings     before the first start\n",
};

static const struct option_spec specs[] = {
    {'f', "password-file", "FILE", OPTION_TEXT, offsetof(struct add_options, password_file), 0, 0,
     "its first line is the password; '-': standard input"},
    {'m', "mechanism", "NAME", OPTION_TEXTS, offsetof(struct add_options, mechanisms), 0, 0,
     "keep the password for SCRAM-SHA-256 or SCRAM-SHA-512 alone; may be repeated\n(default: both; "
     "PLAIN takes either)"},
    {'i', "iterations", "N", OPTION_INTEGER, offsetof(struct add_options, iterations),
     SCRAM_ITERATIONS_LEAST, SCRAM_ITERATIONS_MOST,
     "what a guess costs who has read what is kept (default: 4096)"},
};

/* Each mechanism once. */
static int choose(const struct add_options *options, unsigned *chosen)
{
    *chosen = options->mechanisms.count == 0 ? 1u << SCRAM_SHA_256 | 1u << SCRAM_SHA_512 : 0;
    for (size_t i = 0; i < options->mechanisms.count; i++) {
        enum scram_mechanism mechanism;
        if (!user_parse_mechanism(options->mechanisms.items[i], &mechanism)) {
            return options_fail(&page, "--mechanism is SCRAM-SHA-256 or SCRAM-SHA-512, not '%s'",
                                options->mechanisms.items[i]);
        }
        *chosen |= 1u << mechanism;
    }
    return EXIT_OK;
}

static size_t make_changes(const char *name, const struct password *password, unsigned mechanisms,
                           int64_t iterations, struct user_change *changes)
{
    static const enum scram_mechanism all[SCRAM_MECHANISMS] = {SCRAM_SHA_256, SCRAM_SHA_512};
    size_t count = 0;
    for (size_t i = 0; i < SCRAM_MECHANISMS; i++) {
        uint8_t salt[SCRAM_SALT_BYTES];
        if ((mechanisms & 1u << all[i]) != 0) {
            scram_new_salt(salt);
            changes[count] = (struct user_change){.name = slice_str(name)};
            scram_make(all[i], slice_of(password->text, password->size),
                       slice_of(salt, sizeof salt), (int32_t)iterations,
                       &changes[count++].credential);
        }
    }
    return count;
}

/* A directory that nobody named is not made: it may be the wrong place. */
static int check_place(const struct user_place *place)
{
    struct stat found;
    return place->data_dir != NULL || stat(user_place_dir(place), &found) == 0
               ? EXIT_OK
               : cli_fail(EXIT_NOT_FOUND, "name the data directory of the bus with --data DIR",
                          "there is no %s here", user_place_dir(place));
}

static int run(const struct add_options *options, const char *name)
{
    struct password password;
    struct user_change changes[SCRAM_MECHANISMS];
    struct reason reason;
    unsigned mechanisms;
    int code = choose(options, &mechanisms);
    if (code == EXIT_OK && scram_check_name(slice_str(name), &reason) != ERR_NONE) {
        code = options_fail(&page, "%s", reason.text);
    }
    if (code == EXIT_OK) {
        code = check_place(&options->place);
    }
    if (code != EXIT_OK) {
        return code;
    }
    code = password_read(options->password_file, name, &password);
    if (code == EXIT_OK) {
        struct control_wait wait = user_wait();
        size_t count = make_changes(name, &password, mechanisms, options->iterations, changes);
        enum err err =
            user_store_change(user_place_dir(&options->place), &wait, changes, count, &reason);
        code = err == ERR_NONE ? EXIT_OK : user_fail(err, &reason);
        OPENSSL_cleanse(changes, sizeof changes);
    }
    password_wipe(&password);
    if (code == EXIT_OK) {
        output_text(stdout, "%s can log in at the bus on %s\n", name,
                    user_place_dir(&options->place));
    }
    return code == EXIT_OK ? output_finish(EXIT_OK) : code;
}

int cli_user_add(int argc, char **argv)
{
    struct add_options options = {.iterations = SCRAM_ITERATIONS_LEAST};
    struct option_set sets[] = {{"Options", specs, sizeof specs / sizeof specs[0], &options},
                                user_place_option_set(&options.place)};
    struct text_list arguments = {0};
    int code;
    if (options_parse(&page, sets, 2, argc, argv, &arguments, &code)) {
        code = arguments.count == 1
                   ? run(&options, arguments.items[0])
                   : options_fail(&page, arguments.count == 0
                                             ? "which user? tidings user add NAME"
                                             : "one NAME, and the password is never here");
    }
    text_list_deinit(&arguments);
    options_deinit(sets, 2);
    return code;
}
