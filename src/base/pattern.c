#include "base/pattern.h"

#include "base/mem.h"
#include "base/pattern_parse.h"

#include <stdlib.h>

/* Tree to steps, and all ways through the steps at once (Thompson's construction). */

enum step_kind { STEP_SET, STEP_SPLIT, STEP_JUMP, STEP_ASSERT, STEP_MATCH };

struct step {
    enum step_kind kind;
    enum pattern_node_kind assertion; /* ASSERT */
    int32_t to;                       /* SPLIT, JUMP */
    int32_t other;                    /* SPLIT */
    int32_t set;                      /* SET */
};

struct pattern {
    struct step *steps;
    int32_t count;
    struct byte_set *sets;
    int32_t set_count;
};

/* ---- compiling ---- */

struct compiler {
    const struct pattern_tree *tree;
    struct pattern *out;
    int32_t work; /* nodes looked at: a repeated nothing makes no steps, but takes time */
    bool full;    /* over PATTERN_MAX_STEPS: the result is of no use */
};

static int32_t emit(struct compiler *c, struct step step)
{
    if (c->out->count >= PATTERN_MAX_STEPS) {
        c->full = true;
        return 0;
    }
    c->out->steps[c->out->count] = step;
    return c->out->count++;
}

static void compile(struct compiler *c, int32_t node);

/* Zero or one time: split past it. */
static void compile_optional(struct compiler *c, int32_t node)
{
    int32_t split = emit(c, (struct step){.kind = STEP_SPLIT});
    c->out->steps[split].to = split + 1;
    compile(c, node);
    c->out->steps[split].other = c->out->count;
}

static void compile_repeat(struct compiler *c, const struct pattern_node *node)
{
    for (int32_t i = 0; i < node->least && !c->full; i++) {
        compile(c, node->left);
    }
    if (node->most < 0) {
        int32_t split = emit(c, (struct step){.kind = STEP_SPLIT});
        c->out->steps[split].to = split + 1;
        compile(c, node->left);
        emit(c, (struct step){.kind = STEP_JUMP, .to = split});
        c->out->steps[split].other = c->out->count;
        return;
    }
    for (int32_t i = node->least; i < node->most && !c->full; i++) {
        compile_optional(c, node->left);
    }
}

static void compile_either(struct compiler *c, const struct pattern_node *node)
{
    int32_t split = emit(c, (struct step){.kind = STEP_SPLIT});
    c->out->steps[split].to = split + 1;
    compile(c, node->left);
    int32_t jump = emit(c, (struct step){.kind = STEP_JUMP});
    c->out->steps[split].other = c->out->count;
    compile(c, node->right);
    c->out->steps[jump].to = c->out->count;
}

static void compile(struct compiler *c, int32_t index)
{
    const struct pattern_node *node = &c->tree->nodes[index];
    if (++c->work > 8 * PATTERN_MAX_STEPS) {
        c->full = true;
        return;
    }
    switch (node->kind) {
    case NODE_EMPTY:
        break;
    case NODE_SET:
        emit(c, (struct step){.kind = STEP_SET, .set = node->set});
        break;
    case NODE_BEGIN:
    case NODE_END:
    case NODE_WORD_EDGE:
    case NODE_NO_WORD_EDGE:
        emit(c, (struct step){.kind = STEP_ASSERT, .assertion = node->kind});
        break;
    case NODE_CAT:
        compile(c, node->left);
        compile(c, node->right);
        break;
    case NODE_EITHER:
        compile_either(c, node);
        break;
    case NODE_REPEAT:
        compile_repeat(c, node);
        break;
    }
}

enum err pattern_new(struct slice text, struct pattern **out, struct reason *reason)
{
    struct pattern_tree tree = {0};
    *out = NULL;
    if (text.size > PATTERN_MAX_BYTES) {
        return reason_fail(reason, ERR_INVALID_REGEX,
                           "the regular expression has %zu bytes; at most %d are taken", text.size,
                           PATTERN_MAX_BYTES);
    }
    enum err err = pattern_parse(text, &tree, reason);
    if (err == ERR_NONE) {
        struct pattern *pattern = mem_new(struct pattern);
        pattern->steps = mem_new_array(struct step, PATTERN_MAX_STEPS + 1);
        struct compiler compiler = {.tree = &tree, .out = pattern};
        compile(&compiler, tree.root);
        pattern->steps[pattern->count++] = (struct step){.kind = STEP_MATCH};
        pattern->steps =
            mem_realloc(pattern->steps, (size_t)pattern->count * sizeof *pattern->steps);
        pattern->sets = tree.sets;
        pattern->set_count = tree.set_count;
        tree.sets = NULL;
        if (compiler.full) {
            pattern_free(pattern);
            err = reason_fail(reason, ERR_INVALID_REGEX,
                              "the regular expression is too large: its counted repetitions make "
                              "more than %d steps",
                              PATTERN_MAX_STEPS);
        } else {
            *out = pattern;
        }
    }
    pattern_tree_deinit(&tree);
    return err;
}

