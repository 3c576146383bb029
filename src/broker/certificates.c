#include "broker/certificates.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/time_text.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 2000, DAY_S = 24 * 3600, SOON_DAYS = 30 };

struct certificates {
    struct tls *tls;
    struct reactor *reactor;
    struct workers *keepers;
    struct reactor_timer timer;
    struct task start_task;
    struct task look_task;
    int64_t told_day; /* when it was told that it ends soon: once a day */
};

/* Expired, not yet valid, or soon to end. */
static void tell_of_time(struct certificates *certificates, const struct tls_facts *facts)
{
    int64_t now_s = clock_wall_ms(clock_system()) / 1000;
    int64_t day = now_s / DAY_S;
    char until[TIME_TEXT_SIZE];
    char from[TIME_TEXT_SIZE];
    if (certificates->told_day == day) {
        return;
    }
    certificates->told_day = day;
    time_format(facts->until_s * 1000, until);
    time_format(facts->from_s * 1000, from);
    if (facts->until_s < now_s) {
        LOG_WARN("tls", "the certificate has expired: clients will refuse it",
                 "subject=\"%s\" until=%s setting=ssl.keystore.location", facts->subject, until);
    } else if (facts->from_s > now_s) {
        LOG_WARN("tls", "the certificate is not valid yet: clients will refuse it",
                 "subject=\"%s\" from=%s setting=ssl.keystore.location", facts->subject, from);
    } else if (facts->until_s - now_s < (int64_t)SOON_DAYS * DAY_S) {
        LOG_WARN("tls", "the certificate will expire soon",
                 "subject=\"%s\" until=%s days=%lld setting=ssl.keystore.location", facts->subject,
                 until, (long long)((facts->until_s - now_s) / DAY_S));
    }
}

static void tell(struct certificates *certificates, const char *what)
{
    struct tls_facts facts;
    char until[TIME_TEXT_SIZE];
    tls_facts(certificates->tls, &facts);
    time_format(facts.until_s * 1000, until);
    LOG_INFO("tls", what, "subject=\"%s\" names=\"%s\" until=%s", facts.subject, facts.names,
             until);
    certificates->told_day = 0;
    tell_of_time(certificates, &facts);
}

enum err certificates_new(const struct tls_config *config, struct certificates **out,
                          struct reason *reason)
{
    struct tls *tls;
    enum err err = tls_new(config, &tls, reason);
    if (err != ERR_NONE) {
        return err;
    }
    struct certificates *certificates = mem_new(struct certificates);
    certificates->tls = tls;
    tell(certificates, "certificate read");
    *out = certificates;
    return ERR_NONE;
}

void certificates_check_host(struct certificates *certificates, const char *host)
{
    struct tls_facts facts;
    size_t size = strlen(host);
    bool has_brackets = size >= 2 && host[0] == '[' && host[size - 1] == ']'; /* [::1] */
    char *bare = has_brackets ? mem_strndup(host + 1, size - 2) : mem_strdup(host);
    bool is_named = tls_names(certificates->tls, bare);
    free(bare);
    if (!is_named) {
        tls_facts(certificates->tls, &facts);
        LOG_WARN("tls", "the certificate is not for a host that clients are told to connect to",
                 "host=\"%s\" names=\"%s\" subject=\"%s\"", host, facts.names, facts.subject);
    }
}

/* On a keeper. */
static void look(struct task *task)
{
    struct certificates *certificates = container_of(task, struct certificates, look_task);
    struct reason reason = {""};
    bool changed;
    if (tls_reload(certificates->tls, &changed, &reason) != ERR_NONE) {
        LOG_ERROR("tls", "the changed certificate cannot be used: the one before stays",
                  "reason=\"%s\"", reason.text);
    } else if (changed) {
        tell(certificates, "certificate read anew: new connections get it");
    } else {
        struct tls_facts facts;
        tls_facts(certificates->tls, &facts);
        tell_of_time(certificates, &facts);
    }
    reactor_post(certificates->reactor, &certificates->start_task);
}

static void on_time(struct reactor_timer *timer)
{
    struct certificates *certificates = container_of(timer, struct certificates, timer);
    workers_post(certificates->keepers, (struct worker_owner){.who = certificates}, WORKER_QUICK,
                 &certificates->look_task);
}

/* On the reactor, at the start and after each look. */
static void wait_on(struct task *task)
{
    struct certificates *certificates = container_of(task, struct certificates, start_task);
    reactor_timer_set(certificates->reactor, &certificates->timer,
                      reactor_now_ms(certificates->reactor) + LOOK_MS);
}

void certificates_watch(struct certificates *certificates, struct reactor *reactor,
                        struct workers *keepers)
{
    certificates->reactor = reactor;
    certificates->keepers = keepers;
    certificates->timer.fire = on_time;
    certificates->look_task.run = look;
    certificates->start_task.run = wait_on;
    reactor_post(reactor, &certificates->start_task);
}

struct tls *certificates_tls(struct certificates *certificates)
{
    return certificates->tls;
}

void certificates_free(struct certificates *certificates)
{
    if (certificates != NULL) {
        tls_free(certificates->tls);
        free(certificates);
    }
}
