#include "datadir/check_internal.h"

enum { PROGRESS_BYTES = 16 << 20 };

void check_tell(struct check *check, const struct check_finding *finding)
{
    check->totals->findings[finding->level]++;
    check->totals->repaired += finding->repaired;
    check->options->found(check->options->context, finding);
}

void check_tell_file(struct check *check, enum check_level level, const char *kind,
                     const char *name, bool repaired, const char *text)
{
    check_tell(check, &(struct check_finding){.level = level,
                                              .kind = kind,
                                              .file = name,
                                              .position = -1,
                                              .end = -1,
                                              .first_offset = -1,
                                              .last_offset = -1,
                                              .text = text,
                                              .repaired = repaired});
}

void check_progress(struct check *check, int64_t bytes)
{
    check->totals->bytes += bytes;
    if (check->options->progress != NULL &&
        check->totals->bytes - check->told_bytes >= PROGRESS_BYTES) {
        check->told_bytes = check->totals->bytes;
        check->options->progress(check->options->context, check->totals->bytes, check->total_bytes);
    }
}

const char *check_remedy(const struct check *check, const char *text, struct reason *to)
{
    reason_set(to, "%s; the next start makes it anew%s", text,
               check->options->repair ? "" : " when it notices, --repair makes sure of it");
    return to->text;
}
