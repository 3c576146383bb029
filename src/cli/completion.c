#include "base/buf.h"
#include "cli/base/cli.h"
#include "cli/base/output.h"
#include "cli/bus/bus.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Completion in shells. The scripts know nothing of the commands: they ask `tidings completion
 * words`, which knows it from the help texts, and topics and groups from the bus. It says nothing
 * on standard error and ends within three seconds whatever the bus does.
 */

static const struct help_page page = {
    .name = "tidings completion",
    .usage = "bash|zsh|fish",
    .about =
        "Prints a script that completes commands, options, topics and groups in that shell; `make\n"
        "install` puts it where the shell looks. Names are asked of the bus that the line, or\n"
        "TIDINGS_BOOTSTRAP_SERVER, names, for a second at most; those that a shell would take for\n"
        "more than a word are left out. The scripts call 'tidings completion words WORD...', "
        "which\n"
        "prints what the last word may become.",
    .examples = "  source <(tidings completion bash)\n"
                "  tidings completion zsh > ~/.zfunc/_tidings\n"
                "  tidings completion fish > ~/.config/fish/completions/tidings.fish\n",
};

/* Bash's own words end at : and =, so they are made anew from the line behind the program. */
static const char bash_script[] =
    "_tidings() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} program=${COMP_WORDS[0]} word current prefix\n"
    "    local -a words\n"
    "    read -ra words <<< \"${line#*\"$program\"}\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=('')\n"
    "    current=${words[${#words[@]}-1]}\n"
    "    prefix=${current%\"${current##*[:=]}\"}\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r word; do\n"
    "        COMPREPLY+=(\"${word#\"$prefix\"}\")\n"
    "    done < <(\"$program\" completion words -- \"${words[@]}\" 2>/dev/null </dev/null)\n"
    "}\n"
    "complete -o bashdefault -o default -F _tidings tidings\n";

static const char zsh_script[] =
    "#compdef tidings\n"
    "_tidings() {\n"
    "    local -a found\n"
    "    found=(\"${(@f)$(\"${words[1]}\" completion words -- \"${(@)words[2,CURRENT]}\" "
    "2>/dev/null </dev/null)}\")\n"
    "    found=(${found:#})\n"
    "    if (( ${#found} )); then\n"
    "        compadd -a found\n"
    "    else\n"
    "        _files\n"
    "    fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = \"_tidings\" ]; then\n"
    "    _tidings \"$@\"\n"
    "else\n"
    "    compdef _tidings tidings\n"
    "fi\n";

static const char fish_script[] =
    "function __tidings_words\n"
    "    set -l words (commandline -opc)\n"
    "    $words[1] completion words -- $words[2..-1] (commandline -ct) 2>/dev/null </dev/null\n"
    "end\n"
    "complete -c tidings -a '(__tidings_words)'\n";

/* --- what the help texts say --- */

