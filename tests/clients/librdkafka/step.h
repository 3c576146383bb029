/* A step of the scenario: its fields, its names under the runner's prefix, and the clock. */
#pragma once

#include "client.h"

#include <jansson.h>

struct name {
    char text[300];
};

const char *text_of(const json_t *step, const char *key);
int64_t number_of(const json_t *step, const char *key, int64_t otherwise);
/* The prefix, a dot and the text; the result is name->text. */
const char *prefixed(struct name *name, const struct client *client, const char *text);
int64_t now_ms(void);
void pause_ms(long pause);

/* The ops with transactions; as all ops, 0 or -1 with client->why. */
int op_transaction(struct client *client, const json_t *step);
int op_transaction_fence(struct client *client, const json_t *step);
int op_transaction_offsets(struct client *client, const json_t *step);
