#include "topic/catalogue_db_internal.h"

/* A look from outside. */

struct inspection {
    catalogue_db_complaint *each;
    void *context;
    const struct catalogue_look *look;
    bool harmless;
};

static void hear(void *context, const char *text)
{
    const struct inspection *inspection = context;
    inspection->each(inspection->context, inspection->look->name, inspection->harmless, text);
}

/* All that is wrong with one file. */
static enum err tell_all(struct inspection *inspection, struct reason *reason)
{
    const struct catalogue_look *look = inspection->look;
    struct catalogue_sum sum;
    struct reason why;
    if (look->sqlite == NULL) {
        return ERR_NONE;
    }
    enum err err = catalogue_file_check_pages(look->sqlite, hear, inspection, &why);
    if (err == ERR_NONE && (look->state == CATALOGUE_GOOD || look->state == CATALOGUE_BAD)) {
        err = catalogue_rows_verify(look->sqlite, look->format, hear, inspection, &sum, &why);
    }
    if (err != ERR_NONE && err != ERR_CORRUPT) {
        reason_set(reason, "%s", why.text);
        return err;
    }
    if (look->state == CATALOGUE_BAD) {
        hear(inspection, look->why.text);
    }
    return ERR_NONE;
}

static enum err tell_both(struct catalogue_looks *looks, catalogue_db_complaint *each,
                          void *context, struct reason *reason)
{
    struct inspection first = {each, context, &looks->first, looks->chosen == &looks->copy};
    struct inspection copy = {each, context, &looks->copy, looks->chosen == &looks->first};
    if (first.harmless && looks->first.state < CATALOGUE_BAD) {
        hear(&first, catalogue_look_words(&looks->first));
    } else if (first.harmless && looks->first.state >= CATALOGUE_OLD) {
        hear(&first, "it lacks changes that the copy has");
    }
    enum err err = tell_all(&first, reason);
    return err == ERR_NONE ? tell_all(&copy, reason) : err;
}

enum err catalogue_db_inspect(const char *data_dir, catalogue_db_complaint *each, void *context,
                              struct catalogue_db **out, struct reason *reason)
{
    struct catalogue_looks looks;
    enum err err = catalogue_look_at_both(data_dir, &looks, reason);
    bool judged = err == ERR_NONE || err == ERR_CORRUPT || err == ERR_UNSUPPORTED;
    if (judged && each != NULL) {
        struct reason why;
        enum err told = tell_both(&looks, each, context, &why);
        if (told != ERR_NONE) {
            reason_set(reason, "%s", why.text);
            err = told;
        }
    }
    if (err == ERR_NONE && looks.chosen == NULL) {
        err = reason_fail(reason, ERR_NOT_FOUND, "%s has no catalogue " CATALOGUE_FILE, data_dir);
    }
    if (err == ERR_NONE) {
        *out = catalogue_looks_take(&looks, looks.chosen);
    }
    catalogue_looks_deinit(&looks);
    return err;
}