/* What `tidings WORDS --help` prints; nothing when there is no such command. */
static void read_help(char *const *words, int count, struct buf *text)
{
    enum { MOST = 8 };
    char name[] = "tidings", help[] = "--help";
    char *arguments[MOST + 3] = {name};
    int ends[2];
    int used = 1;
    for (int i = 0; i < count && i < MOST; i++) {
        arguments[used++] = words[i];
    }
    arguments[used++] = help;
    if (pipe(ends) != 0) {
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        close(STDERR_FILENO);
        execv("/proc/self/exe", arguments);
        _exit(EXIT_FAILED);
    }
    close(ends[1]);
    ssize_t got = child > 0;
    while (got > 0) {
        uint8_t some[4096];
        got = read(ends[0], some, sizeof some);
        buf_append(text, some, got > 0 ? (size_t)got : 0);
    }
    close(ends[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        buf_clear(text); /* no such command */
    }
}

/* The next line of a text, without its end; NULL: there is none. */
static char *next_line(char **at)
{
    char *line = *at;
    if (*line == '\0') {
        return NULL;
    }
    line[strcspn(line, "\n")] = '\0';
    *at = line + strlen(line) + 1;
    return line;
}

struct completing {
    const char *begin; /* of the word that is completed */
};

static void offer(const struct completing *completing, const char *word)
{
    if (strncmp(word, completing->begin, strlen(completing->begin)) == 0) {
        output_text(stdout, "%s\n", word);
    }
}

/* Whether the page names commands; offers them. */
static bool offer_commands(const struct completing *completing, char *help)
{
    bool is_list = false, has_any = false;
    for (char *line; (line = next_line(&help)) != NULL;) {
        if (is_list && line[0] != ' ') {
            break;
        }
        if (is_list) {
            char *word = line + strspn(line, " ");
            word[strcspn(word, " ")] = '\0';
            offer(completing, word);
            has_any = true;
        }
        is_list = is_list || strcmp(line, "Commands:") == 0;
    }
    return has_any;
}

/* "  -p, --partition N  ...": sets *letter (or 0), *name and *value ("" when it has none). */
static bool read_option(char *line, char *letter, char **name, char **value)
{
    static char none[] = "";
    char *dashes = strstr(line, "--");
    if (dashes == NULL || dashes - line != 6 || line[0] != ' ' || line[1] != ' ') {
        return false;
    }
    *letter = line[2] == '-' ? line[3] : '\0';
    *name = dashes;
    size_t size = strcspn(dashes, " ");
    char *behind = dashes + size;
    bool has_value = behind[0] == ' ' && isupper((unsigned char)behind[1]);
    *value = has_value ? behind + 1 : none;
    if (has_value) {
        behind[1 + strcspn(behind + 1, " ")] = '\0';
    }
    *behind = '\0';
    return true;
}

/* The value that `word` takes, by the page: "TOPIC"; "" when it is no option, or takes none. */
static void find_value(const char *help, const char *word, char value[64])
{
    char *copy = strdup(help);
    char *at = copy;
    value[0] = '\0';
    for (char *line; copy != NULL && (line = next_line(&at)) != NULL;) {
        char letter;
        char *name, *takes;
        if (read_option(line, &letter, &name, &takes) &&
            (strcmp(word, name) == 0 ||
             (word[0] == '-' && word[1] == letter && letter != '\0' && word[2] == '\0'))) {
            snprintf(value, 64, "%s", takes);
        }
    }
    free(copy);
}

static void offer_options(const struct completing *completing, char *help)
{
    for (char *line; (line = next_line(&help)) != NULL;) {
        char letter;
        char *name, *value;
        if (read_option(line, &letter, &name, &value)) {
            offer(completing, name);
        }
    }
}

/* --- what the bus knows --- */

static void give_up(int signal)
{
    (void)signal;
    _exit(EXIT_OK);
}

/* Every shell takes it for a word as it is. */
static bool is_plain(const char *name)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@%/:,";
    return name[0] != '\0' && name[0] != '-' && name[strspn(name, plain)] == '\0';
}

/* The address that the line names; NULL: none. */
static const char *address_in(char *const *words, int count)
{
    static const char option[] = "--bootstrap-server";
    const char *address = NULL;
    for (int i = 0; i < count; i++) {
        size_t size = sizeof option - 1;
        if (strncmp(words[i], option, size) == 0 && words[i][size] == '=') {
            address = words[i] + size + 1;
        } else if (i + 1 < count &&
                   (strcmp(words[i], "-b") == 0 || strcmp(words[i], option) == 0)) {
            address = words[i + 1];
        }
    }
    return address;
}

static void offer_names(const struct completing *completing, struct connection *connection,
                        bool is_groups)
{
    struct admin_topics topics = {0};
    struct admin_group_listings groups = {0};
    bool is_there = is_groups ? admin_groups(connection, &groups, NULL) == CLIENT_OK
                              : admin_topics(connection, &topics, NULL) == CLIENT_OK;
    for (size_t i = 0; is_there && i < topics.count; i++) {
        const struct admin_topic *topic = &topics.items[i];
        if (!topic->is_internal || strncmp(completing->begin, "__", 2) == 0) {
            offer(completing, topic->name);
        }
    }
    for (size_t i = 0; is_there && i < groups.count; i++) {
        if (is_plain(groups.items[i].name)) {
            offer(completing, groups.items[i].name);
        }
    }
    admin_topics_deinit(&topics);
    admin_group_listings_deinit(&groups);
}