size_t pattern_bytes(const struct pattern *pattern)
{
    return pattern == NULL ? 0
                           : mem_cost(sizeof *pattern) +
                                 mem_cost((size_t)pattern->count * sizeof *pattern->steps) +
                                 mem_cost((size_t)pattern->set_count * sizeof *pattern->sets);
}

void pattern_free(struct pattern *pattern)
{
    if (pattern != NULL) {
        free(pattern->steps);
        free(pattern->sets);
        free(pattern);
    }
}

/* ---- matching ---- */

struct matcher {
    const struct pattern *pattern;
    struct slice name;
    size_t at;
    int32_t *steps[2]; /* SET and MATCH steps alive before and behind a byte */
    int32_t count[2];
    int32_t *pending; /* steps to follow yet */
    uint32_t *seen;   /* in which round a step was reached last */
    int64_t moves_left;
};

static bool is_word(const struct matcher *m, size_t at)
{
    struct byte_set word = {{0}};
    byte_set_add_letter('w', &word);
    return at < m->name.size && byte_set_has(&word, m->name.data[at]);
}

static bool holds(const struct matcher *m, enum pattern_node_kind assertion)
{
    bool edge = (m->at > 0 && is_word(m, m->at - 1)) != is_word(m, m->at);
    switch (assertion) {
    case NODE_BEGIN:
        return m->at == 0;
    case NODE_END:
        return m->at == m->name.size;
    case NODE_WORD_EDGE:
        return edge;
    default:
        return !edge;
    }
}

/* Follows everything that takes no byte from the step, into the list of the side. */
static void follow(struct matcher *m, int32_t from, int side)
{
    int32_t pending = 0;
    m->pending[pending++] = from;
    while (pending > 0) {
        int32_t index = m->pending[--pending];
        const struct step *step = &m->pattern->steps[index];
        m->moves_left--;
        if (m->seen[index] == m->at + 1) {
            continue;
        }
        m->seen[index] = (uint32_t)m->at + 1;
        switch (step->kind) {
        case STEP_SET:
        case STEP_MATCH:
            m->steps[side][m->count[side]++] = index;
            break;
        case STEP_SPLIT:
            m->pending[pending++] = step->other;
            m->pending[pending++] = step->to;
            break;
        case STEP_JUMP:
            m->pending[pending++] = step->to;
            break;
        case STEP_ASSERT:
            if (holds(m, step->assertion)) {
                m->pending[pending++] = index + 1;
            }
            break;
        }
    }
}

static bool is_matched(const struct matcher *m, int side)
{
    for (int32_t i = 0; i < m->count[side]; i++) {
        if (m->pattern->steps[m->steps[side][i]].kind == STEP_MATCH) {
            return true;
        }
    }
    return false;
}

/* is_part: the match may begin at any byte, and end at any. */
static bool run(struct matcher *m, bool is_part)
{
    int side = 0;
    follow(m, 0, side);
    while (m->at < m->name.size && (is_part ? !is_matched(m, side) : m->count[side] > 0)) {
        uint8_t byte = m->name.data[m->at++];
        m->count[1 - side] = 0;
        m->moves_left -= m->count[side];
        if (m->moves_left < 0) {
            return false;
        }
        for (int32_t i = 0; i < m->count[side]; i++) {
            const struct step *step = &m->pattern->steps[m->steps[side][i]];
            if (step->kind == STEP_SET && byte_set_has(&m->pattern->sets[step->set], byte)) {
                follow(m, m->steps[side][i] + 1, 1 - side);
            }
        }
        side = 1 - side;
        if (is_part) {
            follow(m, 0, side);
        }
    }
    return (is_part || m->at == m->name.size) && is_matched(m, side);
}

static bool match(const struct pattern *pattern, struct slice name, bool is_part,
                  int64_t *moves_left)
{
    size_t count = (size_t)pattern->count;
    /* Each step is followed once a round and leaves at most two to follow. */
    int32_t *memory = mem_new_array(int32_t, 5 * count + 2);
    struct matcher matcher = {
        .pattern = pattern,
        .name = name,
        .steps = {memory, memory + count},
        .pending = memory + 2 * count,
        .seen = (uint32_t *)memory + 4 * count + 2,
        .moves_left = *moves_left,
    };
    bool matches = run(&matcher, is_part);
    *moves_left = matcher.moves_left;
    free(memory);
    return matches;
}

bool pattern_matches(const struct pattern *pattern, struct slice name)
{
    int64_t moves_left = INT64_MAX;
    return match(pattern, name, false, &moves_left);
}

bool pattern_matches_within(const struct pattern *pattern, struct slice name, int64_t *moves_left)
{
    return match(pattern, name, false, moves_left);
}

bool pattern_finds(const struct pattern *pattern, struct slice name)
{
    int64_t moves_left = INT64_MAX;
    return match(pattern, name, true, &moves_left);
}
