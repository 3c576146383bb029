#include "cli/security/user_place.h"

#include "cli/base/cli.h"

#include <string.h>
#include <strings.h>

enum { SERVER_WAIT_MS = 15000 };

struct option_set user_place_option_set(struct user_place *place)
{
    static const struct option_spec specs[] = {
        {'d', "data", "DIR", OPTION_TEXT, offsetof(struct user_place, data_dir), 0, 0,
         "the data directory of the bus, running or not (default: tidings-data)"},
    };
    return (struct option_set){"The bus", specs, sizeof specs / sizeof specs[0], place};
}

const char *user_place_dir(const struct user_place *place)
{
    return place->data_dir != NULL ? place->data_dir : "tidings-data";
}

struct control_wait user_wait(void)
{
    return (struct control_wait){.timeout_ms = SERVER_WAIT_MS};
}

int user_fail(enum err err, const struct reason *reason)
{
    static const char place[] = "name the data directory with --data DIR; it is asked on its own "
                                "machine, as the user of the bus";
    switch (err) {
    case ERR_NOT_FOUND:
        return cli_fail(EXIT_NOT_FOUND, place, "%s", reason->text);
    case ERR_LOCKED:
        return cli_fail(EXIT_CONFLICT, "try again when it has started, or has ended", "%s",
                        reason->text);
    case ERR_TIMEOUT:
        return cli_fail(EXIT_TIMED_OUT, NULL, "%s", reason->text);
    default:
        return cli_fail(EXIT_FAILED, NULL, "%s", reason->text);
    }
}

bool user_parse_mechanism(const char *word, enum scram_mechanism *out)
{
    static const enum scram_mechanism mechanisms[] = {SCRAM_SHA_256, SCRAM_SHA_512};
    for (size_t i = 0; i < SCRAM_MECHANISMS; i++) {
        const char *name = scram_name(mechanisms[i]);
        if (strcasecmp(word, name) == 0 || strcasecmp(word, name + strlen("SCRAM-")) == 0) {
            *out = mechanisms[i];
            return true;
        }
    }
    return false;
}