/* Names of what a value or an argument is called by in the help. */
static void ask_bus(const struct completing *completing, const char *what, char *const *words,
                    int count)
{
    enum { WAIT_MS = 1000, WAIT_MOST_S = 2 };
    bool is_groups = strncmp(what, "GROUP", 5) == 0;
    struct bus_options options = bus_options_default();
    struct connection *connection = NULL;
    options.bootstrap = address_in(words, count);
    options.timeout_ms = WAIT_MS;
    if (!is_groups && strncmp(what, "TOPIC", 5) != 0) {
        return;
    }
    struct connection_settings settings = bus_settings(&options);
    signal(SIGALRM, give_up);
    alarm(WAIT_MOST_S);
    if (connection_open(&settings, &connection, NULL) == CLIENT_OK &&
        connection_reach(connection, NULL) == CLIENT_OK) {
        offer_names(completing, connection, is_groups);
        fflush(stdout);
    }
    connection_close(connection);
    alarm(0);
}

/* --- the words --- */

/* What an argument of the command is called: the first word in capitals of its usage. */
static void find_argument(const char *help, char what[64])
{
    const char *line = help;
    size_t size = strcspn(line, "\n");
    what[0] = '\0';
    for (size_t i = 1; i + 1 < size && what[0] == '\0'; i++) {
        bool is_begin = line[i - 1] == ' ' || line[i - 1] == '[';
        if (is_begin && isupper((unsigned char)line[i]) && isupper((unsigned char)line[i + 1]) &&
            strncmp(line + i, "OPTIONS", 7) != 0) {
            snprintf(what, 64, "%.*s", (int)strcspn(line + i, " .[]|\n"), line + i);
        }
    }
}

/* How many of the words name the command: those in front of the first option, as far as the help
 * texts go. The page of the last one goes to *help. */
static int find_command(char **words, int count, struct buf *help)
{
    int used = 0;
    read_help(words, 0, help);
    while (used < count && words[used][0] != '-' &&
           strstr(buf_cstr(help), "\nCommands:\n") != NULL) {
        buf_clear(help);
        read_help(words, ++used, help);
        if (help->size == 0) {
            break;
        }
    }
    return used;
}

static int complete(char **words, int count)
{
    char what[64];
    struct buf help = {0};
    if (count == 0) {
        return EXIT_OK;
    }
    struct completing completing = {.begin = words[count - 1]};
    int used = find_command(words, count - 1, &help);
    char *copy = mem_strdup(buf_cstr(&help));
    const char *before = count > used + 1 ? words[count - 2] : "";
    find_value(buf_cstr(&help), before, what);
    if (what[0] != '\0') { /* the value of an option */
        ask_bus(&completing, what, words, count - 1);
    } else if (completing.begin[0] == '-') {
        offer_options(&completing, copy);
    } else if (!offer_commands(&completing, copy)) {
        find_argument(buf_cstr(&help), what);
        ask_bus(&completing, what, words, count - 1);
    }
    free(copy);
    buf_deinit(&help);
    return output_finish(EXIT_OK);
}

int cli_completion(int argc, char **argv)
{
    struct option_set none = {"Options", NULL, 0, NULL};
    struct text_list arguments = {0};
    int code;
    if (argc > 2 && strcmp(argv[1], "words") == 0) {
        int from = strcmp(argv[2], "--") == 0 ? 3 : 2;
        return complete(argv + from, argc - from);
    }
    if (options_parse(&page, &none, 1, argc, argv, &arguments, &code)) {
        const char *shell = arguments.count == 1 ? arguments.items[0] : "";
        const char *script = strcmp(shell, "bash") == 0   ? bash_script
                             : strcmp(shell, "zsh") == 0  ? zsh_script
                             : strcmp(shell, "fish") == 0 ? fish_script
                                                          : NULL;
        if (script == NULL) {
            code = options_fail(&page, "for which shell? Usage: tidings completion bash|zsh|fish");
        } else {
            fputs(script, stdout);
            code = output_finish(EXIT_OK);
        }
    }
    text_list_deinit(&arguments);
    return code;
}
