#include "topic/catalogue_internal.h"

/* Rules of access. What they mean is known elsewhere; here they are kept. */

enum err catalogue_each_acl(struct catalogue *catalogue,
                            void (*each)(void *context, const struct acl_rule *rule), void *context,
                            struct reason *reason)
{
    fair_lock_take(&catalogue->change_lock);
    enum err err = catalogue_db_each_acl(catalogue->db, each, context, reason);
    fair_lock_give(&catalogue->change_lock);
    return err;
}

enum err catalogue_change_acls(struct catalogue *catalogue, const struct acl_rule *add,
                               size_t add_count, const struct acl_rule *remove, size_t remove_count,
                               struct reason *reason)
{
    fair_lock_take(&catalogue->change_lock);
    enum err err =
        catalogue_db_change_acls(catalogue->db, add, add_count, remove, remove_count, reason);
    fair_lock_give(&catalogue->change_lock);
    return err;
}
