#include "cli/live/top_view.h"

#include <stdlib.h>
#include <string.h>

/* From samples to rows. */

/* The sample to compare the newest one with: some seconds back, so that rates are calm. */
static const struct top_sample *before(const struct top_history *history)
{
    size_t at = history->count > TOP_RATE_LOOKS ? TOP_RATE_LOOKS : history->count - 1;
    return at > 0 ? history->samples[at] : NULL;
}

static double rate(int64_t now, int64_t then, const struct top_sample *newer,
                   const struct top_sample *older)
{
    int64_t span_ms = newer->mono_ms - older->mono_ms;
    bool is_known = now >= 0 && then >= 0 && span_ms > 0;
    return !is_known ? -1 : now < then ? 0 : (double)(now - then) * 1000 / (double)span_ms;
}

/* How far the pair came; *in and *out below 0 when that is not known. */
static void pair_rates(const struct top_history *history, const struct top_pair *pair, double *in,
                       double *out)
{
    const struct top_sample *now = history->samples[0], *then = before(history);
    const struct top_pair *was =
        then != NULL ? top_sample_pair(then, pair->group, pair->topic) : NULL;
    *in = was != NULL ? rate(pair->end, was->end, now, then) : -1;
    *out = was != NULL ? rate(pair->done, was->done, now, then) : -1;
}

static void add_known(double *sum, double more)
{
    if (more >= 0) {
        *sum = (*sum < 0 ? 0 : *sum) + more;
    }
}

/* Since when what is done now was the end: the samples tell it as far as they go back. */
static void set_behind(struct top_row *row, const struct top_history *history,
                       const struct top_group *group)
{
    const struct top_sample *now = history->samples[0];
    int64_t done = top_sample_sum(now, group->name).done, since_ms = now->mono_ms;
    row->is_longer = true;
    for (size_t i = 1; i < history->count && row->is_longer; i++) {
        const struct top_sample *then = history->samples[i];
        since_ms = then->mono_ms;
        row->is_longer = top_sample_sum(then, group->name).end > done;
    }
    row->behind_ms = now->mono_ms - since_ms;
    if (group->oldest_ms >= 0) {
        row->behind_ms = now->wall_ms > group->oldest_ms ? now->wall_ms - group->oldest_ms : 0;
        row->is_longer = false;
    }
}

static struct top_row group_row(const struct top_history *history, const struct top_group *group)
{
    const struct top_sample *now = history->samples[0];
    struct top_row row = {.key = group->name,
                          .name = group->name,
                          .state = group->state,
                          .members = (int64_t)group->members,
                          .in = -1,
                          .out = -1,
                          .bytes_in = -1,
                          .lag = group->lag,
                          .behind_ms = group->lag < 0 ? -1 : 0,
                          .error = group->error};
    for (size_t i = top_sample_first(now, group->name);
         i < now->pairs.count && strcmp(now->pairs.items[i].group, group->name) == 0; i++) {
        double in, out;
        pair_rates(history, &now->pairs.items[i], &in, &out);
        add_known(&row.in, in);
        add_known(&row.out, out);
    }
    if (group->lag > 0) {
        set_behind(&row, history, group);
    }
    return row;
}

static struct top_row topic_row(const struct top_history *history, const struct top_topic *topic)
{
    const struct top_sample *now = history->samples[0], *then = before(history);
    const struct top_topic *was = then != NULL ? top_sample_topic(then, topic->name) : NULL;
    struct top_row row = {.key = topic->name,
                          .name = topic->name,
                          .state = "",
                          .in = was != NULL ? rate(topic->end, was->end, now, then) : -1,
                          .out = -1,
                          .bytes_in = was != NULL ? rate(topic->bytes, was->bytes, now, then) : -1,
                          .lag = -1,
                          .behind_ms = -1,
                          .error = topic->error};
    for (size_t i = 0; i < now->pairs.count; i++) {
        const struct top_pair *pair = &now->pairs.items[i];
        if (strcmp(pair->topic, topic->name) == 0) {
            double in, out;
            pair_rates(history, pair, &in, &out);
            add_known(&row.out, out);
            row.members++;
            row.lag = pair->end - pair->done > row.lag ? pair->end - pair->done : row.lag;
        }
    }
    return row;
}

static struct top_row pair_row(const struct top_history *history, const struct top_pair *pair,
                               const char *name)
{
    struct top_row row = {.key = name,
                          .name = name,
                          .state = "",
                          .members = -1,
                          .bytes_in = -1,
                          .lag = pair->end - pair->done,
                          .behind_ms = -1,
                          .error = ""};
    pair_rates(history, pair, &row.in, &row.out);
    return row;
}

