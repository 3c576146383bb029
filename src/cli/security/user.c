#include "cli/security/user_verbs.h"

#include "cli/base/cli.h"

int cli_user(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"add", "make a user, or give one another password", cli_user_add},
        {"list", "show the users", cli_user_list},
        {"remove", "take users away", cli_user_remove},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(
        verbs, "tidings user",
        "Makes, shows and removes the users who log in by a password at listeners that speak SASL\n"
        "(docs/security.md). A user is NAME for clients, and User:NAME for rules (tidings acl).\n"
        "\n"
        "This works on the machine of the bus, for who may write its data directory, whether the\n"
        "bus runs or not: so the first user is made. From elsewhere users are changed by Kafka's\n"
        "tools: kafka-configs.sh --alter --entity-type users.",
        "Examples:\n"
        "  tidings user add shop                          asks for the password\n"
        "  tidings user add shop --password-file secret   reads its first line\n"
        "  tidings user list --data /var/lib/tidings\n"
        "  tidings user remove shop\n",
        argc, argv);
}
