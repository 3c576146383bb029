#include "cli/security/acl_verbs.h"

#include "cli/base/cli.h"

int cli_acl(int argc, char **argv)
{
    static const struct cli_command verbs[] = {
        {"list", "show the rules, or those about a user or a resource", cli_acl_list},
        {"add", "allow or forbid a user something", cli_acl_add},
        {"remove", "take rules away", cli_acl_remove},
        {"explain", "tell whether a user may do something, and which rule decides",
         cli_acl_explain},
        {NULL, NULL, NULL},
    };
    return cli_dispatch(
        verbs, "tidings acl",
        "Shows, makes and removes the rules (ACLs) of who may do what. A rule says that a USER\n"
        "may, or may not, do an OPERATION with a RESOURCE, coming from a host. Where rules count,\n"
        "all is forbidden that none allows, and one that forbids comes before those that allow.\n"
        "\n"
        "USER: shop, or User:shop; '*': everybody.\n"
        "RESOURCE: topic:NAME, group:NAME, transactional-id:NAME or cluster; with\n"
        "'--pattern prefixed' all whose names begin so; NAME '*': all of them.\n"
        "OPERATION: read, write, delete and alter, each of which includes describe; describe,\n"
        "create, alter-configs (includes describe-configs), describe-configs, cluster-action,\n"
        "idempotent-write, or all.",
        "Examples:\n"
        "  tidings acl add allow shop write topic:orders\n"
        "  tidings acl list topic:orders                 whatever concerns it\n"
        "  tidings acl explain shop read topic:orders    may it? and why\n"
        "  tidings acl remove topic:orders --user shop --dry-run\n",
        argc, argv);
}
