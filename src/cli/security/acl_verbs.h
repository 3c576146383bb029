#ifndef TIDINGS_CLI_ACL_VERBS_H
#define TIDINGS_CLI_ACL_VERBS_H

/* `tidings acl`: who may do what, of any cluster. Each returns an exit code. One thread. */
int cli_acl_list(int argc, char **argv);
int cli_acl_add(int argc, char **argv);
int cli_acl_remove(int argc, char **argv);
int cli_acl_explain(int argc, char **argv);

#endif