/* What a client did since `before`. */
static struct top_row client_row(const struct top_history *history, const struct top_client *client)
{
    const struct top_sample *now = history->samples[0], *then = before(history);
    const struct top_client *was =
        then != NULL ? top_clients_find(&then->clients, client->key) : NULL;
    return (struct top_row){
        .key = client->key,
        .name = client->name,
        .state = "",
        .software = client->software,
        .address = client->address,
        .members = client->connections,
        .in = was != NULL ? rate(client->published, was->published, now, then) : -1,
        .out = was != NULL ? rate(client->fetched, was->fetched, now, then) : -1,
        .bytes_in = -1,
        .lag = -1,
        .behind_ms = -1,
        .error = ""};
}

static const struct top_flow *find_flow(const struct top_client *client, const char *topic)
{
    for (size_t i = 0; client != NULL && i < client->flows.count; i++) {
        if (strcmp(client->flows.items[i].topic, topic) == 0) {
            return &client->flows.items[i];
        }
    }
    return NULL;
}

static struct top_row flow_row(const struct top_history *history, const char *key,
                               const struct top_flow *flow)
{
    const struct top_sample *now = history->samples[0], *then = before(history);
    const struct top_flow *was =
        then != NULL ? find_flow(top_clients_find(&then->clients, key), flow->topic) : NULL;
    return (struct top_row){.key = flow->topic,
                            .name = flow->topic,
                            .state = "",
                            .members = -1,
                            .in =
                                was != NULL ? rate(flow->published, was->published, now, then) : -1,
                            .out = was != NULL ? rate(flow->fetched, was->fetched, now, then) : -1,
                            .bytes_in = -1,
                            .lag = -1,
                            .behind_ms = -1,
                            .error = ""};
}

static int compare(const void *a, const void *b, void *context)
{
    const struct top_row *left = a, *right = b;
    const enum top_sort *sort = context;
    double more = *sort == TOP_BY_RATE ? (right->in > right->out ? right->in : right->out) -
                                             (left->in > left->out ? left->in : left->out)
                  : *sort == TOP_BY_LAG ? (double)right->lag - (double)left->lag
                                        : 0;
    return more > 0 ? 1 : more < 0 ? -1 : strcmp(left->key, right->key);
}

static void add(struct top_rows *rows, const struct top_choice *choice, struct top_row row)
{
    if (strstr(row.name, choice->filter) != NULL) {
        vec_push(rows, row);
    }
}

static void add_opened(struct top_rows *rows, const struct top_history *history,
                       const struct top_choice *choice)
{
    const struct top_sample *now = history->samples[0];
    if (choice->page == TOP_CLIENTS) {
        const struct top_client *client = top_clients_find(&now->clients, choice->opened);
        for (size_t i = 0; client != NULL && i < client->flows.count; i++) {
            add(rows, choice, flow_row(history, client->key, &client->flows.items[i]));
        }
        return;
    }
    bool is_group = choice->page == TOP_GROUPS;
    for (size_t i = 0; i < now->pairs.count; i++) {
        const struct top_pair *pair = &now->pairs.items[i];
        if (strcmp(is_group ? pair->group : pair->topic, choice->opened) == 0) {
            add(rows, choice, pair_row(history, pair, is_group ? pair->topic : pair->group));
        }
    }
}

static void add_all(struct top_rows *rows, const struct top_history *history,
                    const struct top_choice *choice)
{
    const struct top_sample *now = history->samples[0];
    for (size_t i = 0; choice->page == TOP_TOPICS && i < now->topics.count; i++) {
        add(rows, choice, topic_row(history, &now->topics.items[i]));
    }
    for (size_t i = 0; choice->page == TOP_GROUPS && i < now->groups.count; i++) {
        add(rows, choice, group_row(history, &now->groups.items[i]));
    }
    for (size_t i = 0; choice->page == TOP_CLIENTS && i < now->clients.count; i++) {
        add(rows, choice, client_row(history, &now->clients.items[i]));
    }
}

struct top_rows top_rows(const struct top_history *history, const struct top_choice *choice)
{
    struct top_rows rows = {0};
    enum top_sort sort = choice->sort;
    if (history->count == 0) {
        return rows;
    }
    if (choice->opened[0] != '\0') {
        add_opened(&rows, history, choice);
    } else {
        add_all(&rows, history, choice);
    }
    if (rows.count > 1) {
        qsort_r(rows.items, rows.count, sizeof *rows.items, compare, &sort);
    }
    return rows;
}
