/* store: runs the store's programs by their short names, `store report` is store-report. */
#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static const char usage[] =
        "Usage: store NAME [options]\n\n"
        "Runs one of the store's programs; `store NAME --help` explains it.\n\n"
        "  order-intake  takes orders by HTTP or from a CSV file\n"
        "  inventory     reserves what they need\n"
        "  shipping      prepares deliveries\n"
        "  email         tells the customers\n"
        "  analytics     keeps it all for reports\n"
        "  report        prints and draws them\n"
        "  mailbox       a mail server for trying things out\n";
    char folder[4096], path[sizeof folder + 256];
    if (argc < 2 || argv[1][0] == '-') {
        bool is_help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
        fputs(usage, is_help ? stdout : stderr);
        return is_help ? EXIT_SUCCESS : 2;
    }
    char **program = argv + 1;
    const char *name = argv[1];
    ssize_t size = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[size > 0 ? size : 0] = '\0';
    snprintf(path, sizeof path, "%s/store-%.200s", dirname(folder), name);
    if (strchr(name, '/') != NULL) {
        errno = ENOENT;
    } else {
        program[0] = path;
        execv(path, program);
    }
    fprintf(stderr, "store: %s: %s\nSee store --help\n", name, strerror(errno));
    return 2;
}
